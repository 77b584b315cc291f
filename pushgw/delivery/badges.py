"""Badge numbers while pushes are in flight: the store's base is raised only when a push is settled."""

from __future__ import annotations

Key = tuple[int, str]


class BadgeBook:
    """Numbers of users who have a push in flight; for all others the store's base counts.

    `sweep` is called before the store is asked about a batch, so that a number is forgotten only when the store's answer
    will have it; what is settled between question and decision is still known here.
    """

    def __init__(self) -> None:
        self._open: dict[Key, list[int]] = {}
        self._idle: list[Key] = []

    def next(self, app: int, user: str, unread: int | None, base: int, step: int = 1) -> int:
        """The number of the next push to this user: the publisher's own, else ``step`` more than the last."""
        key = (app, user)
        held = self._open.get(key)
        if held is None:
            number = base + step if unread is None else unread
            self._open[key] = [number, 1]
            return number
        held[0] = held[0] + step if unread is None else unread
        held[1] += 1
        return held[0]

    def release(self, app: int, user: str) -> None:
        """A push that took a number is settled."""
        key = (app, user)
        held = self._open.get(key)
        if held is not None:
            held[1] -= 1
            if held[1] <= 0:
                self._idle.append(key)

    def sweep(self) -> None:
        """Forget users with nothing in flight."""
        for key in self._idle:
            held = self._open.get(key)
            if held is not None and held[1] <= 0:
                del self._open[key]
        self._idle.clear()
