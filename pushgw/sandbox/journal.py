"""The journal: what the vendors would have shown, one line a notification and token."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pushgw.vendor.emulator import Accepted

MAX_LINES = 50_000
"""Lines kept in memory; the oldest go first. The counts and the file know them all."""

MAX_DISTINCT = 2_000_000
"""Identities kept to recognise repeats; beyond them new ones are counted as distinct unseen."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted notification."""

    seq: int
    """1, 2, 3 ... over the life of the sandbox; a reset does not start it anew."""
    at: int
    """When it was accepted, epoch ms."""
    vendor: str
    token: str
    vendor_id: str
    repeat: bool
    """The same vendor, token and vendor_id was accepted before: on the device it replaces itself."""
    title: str
    body: str
    payload: dict[str, object]


class VendorCount(msgspec.Struct):
    """Numbers of one vendor since the start or the last reset."""

    requests: int = 0
    """All requests, token servers and refused ones included."""
    accepted: int = 0
    distinct: int = 0
    """Distinct (vendor, token, vendor_id) among the accepted."""
    repeats: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=dict)
    """Fault as the operator spelled it -> how often it was dealt."""


class Counts(msgspec.Struct):
    """Numbers of all vendors."""

    accepted: int
    distinct: int
    repeats: int
    vendors: dict[str, VendorCount]


class Journal:
    """Takes down what was accepted; in memory, and in a JSON-lines file where one is named.

    Tokens and texts are in it: the sandbox knows throw-away devices only. Credentials are not.
    """

    def __init__(self, file: Path | None = None, *, max_lines: int = MAX_LINES) -> None:
        self._lines: deque[Line] = deque(maxlen=max_lines)
        self._seq = 0
        self._seen: set[int] = set()
        self._vendors: dict[str, VendorCount] = {}
        self._encoder = msgspec.json.Encoder()
        self._file = (
            open(file, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115  closed by close()
            if file
            else None
        )

    def note(self, accepted: tuple[Accepted, ...], now: float) -> None:
        """Take down what one request had accepted at ``now`` (epoch s)."""
        if not accepted:
            return
        written = []
        for one in accepted:
            count = self.of(one.vendor)
            repeat = self._is_repeat(one)
            count.accepted += 1
            if repeat:
                count.repeats += 1
            else:
                count.distinct += 1
            self._seq += 1
            line = Line(
                seq=self._seq,
                at=int(now * 1000),
                vendor=one.vendor,
                token=one.token,
                vendor_id=one.vendor_id,
                repeat=repeat,
                title=one.title,
                body=one.body,
                payload=one.payload,
            )
            self._lines.append(line)
            written.append(line)
        if self._file is not None:
            self._file.write(self._encoder.encode_lines(written))
            self._file.flush()

    def note_fault(self, vendor: str, spellings: tuple[str, ...]) -> None:
        """Count faults that were dealt to one request."""
        faults = self.of(vendor).faults
        for spelling in spellings:
            faults[spelling] = faults.get(spelling, 0) + 1

    def of(self, vendor: str) -> VendorCount:
        """The running numbers of one vendor."""
        count = self._vendors.get(vendor)
        if count is None:
            count = self._vendors[vendor] = VendorCount()
        return count

    def lines(self, *, vendor: str | None = None, token: str | None = None, since: int = 0) -> Iterator[Line]:
        """The lines in memory, oldest first. ``since``: only those with a greater ``seq``."""
        for line in self._lines:
            if line.seq > since and vendor in (None, line.vendor) and token in (None, line.token):
                yield line

    def latest(self, number: int) -> list[Line]:
        """The newest lines, newest first."""
        newest = reversed(self._lines)
        return [line for line, _ in zip(newest, range(number), strict=False)]

    def counts(self) -> Counts:
        """All numbers since the start or the last reset."""
        every = self._vendors.values()
        return Counts(
            accepted=sum(c.accepted for c in every),
            distinct=sum(c.distinct for c in every),
            repeats=sum(c.repeats for c in every),
            vendors=dict(sorted(self._vendors.items())),
        )

    def reset(self) -> None:
        """Forget lines and numbers. The file is left as it is, and ``seq`` goes on."""
        self._lines.clear()
        self._seen.clear()
        self._vendors.clear()

    def close(self) -> None:
        """Close the file. The lines in memory stay readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_repeat(self, accepted: Accepted) -> bool:
        if not accepted.vendor_id:
            return False
        identity = hash((accepted.vendor, accepted.token, accepted.vendor_id))
        if identity in self._seen:
            return True
        if len(self._seen) < MAX_DISTINCT:
            self._seen.add(identity)
        return False


def masked(token: str) -> str:
    """A token as pages show it: the first six characters and a hash."""
    return f"{token[:6]}…#{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
