"""Waiting for what must answer: nothing is guessed and nothing is skipped while the store or the broker is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from pushgw.state.protocol import StateUnavailable

log = structlog.get_logger()
T = TypeVar("T")

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0


class Patience:
    """Asks again until there is an answer, and knows what is in the way meanwhile."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}

    @property
    def troubles(self) -> dict[str, str]:
        """What does not move at the moment: "state", "receipts" or "retries" -> one sentence. Empty when all is well."""
        return dict(self._troubles)

    async def ask(
        self,
        call: Callable[[], Awaitable[T]],
        where: str = "state",
        unavailable: type[Exception] = StateUnavailable,
    ) -> T:
        """The answer of ``call``, however long it takes. Any other exception comes out."""
        wait = FIRST_WAIT_S
        while True:
            try:
                answer = await call()
            except unavailable as error:
                if self._troubles.get(where) != str(error):
                    log.error("paused", where=where, why=str(error))
                self._troubles[where] = str(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)
            else:
                if self._troubles and self._troubles.pop(where, None) is not None:
                    log.info("resumed", where=where)
                return answer
