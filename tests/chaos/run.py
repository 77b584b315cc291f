"""One run from beginning to end: set the stage, publish while the nemesis strikes, wait for quiet, read everything."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from aiokafka.errors import KafkaError

from pushgw.kafka.topics import ensure_topics
from tests.chaos.cast import Cast
from tests.chaos.history import History, Setup
from tests.chaos.nemesis import Nemesis
from tests.chaos.publisher import Publisher
from tests.chaos.reader import read_handed, read_kept, read_sent, read_stored, read_told
from tests.chaos.schedule import Blow, Profile, schedule
from tests.chaos.script import Script
from tests.chaos.stage import Stage, StageError
from tests.chaos.watcher import Watcher

READY_S = 60.0
PROGRESS_EVERY_S = 5.0


async def run(profile: Profile, seed: int, home: Path, state: str) -> History:
    """What was seen. ``state``: as `Stage` has it. Raises StageError when a part does not come up."""
    setup = Setup(
        seed=seed,
        people=profile.people,
        records=profile.records,
        epoch=int(time.time()) - 120,
        state=state.partition(":")[0],
        profile=profile.name,
        messages_topic="",
        commit=_commit(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    stage = Stage(home, state)
    try:
        await stage.start()
        return await _Run(profile, setup, stage).play()
    finally:
        await stage.close()


class _Run:
    def __init__(self, profile: Profile, setup: Setup, stage: Stage) -> None:
        self._profile = profile
        self._setup = setup
        self._stage = stage
        self._kafka = stage.settings.kafka
        self._cast = Cast(setup.seed, setup.people)
        self._script = Script(setup.seed, self._cast, setup.epoch, time.time)
        self._watcher = Watcher(self._kafka)
        self._start = time.monotonic()

    async def play(self) -> History:
        stage, profile = self._stage, self._profile
        await ensure_topics(self._kafka, stage.settings.dispatch.retry_tiers)
        for _ in range(profile.gateways if stage.shared_state else 1):
            stage.start_gateway()
        strikes = schedule(profile, self._setup.seed, shared_state=stage.shared_state)
        nemesis = Nemesis(stage, strikes)
        async with Publisher(self._kafka, self._script) as publisher:
            await publisher.user_events(list(self._cast.events(int(time.time() * 1000))))
            await self._until_quiet(READY_S, "the gateway did not take the user events")
            watching = asyncio.create_task(self._watcher.run())
            over = asyncio.create_task(nemesis.watch_over())
            telling = asyncio.create_task(self._tell(publisher, nemesis))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(publisher.records(profile.records, profile.duration))
                    group.create_task(nemesis.run())
                self._say("all is published; waiting until it is settled")
                with suppress(StageError):
                    await self._until_quiet(profile.quiet, "it is not quiet")
                await asyncio.sleep(1.0)  # one more sample, and whatever may still come
            finally:
                for task in (watching, over, telling):
                    task.cancel()
                await asyncio.gather(watching, over, telling, return_exceptions=True)
        return await self._read(publisher, nemesis)

    async def _read(self, publisher: Publisher, nemesis: Nemesis) -> History:
        stage = self._stage
        requests, faults = await stage.fault_counts()
        for gateway in list(stage.gateways):
            await stage.end_gateway(gateway)
        self._say("reading topics, journal and state")
        return History(
            setup=self._setup,
            published=publisher.published,
            stored=await read_stored(self._kafka),
            sent=list(read_sent(stage.journal)),
            told=await read_told(self._kafka),
            handed=[
                one
                for one in await read_handed(self._kafka, stage.settings.dispatch.retry_tiers)
                if one.source.startswith(self._messages)
            ],
            samples=self._watcher.samples,
            deeds=stage.deeds,
            windows=nemesis.windows,
            kept=await read_kept(stage.settings.state, self._cast),
            faults={**faults, "requests": requests},
        )

    @property
    def _messages(self) -> str:
        return f"{self._kafka.topics.messages}/"

    async def _until_quiet(self, patience: float, otherwise: str) -> None:
        """Until the group has committed all that there is."""
        watcher = Watcher(self._kafka)
        deadline = time.monotonic() + patience
        try:
            while time.monotonic() < deadline:
                with suppress(KafkaError, TimeoutError, OSError):
                    async with asyncio.timeout(5):
                        if await watcher.behind() == 0:
                            return
                await asyncio.sleep(0.5)
        finally:
            await watcher.close()
        raise StageError(f"{otherwise} within {patience:.0f} s; see {self._stage.home}")

    async def _tell(self, publisher: Publisher, nemesis: Nemesis) -> None:
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            sample = self._watcher.samples[-1] if self._watcher.samples else None
            settled = (
                sum(n for p, n in sample.committed.items() if p.startswith(self._messages)) if sample else 0
            )
            blows = ", ".join(f"{n} x {blow}" for blow, n in nemesis.done.items() if blow is not Blow.FAULTS)
            acknowledged = len(publisher.published)
            self._say(
                f"handed over {publisher.handed_over}, acknowledged {acknowledged}, committed {settled}; {blows}"
            )

    def _say(self, words: str) -> None:
        print(f"{time.monotonic() - self._start:6.0f} s  {words}", flush=True)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
