"""Durable retries: what does not work now comes back by a retry topic, for the open targets alone, under the same ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pushgw.delivery.decide import handed_over
from pushgw.kafka.record import Record
from pushgw.messages.model import Source
from pushgw.messages.retries import Return, retry_headers
from pushgw.state.protocol import Settlement
from pushgw.vendor.http import Response, TransportError

Make = Callable[..., Any]
MESSAGES = ("im.offline-messages", 0)
TIER_5 = ("im.push-retries.5", 0)
DOWN = [TransportError("no answer")] * 4
SOURCE = "im.offline-messages/0/0"


def outcomes(plant: Any) -> Counter[tuple[str | None, str | None, str, str]]:
    """(user, device, verdict, code or action) of every receipt."""
    return Counter(
        (
            r["To_Account"],
            r["PushGateway"].get("DeviceID"),
            r["PushGateway"]["Verdict"],
            r["PushGateway"].get("Code") or r["PushGateway"].get("Action", ""),
        )
        for r in plant.outlet.receipts
    )


def headers_of(plant: Any, index: int = 0) -> dict[str, str]:
    return {name: value.decode() for name, value in plant.outlet.deferred[index][2]}


async def deferred(plant: Any, message: Make, *users: str) -> None:
    """A message to these users whose vendor does not answer the first of them."""
    await plant.with_devices(*users)
    plant.answers[f"token-{users[0]}-d"] = list(DOWN)
    plant.intake.put(message(list(users)))
    await plant.until_idle()


async def test_only_the_open_targets_come_back(plant: Any, message: Make) -> None:
    """The retry names the one device that was not reached, and the receipts of the others are out already."""
    await deferred(plant, message, "bob", "eve")
    assert outcomes(plant) == {("eve", "d", "pushed", ""): 1}
    found = headers_of(plant)
    assert plant.outlet.deferred[0][0] == 5
    assert json.loads(found["pushgw-targets"]) == [["bob", "d"]]
    assert found["pushgw-source"] == SOURCE
    assert found["pushgw-attempt"] == "5"
    assert found["pushgw-not-before"] == str(int((plant.now + 5) * 1000))
    assert found["pushgw-first-seen"] == str(int(plant.now * 1000))
    await plant.come_back()
    assert outcomes(plant) == {("eve", "d", "pushed", ""): 1, ("bob", "d", "pushed", ""): 1}


async def test_every_attempt_has_the_same_ids(plant: Any, message: Make) -> None:
    """Invariant 4: vendor-side id, collapse id and badge are those of the first attempt, and the receipt counts on."""
    await deferred(plant, message, "bob")
    await plant.come_back()
    to_bob = [dict(r.headers) for r in plant.sent]
    assert len(to_bob) == 5
    assert len({(h["x-id"], h["x-collapse"], h["x-badge"]) for h in to_bob}) == 1
    assert plant.outlet.receipts[0]["PushGateway"]["Attempt"] == 5
    assert plant.outlet.receipts[0]["PushGateway"]["Source"] == SOURCE


async def test_the_offset_waits_for_the_retry_to_be_acknowledged(plant: Any, message: Make) -> None:
    """Invariant 2: while the retry topic does not take the record its offset does not advance; then it does."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = list(DOWN)
    plant.outlet.broken = True
    plant.intake.put(message("bob"))
    await plant.until(lambda: "retries" in plant.gateway.troubles)
    assert plant.gateway.health["receipts"] == "the broker does not take retries"
    await plant.intake.commit()
    assert plant.intake.committed.get(MESSAGES, 0) == 0
    plant.outlet.broken = False
    await plant.until_idle()
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 1
    assert len(plant.outlet.deferred) == 1


async def test_each_failure_waits_in_the_next_tier(plant: Any, message: Make) -> None:
    """5, 30, 300, 1800 and again 1800 seconds: a vendor that is away for long is asked less and less often."""
    await deferred(plant, message, "bob")
    tiers = []
    for _ in range(5):
        tiers.append(plant.outlet.deferred[0][0])
        plant.answers["token-bob-d"] = list(DOWN)
        await plant.come_back()
    assert tiers == [5, 30, 300, 1800, 1800]
    assert plant.gateway.tally.retries == {5: 1, 30: 1, 300: 1, 1800: 3}


