"""Histograms that are told in batches count what one by one would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.delivery.histogram import Histogram

BOUNDS = (0.01, 0.05, 0.1, 1, 10)
EDGES = st.sampled_from([0, 10, 50, 51, 100, 1000, 9999, 10_000, 10_001, 10**9])
MILLISECONDS = st.lists(st.integers(0, 20_000) | EDGES, max_size=60)


def one_by_one(values: list[int]) -> Histogram:
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value / 1000)
    return histogram


@given(MILLISECONDS)
def test_a_batch_of_durations_counts_as_each_alone(values: list[int]) -> None:
    """Each value lands in the first bucket whose bound it does not exceed, whatever the batch around it."""
    batch = Histogram(BOUNDS)
    batch.observe_all_ms(list(values))
    assert batch.counts == one_by_one(values).counts
    assert batch.sum == pytest.approx(sum(values) / 1000)


@given(MILLISECONDS)
def test_a_batch_of_moments_counts_as_the_time_since_each(values: list[int]) -> None:
    """Moments are turned into the time since then, with the same bounds."""
    now = 1_795_500_000_000
    batch = Histogram(BOUNDS)
    batch.observe_since_ms(now, [now - value for value in values])
    assert batch.counts == one_by_one(values).counts
    assert batch.sum == pytest.approx(sum(values) / 1000)


def test_a_moment_ahead_counts_as_now() -> None:
    """A publisher's clock that is fast never makes the sum smaller, which Prometheus would read as a restart."""
    histogram = Histogram(BOUNDS)
    histogram.observe_since_ms(1000, [5000, 900])
    assert histogram.sum == 0.1
    assert histogram.count == 2
    assert histogram.counts[0] == 1


def test_cumulative_ends_with_everything() -> None:
    """Buckets as Prometheus wants them: each holds those before it, the last one all values, also those above all bounds."""
    histogram = one_by_one([5, 70, 20_000])
    assert histogram.cumulative() == [(0.01, 1), (0.05, 1), (0.1, 2), (1, 2), (10, 2), (None, 3)]
