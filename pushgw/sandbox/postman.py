"""Carries what emulators report later to whoever takes it, and repeats as vendors do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import structlog

from pushgw.vendor.emulator import Told

_log = structlog.get_logger("pushgw.sandbox")

TRIES = 5
PAUSE_S = 1.0
TIMEOUT_S = 15.0
MOST_WAITING = 10_000
CARRIERS = 4


class Postman:
    """Posts to ``<url>/reports/<credential id>``, several at once, in no promised order.

    ``transport``: another way than the network. ``pause``: between two tries of one report, s.
    """

    def __init__(
        self, url: str, *, transport: httpx.AsyncBaseTransport | None = None, pause: float = PAUSE_S
    ) -> None:
        self._url = url.rstrip("/")
        self._pause = pause
        self._client = httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S)
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(MOST_WAITING)
        self._carriers = [asyncio.create_task(self._carry()) for _ in range(CARRIERS)]
        self.delivered = 0
        self.lost = 0
        """Refused for good, or more than may wait."""

    def take(self, reports: Sequence[Told]) -> None:
        """Deliver these soon."""
        for told in reports:
            try:
                self._waiting.put_nowait(told)
            except asyncio.QueueFull:
                self.lost += 1

    async def idle(self) -> None:
        """Until all that was taken is delivered or lost."""
        await self._waiting.join()

    async def close(self) -> None:
        """Stop. What still waits is dropped."""
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)
        await self._client.aclose()

    async def _carry(self) -> None:
        while True:
            told = await self._waiting.get()
            try:
                if await self._deliver(told):
                    self.delivered += 1
                else:
                    self.lost += 1
            finally:
                self._waiting.task_done()

    async def _deliver(self, told: Told) -> bool:
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(self._pause)
            why = await self._post(told)
            if not why:
                return True
        _log.warning("report_lost", vendor=told.vendor, credential=told.business_id, why=why, tries=TRIES)
        return False

    async def _post(self, told: Told) -> str:
        """Why it was not taken; empty where it was. Never with the address: a key may end it."""
        url = f"{self._url}/reports/{told.business_id}" + (f"/{told.key}" if told.key else "")
        try:
            answer = await self._client.post(url, content=told.body, headers=dict(told.headers))
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if answer.status_code == 200 else f"HTTP {answer.status_code}"
