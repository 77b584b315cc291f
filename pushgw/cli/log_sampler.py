"""Repeated log lines: the first few of a kind pass, the rest is counted, and one line says how many there were."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
import structlog
from structlog.typing import EventDict

WINDOW_S = 10.0
FIRST = 5
"""So many lines of a kind pass in a window."""
KINDS = 1000
"""Beyond so many kinds at once, lines are told apart by their event alone: a code may be anything a vendor says."""
SAME = ("credential", "vendor", "code", "file", "field", "topic", "where", "worker", "logger")
"""Fields that make lines of one event different kinds. A message's source, say, does not."""
_SUMMARY = "_summary"

Timer = Callable[[float, Callable[[], None]], None]
"""Calls back after so many seconds."""
Kind = tuple[object, ...]


class _Window(msgspec.Struct):
    method: str
    line: EventDict
    """The first line's event and what makes its kind."""
    ends: float
    passed: int = 0
    dropped: int = 0


class Sampler:
    """A structlog processor. ``close`` at the end says what is still untold."""

    def __init__(
        self,
        *,
        first: int = FIRST,
        window: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
        timer: Timer | None = None,
    ) -> None:
        """``first`` lines of a kind pass in ``window`` s."""
        self._first = first
        self._window = window
        self._clock = clock
        self._timer = timer or _in_a_thread
        self._lock = threading.Lock()
        self._windows: dict[Kind, _Window] = {}

    def __call__(self, logger: object, method: str, line: EventDict) -> EventDict:
        """The line, or `structlog.DropEvent`."""
        if line.pop(_SUMMARY, False):
            return line
        now = self._clock()
        with self._lock:
            kind, window = self._window_of(method, line, now)
            told = None
            if now >= window.ends:
                told = self._windows.pop(kind)
                kind, window = self._window_of(method, line, now)
            window.passed += 1
            passes = window.passed <= self._first
            if not passes:
                window.dropped += 1
            waits = window.dropped == 1
        if told is not None:
            self._tell(told)
        if waits and not passes:
            self._timer(window.ends - now, lambda: self._over(kind, window))
        if passes:
            return line
        raise structlog.DropEvent

    def close(self) -> None:
        """Say how many lines of the open windows were left out."""
        with self._lock:
            windows, self._windows = list(self._windows.values()), {}
        for window in windows:
            self._tell(window)

    def _window_of(self, method: str, line: EventDict, now: float) -> tuple[Kind, _Window]:
        fields = {name: line[name] for name in SAME if name in line}
        kind: Kind = (line.get("event"), *map(str, fields.items()))
        if kind not in self._windows and len(self._windows) >= KINDS:
            self._windows = {k: w for k, w in self._windows.items() if w.dropped or now < w.ends}
            if len(self._windows) >= KINDS:
                fields, kind = {}, (line.get("event"),)
        window = self._windows.get(kind)
        if window is None:
            named = {"event": line.get("event"), **fields}
            window = self._windows[kind] = _Window(method, named, now + self._window)
        return kind, window

    def _over(self, kind: Kind, window: _Window) -> None:
        with self._lock:
            mine = self._windows.get(kind) is window
            if mine:
                del self._windows[kind]
        if mine:
            self._tell(window)

    def _tell(self, window: _Window) -> None:
        if window.dropped:
            seconds = f"{self._window:g}"
            fields = {name: value for name, value in window.line.items() if name != "event"}
            getattr(structlog.get_logger(), window.method)(
                window.line["event"],
                **fields,
                more=window.dropped,
                note=f"and {window.dropped} more in {seconds} s",
                **{_SUMMARY: True},
            )


def _in_a_thread(delay: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(delay, call)
    timer.daemon = True
    timer.start()
