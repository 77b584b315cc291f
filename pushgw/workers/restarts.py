"""When a worker that died may start again: later each time, and when to call it hopeless."""

from __future__ import annotations

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
STEADY_S = 60.0
"""A worker that lived so long had started well: its death is the first of a new row."""
TRIES = 5
"""Deaths in a row, each soon after the start, after which a worker counts as failing."""


class Restarts:
    """The deaths of one worker. It is told how long each life was, and says how long to wait."""

    def __init__(self, *, first_wait: float = FIRST_WAIT_S, steady: float = STEADY_S) -> None:
        """Both in s."""
        self._first_wait = first_wait
        self._steady = steady
        self._row = 0
        self.total = 0
        """Deaths since the supervisor's start."""

    def died(self, lived: float) -> float:
        """After a life of so many s: s to wait before the next."""
        self.total += 1
        self._row = 1 if lived >= self._steady else self._row + 1
        wait: float = self._first_wait * 2.0 ** (self._row - 1)
        return min(wait, LONGEST_WAIT_S)

    @property
    def failing(self) -> bool:
        """Whether it has died at once, again and again."""
        return self._row >= TRIES