async def test_nothing_is_retried_past_the_messages_expiry(plant: Any, message: Make) -> None:
    """A lifetime that ends before the shortest wait is over ends the push now: failed, expired."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = list(DOWN)
    plant.intake.put(message("bob", MsgLifeTime=3))
    await plant.until_idle()
    assert not plant.outlet.deferred
    assert outcomes(plant) == {("bob", "d", "failed", "expired"): 1}


async def test_a_retry_that_came_too_late_is_failed_as_expired(plant: Any, message: Make) -> None:
    """The gateway was down meanwhile: the message is not sent any more, and the receipt says failed, expired."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = list(DOWN)
    plant.intake.put(message("bob", MsgLifeTime=100))
    await plant.until_idle()
    sent = len(plant.sent)
    plant.now += 101
    await plant.come_back()
    assert outcomes(plant) == {("bob", "d", "failed", "expired"): 1}
    assert len(plant.sent) == sent


async def test_a_redelivered_record_leaves_alone_what_it_had_handed_over(
    plant: Any, message: Make, make_plant: Make
) -> None:
    """The first record comes again after its targets went to a retry topic (a crash before the commit): nothing is sent
    or deferred twice, and the retry still passes."""
    body = message("bob")
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = list(DOWN)
    plant.intake.put(body)
    await plant.until_idle()
    rows = plant.outlet.deferred
    await plant.crash()
    again = make_plant()
    await again.start()
    again.intake.put(body)
    await again.until_idle()
    assert (again.sent, again.outlet.receipts, again.outlet.deferred) == ([], [], [])
    again.outlet.deferred = rows
    await again.come_back()
    assert outcomes(again) == {("bob", "d", "pushed", ""): 1}
    await again.stop()


async def test_a_redelivered_record_does_not_settle_what_it_had_handed_over(
    plant: Any, message: Make
) -> None:
    """A crash after one device went to a retry topic, and before the other had ended: the redelivered record ends the
    other one and is through, but the record as a whole is not settled: its retry must still pass."""
    await plant.with_devices("bob", "eve")
    before_the_crash = Settlement(source=SOURCE, done=(("bob", handed_over("d", 1)),), complete=False)
    await plant.state.settle([before_the_crash], plant.now)
    body = message(["bob", "eve"])
    plant.intake.put(body)
    await plant.until_idle()
    assert outcomes(plant) == {("eve", "d", "pushed", ""): 1}
    returning = Return(source=SOURCE, first_seen_ms=int(plant.now * 1000), attempt=2, targets=(("bob", "d"),))
    record = Record(Source("x", 0, 0), b"k", json.dumps(body).encode(), (), 0, 0)
    plant.outlet.deferred = [(5, record, retry_headers(returning, 0, "503", "busy"))]
    await plant.come_back()
    assert outcomes(plant) == {("eve", "d", "pushed", ""): 1, ("bob", "d", "pushed", ""): 1}


def recall_of(body: dict[str, Any], user: str) -> dict[str, Any]:
    key = f"{body['MsgSeq']}_{body['MsgRandom']}_{body['MsgTimeStamp']}"
    return {"From_Account": body["From_Account"], "To_Account": user, "MsgKey": key}


async def test_a_recall_between_two_deliveries_leaves_each_device_one_receipt(
    plant: Any, message: Make
) -> None:
    """One device was pushed, one went to a retry topic, one was open when the gateway crashed, and then the message was
    withdrawn: the redelivered record ends the open one, the retry its own, and nobody has two receipts."""
    await plant.with_devices("bob")
    plant.intake.put(plant.device("bob", device="e"), plant.device("bob", device="f"), topic="im.user-events")
    await plant.until_idle()
    before_the_crash = Settlement(
        source="im.offline-messages/0/1",
        done=(("bob", "d"), ("bob", handed_over("e", 1))),
        complete=False,
    )
    await plant.state.settle([before_the_crash], plant.now)
    body = message("bob")
    plant.intake.put(recall_of(body, "bob"))
    await plant.until_idle()
    plant.intake.put(body)
    await plant.until_idle()
    assert outcomes(plant) == {("bob", "f", "suppressed", "A6"): 1}
    plant.outlet.deferred = [retry_of(plant, body, "im.offline-messages/0/1", ("bob", "e"))]
    await plant.come_back()
    assert outcomes(plant) == {("bob", "f", "suppressed", "A6"): 1, ("bob", "e", "suppressed", "A6"): 1}


async def test_a_retry_for_a_receiver_who_was_held_back_as_a_whole_ends_silently(
    plant: Any, message: Make
) -> None:
    """A crash between the retry record and its mark, then a recall: the redelivered record has told the end of the whole
    receiver, and the retry that is left over adds no second one."""
    await plant.with_devices("bob")
    body = message("bob")
    plant.intake.put(recall_of(body, "bob"))
    await plant.until_idle()
    plant.intake.put(body, message("bob"))
    await plant.until_idle()
    told = {("bob", None, "suppressed", "A6"): 1, ("bob", "d", "pushed", ""): 1}
    assert outcomes(plant) == told
    await plant.state.settle(
        [Settlement(source="im.offline-messages/0/9", done=(("bob", ""),), complete=False)], plant.now
    )
    plant.outlet.deferred = [retry_of(plant, message("bob"), "im.offline-messages/0/9", ("bob", "d"))]
    await plant.come_back()
    assert outcomes(plant) == told


