"""How long a credential has still to live, and when to say so."""

from __future__ import annotations

from datetime import UTC, datetime

DAY_S = 86_400
WARN_DAYS = (30, 14, 7, 3, 1)
"""An operator is told when so many days are left, and each time again."""
MEND = "get a new one in the vendor's console and put it in with `pushgw certs rotate`"


def days_left(expires_at: float, now: float) -> int:
    """Whole days from ``now``; negative when it is over. Both in epoch s."""
    return int((expires_at - now) // DAY_S)


def warned_at(expires_at: float, now: float) -> int | None:
    """Which of WARN_DAYS has been reached: the smallest; None where more is left, or nothing."""
    if now >= expires_at:
        return None
    left = (expires_at - now) / DAY_S
    return min((days for days in WARN_DAYS if left <= days), default=None)


def expiry_sentence(expires_at: float, now: float) -> str:
    """When it ends, in one sentence."""
    day = datetime.fromtimestamp(expires_at, UTC).date()
    if now >= expires_at:
        return f"expired on {day}; {MEND}"
    left = days_left(expires_at, now)
    soon = "in less than a day" if left == 0 else f"in {left} day{'' if left == 1 else 's'}"
    sentence = f"expires {soon}, on {day}"
    return sentence if warned_at(expires_at, now) is None else f"{sentence}; {MEND}"
