"""Shipments that wait a little for their next attempt in the same lane, each on a timer of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from pushgw.delivery.shipment import Shipment
from pushgw.settings import DispatchSettings
from pushgw.vendor.push import Outcome


class Repeats:
    """Exponential back-off with jitter (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015: equal jitter)."""

    def __init__(
        self, settings: DispatchSettings, rng: random.Random, again: Callable[[Shipment], None]
    ) -> None:
        """``again`` takes each shipment whose wait is over."""
        self._settings = settings
        self._rng = rng
        self._again = again
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Shipment]] = {}

    def pause(self, shipment: Shipment, outcome: Outcome) -> float:
        """How long to wait, s: between half and all of the attempt's step; the vendor's own wish is a minimum."""
        step = min(self._settings.backoff * 2.0 ** (shipment.attempt - 1), self._settings.backoff_max)
        return max(step * self._rng.uniform(0.5, 1.0), outcome.retry_after or 0.0)

    def put(self, shipment: Shipment, wait: float) -> None:
        """It comes back in ``wait`` s."""
        handle = self._loop.call_later(wait, self._over, shipment)
        self._waiting[id(shipment)] = (handle, shipment)

    def take_all(self) -> list[Shipment]:
        """All that wait, at once; none of them comes back by itself any more."""
        waiting, self._waiting = self._waiting, {}
        for handle, _ in waiting.values():
            handle.cancel()
        return [shipment for _, shipment in waiting.values()]

    def _over(self, shipment: Shipment) -> None:
        del self._waiting[id(shipment)]
        self._again(shipment)
