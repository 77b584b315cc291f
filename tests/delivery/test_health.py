"""A lane's health: the in-flight limit follows the vendor, and the breaker keeps what cannot be sent out of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.delivery.deferral import next_tier
from pushgw.delivery.ending import End
from pushgw.delivery.health import FIRST_LIMIT, LEAST_LIMIT, Breaker
from pushgw.vendor.http import TransportError

Make = Callable[..., Any]
TIERS = (5, 30, 300, 1800)


def health_of(desk: Any, business_id: int = 1) -> Any:
    return desk.dispatcher.lanes[business_id].health


def answer_all(desk: Any, words: str | TransportError) -> None:
    waiting = len(desk.vendors[1].waiting)
    for _ in range(waiting):
        desk.vendors[1].answer(words)


def fail_for(desk: Any, entry: Any, ship: Make, seconds: float) -> None:
    """A failure a second, each of a new push."""
    for n in range(int(seconds) + 1):
        desk.offer(ship(entry, f"f{n}-{desk.now}"))
        desk.vendors[1].answer(TransportError("no answer"))
        desk.now += 1


async def test_the_limit_grows_while_the_vendor_keeps_up(make_desk: Make, entry: Make, ship: Make) -> None:
    """Additive increase: each answer in time adds one while the limit is in use, up to `dispatch.in_flight`."""
    desk = make_desk(in_flight=100)
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(400)))
    assert len(desk.vendors[1].waiting) == FIRST_LIMIT
    answer_all(desk, "accepted")
    assert len(desk.vendors[1].waiting) == 2 * FIRST_LIMIT
    answer_all(desk, "accepted")
    assert len(desk.vendors[1].waiting) == 100
    await desk.dispatcher.close()


async def test_the_limit_stays_where_it_is_not_used(desk: Any, entry: Make, ship: Make) -> None:
    """One push at a time says nothing about how many the vendor could take."""
    e = entry()
    for n in range(100):
        desk.offer(ship(e, f"u{n}"))
        desk.vendors[1].answer("accepted")
    assert health_of(desk).limit == FIRST_LIMIT


@pytest.mark.parametrize("trouble", ["retry_after", "no answer", "slow"])
async def test_trouble_halves_the_limit_once(desk: Any, entry: Make, ship: Make, trouble: str) -> None:
    """Multiplicative decrease, once for all that had been in flight together."""
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(FIRST_LIMIT)))
    if trouble == "slow":
        desk.now += desk.settings.slow + 1
        answer_all(desk, "accepted")
    else:
        answer_all(desk, TransportError(trouble) if trouble == "no answer" else trouble)
    assert health_of(desk).limit == FIRST_LIMIT // 2


async def test_the_limit_never_falls_below_a_few(desk: Any, entry: Make, ship: Make) -> None:
    """A vendor that is always slow is asked by a few requests at once, not by one."""
    e = entry()
    for n in range(20):
        desk.now += 1
        desk.offer(ship(e, f"u{n}"))
        desk.now += desk.settings.slow + 1
        desk.vendors[1].answer("accepted")
    assert health_of(desk).limit == LEAST_LIMIT


async def test_failures_over_some_time_open_the_breaker(desk: Any, entry: Make, ship: Make) -> None:
    """While it is open everything is deferred at once: what waits for its repeat, and what is offered."""
    e = entry()
    fail_for(desk, e, ship, desk.settings.breaker_after)
    assert health_of(desk).breaker is Breaker.OPEN
    assert {end for _, end in desk.ends} == {End.DEFERRED}
    assert desk.dispatcher.open == 0
    desk.offer(ship(e, "bob"))
    assert desk.ends[-1] == ("bob", End.DEFERRED)
    assert desk.vendors[1].waiting == []


async def test_one_burst_of_failures_does_not_open_the_breaker(desk: Any, entry: Make, ship: Make) -> None:
    """A connection that breaks under all that is in flight is repeated in place."""
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(30)))
    answer_all(desk, TransportError("connection reset"))
    assert health_of(desk).breaker is Breaker.CLOSED
    assert desk.endings == []


async def test_a_success_between_failures_keeps_the_breaker_closed(
    desk: Any, entry: Make, ship: Make
) -> None:
    """A vendor that fails now and then works: only failures in a row count."""
    e = entry()
    for _ in range(5):
        fail_for(desk, e, ship, 3)
        desk.offer(ship(e, f"ok-{desk.now}"))
        desk.vendors[1].answer("accepted")
    assert health_of(desk).breaker is Breaker.CLOSED


async def test_a_single_probe_closes_the_breaker_or_opens_it_for_longer(
    desk: Any, entry: Make, ship: Make
) -> None:
    """Half-open: one request at a time; its failure opens again, its success lets all go."""
    e = entry()
    fail_for(desk, e, ship, desk.settings.breaker_after)
    health = health_of(desk)
    health.probe()
    assert health.breaker is Breaker.HALF_OPEN
    desk.offer(ship(e, "bob"), ship(e, "carol"))
    assert len(desk.vendors[1].waiting) == 1
    desk.vendors[1].answer(TransportError("no answer"))
    assert health.breaker is Breaker.OPEN
    assert [user for user, end in desk.ends if end is End.DEFERRED][-2:] == ["bob", "carol"]
    health.probe()
    desk.offer(ship(e, "bob"), ship(e, "carol"))
    desk.vendors[1].answer("accepted")
    assert health.breaker is Breaker.CLOSED
    desk.vendors[1].answer("accepted")
    assert [end for _, end in desk.ends[-2:]] == [End.PUSHED] * 2


async def test_an_open_breaker_is_its_own_lanes_only(desk: Any, entry: Make, ship: Make) -> None:
    """Invariant 6: another credential's pushes go on as if nothing were."""
    fail_for(desk, entry(1), ship, desk.settings.breaker_after)
    desk.offer(ship(entry(2), "bob"))
    desk.vendors[2].answer("accepted")
    assert desk.ends[-1] == ("bob", End.PUSHED)


