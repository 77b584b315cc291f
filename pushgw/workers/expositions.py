"""Sums of what workers count, in Prometheus' text format, that do not fall when a worker starts anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Add = Callable[[Sequence[str]], str]
"""One text of several, equal series added up."""

_RISING = ("counter", "histogram", "summary")


def counters_only(text: str) -> str:
    """The families that only rise: what a process has counted stays counted when it is gone."""
    kept: list[str] = []
    rising, words = False, ""
    for line in text.splitlines():
        if line.startswith("# HELP "):  # stands before TYPE, which says what becomes of it
            words, rising = line, False
            continue
        if line.startswith("# TYPE "):
            rising = line.rsplit(" ", 1)[-1] in _RISING
            if rising and words:
                kept.append(words)
            words = ""
        if rising:
            kept.append(line)
    return "".join(line + "\n" for line in kept)


class Running:
    """The running sum. A worker that is dead, or does not answer, counts with what it last said.

    What a process counted between the last question and its death is not in it.
    """

    def __init__(self, add: Add) -> None:
        self._add = add
        self._last: dict[int, tuple[int, str]] = {}
        self._gone: list[str] = []

    def heard(self, worker: int, life: int, text: str) -> None:
        """``worker`` answered, in its so-manieth life."""
        before = self._last.get(worker)
        if before is not None and before[0] != life:
            self._gone = [self._add([*self._gone, counters_only(before[1])])]
        self._last[worker] = (life, text)

    def total(self, answering: set[int]) -> str:
        """The sum, gauges only of the workers that answer now."""
        texts = [
            text if worker in answering else counters_only(text) for worker, (_, text) in self._last.items()
        ]
        return self._add([*texts, *self._gone])
