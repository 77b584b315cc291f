"""Own limits on pushes per user and per conversation (reason B9): sliding windows that count what was dispatched."""

from __future__ import annotations

from collections import OrderedDict, deque

from pushgw.messages.model import OfflineMessage
from pushgw.settings import RateLimits


def conversation(message: OfflineMessage) -> str:
    """What groups notifications on a device and counts for ``rate_limit.per_conversation``."""
    return f"GROUP_{message.group_id}" if message.group_id is not None else f"C2C_{message.sender}"


class RateLimiter:
    """Asks and counts. A push is counted when it is dispatched, whatever becomes of it; suppressed ones are not."""

    __slots__ = ("_per_conversation", "_per_user")

    def __init__(self, limits: RateLimits) -> None:
        self._per_user = _window(limits.per_user)
        self._per_conversation = _window(limits.per_conversation)

    def reached(self, user: str, conversation: str, now: float, *, app: int = 0) -> str | None:
        """Which limit forbids one more push at ``now`` (epoch s), as an English sentence; None when none does."""
        per_user, per_conversation = self._per_user, self._per_conversation
        if per_user is not None and per_user.full((app, user, ""), now):
            return f"{user} reached policy.rate_limit.per_user: {per_user.limit}."
        if per_conversation is not None and per_conversation.full((app, user, conversation), now):
            return (
                f"{user} reached policy.rate_limit.per_conversation in {conversation}: "
                f"{per_conversation.limit}."
            )
        return None

    def count(self, user: str, conversation: str, now: float, *, app: int = 0) -> None:
        """A push to the user in this conversation was dispatched at ``now``."""
        if self._per_user is not None:
            self._per_user.count((app, user, ""), now)
        if self._per_conversation is not None:
            self._per_conversation.count((app, user, conversation), now)

    @property
    def remembered(self) -> int:
        """How many users and conversations are held in memory."""
        return sum(len(w) for w in (self._per_user, self._per_conversation) if w is not None)


_Key = tuple[int, str, str]


class SlidingWindow:
    """At most ``count`` events a key in any ``seconds``, half-open: what is exactly that old does not count."""

    __slots__ = ("_seconds", "_size", "_times")

    def __init__(self, size: int, seconds: int) -> None:
        self._size = size
        self._seconds = seconds
        self._times: OrderedDict[_Key, deque[float]] = OrderedDict()  # the key that was counted last is last

    @property
    def limit(self) -> str:
        """The limit in words."""
        return f"{self._size} within {self._seconds} s"

    def full(self, key: _Key, now: float) -> bool:
        """Whether one more would be too many."""
        times = self._times.get(key)
        return times is not None and len(times) == self._size and now - times[0] < self._seconds

    def count(self, key: _Key, now: float) -> None:
        """One more; and the two keys that have been quiet the longest are forgotten when they are idle."""
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = deque(maxlen=self._size)
        times.append(now)
        self._times.move_to_end(key)
        self._forget_idle(now)
        self._forget_idle(now)

    def _forget_idle(self, now: float) -> None:
        key = next(iter(self._times))
        if now - self._times[key][-1] >= self._seconds:
            del self._times[key]

    def __len__(self) -> int:
        return len(self._times)


def _window(rate: str | None) -> SlidingWindow | None:
    if rate is None:
        return None
    size, seconds = rate.split("/")
    return SlidingWindow(int(size), int(seconds))
