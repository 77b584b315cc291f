"""Which offsets are settled. Pure bookkeeping: only a gap-free prefix of a partition may ever be committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class PartitionLedger:
    """The open offsets of one partition during one assignment.

    The prefix runs over *opened* offsets, so offsets that never become records (compacted away, transaction markers)
    are no gaps. Everything is O(1) a record, amortised.
    """

    __slots__ = ("_committed", "_next", "_open", "_order", "epoch")

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self._order: deque[int] = deque()
        self._open: set[int] = set()
        self._next: int | None = None
        self._committed: int | None = None

    @property
    def in_flight(self) -> int:
        """Offsets that are opened and not settled."""
        return len(self._open)

    @property
    def next_offset(self) -> int | None:
        """The offset after the last opened one; None before the first."""
        return self._next

    def opened(self, offset: int) -> None:
        """A record was taken. Offsets ascend; raises ValueError when one does not."""
        self.opened_many((offset,))

    def opened_many(self, offsets: Sequence[int]) -> None:
        """Records were taken, in ascending order; raises ValueError when they do not follow what is known."""
        if not offsets:
            return
        if self._next is not None and offsets[0] < self._next:
            raise ValueError(f"offset {offsets[0]} was opened before; expected {self._next} or later")
        self._order.extend(offsets)
        self._open.update(offsets)
        self._next = offsets[-1] + 1

    def settle(self, offset: int) -> None:
        """A record is settled, in any order. Settling twice, or what was never opened, changes nothing."""
        self._open.discard(offset)

    def settle_many(self, offsets: Iterable[int]) -> None:
        """`settle` for many."""
        self._open.difference_update(offsets)

    def first_unsettled(self) -> int | None:
        """Where a new owner would have to start: the first unsettled offset, else the one after the last opened."""
        order, unsettled = self._order, self._open
        while order and order[0] not in unsettled:
            order.popleft()
        return order[0] if order else self._next

    def committable(self) -> int | None:
        """The next offset to commit; None when there is nothing newer than what `committed` said."""
        offset = self.first_unsettled()
        if offset is None or (self._committed is not None and offset <= self._committed):
            return None
        return offset

    def committed(self, offset: int) -> None:
        """The broker took this commit."""
        if self._committed is None or offset > self._committed:
            self._committed = offset


class Partition(NamedTuple):
    """Topic and number; equal to a plain tuple of them."""

    topic: str
    number: int


class Ledger:
    """The ledgers of all partitions that are ours.

    An epoch is one assignment of one partition. What was opened in an epoch that is over is ignored when it settles, and
    never committed: the partition's next owner gets those records again.
    """

    def __init__(self) -> None:
        self._partitions: dict[tuple[str, int], PartitionLedger] = {}
        self._epoch = 0

    def assign(self, partitions: Iterable[tuple[str, int]]) -> None:
        """These partitions, and only these, are ours from now on, each in a new epoch."""
        self._partitions = {Partition(*p): self._fresh() for p in partitions}

    def abandon(self, partitions: Iterable[tuple[str, int]]) -> int:
        """These are no longer ours. Returns how many records were still in flight."""
        gone = [self._partitions.pop(p, None) for p in partitions]
        return sum(ledger.in_flight for ledger in gone if ledger is not None)

    def open_many(self, partition: tuple[str, int], offsets: Sequence[int]) -> int:
        """Records of one partition were taken, in ascending order. Returns their epoch.

        Offsets that were seen before mean that the partition was cut back (the broker lost its tail, or the topic was
        made anew): a new epoch begins.
        """
        ledger = self._partitions.get(partition)
        if ledger is None:
            ledger = self._partitions[Partition(*partition)] = self._fresh()
        elif offsets and ledger.next_offset is not None and offsets[0] < ledger.next_offset:
            ledger = self._partitions[partition] = self._fresh()
        ledger.opened_many(offsets)
        return ledger.epoch

    def settle(self, partition: tuple[str, int], offset: int, epoch: int) -> None:
        """One record is settled; ignored when its epoch is over."""
        ledger = self._partitions.get(partition)
        if ledger is not None and ledger.epoch == epoch:
            ledger.settle(offset)

    def committable(self) -> dict[tuple[str, int], int]:
        """For each partition with something new: the next offset to commit."""
        found = {}
        for partition, ledger in self._partitions.items():
            offset = ledger.committable()
            if offset is not None:
                found[partition] = offset
        return found

    def epochs(self) -> dict[tuple[str, int], int]:
        """The running epoch of each partition that is ours."""
        return {partition: ledger.epoch for partition, ledger in self._partitions.items()}

    def committed(self, offsets: dict[tuple[str, int], int], epochs: dict[tuple[str, int], int]) -> None:
        """The broker took these commits, which were asked for during ``epochs``."""
        for partition, offset in offsets.items():
            ledger = self._partitions.get(partition)
            if ledger is not None and ledger.epoch == epochs.get(partition):
                ledger.committed(offset)

    def first_unsettled(self, partition: tuple[str, int]) -> int | None:
        """Where a new owner of the partition would have to start; None when nothing of it was opened."""
        ledger = self._partitions.get(partition)
        return None if ledger is None else ledger.first_unsettled()

    def in_flight(self, partitions: Iterable[tuple[str, int]] | None = None) -> int:
        """Opened and unsettled records, of these partitions or of all."""
        if partitions is None:
            return sum(ledger.in_flight for ledger in self._partitions.values())
        known = (self._partitions.get(p) for p in partitions)
        return sum(ledger.in_flight for ledger in known if ledger is not None)

    def _fresh(self) -> PartitionLedger:
        self._epoch += 1
        return PartitionLedger(self._epoch)
