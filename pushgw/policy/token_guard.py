"""Notices when so many tokens of one credential die at once that the credential must be to blame. Pure.

A wrong bundle id, a project that was deleted or an environment that was swapped makes a vendor call every token dead.
The guard looks at every stretch of time within the window that ends now, the batch at hand alone included: so a wipe
is seen as soon as enough have died in it, however many healthy pushes came before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from pushgw.settings import TokenSettings

FINE = 64
"""So many of the latest batches with dead tokens are looked at one by one; older ones as slots."""
SLOTS = 60
"""Of the window."""


class TokenGuard:
    """The windows of all credentials of this process.

    While a stretch of n answered pushes does not trip the guard, fewer than ``wipe_minimum`` of them, or no more than
    ``wipe_share`` of n, said "dead": so of a stretch in which every token dies at most ``wipe_minimum`` - 1 are lost.
    """

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._windows: dict[int, _Window] = {}
        self.tripped: dict[int, str] = {}
        """Credentials whose tokens are held, and why, in words that a sentence goes on from."""

    def look(self, answered: Mapping[int, int], dead: Mapping[int, int], now: float) -> list[int]:
        """Count one batch: answers about tokens, and how many of them said "dead", by credential.

        To be called before anything of the batch is removed. Gives the credentials whose guard trips with it.
        """
        tripped = []
        for business_id, count in answered.items():
            window = self._windows.get(business_id)
            if window is None:
                window = self._windows[business_id] = _Window(self._settings, now)
            window.add(now, count, dead.get(business_id, 0))
            why = window.wipe(now) if dead.get(business_id) else None
            if why is not None:
                window.start_anew(now)
                if business_id not in self.tripped:
                    self.tripped[business_id] = why
                    tripped.append(business_id)
            elif business_id in self.tripped and window.healthy(now):
                self.reopen(business_id)
        return tripped

    def trip(self, business_id: int, why: str, now: float) -> None:
        """Trip it by hand: the process before this one had."""
        self.tripped[business_id] = why
        self._windows[business_id] = _Window(self._settings, now)

    def reopen(self, business_id: int) -> None:
        """Tokens of this credential are removed again; what was counted is forgotten."""
        self.tripped.pop(business_id, None)
        self._windows.pop(business_id, None)


class _Stretch(msgspec.Struct):
    began: float
    answered: int
    dead: int


class _Window:
    """One credential's answers. Each stretch begins with a batch that had dead tokens, or with a slot."""

    def __init__(self, settings: TokenSettings, now: float) -> None:
        self._share = settings.wipe_share
        self._minimum = settings.wipe_minimum
        self._seconds = settings.wipe_window
        self._slot = settings.wipe_window / SLOTS
        self._old: deque[_Stretch] = deque()
        self._recent: deque[_Stretch] = deque()
        self._since = now

    def add(self, now: float, answered: int, dead: int) -> None:
        """One batch. A batch without dead tokens lengthens the last stretch of its slot."""
        self._forget(now)
        if not dead and self._recent and self._slot_of(self._recent[-1].began) == self._slot_of(now):
            self._recent[-1].answered += answered
            return
        self._recent.append(_Stretch(now, answered, dead))
        if len(self._recent) > FINE:
            self._put_away(self._recent.popleft())

    def wipe(self, now: float) -> str | None:
        """The shortest stretch up to now in which too large a share died, in words."""
        answered = dead = 0
        for stretches in (self._recent, self._old):
            for stretch in reversed(stretches):
                answered += stretch.answered
                dead += stretch.dead
                if dead >= self._minimum and dead > self._share * answered:
                    within = f"within {now - stretch.began:.0f} s"
                    return f"{dead} of {answered} answered pushes {within} called the token dead"
        return None

    def healthy(self, now: float) -> bool:
        """Whether a whole window has passed since the last wipe, with enough answers and few enough dead tokens."""
        if now - self._since < self._seconds:
            return False
        answered = sum(s.answered for s in self._old) + sum(s.answered for s in self._recent)
        dead = sum(s.dead for s in self._old) + sum(s.dead for s in self._recent)
        return answered >= self._minimum and dead <= self._share * answered

    def start_anew(self, now: float) -> None:
        """A wipe was seen: only what comes after it says whether all is well again."""
        self._old.clear()
        self._recent.clear()
        self._since = now

    def _put_away(self, stretch: _Stretch) -> None:
        """Into the slot of its time."""
        if self._old and self._slot_of(self._old[-1].began) == self._slot_of(stretch.began):
            self._old[-1].answered += stretch.answered
            self._old[-1].dead += stretch.dead
        else:
            self._old.append(stretch)

    def _slot_of(self, moment: float) -> int:
        return int(moment / self._slot)

    def _forget(self, now: float) -> None:
        for stretches in (self._old, self._recent):
            while stretches and stretches[0].began <= now - self._seconds:
                stretches.popleft()