def retry_of(plant: Any, body: dict[str, Any], source: str, *targets: tuple[str, str]) -> Any:
    """A row of the outlet: the second attempt for these targets."""
    returning = Return(source=source, first_seen_ms=int(plant.now * 1000), attempt=2, targets=targets)
    record = Record(Source("x", 0, 0), b"k", json.dumps(body).encode(), (), 0, 0)
    return 5, record, retry_headers(returning, 0, "503", "busy")


async def test_a_redelivered_retry_is_sent_once(plant: Any, message: Make) -> None:
    """The same retry record twice: the second finds the done mark."""
    await deferred(plant, message, "bob")
    rows = list(plant.outlet.deferred)
    await plant.come_back()
    plant.outlet.deferred = rows
    await plant.come_back(at=7)
    assert outcomes(plant) == {("bob", "d", "pushed", ""): 1}
    assert len(plant.sent) == 5


async def test_a_retry_is_no_duplicate_of_its_record_but_a_copy_is(plant: Any, message: Make) -> None:
    """Invariant 3: the retry carries the claim's owner; another record with the same MsgRandom stays a duplicate."""
    body = message("bob")
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = list(DOWN)
    plant.intake.put(body)
    await plant.until_idle()
    plant.intake.put(body)
    await plant.until_idle()
    assert outcomes(plant) == {("bob", None, "suppressed", "A5"): 1}
    await plant.come_back()
    assert outcomes(plant)["bob", "d", "pushed", ""] == 1


async def test_the_policy_holds_for_a_retry_too(plant: Any, message: Make) -> None:
    """Withdrawn, or its device gone while it waited: the target ends as suppressed, on the device that it was for."""
    await deferred(plant, message, "bob", "eve")
    plant.answers["token-eve-d"] = list(DOWN)
    plant.intake.put(message("eve"))
    await plant.until_idle()
    plant.intake.put(
        {"Event": "Device.Delete", "To_Account": "bob", "DeviceID": "d", "EventTime": int(plant.now * 1000)},
        {
            "Event": "Device.Foreground",
            "To_Account": "eve",
            "DeviceID": "d",
            "EventTime": int(plant.now * 1000),
        },
        topic="im.user-events",
    )
    await plant.until_idle()
    await plant.come_back()
    assert outcomes(plant) == {
        ("eve", "d", "pushed", ""): 1,
        ("bob", "d", "suppressed", "C1"): 1,
        ("eve", "d", "suppressed", "B4"): 1,
    }


async def test_a_retried_message_counts_once_on_the_icon(plant: Any, message: Make) -> None:
    """The badge base rises by one for a push that needed a retry, not by one for every attempt."""
    await deferred(plant, message, "bob")
    await plant.come_back()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert [dict(r.headers)["x-badge"] for r in plant.sent[-2:]] == ["1", "2"]


BROKEN = {
    "no headers": [],
    "no source": [("pushgw-targets", b'[["bob","d"]]')],
    "bad source": [("pushgw-source", b"nowhere"), ("pushgw-targets", b'[["bob","d"]]')],
    "bad targets": [("pushgw-source", SOURCE.encode()), ("pushgw-targets", b"[1")],
    "nobody": [("pushgw-source", SOURCE.encode()), ("pushgw-targets", b"[]")],
    "strangers": [("pushgw-source", SOURCE.encode()), ("pushgw-targets", b'[["zoe","d"]]')],
    "bad attempt": [
        ("pushgw-source", SOURCE.encode()),
        ("pushgw-attempt", b"many"),
        ("pushgw-targets", b'[["bob","d"]]'),
    ],
}


@pytest.mark.parametrize("headers", BROKEN.values(), ids=BROKEN.keys())
async def test_a_retry_with_broken_headers_goes_to_the_dead_letters_once(
    plant: Any, message: Make, headers: list[tuple[str, bytes]]
) -> None:
    """Not round in circles: one dead letter that names the header, no push, no retry, and the partition goes on."""
    await plant.with_devices("bob")
    value = json.dumps(message("bob")).encode()
    record = Record(Source("x", 0, 0), b"k", value, (), 0, 0)
    plant.retries.put_back(TIER_5[0], record, headers)
    await plant.until_idle()
    ((letter, found),) = plant.outlet.letters
    assert letter.value == value
    assert "header" in found["pushgw-error"] or "receivers" in found["pushgw-error"]
    assert (plant.sent, plant.outlet.deferred) == ([], [])
    await plant.retries.commit()
    assert plant.retries.committed[TIER_5] == 1


