"""A record as the rest of the house sees it, whatever client fetched it."""

from __future__ import annotations

import msgspec

from pushgw.messages.model import Source


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as it stood on the topic."""

    source: Source
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int
    epoch: int
    """The ledger's: which assignment of the partition it was taken in."""


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Records that were fetched together, in the order of each partition."""

    records: list[Record]
