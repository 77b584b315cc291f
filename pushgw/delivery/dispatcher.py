"""Hands shipments to their lanes; a lane is opened at the first push under its credential."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable

import structlog

from pushgw.credentials import CredentialEntry
from pushgw.delivery.ending import End, Ending, OnEndings
from pushgw.delivery.lane import Lane
from pushgw.delivery.shipment import Shipment
from pushgw.settings import DispatchSettings
from pushgw.vendor.http import TransportError, TransportFactory
from pushgw.vendor.send import AsyncSender
from pushgw.vendor.token_cache import TokenCache

log = structlog.get_logger()

AUTH_TIMEOUT_S = 10.0
AHEAD = 3
"""A lane with so many times its in-flight limit has enough to do until the next records come."""


class Dispatcher:
    """All lanes of this process."""

    def __init__(
        self,
        settings: DispatchSettings,
        transport: TransportFactory,
        auth_transport: TransportFactory,
        *,
        on_endings: OnEndings,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._auth_transport = auth_transport
        self._on_endings = on_endings
        self._clock = clock
        self._rng = rng
        self._enough = AHEAD * settings.in_flight
        self._lanes: dict[int, Lane] = {}
        self._leaving: set[Lane] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._past_repeats = 0
        self._past_good: dict[int, float] = {}

    def dispatch(self, shipments: list[Shipment]) -> None:
        """Hand over; returns at once. Endings come back through ``on_endings``."""
        if not shipments:
            return
        by_lane: dict[int, list[Shipment]] = {}
        for shipment in shipments:
            by_lane.setdefault(shipment.entry.business_id, []).append(shipment)
        for business_id, group in by_lane.items():
            lane = self._lanes.get(business_id) or self._opened(group)
            if lane is not None:
                lane.offer(group)

    @property
    def open(self) -> int:
        """Shipments in all lanes. Each holds ``dispatch.backlog`` at most, so that none fills up the others' room."""
        return sum(lane.open for lane in (*self._lanes.values(), *self._leaving))

    @property
    def lanes(self) -> dict[int, Lane]:
        """The lanes opened so far, by credential."""
        return self._lanes

    @property
    def repeats(self) -> int:
        """Requests that were sent again in place, also in lanes that are gone."""
        return self._past_repeats + sum(lane.repeats for lane in (*self._lanes.values(), *self._leaving))

    @property
    def good_pushes(self) -> dict[int, float]:
        """Credential -> when a push of it was last accepted, epoch s, also in lanes that are gone."""
        good = dict(self._past_good)
        for lane in (*self._lanes.values(), *self._leaving):
            one = lane.entry.business_id
            good[one] = max(lane.good_at, good.get(one, 0.0))
        return {one: at for one, at in good.items() if at}

    @property
    def busy(self) -> bool:
        """Whether every lane is moving and has more than enough to do, so that new shipments could only wait.

        A lane that has stopped moving does not count: the records behind may be for others.
        """
        lanes = self._lanes.values()
        return bool(lanes) and all(lane.open >= self._enough and lane.moving for lane in lanes)

    async def close(self) -> None:
        """Abandon what is open and close all connections."""
        lanes = [*self._lanes.values(), *self._leaving]
        await asyncio.gather(*(lane.close() for lane in lanes), *self._closing)

    def supersede(self, business_ids: Iterable[int]) -> None:
        """These credentials were replaced or removed: their lanes finish what they have and close; the next push opens
        a lane of the new one."""
        for business_id in business_ids:
            lane = self._lanes.pop(business_id, None)
            if lane is not None:
                log.info("lane_superseded", credential=business_id, open=lane.open)
                self._leaving.add(lane)
                lane.leave(self._left)

    def _left(self, lane: Lane) -> None:
        self._leaving.discard(lane)
        self._past_repeats += lane.repeats
        self._past_good[lane.entry.business_id] = max(
            lane.good_at, self._past_good.get(lane.entry.business_id, 0.0)
        )
        task = asyncio.get_running_loop().create_task(lane.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _opened(self, group: list[Shipment]) -> Lane | None:
        """A new lane; None when its connections cannot be set up, which makes the credential unusable (C4)."""
        entry = group[0].entry
        try:
            lane = self._lanes[entry.business_id] = self._open_lane(entry)
        except TransportError as error:
            entry.fault = f"no connection can be set up: {error}"
            log.error(
                "credential_fault", credential=entry.business_id, vendor=entry.vendor, fault=entry.fault
            )
            self._on_endings(
                [
                    Ending(p, entry, End.UNUSABLE, 0, None, entry.fault, 0, 0.0)
                    for s in group
                    for p in s.parcels
                ]
            )
            return None
        return lane

    def _open_lane(self, entry: CredentialEntry) -> Lane:
        adapter, account = entry.adapter, entry.account
        assert adapter is not None  # noqa: S101  rules C2 and C4 come before dispatch
        assert account is not None  # noqa: S101  as above
        sender = AsyncSender(
            self._auth_transport,
            timeout=AUTH_TIMEOUT_S,
            http2=adapter.http2,
            tls=adapter.tls(account),
            proxy=account.proxy,
        )
        tokens = TokenCache(adapter, account, sender.send, self._clock, rng=self._rng)
        return Lane(
            entry,
            self._transport,
            tokens,
            sender,
            self._settings,
            on_endings=self._on_endings,
            clock=self._clock,
            rng=self._rng,
        )
