"""Histograms that are told in batches: a list is sorted once and cut at the bounds, so that one value costs next to nothing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

FEW = 12
"""From so many values on it is quicker to sort and cut than to place each."""


class Histogram:
    """Counts of values by upper bound (inclusive), their number and their sum. Values and bounds in s."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds``: ascending; what lies above the last is counted, too."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Of each bucket alone; the last one is above all bounds."""
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """One value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_all_ms(self, values: list[int]) -> None:
        """Many values in ms. Sorts the list in place."""
        if len(values) < FEW:
            for value in values:
                self.observe(value / 1000)
            return
        values.sort()
        counts, end, low = self.counts, len(values), 0
        for n, bound in enumerate(self.bounds):
            high = bisect_right(values, bound * 1000, low)
            counts[n] += high - low
            low = high
            if low == end:
                break
        counts[-1] += end - low
        self.sum += sum(values) / 1000

    def observe_since_ms(self, now: int, stamps: list[int]) -> None:
        """The time from each stamp until ``now``, all in epoch ms; none where a stamp lies ahead. Sorts the list in place."""
        if len(stamps) < FEW:
            for stamp in stamps:
                self.observe(max(now - stamp, 0) / 1000)
            return
        stamps.sort()
        if stamps[-1] > now:
            stamps = [stamp if stamp < now else now for stamp in stamps]
        counts, high = self.counts, len(stamps)
        for n, bound in enumerate(self.bounds):
            low = bisect_left(stamps, now - bound * 1000, 0, high)
            counts[n] += high - low
            high = low
            if high == 0:
                break
        counts[-1] += high
        self.sum += (now * len(stamps) - sum(stamps)) / 1000

    def cumulative(self) -> list[tuple[float | None, int]]:
        """(bound, values up to it) in order; None is above all bounds."""
        rows: list[tuple[float | None, int]] = []
        total = 0
        for bound, count in zip((*self.bounds, None), self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows
