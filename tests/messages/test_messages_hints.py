from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.hints import ANDROID, APNS, TEXT
from pushgw.messages.model import AndroidInfo, ApnsInfo

EXAMPLES = Path(__file__).parent / "examples"


def decode(name: str, **changes: Any) -> Any:
    record = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")) | changes
    return MessageCodec().decode(json.dumps(record).encode(), 0)


def with_gateway(name: str, **changes: Any) -> Any:
    gateway = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))["PushGateway"] | changes
    return decode(name, PushGateway=gateway)


@pytest.mark.parametrize("wrong", [None, [], 99, -1, "never heard of", True, 1.5, {}])
def test_a_wrong_hint_is_left_out_and_named(wrong: Any) -> None:
    """No value of a vendor's hint kills a message; each that cannot be used has its sentence, with its path."""
    info = {"AndroidInfo": dict.fromkeys(ANDROID, wrong), "ApnsInfo": dict.fromkeys(APNS, wrong)}
    message = decode("c2c-rest", OfflinePushInfo=info)
    named = {warning.split(" ")[0] for warning in message.warnings}
    for part, rows, kept in (
        ("AndroidInfo", ANDROID, message.push_info.android),
        ("ApnsInfo", APNS, message.push_info.apns),
    ):
        empty = AndroidInfo() if part == "AndroidInfo" else ApnsInfo()
        for key, (field, _allowed) in rows.items():
            used = getattr(kept, field) != getattr(empty, field)
            assert used != (f"OfflinePushInfo.{part}.{key}" in named), key


def test_every_right_hint_is_kept() -> None:
    """Each documented key takes each of its values, and reaches the field that is its own."""
    for rows, part, name in ((ANDROID, "AndroidInfo", "android"), (APNS, "ApnsInfo", "apns")):
        for key, (field, allowed) in rows.items():
            is_object = key.endswith("Parameters")
            for value in ["v"] if allowed is TEXT else [{"k": "v"}] if is_object else allowed:
                message = decode("c2c-rest", OfflinePushInfo={part: {key: value}})
                assert getattr(getattr(message.push_info, name), field) == value
                assert message.warnings == ()


def test_blank_strings_are_absent() -> None:
    """A publisher that sends every key, most of them blank, means the console's values and gets no warning."""
    message = decode("c2c-rest", OfflinePushInfo={"AndroidInfo": dict.fromkeys(ANDROID, "")})
    kept = message.push_info.android
    assert all(getattr(kept, field) is None for field, _ in ANDROID.values())
    assert not any("Channel" in warning for warning in message.warnings)


@pytest.mark.parametrize("part", ["AndroidInfo", "ApnsInfo", "HarmonyInfo"])
def test_a_vendor_part_that_is_no_object(part: str) -> None:
    """The whole part is a hint too."""
    message = decode("c2c-rest", OfflinePushInfo={part: "x"})
    assert message.warnings == (f"OfflinePushInfo.{part} was ignored: it is no object.",)


@pytest.mark.parametrize("given", [-1, "4", None, 2**31, 1.5, True])
def test_unread_number(given: Any) -> None:
    """An UnreadMsgNum that is no number of messages is ignored, at the top and at a receiver."""
    message = decode("c2c-webhook", UnreadMsgNum=given)
    assert message.unread is None
    assert message.warnings == ("UnreadMsgNum was ignored: it is no number of messages.",)
    receivers = [{"To_Account": "omar", "UnreadMsgNum": given, "RecvOpt": 5}]
    message = with_gateway("group-rest", Receivers=receivers)
    assert (message.hints["omar"].unread, message.hints["omar"].recv_opt) == (None, None)
    assert [warning.split(" ")[0] for warning in message.warnings] == [
        "PushGateway.Receivers[0].UnreadMsgNum",
        "PushGateway.Receivers[0].RecvOpt",
    ]


def test_a_recall_ignores_a_wrong_unread_number() -> None:
    """Hints kill no recall either."""
    assert decode("c2c-recall-webhook", UnreadMsgNum="many").unread is None


def test_group_type() -> None:
    """Tencent's own Type comes first; where it is unheard of, the publisher's counts; else the type is unknown."""
    group = {"Name": "Harbour", "Type": "Meeting"}
    gateway = {"SchemaVersion": 1, "EventId": "e", "Group": group}
    assert decode("group-webhook", PushGateway=gateway).group_type == "Community"
    message = decode("group-webhook", PushGateway=gateway, Type="Clan")
    assert message.group_type == "Meeting"
    assert message.warnings == ("Type was ignored: it is no group type of Tencent's.",)
    message = with_gateway("group-rest", Group={"Type": 5})
    assert message.group_type is None
    assert message.warnings == ("PushGateway.Group.Type was ignored: it is no group type of Tencent's.",)


def test_older_names_of_group_types() -> None:
    """ChatRoom is Meeting and Private is Work, whoever still says so."""
    assert decode("group-webhook", Type="ChatRoom").group_type == "Meeting"
    assert decode("group-webhook", Type="Private").group_type == "Work"


def test_priority_and_source() -> None:
    """MsgPriority and PushGateway.Source are hints like others."""
    message = decode("group-rest", MsgPriority="Urgent")
    assert message.warnings == ("MsgPriority was ignored: it is none of High, Normal, Low, Lowest.",)
    message = with_gateway("c2c-rest", Source="Toaster")
    assert (message.origin, len(message.warnings)) == (None, 1)