async def test_a_refused_credential_is_said_as_such_not_deferred(desk: Any, entry: Make, ship: Make) -> None:
    """C4 opens the breaker at once: what follows ends with the reason, for an operator has to mend it."""
    e = entry()
    desk.offer(ship(e, "bob"), ship(e, "carol"))
    desk.vendors[1].answer("config")
    assert health_of(desk).breaker is Breaker.OPEN
    desk.offer(ship(e, "dave"))
    assert desk.ends[-1] == ("dave", End.UNUSABLE)
    desk.vendors[1].answer("accepted")
    assert e.problem is not None, "an answer to what had been sent before is no probe"


@pytest.mark.parametrize(
    ("last", "wish", "lifetime", "tier"),
    [
        (0, 0, 1e9, 5),
        (5, 0, 1e9, 30),
        (300, 0, 1e9, 1800),
        (1800, 0, 1e9, 1800),
        (0, 120, 1e9, 300),
        (0, 90_000, 1e9, 1800),
        (30, 0, 100, 30),
        (300, 0, 1000, 300),
        (0, 0, 5, None),
        (0, 120, 200, None),
    ],
)
def test_the_next_tier(last: int, wish: float, lifetime: float, tier: int | None) -> None:
    """The next longer wait, the vendor's wish where it is longer, a shorter one where the lifetime asks for it."""
    assert next_tier(TIERS, last, wish, lifetime) == tier


@given(
    last=st.sampled_from((0, *TIERS)),
    wish=st.floats(0, 4000),
    lifetime=st.floats(0, 10_000),
)
def test_no_tier_outlives_the_message_or_ignores_the_vendor(last: int, wish: float, lifetime: float) -> None:
    """Whatever the numbers: the wait ends before the message does, and not before the vendor wants it."""
    tier = next_tier(TIERS, last, wish, lifetime)
    if tier is not None:
        assert tier < lifetime
        assert tier >= min(wish, TIERS[-1])
