"""Do-not-disturb windows against the clock on the wall."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushgw.messages.model import AlwaysWindow, DailyWindow, OnceWindow, RepeatWindow, Window
from pushgw.policy.dnd import active_until, moment, rule_zone
from pushgw.policy.facts import Device, GlobalRule, User
from pushgw.settings import PolicySettings

DAY_S = 86_400
SHANGHAI = "Asia/Shanghai"
NEW_YORK = "America/New_York"


def at(text: str, zone: str = SHANGHAI, fold: int = 0) -> float:
    """Epoch seconds of a wall clock."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def until(window: Window, now: float, zone: str = SHANGHAI, set_at: float = 0) -> float | None:
    return active_until(GlobalRule(window=window, set_ms=int(set_at * 1000)), zone, now)


def daily(clock: str, duration: int) -> DailyWindow:
    hour, minute, second = map(int, clock.split(":"))
    return DailyWindow(hour=hour, minute=minute, second=second, duration=duration)


NIGHT = daily("22:00:00", 10 * 3600)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-24 21:59:59", None),
        ("2026-11-24 22:00:00", "2026-11-25 08:00:00"),
        ("2026-11-24 23:59:59", "2026-11-25 08:00:00"),
        ("2026-11-25 00:00:00", "2026-11-25 08:00:00"),
        ("2026-11-25 07:59:59", "2026-11-25 08:00:00"),
        ("2026-11-25 08:00:00", None),
        ("2026-11-25 12:00:00", None),
    ],
)
def test_a_night_reaches_over_midnight(now: str, end: str | None) -> None:
    """22:00 for ten hours: open from its first second to the last before eight, on both sides of midnight."""
    assert until(NIGHT, at(now)) == (end and at(end))


def test_a_daily_window_hangs_on_its_own_zones_clock() -> None:
    """The same rule at the same moment is open in one zone and closed in another."""
    now = at("2026-11-24 23:00:00", SHANGHAI)
    assert until(NIGHT, now, SHANGHAI) is not None
    assert until(NIGHT, now, NEW_YORK) is None


def test_a_start_inside_a_gap_moves_by_the_gaps_length() -> None:
    """On the night when 2:00 becomes 3:00, a window from 2:30 begins at 3:30 and lasts as long as ever."""
    window = daily("02:30:00", 1800)
    start = at("2024-03-10 03:30:00", NEW_YORK)
    assert until(window, start - 1, NEW_YORK) is None
    assert until(window, at("2024-03-10 03:00:00", NEW_YORK), NEW_YORK) is None
    assert until(window, start, NEW_YORK) == start + 1800
    assert until(window, start + 1800, NEW_YORK) is None


def test_a_start_inside_a_fold_is_the_first_of_the_two() -> None:
    """On the night when 1:30 comes twice, the window opens once, at the first."""
    window = daily("01:30:00", 600)
    first, second = at("2024-11-03 01:30:00", NEW_YORK), at("2024-11-03 01:30:00", NEW_YORK, fold=1)
    assert second - first == 3600
    assert until(window, first, NEW_YORK) == first + 600
    assert until(window, second, NEW_YORK) is None


def test_a_window_over_a_change_of_the_clock_keeps_its_length() -> None:
    """Ten hours from 22:00 are ten hours, though the wall clock then says seven or nine."""
    spring = at("2024-03-09 22:00:00", NEW_YORK)
    assert until(NIGHT, spring, NEW_YORK) == at("2024-03-10 09:00:00", NEW_YORK)
    autumn = at("2024-11-02 22:00:00", NEW_YORK)
    assert until(NIGHT, autumn, NEW_YORK) == at("2024-11-03 07:00:00", NEW_YORK)


def test_a_window_opened_before_the_clock_went_back_over_midnight() -> None:
    """At St. John's 0:01 became 23:01 of the day before: what opened at 0:00:30 stays open."""
    zone = "America/St_Johns"
    start = at("2010-11-07 00:00:30", zone)
    again = at("2010-11-06 23:30:00", zone, fold=1)
    assert start < again < start + 3600
    assert until(daily("00:00:30", 3600), again, zone) == start + 3600


