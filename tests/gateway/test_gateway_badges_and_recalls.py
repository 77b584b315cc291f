"""Badges count messages, not devices; a recall sets the base and takes back what still waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pushgw.vendor.http import Response, TransportError

Make = Callable[..., Any]


def badges(plant: Any) -> list[str]:
    return [dict(r.headers)["x-badge"] for r in plant.sent]


def recall(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    key = f"{body['MsgSeq']}_{body['MsgRandom']}_{body['MsgTimeStamp']}"
    return {"From_Account": "alice", "To_Account": "bob", "MsgKey": key, **more}


async def test_a_message_to_two_devices_counts_once(plant: Any, message: Make) -> None:
    """Both devices show the same number, and the next message's is one more, also when the devices end apart."""
    plant.intake.put(plant.device("bob"), plant.device("bob", device="tab"), topic="im.user-events")
    await plant.until_idle()
    plant.answers["token-bob-tab"] = [TransportError("no answer")]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert sorted(badges(plant)) == ["1", "1", "1", "2", "2"]


async def test_one_pushed_device_is_enough_to_count(plant: Any, message: Make) -> None:
    """With one device's push failed and the other's accepted the message has raised the badge."""
    plant.intake.put(plant.device("bob"), plant.device("bob", device="tab"), topic="im.user-events")
    await plant.until_idle()
    plant.answers["token-bob-d"] = [Response(status=200, body=b"bad_message")]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert sorted(badges(plant)) == ["1", "1", "2", "2"]


async def test_a_device_left_over_after_a_crash_still_counts(
    plant: Any, message: Make, make_plant: Make
) -> None:
    """Of two devices one was settled before the crash: the other is pushed with a badge number, as if nothing had happened."""
    plant.intake.put(plant.device("bob"), plant.device("bob", device="tab"), topic="im.user-events")
    await plant.until_idle()
    body = message("bob")
    plant.answers["token-bob-tab"] = [TransportError("no answer")] * 3
    slow = plant.gateway._dispatcher._settings.model_copy(update={"backoff": 5.0, "backoff_max": 5.0})
    plant.gateway._dispatcher._settings = slow
    plant.intake.put(body)
    await plant.until(lambda: len(plant.outlet.receipts) == 1 and "settle" in plant.state.calls)
    await plant.until(lambda: not plant.gateway._settler._waiting.is_set())
    await plant.crash()
    again = make_plant()
    await again.start()
    again.intake.put(body, at=0)
    await again.until_idle()
    [request] = again.sent
    assert dict(request.headers)["x-token"] == "token-bob-tab"
    assert dict(request.headers)["x-badge"] in {"1", "2"}
    await again.stop()


async def test_a_recall_sets_the_badge_base(plant: Any, message: Make) -> None:
    """UnreadMsgNum of a recall is what the next message counts on from."""
    await plant.with_devices("bob")
    plant.intake.put(recall(message("bob"), UnreadMsgNum=41))
    await plant.until_idle()
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert badges(plant) == ["42"]


async def test_a_recall_takes_back_a_push_that_waits_for_its_repeat(plant: Any, message: Make) -> None:
    """What waits in a lane when its recall comes is not sent again: A6."""
    await plant.with_devices("bob")
    plant.answers["token-bob-d"] = [TransportError("no answer")] * 4
    slow = plant.gateway._dispatcher._settings.model_copy(update={"backoff": 1.5, "backoff_max": 1.5})
    plant.gateway._dispatcher._settings = slow
    body = message("bob")
    plant.intake.put(body)
    await plant.until(lambda: len(plant.sent) == 1)
    plant.intake.put(recall(body))
    await plant.until_idle()
    assert len(plant.sent) == 1
    [receipt] = plant.outlet.receipts
    assert receipt["PushGateway"]["Code"] == "A6"


async def overwriting(make_plant: Make) -> Any:
    plant = make_plant(recall={"overwrite": True})
    type(plant.adapter).overwrites = True
    await plant.start()
    await plant.with_devices("bob")
    return plant


