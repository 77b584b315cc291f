"""Credentials while the gateway runs: what is added, replaced, removed or runs out takes effect without a restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
import structlog

from pushgw.credentials.directory import CredentialDirectory
from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.expiry import expiry_sentence, warned_at

log = structlog.get_logger()

_TICK_S = 0.001
LOOK_EVERY_S = 2.0
"""A change is seen within this time, and in force as soon as it is read."""


class Shelf(Protocol):
    """Where the credentials are read again. Calls block; they are made in a thread. Both may raise OSError."""

    def signature(self) -> object:
        """Something cheap that differs once anything has changed."""

    def load(self) -> CredentialDirectory:
        """All of it, as at the start."""


class Changes(msgspec.Struct, frozen=True):
    """What a new reading brought. Ids in order."""

    added: list[int]
    replaced: list[int]
    removed: list[int]
    kept: dict[int, str]
    """The new material is at fault: the credential goes on as it was. Id -> what is wrong."""

    @property
    def superseded(self) -> list[int]:
        """Whose lanes are to make way."""
        return sorted([*self.replaced, *self.removed])

    def __bool__(self) -> bool:
        return bool(self.added or self.replaced or self.removed or self.kept)


def take_over(book: CredentialDirectory, fresh: CredentialDirectory) -> Changes:
    """Bring ``book`` up to the new reading, in place.

    What has not changed stays the same object, with what its vendor said of it. A broken file in place of a good one
    changes nothing but `CredentialEntry.stale`, which says what is wrong.
    """
    changes = Changes([], [], sorted(book.entries.keys() - fresh.entries.keys()), {})
    entries: dict[int, CredentialEntry] = {}
    for business_id, entry in sorted(fresh.entries.items()):
        old = book.entries.get(business_id)
        if old is None:
            changes.added.append(business_id)
        elif old.fingerprint == entry.fingerprint:
            old.stale = None
            entry = old
        elif entry.fault is not None and old.fault is None:
            if old.stale != entry.fault:
                changes.kept[business_id] = entry.fault
            old.stale = entry.fault
            entry = old
        else:
            changes.replaced.append(business_id)
        entries[business_id] = entry
    book.entries = entries
    book.faults, book.warnings, book.readings = fresh.faults, fresh.warnings, fresh.readings
    return changes


class CredentialWatch:
    """Looks for changes every two seconds, and for credentials that run out."""

    def __init__(
        self,
        book: CredentialDirectory,
        shelf: Shelf,
        *,
        clock: Callable[[], float] = time.time,
        interval: float = LOOK_EVERY_S,
    ) -> None:
        """``book`` as it was loaded from ``shelf`` a moment ago."""
        self._book = book
        self._shelf = shelf
        self._clock = clock
        self._interval = interval
        self._seen: object = None
        self._warned: dict[int, int] = {}
        self._trouble: str | None = None

    async def run(self, supersede: Callable[[Iterable[int]], None]) -> None:
        """Until cancelled. ``supersede`` is told the ids whose lanes are to make way, after the book has changed."""
        while True:
            changes = await self.look()
            if changes.superseded:
                supersede(changes.superseded)
            await asyncio.sleep(self.pause(self._clock()))
            self.mind_the_dates(self._clock())

    def pause(self, now: float) -> float:
        """How long to wait for the next look, s: not past the end of a credential."""
        ends = [e.expires_at for e in self._book.entries.values() if e.expires_at and e.fault is None]
        return min([self._interval, *(max(end - now, _TICK_S) for end in ends)])

    async def look(self) -> Changes:
        """Look once. A shelf that cannot be read leaves everything as it is."""
        changes = Changes([], [], [], {})
        try:
            signature = await asyncio.to_thread(self._shelf.signature)
            if signature != self._seen:
                fresh = await asyncio.to_thread(self._shelf.load)
                changes = take_over(self._book, fresh)
                self._seen = signature
            self._trouble = None
        except OSError as error:
            self._say_trouble(str(error))
        self._tell(changes)
        self.mind_the_dates(self._clock())
        return changes

    def mind_the_dates(self, now: float) -> None:
        """What has run out is unusable (C4) from now on; what soon will is said at 30, 14, 7, 3 and 1 days."""
        for business_id, entry in self._book.entries.items():
            end = entry.expires_at
            if end is None or entry.fault is not None:
                continue
            if now >= end:
                entry.fault = expiry_sentence(end, now)
                log.error("credential_expired", credential=business_id, vendor=entry.vendor, why=entry.fault)
                continue
            reached = warned_at(end, now)
            if reached is not None and reached != self._warned.get(business_id):
                self._warned[business_id] = reached
                log.warning(
                    "credential_expires",
                    credential=business_id,
                    vendor=entry.vendor,
                    why=expiry_sentence(end, now),
                )

    def _tell(self, changes: Changes) -> None:
        for business_id in (*changes.added, *changes.replaced):
            entry = self._book.entries[business_id]
            event = "credential_added" if business_id in changes.added else "credential_replaced"
            if entry.fault is None:
                log.info(event, credential=business_id, vendor=entry.vendor)
            else:
                log.error(event, credential=business_id, vendor=entry.vendor, fault=entry.fault)
            self._warned.pop(business_id, None)
        for business_id in changes.removed:
            log.warning("credential_removed", credential=business_id, then="its devices get C2")
        for business_id, fault in changes.kept.items():
            log.error(
                "credential_not_replaced", credential=business_id, fault=fault, then="the old one serves"
            )

    def _say_trouble(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.error("credentials_not_read", why=trouble, then="those loaded before serve")
        self._trouble = trouble