def test_a_window_runs_on_over_a_day_that_was_skipped() -> None:
    """Samoa had no 30 December 2011: what opened on the 29th is still open when the 31st begins."""
    zone = "Pacific/Apia"
    start = at("2011-12-29 00:02:00", zone)
    assert until(daily("00:02:00", DAY_S - 60), at("2011-12-31 00:00:00", zone), zone) == start + DAY_S - 60


def test_a_whole_day_is_for_good_from_its_first_start_on() -> None:
    """86,400 s or more: closed before the start on the day it was set, open for ever after."""
    set_at = at("2026-11-24 12:00:00")
    for duration in (DAY_S, 10 * DAY_S):
        window = daily("22:00:00", duration)
        start = at("2026-11-24 22:00:00")
        assert until(window, start - 1, set_at=set_at) is None
        assert until(window, start, set_at=set_at) == math.inf
        assert until(window, start + 400 * DAY_S, set_at=set_at) == math.inf
    morning = daily("08:00:00", DAY_S)
    assert until(morning, set_at, set_at=set_at) == math.inf
    almost = daily("22:00:00", DAY_S - 1)
    assert until(almost, at("2026-11-25 21:59:58"), set_at=set_at) == at("2026-11-25 21:59:59")
    assert until(almost, at("2026-11-25 21:59:59"), set_at=set_at) is None


def test_one_absolute_window_opens_once() -> None:
    """Half-open, and not again the day after."""
    window = OnceWindow(start=1000, duration=60)
    assert [until(window, now) for now in (999.9, 1000, 1059.9, 1060, 1000 + DAY_S)] == [
        None,
        1060,
        1060,
        None,
        None,
    ]


def test_a_repeated_window_comes_back_every_24_hours() -> None:
    """Never before its first start; then at the same second of every 86,400, whatever clocks do."""
    window = RepeatWindow(start=1000, end=1060)
    day = 9 * DAY_S
    moments = (999, 1000 - DAY_S, 1000, 1059.5, 1060, day + 999, day + 1000, day + 1059, day + 1060)
    assert [until(window, now) for now in moments] == [
        None,
        None,
        1060,
        1060,
        None,
        None,
        day + 1060,
        day + 1060,
        None,
    ]
    assert until(RepeatWindow(start=1000, end=1000 + DAY_S), 1000) == math.inf
    assert until(RepeatWindow(start=1000, end=1000 + DAY_S), 999) is None


def test_without_a_window_it_is_for_good() -> None:
    """Option 2 alone holds until it is cleared."""
    assert until(AlwaysWindow(), 0) == math.inf


@pytest.mark.parametrize(
    "window", [daily("00:00:00", 0), OnceWindow(start=1000, duration=0), RepeatWindow(start=1000, end=1000)]
)
def test_no_duration_is_never(window: Window) -> None:
    """A window of no length holds no moment, not even its start."""
    assert all(until(window, now) is None for now in (1000, at("2026-11-24 00:00:00")))


def device(name: str, zone: str | None) -> Device:
    return Device(device_id=name, business_id=1, token="t", put_ms=0, time_zone=zone)


@pytest.mark.parametrize(
    ("own", "devices", "zone"),
    [
        ("Europe/Berlin", ("America/Lima",), "Europe/Berlin"),
        (None, ("America/Lima", "Asia/Tokyo"), "America/Lima"),
        (None, (None, "Asia/Tokyo"), "Asia/Tokyo"),
        (None, (None,), "Asia/Shanghai"),
        (None, (), "Asia/Shanghai"),
    ],
)
def test_whose_zone_counts(own: str | None, devices: tuple[str | None, ...], zone: str) -> None:
    """The rule's own, else the newest device's that has one, else the setting's."""
    user = User(devices=tuple(device(str(n), z) for n, z in enumerate(devices)))
    rule = GlobalRule(window=NIGHT, set_ms=0, time_zone=own)
    assert rule_zone(rule, user, PolicySettings()) == zone
    assert rule_zone(rule, User(), PolicySettings(time_zone="UTC")) == (own or "UTC")


