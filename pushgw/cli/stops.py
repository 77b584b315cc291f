"""How a running gateway is stopped: the first request drains it, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from pushgw.cli.output import Exit
from pushgw.gateway import Gateway
from pushgw.workers.lifeline import Lifeline, Word

log = structlog.get_logger()

FAREWELL_S = 3.0
"""After the second request: what closing connections and leaving the group may take."""


class Stops:
    """Stop requests, from signals or from the supervisor."""

    def __init__(self, grace: float) -> None:
        """``grace``: what finishing may take, s."""
        self._grace = grace
        self._main = asyncio.current_task()
        self.gateway: Gateway | None = None
        """To be set before it runs."""
        self.stopping = False
        self.hurried = False

    def drain(self) -> None:
        """Finish what is in flight; before the gateway runs there is nothing."""
        if self.stopping:
            return
        self.stopping = True
        if self.gateway is None:
            log.info("stopped_before_start")
            os._exit(Exit.DONE)
        log.info("stopping", grace_s=self._grace, records=self.gateway.open_records)
        self.gateway.stop()

    def now(self) -> None:
        """Leave what is in flight to redelivery, as a crash would. What does not close in time is not waited for."""
        if self.hurried:
            return
        self.stopping = self.hurried = True
        if self.gateway is None or self._main is None:
            os._exit(Exit.NO)
        log.warning(
            "stopping_at_once", records=self.gateway.open_records, then="what is open is delivered again"
        )
        deadline = threading.Timer(FAREWELL_S, os._exit, [Exit.NO])
        deadline.daemon = True
        deadline.start()
        self._main.cancel()

    def signalled(self) -> None:
        """SIGTERM or SIGINT of a gateway that stands alone."""
        (self.now if self.stopping else self.drain)()

    def told(self, word: Word) -> None:
        """A word of the supervisor."""
        if word is Word.GONE and not self.stopping:
            log.error("supervisor_gone", then="this worker stops too")
        (self.now if word is Word.NOW else self.drain)()


@asynccontextmanager
async def stops_of(grace: float, worker: int | None) -> AsyncIterator[Stops]:
    """Listens for stop requests to the current task. A worker obeys its supervisor; a signal only ever drains it."""
    stops = Stops(grace)
    on_signals(stops.signalled if worker is None else stops.drain)
    line = await Lifeline.hold(stops.told) if worker is not None else None
    try:
        yield stops
    finally:
        stops.stopping = True
        if line is not None:
            line.close()


def on_signals(call: Callable[[], None]) -> None:
    """Call it at SIGTERM and at Ctrl-C."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, call)
