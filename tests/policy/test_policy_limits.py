"""Own limits, pushed message by pushed message."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.messages.model import OfflineMessage
from pushgw.policy.limits import RateLimiter, SlidingWindow, conversation
from pushgw.settings import RateLimits

ALICE = "C2C_alice"


def limiter(per_user: str | None = None, per_conversation: str | None = None) -> RateLimiter:
    return RateLimiter(RateLimits(per_user=per_user, per_conversation=per_conversation))


def test_the_limit_is_reached_with_the_last_push_that_it_allows() -> None:
    """Two in ten seconds: the third waits until the first is exactly ten seconds old."""
    limits = limiter("2/10")
    for now in (0.0, 4.0):
        assert limits.reached("bob", ALICE, now) is None
        limits.count("bob", ALICE, now)
    assert limits.reached("bob", ALICE, 4.0) == "bob reached policy.rate_limit.per_user: 2 within 10 s."
    assert limits.reached("bob", ALICE, 9.999) is not None
    assert limits.reached("bob", ALICE, 10.0) is None
    limits.count("bob", ALICE, 10.0)
    assert limits.reached("bob", ALICE, 13.9) is not None
    assert limits.reached("bob", ALICE, 14.0) is None


def test_asking_counts_nothing() -> None:
    """What is suppressed is not counted: only `count` counts."""
    limits = limiter("1/10", "1/10")
    assert [limits.reached("bob", ALICE, 0.0) for _ in range(5)] == [None] * 5
    assert limits.remembered == 0


def test_a_conversation_is_that_of_one_receiver() -> None:
    """Neither another conversation of bob's nor the same group's message to carol is held back."""
    limits = limiter(per_conversation="1/10")
    limits.count("bob", "GROUP_g", 0.0)
    reached = limits.reached("bob", "GROUP_g", 1.0)
    assert reached == "bob reached policy.rate_limit.per_conversation in GROUP_g: 1 within 10 s."
    assert limits.reached("bob", "GROUP_h", 1.0) is None
    assert limits.reached("carol", "GROUP_g", 1.0) is None


def test_a_user_is_counted_over_all_conversations() -> None:
    """The two limits are counted apart, and the user's is told first."""
    limits = limiter("2/10", "1/10")
    limits.count("bob", "GROUP_g", 0.0)
    assert limits.reached("bob", "GROUP_h", 1.0) is None
    limits.count("bob", "GROUP_h", 1.0)
    assert "per_user" in (limits.reached("bob", "GROUP_i", 2.0) or "")
    assert "per_user" in (limits.reached("bob", "GROUP_g", 2.0) or "")


def test_apps_are_counted_apart() -> None:
    """bob of one app is not bob of another."""
    limits = limiter("1/10", "1/10")
    limits.count("bob", ALICE, 0.0, app=1)
    assert limits.reached("bob", ALICE, 0.0, app=2) is None
    assert limits.reached("bob", ALICE, 0.0, app=1) is not None


def test_without_limits_nothing_is_reached_or_kept() -> None:
    """Off by default."""
    limits = limiter()
    for _ in range(1000):
        limits.count("bob", ALICE, 0.0)
    assert limits.reached("bob", ALICE, 0.0) is None
    assert limits.remembered == 0


def test_idle_keys_are_forgotten() -> None:
    """Memory holds who was pushed within the window, and nobody else for long."""
    limits = limiter("5/10", "5/10")
    for second in range(1000):
        limits.count(f"user {second}", ALICE, float(second))
    assert limits.remembered <= 2 * 11


def test_a_burst_is_forgotten_two_for_one() -> None:
    """After a thousand users at once, five hundred later pushes are enough to be rid of them."""
    window = SlidingWindow(1, 10)
    for n in range(1000):
        window.count((0, str(n), ""), 0.0)
    assert len(window) == 1000
    for _ in range(500):
        window.count((0, "late", ""), 100.0)
    assert len(window) == 1


def test_a_busy_key_is_kept_and_keeps_no_other() -> None:
    """Who is pushed all the time is remembered, and does not shield those who came later from being forgotten."""
    limits = limiter("3/10")
    for second in range(1000):
        limits.count("bob", ALICE, float(second))
        limits.count(f"user {second}", ALICE, float(second))
    assert limits.reached("bob", ALICE, 1000.0) is not None
    assert limits.remembered <= 12


@given(
    size=st.integers(1, 4),
    seconds=st.integers(1, 5),
    steps=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=40),
)
def test_a_window_agrees_with_counting_by_hand(size: int, seconds: int, steps: list[tuple[str, int]]) -> None:
    """Full exactly when `size` events of the key lie within the last `seconds`."""
    window, log, now = SlidingWindow(size, seconds), [], 0
    for name, step in steps:
        now += step
        recent = [t for n, t in log if n == name and now - t < seconds]
        full = window.full((0, name, ""), now)
        assert full == (len(recent) >= size)
        if not full:
            window.count((0, name, ""), now)
            log.append((name, now))


@pytest.mark.parametrize(("changes", "name"), [({}, "C2C_alice"), ({"group_id": "g"}, "GROUP_g")])
def test_what_a_conversation_is(
    make_message: Callable[..., OfflineMessage], changes: dict[str, str], name: str
) -> None:
    """The group, or the one-to-one peer."""
    assert conversation(make_message(**changes)) == name