def test_a_moment_is_written_with_its_offset() -> None:
    """Details name times that a person can read, also where they lie beyond the calendar."""
    assert moment(at("2026-11-24 22:00:00"), SHANGHAI) == "2026-11-24T22:00:00+08:00"
    assert moment(0.5) == "1970-01-01T00:00:00+00:00"
    assert moment(10.0**15) == "the end of time"


# --- against a clock that is watched minute by minute -----------------------------------------------------

CHANGES = [
    ("Asia/Shanghai", datetime(2026, 11, 24, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 3, 10, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 11, 3, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 18, 2, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
]
MINUTE = timedelta(minutes=1)


def starts_seen(zone: ZoneInfo, first: datetime, last: datetime, hour: int, minute: int) -> list[float]:
    """Watch the wall clock from minute to minute; note when it shows hour:minute for the first time on each date.

    Where the clock jumps ahead, what it skipped counts as shown one jump later.
    """
    shown: dict[Any, float] = {}
    before = first.astimezone(zone).replace(tzinfo=None) - MINUTE
    moment_ = first
    while moment_ <= last:
        wall = moment_.astimezone(zone).replace(tzinfo=None)
        skipped = before + MINUTE
        while skipped < wall:
            if (skipped.hour, skipped.minute) == (hour, minute):
                late = moment_ + (skipped - before - MINUTE)
                shown.setdefault(skipped.date(), late.timestamp())
            skipped += MINUTE
        if (wall.hour, wall.minute) == (hour, minute):
            shown.setdefault(wall.date(), moment_.timestamp())
        before = wall
        moment_ += MINUTE
    return list(shown.values())


@settings(max_examples=40, deadline=None)
@given(
    change=st.sampled_from(CHANGES),
    clock=st.integers(0, 1439),
    near_midnight=st.booleans(),
    duration=st.integers(0, 1439),
    now_offset=st.integers(-26 * 60, 26 * 60),
)
def test_a_daily_window_agrees_with_a_watched_clock(
    change: tuple[str, datetime], clock: int, near_midnight: bool, duration: int, now_offset: int
) -> None:
    """Around every kind of change of the clock: open exactly when a start was seen less than the duration ago."""
    name, turn = change
    if near_midnight:
        clock = (clock % 240 - 120) % 1440
    hour, minute = divmod(clock, 60)
    now = turn + timedelta(minutes=now_offset)
    seen = starts_seen(ZoneInfo(name), now - timedelta(hours=50), now, hour, minute)
    ends = [s + duration * 60 for s in seen if s <= now.timestamp() < s + duration * 60]
    window = DailyWindow(hour=hour, minute=minute, second=0, duration=duration * 60)
    assert until(window, now.timestamp(), name) == (max(ends) if ends else None)


@given(
    start=st.integers(0, 10**6),
    length=st.integers(1, DAY_S - 1),
    now=st.floats(0, 10**7, allow_nan=False),
)
def test_a_repeated_window_is_one_of_its_days_windows(start: int, length: int, now: float) -> None:
    """Open exactly when some whole number of days after the first window holds the moment."""
    days = range(int(10**7 // DAY_S) + 1)
    ends = [start + d * DAY_S + length for d in days if start + d * DAY_S <= now < start + d * DAY_S + length]
    found = until(RepeatWindow(start=start, end=start + length), now)
    assert found == (pytest.approx(ends[0]) if ends else None)


OPEN: list[Callable[[int], Window]] = [
    lambda now: OnceWindow(start=now, duration=1),
    lambda now: RepeatWindow(start=now, end=now + 1),
]


@pytest.mark.parametrize("make", OPEN)
def test_windows_are_half_open(make: Callable[[int], Window]) -> None:
    """The first moment belongs to a window, the last does not."""
    assert until(make(1000), 1000) == 1001
    assert until(make(1000), 1001) is None
