"""What the one writer of a file keeps in memory of it, so that a batch asks the file only for what is not known yet.

It holds because nobody else writes: the lock sees to that. A transaction that changes what is kept here changes it here
too, or forgets it; one that fails forgets everything. Claims and done marks are never kept: the file alone decides.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from pushgw.policy.facts import NOBODY, User

CACHED_USERS = 32_000
"""Users of one generation; a user with one device takes 0.85 kB, so two full generations take 55 MB."""


class Memory:
    """Users as last read, who of them has receive options, and until when there are tombstones and partial done marks.

    An empty one is true of any file. Users are kept in two generations: a full one becomes the old one, and who is not
    asked for again goes with it.
    """

    buried_until: float = math.inf
    """No tombstone lives then or later, epoch s."""
    parted_until: float = math.inf
    """No done mark of a part of a record lives then or later, epoch s."""

    def __init__(self, limit: int = CACHED_USERS) -> None:
        self._limit = limit
        self.users: dict[str, User] = {}
        """By `user_key`; `NOBODY` for those of whom nothing is stored."""
        self._old: dict[str, User] = {}
        self.optioned: set[str] = set()
        """Keys of those known users who have any receive option."""

    def load(self, database: sqlite3.Connection) -> None:
        """Learn what must be known from the start on."""
        self.buried_until, self.parted_until = database.execute(
            "SELECT (SELECT ifnull(max(expires), 0) FROM tombstones), (SELECT ifnull(max(expires), 0) FROM done)"
        ).fetchone()

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those whom the file must be asked for, each once; the others are in `users` until the next call."""
        if len(self.users) >= self._limit:
            self.users, self._old = {}, self.users
            self.optioned.intersection_update(self._old)
        users, old = self.users, self._old
        unknown = dict.fromkeys([key for key in keys if key not in users])
        if not unknown or not old:
            return list(unknown)
        for key in unknown:
            if key in old:
                users[key] = old.pop(key)
        return [key for key in unknown if key not in users]

    def learn(self, keys: Iterable[str], found: Mapping[str, User], optioned: Iterable[str]) -> None:
        """What the file said of all these keys."""
        self.users.update({key: found.get(key, NOBODY) for key in keys})
        self.optioned.update(optioned)

    def forget(self, keys: Iterable[str]) -> None:
        """These users change: they are read anew."""
        for key in keys:
            self.users.pop(key, None)
            self._old.pop(key, None)
            self.optioned.discard(key)

    def forget_all(self) -> None:
        """A transaction failed: what it had changed here is not true."""
        self.users.clear()
        self._old.clear()
        self.optioned.clear()

    def badges(self, plus: Mapping[str, int], to: Mapping[str, int]) -> None:
        """Badges that are raised by a number, and set to one. A badge of a user who is not stored is no answer yet."""
        known, old = self.users, self._old
        for key, number in plus.items():
            users = known if key in known else old
            user = users.get(key)
            if user is not None and user is not NOBODY:
                users[key] = replace(user, badge=user.badge + number)
        for key, number in to.items():
            users = known if key in known else old
            user = users.get(key)
            if user is not None and user is not NOBODY:
                users[key] = replace(user, badge=number)
