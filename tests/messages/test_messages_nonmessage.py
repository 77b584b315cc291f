from __future__ import annotations

import json
from typing import Any

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.model import NotAMessage, OfflineMessage


def decode(record: dict[str, Any]) -> Any:
    return MessageCodec(default_app=4).decode(json.dumps(record).encode(), 0)


@pytest.mark.parametrize(
    "command",
    [
        "C2C.CallbackBeforeSendMsg",
        "Group.CallbackBeforeSendMsg",
        "State.StateChange",
        "C2C.CallbackAfterMsgReport",
        "Bot.OnC2CMessage",
        "Bot.OnGroupMessage",
        "Profile.CallbackPortraitSet",
        "Some.FutureEvent",
    ],
)
def test_other_commands_are_events(command: str) -> None:
    """The command is looked at before everything else: whatever else is in the body, it is A3 and no dead letter."""
    for rest in ({}, {"To_Account": 5, "MsgBody": "x", "PushGateway": [], "SendMsgResult": 7}):
        event = decode({"CallbackCommand": command, **rest})
        assert (event.command, event.send_failed, event.receivers, event.app) == (command, False, (), 4)


def test_a_send_that_failed() -> None:
    """SendMsgResult other than 0 is A4, with all that is known of the message, so that its receipt can be found."""
    record = {
        "CallbackCommand": "C2C.CallbackAfterSendMsg",
        "From_Account": "noor",
        "To_Account": "piet",
        "MsgSeq": 3,
        "MsgRandom": 4,
        "MsgTime": 1_796_000_000,
        "MsgKey": "3_4_1796000000",
        "SendMsgResult": 20007,
        "PushGateway": {"EventId": "e7", "SdkAppId": 12},
    }
    assert decode(record) == NotAMessage(
        app=12,
        command="C2C.CallbackAfterSendMsg",
        send_failed=True,
        sender="noor",
        receivers=("piet",),
        event_id="e7",
        detail="SendMsgResult is 20007.",
        seq=3,
        random=4,
        time=1_796_000_000,
        msg_key="3_4_1796000000",
    )


def test_a_sound_message_that_was_not_sent() -> None:
    """A4 goes before the schema, and the body being sound changes nothing."""
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]
    record = {"To_Account": "piet", "MsgRandom": 1, "MsgBody": body}
    assert isinstance(decode(record | {"SendMsgResult": 0}), OfflineMessage)
    assert decode(record | {"SendMsgResult": 6}).send_failed


def test_group_exception() -> None:
    """Group.CallbackSendMsgException is A4; a group event names its group and whom PushGateway names."""
    receivers = [{"To_Account": "omar"}, {"To_Account": 5}, 7, {"To_Account": "omar"}]
    event = decode(
        {
            "CallbackCommand": "Group.CallbackSendMsgException",
            "GroupId": "g",
            "Random": 9,
            "To_Account": ["lena"],
            "PushGateway": {"Receivers": receivers},
        }
    )
    assert (event.send_failed, event.group_id, event.random) == (True, "g", 9)
    assert event.receivers == ("lena", "omar")


def test_an_overlong_command_is_cut() -> None:
    """A receipt does not carry a command of many kilobytes."""
    assert len(decode({"CallbackCommand": "x" * 10_000}).detail) < 200
