"""When a worker may start again."""

from __future__ import annotations

from pushgw.workers.restarts import LONGEST_WAIT_S, TRIES, Restarts


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    """Deaths in a row: 0.5, 1, 2 … s, never more than half a minute."""
    restarts = Restarts()
    waits = [restarts.died(1.0) for _ in range(10)]
    assert waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert set(waits[6:]) == {LONGEST_WAIT_S}
    assert restarts.total == 10


def test_a_long_life_begins_a_new_row() -> None:
    """A worker that had run well starts again at once, whatever was before."""
    restarts = Restarts(steady=60.0)
    for _ in range(TRIES):
        restarts.died(59.9)
    assert restarts.failing
    assert restarts.died(60.0) == 0.5
    assert not restarts.failing


def test_failing_means_so_many_tries_in_a_row() -> None:
    """One death fewer is bad luck."""
    restarts = Restarts()
    for _ in range(TRIES - 1):
        restarts.died(0.0)
    assert not restarts.failing
    restarts.died(0.0)
    assert restarts.failing