async def test_a_replayed_record_passes_as_the_owner_of_its_claim(plant: Any, message: Make) -> None:
    """A dead letter put back on the message topic with its pushgw-source is the owner, not a duplicate; once settled it
    is not sent again, and a copy of it stays a duplicate."""
    await plant.with_devices("bob")
    body = message("bob")
    record = Record(Source("x", 0, 0), b"k", json.dumps(body).encode(), (), 0, 0)
    headers = [("pushgw-source", b"im.offline-messages/2/77")]
    plant.intake.put_back(MESSAGES[0], record, headers)
    await plant.until_idle()
    plant.intake.put_back(MESSAGES[0], record, headers)
    plant.intake.put(body)
    await plant.until_idle()
    assert outcomes(plant) == {("bob", "d", "pushed", ""): 1, ("bob", None, "suppressed", "A5"): 1}
    assert plant.outlet.receipts[0]["PushGateway"]["Source"] == "im.offline-messages/2/77"


async def test_a_replayed_record_has_the_time_of_the_first(plant: Any, message: Make) -> None:
    """A message without a time of its own is as old as its first record, so that its lifetime is not begun anew."""
    await plant.with_devices("bob")
    body = message("bob", MsgLifeTime=60)
    del body["MsgTimeStamp"]
    record = Record(Source("x", 0, 0), b"k", json.dumps(body).encode(), (), 0, 0)
    first = b"%d" % (int(plant.now * 1000) - 61_000)
    plant.intake.put_back(MESSAGES[0], record, [("pushgw-source", b"a/2/77"), ("pushgw-first-seen", first)])
    await plant.until_idle()
    assert [(r["MsgTime"], r["PushGateway"]["Reason"]) for r in plant.outlet.receipts] == [
        (int(plant.now) - 61, "EXPIRED")
    ]


async def test_a_replayed_record_that_fails_again_counts_its_attempts(plant: Any) -> None:
    """It is buried once more under its first coordinate, with one attempt more."""
    record = Record(Source("x", 0, 0), b"k", b"no json", (), 0, 0)
    plant.intake.put_back(MESSAGES[0], record, [("pushgw-source", b"a/0/1"), ("pushgw-attempt", b"2")])
    await plant.until_idle()
    ((_, found),) = plant.outlet.letters
    assert (found["pushgw-source"], found["pushgw-attempt"]) == ("a/0/1", "3")


async def test_without_tiers_a_push_is_given_up(plant: Any, message: Make) -> None:
    """`dispatch.retry_tiers` empty: after the repeats in place the receipt says failed, given up."""
    plant.gateway._settler._dispatch = plant.gateway._settler._dispatch.model_copy(update={"retry_tiers": ()})
    await deferred(plant, message, "bob")
    assert not plant.outlet.deferred
    assert outcomes(plant) == {("bob", "d", "failed", "given_up"): 1}


async def test_a_push_is_given_up_after_a_day_of_retries(plant: Any, message: Make) -> None:
    """`dispatch.retry_for`: claims and done marks do not live longer, so neither does a retry."""
    await deferred(plant, message, "bob")
    plant.now += 86_401
    plant.answers["token-bob-d"] = [Response(status=200, body=b"retry")] * 4
    await plant.come_back()
    assert not plant.outlet.deferred
    assert outcomes(plant) == {("bob", "d", "failed", "given_up"): 1}


async def test_a_retry_larger_than_its_topic_takes_ends_and_holds_nothing_up(
    plant: Any, message: Make
) -> None:
    """Its pushes are failed with both reasons, each once; other retries go, offsets move, and a redelivery sends nothing."""
    await plant.with_devices("bob", "eve", "joe")
    for user in ("bob", "eve", "joe"):
        plant.answers[f"token-{user}-d"] = list(DOWN)
    large = message(["bob", "eve"])
    plant.outlet.too_large = large["MsgBody"][0]["MsgContent"]["Text"].encode()
    plant.intake.put(large, message("joe"))
    await plant.until_idle()
    assert outcomes(plant) == {(user, "d", "failed", "given_up"): 1 for user in ("bob", "eve")}
    assert {r["ErrInfo"] for r in plant.outlet.receipts} == {
        "no answer; not tried again: topic x takes no record of 9 bytes; raise its max.message.bytes"
    }
    assert [json.loads(dict(row[2])["pushgw-targets"]) for row in plant.outlet.deferred] == [[["joe", "d"]]]
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 2
    sent = len(plant.sent)
    plant.intake.put(large, at=0)
    await plant.until_idle()
    assert len(plant.sent) == sent
    assert len(plant.outlet.receipts) == 2
