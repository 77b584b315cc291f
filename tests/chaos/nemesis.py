"""Carries out the schedule: waits for each strike's time, strikes, and takes down what it did."""

from __future__ import annotations

import asyncio
import time

from tests.chaos.history import Window
from tests.chaos.schedule import Blow, Strike
from tests.chaos.stage import Gateway, Stage

LONGEST_AWAY_S = 6.0
REVIVE_EVERY_S = 0.5


class Nemesis:
    """One run's."""

    def __init__(self, stage: Stage, strikes: list[Strike]) -> None:
        self._stage = stage
        self._strikes = strikes
        self._faulty: dict[str, tuple[float, str]] = {}
        self.windows: list[Window] = []
        self.done: dict[Blow, int] = {}

    async def run(self) -> None:
        """All strikes; faults on their time, whatever the others are at."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry_out([s for s in self._strikes if s.blow is Blow.FAULTS]))
            group.create_task(self._carry_out([s for s in self._strikes if s.blow is not Blow.FAULTS]))

    async def watch_over(self) -> None:
        """Start again whatever ended without having been struck; until cancelled."""
        while True:
            await asyncio.sleep(REVIVE_EVERY_S)
            self._stage.revive()

    async def _carry_out(self, strikes: list[Strike]) -> None:
        start = asyncio.get_running_loop().time()
        for strike in strikes:
            await asyncio.sleep(max(0.0, start + strike.at - asyncio.get_running_loop().time()))
            self.done[strike.blow] = self.done.get(strike.blow, 0) + 1
            self._stage.note(strike.blow.value, " ".join(strike.faults))
            await self._strike(strike)

    async def _strike(self, strike: Strike) -> None:
        stage, away = self._stage, 0.5 + strike.pick * LONGEST_AWAY_S
        match strike.blow:
            case Blow.FAULTS:
                await stage.faults(strike.faults)
                self._note_windows(strike.faults)
            case Blow.KILL:
                await stage.kill_gateway(self._victim(strike.pick))
                stage.start_gateway()
            case Blow.END:
                await stage.end_gateway(self._victim(strike.pick))
                stage.start_gateway()
            case Blow.ADD:
                stage.start_gateway()
            case Blow.REMOVE if len(stage.gateways) > 1:
                await stage.end_gateway(self._victim(strike.pick))
            case Blow.BROKER_RESTART:
                await stage.restart_kafka(away=away)
            case Blow.BROKER_KILL:
                await stage.kill_kafka(away=away)
            case Blow.STATE_RESTART:
                await stage.restart_state(away=away)
            case Blow.STATE_KILL:
                await stage.kill_state(away=away)

    def _victim(self, pick: float) -> Gateway:
        gateways = self._stage.gateways
        return gateways[min(int(pick * len(gateways)), len(gateways) - 1)]

    def _note_windows(self, faults: tuple[str, ...]) -> None:
        now = time.time()
        for vendor, (since, what) in self._faulty.items():
            self.windows.append(Window(vendor, since, now, what))
        self._faulty = {
            fault.partition("=")[0]: (now, fault) for fault in faults if not fault.endswith(":0%")
        }
