"""A round of the settler has two halves: receipts of the next one go out while the store still keeps the last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pushgw import settling
from pushgw.kafka.outlet import OutletError
from pushgw.state.protocol import Settlement
from pushgw.vendor.http import TransportError

Make = Callable[..., Any]
MESSAGES = ("im.offline-messages", 0)


class SlowKeeping:
    """The plant's store, whose settlements wait until ``open`` is set."""

    def __init__(self, plant: Any) -> None:
        self._plant = plant
        self.open = asyncio.Event()
        self.asked: list[list[Settlement]] = []
        plant.state.settle = self.settle

    async def settle(self, settlements: Sequence[Settlement], now: float) -> None:
        self.asked.append(list(settlements))
        await self.open.wait()
        await self._plant.state.store.settle(settlements, now)


async def test_receipts_do_not_wait_for_the_marks_of_the_last_round(plant: Any, message: Make) -> None:
    """While the store is slow to keep one round the next round's receipts are acknowledged; no offset moves meanwhile."""
    await plant.with_devices("bob", "eve")
    slow = SlowKeeping(plant)
    plant.intake.put(message("bob"))
    await plant.until(lambda: len(slow.asked) == 1)
    plant.intake.put(message("eve"))
    await plant.until(lambda: len(plant.outlet.receipts) == 2)
    await plant.intake.commit()
    assert plant.intake.committed.get(MESSAGES, 0) == 0
    assert len(slow.asked) == 1
    slow.open.set()
    await plant.until_idle()
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 2


async def test_a_round_marks_only_what_its_own_receipts_told(plant: Any, message: Make) -> None:
    """A device that ends in the next round is not marked with this one: no mark is ever ahead of its receipt."""
    plant.intake.put(plant.device("bob"), plant.device("bob", device="tab"), topic="im.user-events")
    await plant.with_devices("eve")
    slow = SlowKeeping(plant)
    plant.answers["token-bob-tab"] = [TransportError("no answer")]
    plant.gateway._dispatcher._settings = plant.gateway._dispatcher._settings.model_copy(
        update={"backoff": 0.05, "backoff_max": 0.05}
    )
    plant.intake.put(message("eve"))
    await plant.until(lambda: len(slow.asked) == 1)  # the store is busy: what follows waits for it
    plant.intake.put(message("bob"))
    await plant.until(lambda: len(plant.outlet.receipts) == 3)
    slow.open.set()
    await plant.until_idle()
    assert [[(s.done, s.complete) for s in asked] for asked in slow.asked[1:]] == [
        [((("bob", "d"),), False)],
        [((), True)],
    ]


async def test_no_mark_is_written_before_its_receipt(plant: Any, message: Make) -> None:
    """While the broker takes no receipts the store is not told that anything was done."""
    await plant.with_devices("bob")
    slow = SlowKeeping(plant)
    slow.open.set()
    plant.outlet.broken = True
    plant.intake.put(message("bob"))
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    assert slow.asked == []
    plant.outlet.broken = False
    await plant.until_idle()
    assert len(slow.asked) == 1


async def test_dead_letters_do_not_wait_for_receipts(plant: Any, message: Make) -> None:
    """The topics of one round are written side by side: a receipt topic that refuses holds up no dead letter; the offset
    stays before the record whose receipt is missing."""
    begun, let_go = asyncio.Event(), asyncio.Event()
    publish, dead_letters = plant.outlet.publish, plant.outlet.dead_letters

    async def slow(letters: Any) -> None:
        begun.set()
        await let_go.wait()
        await dead_letters(letters)

    async def refused(receipts: Any) -> None:
        raise OutletError("the broker does not take receipts")

    plant.outlet.publish, plant.outlet.dead_letters = refused, slow
    plant.intake.put(b"garbage")  # a round of its own, so that the next two share one
    await begun.wait()
    plant.intake.put(message("nobody"), b"garbage")
    await plant.until(lambda: bool(plant.gateway._settler._suppressed and plant.gateway._settler._letters))
    let_go.set()
    await plant.until(lambda: len(plant.outlet.letters) == 2)
    await plant.until(lambda: "receipts" in plant.gateway.troubles)
    await plant.intake.commit()
    assert plant.intake.committed.get(MESSAGES, 0) == 1
    plant.outlet.publish = publish
    await plant.until_idle()
    assert len(plant.outlet.receipts) == 1


