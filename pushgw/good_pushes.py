"""When each credential last had a push accepted: seen in the lanes, written down now and then, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pushgw.state.protocol import StateStore, StateUnavailable

log = structlog.get_logger()

NOTE_EVERY_S = 10.0


class GoodPushes:
    """Of one gateway. What cannot be written stays in hand until the next time."""

    def __init__(self, state: StateStore, seen: Callable[[], dict[int, float]]) -> None:
        """``seen``: credential -> when a push of it was last accepted here, epoch s."""
        self._state = state
        self._seen = seen
        self._noted: dict[int, float] = {}
        """What the store is known to have."""

    @property
    def times(self) -> dict[int, float]:
        """Credential -> the newest accepted push, before this process began included."""
        times = dict(self._noted)
        for one, at in self._seen().items():
            times[one] = max(at, times.get(one, at))
        return times

    async def run(self) -> None:
        """Read what is known, then write what changes, every 10 s, until cancelled."""
        await self._restore()
        while True:
            await asyncio.sleep(NOTE_EVERY_S)
            await self.note()

    async def note(self) -> None:
        """Write what is newer than what was written. A store that is away is tried again the next time."""
        newer = {one: at for one, at in self._seen().items() if at > self._noted.get(one, 0.0)}
        if not newer:
            return
        try:
            await self._state.note_good_pushes(newer)
        except StateUnavailable as error:
            log.debug("good_pushes_not_noted", why=str(error))
        else:
            self._noted |= newer

    async def _restore(self) -> None:
        try:
            self._noted = await self._state.good_pushes() | self._noted
        except StateUnavailable as error:
            log.debug("good_pushes_not_read", why=str(error))