async def test_a_recall_overwrites_what_is_shown(make_plant: Make, message: Make) -> None:
    """With policy.recall.overwrite the device gets one push with the ids of the withdrawn one, and its receipt says Recall."""
    plant = await overwriting(make_plant)
    body = message("bob")
    plant.intake.put(body)
    await plant.until_idle()
    plant.intake.put(recall(body, UnreadMsgNum=0))
    await plant.until_idle()
    first, second = plant.sent
    assert second.body.decode() == "对方撤回了一条消息"
    assert dict(second.headers)["x-collapse"] == dict(first.headers)["x-collapse"]
    assert dict(second.headers)["x-badge"] == "0"
    receipt = plant.outlet.receipts[1]
    assert receipt["PushGateway"]["Verdict"] == "pushed"
    assert receipt["PushGateway"]["Recall"] is True
    assert receipt["PushGateway"]["Source"] == "im.offline-messages/0/1"
    assert receipt["PushID"] != plant.outlet.receipts[0]["PushID"]
    plant.intake.put(recall(body, UnreadMsgNum=0), at=1)
    await plant.until_idle()
    assert len(plant.sent) == 2, "a redelivered recall overwrites once"
    await plant.stop()


async def test_a_recall_at_a_used_offset_overwrites(make_plant: Make, message: Make) -> None:
    """The topic was made anew and a recall stands where a settled record stood: that record's mark is not its own."""
    plant = await overwriting(make_plant)
    body = message("bob")
    plant.intake.put(body)
    await plant.until_idle()
    plant.now += 3600
    plant.intake.put(recall(body), at=0, made=plant.now)
    await plant.until_idle()
    assert [request.body.decode() for request in plant.sent] == ["text 1", "对方撤回了一条消息"]
    await plant.stop()


async def test_a_recall_never_makes_a_new_notification(make_plant: Make, message: Make) -> None:
    """Nothing is sent for a message that was not shown, to a user who is not to be disturbed, or to an app in the foreground."""
    plant = await overwriting(make_plant)
    unseen, muted = message("bob"), message("bob")
    plant.intake.put(recall(unseen))
    plant.intake.put(muted)
    await plant.until_idle()
    option = {"Event": "Option.C2C", "To_Account": "bob", "Peer": "alice", "Option": 2, "EventTime": 1}
    plant.intake.put(option, topic="im.user-events")
    await plant.until_idle()
    plant.intake.put(recall(muted))
    await plant.until_idle()
    assert len(plant.sent) == 1
    assert len(plant.outlet.receipts) == 1
    await plant.stop()


async def test_a_group_recall_overwrites_each_of_its_messages(make_plant: Make, message: Make) -> None:
    """Two sequences in one recall are two overwriting pushes with PushIDs of their own, and one settled record."""
    plant = await overwriting(make_plant)
    gateway = {"SchemaVersion": 1, "EventId": "e", "Receivers": [{"To_Account": "bob"}]}
    bodies = []
    for seq in (7, 8):
        body = message("bob", GroupId="g", MsgSeq=seq, PushGateway={**gateway, "EventId": f"e{seq}"})
        del body["To_Account"]
        bodies.append(body)
    plant.intake.put(*bodies)
    await plant.until_idle()
    plant.intake.put({"GroupId": "g", "MsgSeqList": [{"MsgSeq": 7}, {"MsgSeq": 8}]})
    await plant.until_idle()
    assert len(plant.sent) == 4
    recalls = plant.outlet.receipts[2:]
    assert {r["MsgSeq"] for r in recalls} == {7, 8}
    assert len({r["PushID"] for r in recalls}) == 2
    assert {r["PushGateway"]["Source"] for r in recalls} == {"im.offline-messages/0/2"}
    await plant.stop()


async def test_a_message_may_set_or_raise_the_badge(plant: Any, message: Make) -> None:
    """BadgeSetNum beats UnreadMsgNum and becomes the base; BadgeAddNum counts on from the base; then it is one by one again."""
    plant.intake.put(plant.device("bob"), topic="im.user-events")
    await plant.until_idle()
    for more in (
        {"OfflinePushInfo": {"BadgeSetNum": 40}, "UnreadMsgNum": 7},
        {},
        {"OfflinePushInfo": {"BadgeAddNum": 5}},
        {},
        {"OfflinePushInfo": {"BadgeAddNum": 5}, "UnreadMsgNum": 3},
        {"OfflinePushInfo": {"BadgeSetNum": 0, "BadgeAddNum": 5}},
        {},
    ):
        plant.intake.put(message("bob", **more))
        await plant.until_idle()
    assert badges(plant) == ["40", "41", "46", "47", "3", "0", "1"]


async def test_raises_count_while_pushes_are_in_flight(plant: Any, message: Make) -> None:
    """Two records at once: the second counts on from the first before anything is settled."""
    plant.intake.put(plant.device("bob"), topic="im.user-events")
    await plant.until_idle()
    add = {"OfflinePushInfo": {"BadgeAddNum": 5}}
    plant.intake.put(message("bob", **add), message("bob"), message("bob", **add))
    await plant.until_idle()
    assert badges(plant) == ["5", "6", "11"]
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert badges(plant)[-1] == "12"
