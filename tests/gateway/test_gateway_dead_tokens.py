"""Invariant 5 in the pipeline: a bad credential does not empty the device store, and an operator has the last word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushgw.settings import TokenSettings
from pushgw.vendor.http import Response

Make = Callable[..., Any]
DEAD = Response(status=200, body=b"invalid_token")
USERS = [f"u{n}" for n in range(20)]


@pytest.fixture
async def guarded(make_plant: Make) -> Any:
    """A plant whose guard trips at five dead tokens; all users have a device."""
    plant = make_plant()
    plant.tokens = TokenSettings(wipe_minimum=5)
    await plant.start()
    await plant.with_devices(*USERS)
    yield plant
    if not plant.running.done():
        await plant.stop()


def all_dead(plant: Any, times: int = 1) -> None:
    for user in USERS:
        plant.answers[f"token-{user}-d"] = [DEAD] * times


def actions(plant: Any) -> Counter[str]:
    return Counter(r["PushGateway"].get("Action", "pushed") for r in plant.outlet.receipts)


async def marked(plant: Any) -> int:
    users = [await plant.state.user(0, user) for user in USERS]
    return sum(user.devices[0].dead_ms is not None for user in users)


async def push_one_by_one(plant: Any, message: Make, users: list[str]) -> None:
    for user in users:
        plant.intake.put(message(user))
        await plant.until_idle()


async def test_a_wipe_costs_at_most_the_minimum_less_one(guarded: Any, message: Make) -> None:
    """A credential that makes every token dead, one push after the other: four of twenty devices are marked, the rest is kept."""
    all_dead(guarded)
    with capture_logs() as logs:
        await push_one_by_one(guarded, message, USERS)
    assert actions(guarded) == {"token_removed": 4, "token_kept_guard": 16}
    assert await marked(guarded) == 4
    details = {r["PushGateway"].get("Detail") for r in guarded.outlet.receipts[4:]}
    assert all("called the token dead" in d and "pushgw tokens review" in d for d in details)
    trips = [entry for entry in logs if entry["event"] == "token_guard_tripped"]
    assert [(t["log_level"], t["credential"], t["vendor"]) for t in trips] == [("error", 1, "plain")]


async def test_a_batch_over_the_share_loses_nothing(guarded: Any, message: Make) -> None:
    """Dead results that are settled together are judged together before any device is marked."""
    all_dead(guarded)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    assert actions(guarded) == {"token_kept_guard": 20}
    assert await marked(guarded) == 0


async def test_what_is_held_is_counted_and_remembered(guarded: Any, message: Make) -> None:
    """The tally has trips, what is held now and what became of dead tokens; the store has what an operator must know."""
    all_dead(guarded)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    tally = guarded.gateway.tally
    assert tally.guard_trips == {1: 1}
    assert tally.tokens_held == {1: 20}
    assert tally.tokens == {("plain", "token_kept_guard"): 20}
    held = await guarded.state.suspects(1)
    assert {s.user for s in held} == set(USERS)
    assert {(s.vendor, s.device_id, s.code, s.app) for s in held} == {("plain", "d", "invalid_token", 0)}
    assert {s.token for s in held} == {f"token-{user}-d" for user in USERS}


async def test_a_held_device_is_still_pushed_to(guarded: Any, message: Make) -> None:
    """Held is neither C1 nor C5: when the credential is mended, the very next message arrives."""
    all_dead(guarded)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    guarded.intake.put(message("u7"))
    await guarded.until_idle()
    assert guarded.outlet.receipts[-1]["PushGateway"]["Verdict"] == "pushed"


async def test_healthy_rates_change_nothing(guarded: Any, message: Make) -> None:
    """One dead token of twenty is marked, as ever; nothing is held and the store is not asked about suspects."""
    guarded.answers["token-u3-d"] = [DEAD]
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    assert actions(guarded) == {"pushed": 19, "token_removed": 1}
    assert guarded.gateway.tally.tokens_held == {}
    assert "hold" not in guarded.state.calls


async def test_a_newer_device_is_not_held(guarded: Any, message: Make) -> None:
    """A device that was put after the push left is kept as newer, tripped guard or not: there is nothing to review."""
    all_dead(guarded)
    guarded.intake.put(message(USERS[:10]))
    await guarded.until_idle()
    late = guarded.device("u15") | {"EventTime": int(guarded.now * 1000) + 60_000}
    guarded.intake.put(late, topic="im.user-events")
    await guarded.until_idle()
    guarded.intake.put(message("u15"))
    await guarded.until_idle()
    assert guarded.outlet.receipts[-1]["PushGateway"]["Action"] == "token_kept_newer"
    assert len(await guarded.state.suspects()) == 10


async def test_a_review_opens_the_guard(guarded: Any, message: Make) -> None:
    """When an operator has released what was held, dead tokens are marked again; before, they are not."""
    all_dead(guarded, times=3)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    await guarded.gateway._dead_tokens.look_again()
    await push_one_by_one(guarded, message, ["u1"])
    assert actions(guarded) == {"token_kept_guard": 21}
    await guarded.state.release(await guarded.state.suspects())
    await guarded.gateway._dead_tokens.look_again()
    assert guarded.gateway.tally.tokens_held == {}
    await push_one_by_one(guarded, message, ["u1"])
    assert guarded.outlet.receipts[-1]["PushGateway"]["Action"] == "token_removed"


async def test_a_restart_does_not_open_the_guard(guarded: Any, message: Make, make_plant: Make) -> None:
    """A new process knows by what is held that the guard was tripped: it does not lose four more."""
    all_dead(guarded)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    await guarded.crash()
    again = make_plant()
    again.tokens = guarded.tokens
    await again.start()
    all_dead(again)
    again.intake.put(message("u1"), at=5)
    await again.until_idle()
    assert actions(again) == {"token_kept_guard": 1}
    assert again.gateway.tally.tokens_held == {1: 20}
    await again.stop()


async def test_a_healthy_window_opens_the_guard(guarded: Any, message: Make) -> None:
    """When a whole window has been healthy, the guard opens by itself; what is held still waits for a review."""
    all_dead(guarded)
    guarded.intake.put(message(USERS))
    await guarded.until_idle()
    guarded.now += 3601
    guarded.intake.put(message(USERS, MsgTimeStamp=int(guarded.now)))
    await guarded.until_idle()
    assert guarded.gateway.tally.tokens_held == {}
    assert len(await guarded.state.suspects()) == 20


async def test_a_store_that_is_away_delays_and_loses_nothing(guarded: Any, message: Make) -> None:
    """What must be held is in the store before its receipts go out."""
    all_dead(guarded)
    interpret = guarded.adapter.interpret

    def lose_the_store(*arguments: Any) -> Any:
        guarded.state.away = True
        return interpret(*arguments)

    guarded.adapter.interpret = lose_the_store
    guarded.intake.put(message(USERS))
    await guarded.until(lambda: "state" in guarded.gateway.troubles)
    assert guarded.outlet.receipts == []
    guarded.state.away = False
    await guarded.until_idle()
    assert len(await guarded.state.suspects()) == len(guarded.outlet.receipts) == 20
