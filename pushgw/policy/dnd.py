"""Global do-not-disturb: whether a rule's window is open now, and until when.

All windows are half-open: open at their start, closed at their end. "Now" is when the push would be sent, so that a
late record wakes nobody at night.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pushgw.messages.model import DailyWindow, OnceWindow, RepeatWindow
from pushgw.policy.facts import GlobalRule, User
from pushgw.settings import PolicySettings

DAY_S = 86_400
_LAST_MOMENT = 253_402_214_400
"""9999-12-31 UTC, epoch s: what comes later cannot be written as a date in every zone."""


def active_until(rule: GlobalRule, zone_name: str, now: float) -> float | None:
    """When the window that holds ``now`` ends, epoch s; ``math.inf`` for one without an end; None when none is open.

    ``zone_name`` (IANA) is where a daily window's wall clock hangs; the other kinds of window need none.
    """
    window = rule.window
    if isinstance(window, DailyWindow):
        if window.duration >= DAY_S:
            return _permanent_from_first_day(window, rule.set_ms, ZoneInfo(zone_name), now)
        return _daily(window, ZoneInfo(zone_name), now)
    if isinstance(window, OnceWindow):
        end = window.start + window.duration
        return end if window.start <= now < end else None
    if isinstance(window, RepeatWindow):
        return _repeated(window, now)
    return math.inf


def rule_zone(rule: GlobalRule, user: User, options: PolicySettings) -> str:
    """The rule's own zone, else that of the newest device that has one, else ``policy.time_zone``."""
    if rule.time_zone is not None:
        return rule.time_zone
    for device in user.devices:
        if device.time_zone is not None:
            return device.time_zone
    return options.time_zone


def moment(epoch: float, zone_name: str = "UTC") -> str:
    """A point in time as people read it: ISO 8601 to the second, with the zone's offset."""
    if epoch > _LAST_MOMENT:
        return "the end of time"
    return datetime.fromtimestamp(epoch, ZoneInfo(zone_name)).isoformat(timespec="seconds")


def _daily(window: DailyWindow, zone: ZoneInfo, now: float) -> float | None:
    today = datetime.fromtimestamp(now, zone).date()
    # Yesterday's window may reach over midnight. Tomorrow's has begun where a clock goes back across midnight, and the
    # one before yesterday's still runs where a zone skips a whole day (Samoa, 30 December 2011).
    for shift in (1, 0, -1, -2):
        start = _start(window, today + timedelta(days=shift), zone)
        if start <= now < start + window.duration:
            return start + window.duration
    return None


def _permanent_from_first_day(window: DailyWindow, set_ms: int, zone: ZoneInfo, now: float) -> float | None:
    first_day = datetime.fromtimestamp(set_ms / 1000, zone).date()
    return math.inf if now >= _start(window, first_day, zone) else None


def _start(window: DailyWindow, day: date, zone: ZoneInfo) -> float:
    """The window's start on that day. In a gap of the clock it moves by the gap's length; of two it is the first."""
    # fold=0 means both: in a gap the offset before it counts, and in a fold the first of the two.
    return datetime(
        day.year, day.month, day.day, window.hour, window.minute, window.second, tzinfo=zone, fold=0
    ).timestamp()


def _repeated(window: RepeatWindow, now: float) -> float | None:
    length = window.end - window.start
    if now < window.start:
        return None
    if length >= DAY_S:
        return math.inf
    since = (now - window.start) % DAY_S
    return now - since + length if since < length else None
