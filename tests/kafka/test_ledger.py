"""The ledger against a plain model of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pushgw.kafka.ledger import Ledger, PartitionLedger


class LedgerModel(RuleBasedStateMachine):
    """Offsets with holes are opened in order and settled in any; the model is a list and a set."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = PartitionLedger()
        self.opened: list[int] = []
        self.settled: set[int] = set()
        self.committed: int | None = None

    @rule(holes=st.lists(st.integers(0, 5), max_size=6))
    def open_batch(self, holes: list[int]) -> None:
        offset = self.opened[-1] + 1 if self.opened else 10
        batch = []
        for hole in holes:
            batch.append(offset + hole)
            offset += hole + 1
        self.ledger.opened_many(batch)
        self.opened += batch

    @rule()
    def open_one(self) -> None:
        self.ledger.opened(self.opened[-1] + 2 if self.opened else 10)
        self.opened.append(self.opened[-1] + 2 if self.opened else 10)

    @rule(data=st.data())
    def settle_some(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, 100), max_size=5))
        self.ledger.settle_many(chosen)
        self.settled |= set(chosen) & set(self.opened)

    @rule(data=st.data())
    def settle_one(self, data: st.DataObject) -> None:
        if self.opened:
            offset = data.draw(st.sampled_from(self.opened))
            self.ledger.settle(offset)
            self.settled.add(offset)

    @rule()
    def commit(self) -> None:
        offset = self.ledger.committable()
        if offset is not None:
            self.ledger.committed(offset)
            self.committed = offset

    @rule()
    def settle_everything(self) -> None:
        self.ledger.settle_many(list(self.opened))
        self.settled |= set(self.opened)
        if self.opened:
            assert self.ledger.first_unsettled() == self.opened[-1] + 1, (
                "all settled: everything is committable"
            )

    @invariant()
    def nothing_beyond_an_unsettled_offset(self) -> None:
        unsettled = [offset for offset in self.opened if offset not in self.settled]
        after_all = self.opened[-1] + 1 if self.opened else None
        expected = unsettled[0] if unsettled else after_all
        assert self.ledger.first_unsettled() == expected
        new = expected is not None and (self.committed is None or expected > self.committed)
        assert self.ledger.committable() == (expected if new else None)
        assert self.ledger.in_flight == len(unsettled)


TestLedgerModel = LedgerModel.TestCase
TestLedgerModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLedgerModel.__doc__ = (
    "Whatever the order of settling, nothing beyond an unsettled offset is ever committable."
)


def test_first_offsets_may_be_committed_before_anything_else() -> None:
    """A partition that starts at offset 0 with its first record unsettled commits 0 at most: never past it."""
    ledger = PartitionLedger()
    ledger.opened_many([0, 1, 2])
    ledger.settle_many([1, 2])
    assert ledger.committable() == 0
    ledger.settle(0)
    assert ledger.committable() == 3


def test_offsets_that_go_back_are_refused() -> None:
    """The same offset twice in one assignment is a mistake, and said so."""
    ledger = PartitionLedger()
    ledger.opened_many([5, 6])
    with pytest.raises(ValueError, match="offset 6 was opened before"):
        ledger.opened(6)


def test_settling_backwards_is_not_quadratic() -> None:
    """200,000 records settled last to first cost about as much as first to last, not their square."""
    ledger = PartitionLedger()
    ledger.opened_many(range(200_000))
    began = time.process_time()
    for offset in reversed(range(200_000)):
        ledger.settle(offset)
        ledger.committable()
    assert ledger.committable() == 200_000
    assert time.process_time() - began < 5


@given(late=st.integers(0, 9))
def test_settlements_of_a_lost_assignment_are_ignored(late: int) -> None:
    """What was taken before a partition was lost never counts for its next assignment."""
    ledger = Ledger()
    ledger.assign([("t", 0)])
    old = ledger.open_many(("t", 0), range(10))
    ledger.abandon([("t", 0)])
    ledger.assign([("t", 0)])
    ledger.open_many(("t", 0), range(10))
    ledger.settle(("t", 0), late, old)
    assert ledger.in_flight() == 10
    assert ledger.first_unsettled(("t", 0)) == 0


def test_abandoned_partitions_commit_nothing_and_say_what_was_open() -> None:
    """Giving up a partition counts what was in flight; what settles afterwards is nobody's."""
    ledger = Ledger()
    ledger.assign([("t", 0), ("t", 1)])
    epoch = ledger.open_many(("t", 0), [3, 4])
    ledger.open_many(("t", 1), [7])
    assert ledger.in_flight() == 3
    assert ledger.in_flight([("t", 1), ("other", 9)]) == 1
    assert ledger.abandon([("t", 0), ("never", 1)]) == 2
    ledger.settle(("t", 0), 3, epoch)
    assert ledger.committable() == {("t", 1): 7}


def test_a_commit_answered_late_does_not_count_for_the_next_epoch() -> None:
    """A commit asked for in one assignment and answered in the next leaves the next one's bookkeeping alone."""
    ledger = Ledger()
    ledger.assign([("t", 0)])
    epoch = ledger.open_many(("t", 0), [0, 1])
    ledger.settle(("t", 0), 0, epoch)
    asked, during = ledger.committable(), ledger.epochs()
    ledger.assign([("t", 0)])
    ledger.open_many(("t", 0), [0, 1])
    ledger.committed(asked, during)
    assert ledger.committable() == {("t", 0): 0}


def test_a_partition_that_was_cut_back_begins_a_new_epoch() -> None:
    """When a broker lost the tail of a partition its offsets come again; the old ones in flight no longer count."""
    ledger = Ledger()
    ledger.assign([("t", 0)])
    old = ledger.open_many(("t", 0), [0, 1, 2])
    new = ledger.open_many(("t", 0), [1, 2])
    assert new != old
    ledger.settle(("t", 0), 1, old)
    assert ledger.first_unsettled(("t", 0)) == 1
    ledger.settle(("t", 0), 1, new)
    assert ledger.first_unsettled(("t", 0)) == 2


def test_committed_offsets_are_not_offered_again() -> None:
    """Nothing new to commit is nothing to ask the broker for."""
    ledger = Ledger()
    ledger.assign([("t", 0)])
    epoch = ledger.open_many(("t", 0), [0, 1])
    ledger.settle(("t", 0), 0, epoch)
    ledger.committed(ledger.committable(), ledger.epochs())
    assert ledger.committable() == {}
    ledger.settle(("t", 0), 1, epoch)
    assert ledger.committable() == {("t", 0): 2}