async def test_receipts_do_not_wait_for_the_retry_topics(
    plant: Any, message: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a retry topic takes nothing, whatever else ends has its receipt and its mark; offsets wait. What an outage defers
    goes in small rounds; pushes of one record stay in one retry record."""
    monkeypatch.setattr(settling, "DEFERRALS_IN_A_ROUND", 5)
    users = [f"u{n}" for n in range(12)]
    group = [f"g{n}" for n in range(4)]
    await plant.with_devices("eve", *users, *group)
    settler, retries = plant.gateway._settler, plant.outlet.retries
    rounds: list[int] = []
    let_go = asyncio.Event()

    async def slow(rows: Any) -> Any:
        rounds.append(len(rows))
        await let_go.wait()
        return await retries(rows)

    plant.outlet.retries = slow
    dispatcher = plant.gateway._dispatcher
    dispatcher._settings = dispatcher._settings.model_copy(update={"retries": 0})
    for user in [*users, *group]:
        plant.answers[f"token-{user}-d"] = [TransportError("no answer")]
    plant.intake.put(message(users[0]))
    await plant.until(lambda: len(rounds) == 1)
    plant.intake.put(*(message(u) for u in users[1:4]), message(group), *(message(u) for u in users[4:]))
    await plant.until(lambda: len(settler._deferred) == 15)
    plant.intake.put(message("eve"))
    await plant.until(lambda: len(plant.outlet.receipts) == 1)
    await plant.until(lambda: plant.intake.in_flight() == 13)
    await plant.intake.commit()
    assert plant.intake.committed.get(MESSAGES, 0) == 0
    let_go.set()
    await plant.until_idle()
    assert rounds == [1, 4, 5, 3]
    assert [r["To_Account"] for r in plant.outlet.receipts] == ["eve"]
    targets = [dict(headers)["pushgw-targets"] for _, _, headers in plant.outlet.deferred]
    assert [json.loads(t) for t in targets if b"g0" in t] == [[[g, "d"] for g in group]]
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 14


@pytest.mark.parametrize("late", ["retries", "receipts"])
async def test_a_record_that_ends_in_parts_is_closed_once(plant: Any, message: Make, late: str) -> None:
    """One of its devices is told of while the other's deferral is on its way, or the other way round: each mark after its
    own acknowledgement, the record with the last of them."""
    await plant.with_devices("bob", "eve")
    slow = SlowKeeping(plant)
    slow.open.set()
    begun = {"retries": asyncio.Event(), "receipts": asyncio.Event()}
    let_go = asyncio.Event()
    publish, retries = plant.outlet.publish, plant.outlet.retries

    async def both_under_way(mine: str) -> None:
        begun[mine].set()
        for event in begun.values():
            await event.wait()
        if mine == late:
            await let_go.wait()

    async def slow_retries(rows: Any) -> Any:
        await both_under_way("retries")
        return await retries(rows)

    async def slow_receipts(receipts: Any) -> None:
        await both_under_way("receipts")
        await publish(receipts)

    plant.outlet.retries, plant.outlet.publish = slow_retries, slow_receipts
    plant.answers["token-bob-d"] = [TransportError("no answer")] * 4
    plant.intake.put(message(["bob", "eve"]))
    await plant.until(lambda: len(slow.asked) == 1)
    assert plant.intake.in_flight() == 1
    let_go.set()
    await plant.until_idle()
    marked = [[user for one in asked for user, _ in one.done] for asked in slow.asked]
    assert marked == ([["eve"], ["bob"]] if late == "retries" else [["bob"], ["eve"]])
    assert not any(one.complete for asked in slow.asked for one in asked)
