"""The Kafka key of a record: what follows from one conversation or one user lands in one partition."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushgw.messages.key import record_key

TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}]


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"From_Account": "alice", "To_Account": "bob", "MsgBody": TEXT}, b"C2C_alice_bob"),
        ({"From_Account": "alice", "To_Account": "bob", "MsgKey": "1_2_3"}, b"C2C_alice_bob"),
        ({"To_Account": "bob", "MsgBody": TEXT}, b"C2C__bob"),
        ({"GroupId": "@TGS#1", "MsgBody": TEXT}, b"GROUP_@TGS#1"),
        ({"GroupId": "@TGS#1", "MsgSeqList": [{"MsgSeq": 1}]}, b"GROUP_@TGS#1"),
        ({"From_Account": "a", "To_Account": ["b"], "MsgRandom": 7, "MsgBody": TEXT}, b"BATCH_a_7"),
        ({"From_Account": "a", "To_Account": "b", "MsgRandom": 7, "OfflinePushInfo": {}}, b"BATCH_a_7"),
        ({"Event": "Device.Put", "To_Account": "bob"}, b"bob"),
        ({"CallbackCommand": "State.StateChange", "Info": {"To_Account": "bob"}}, b"bob"),
        ({"CallbackCommand": "C2C.CallbackAfterMsgReport", "Report_Account": "bob"}, b"bob"),
        ({"To_Account": "bob", "StartTime": 1, "EndTime": 2, "Level": 1}, b"bob"),
        ({"To_Account": ["bob", "eve"], "StartTime": 1, "EndTime": 2, "Level": 1}, b"bob"),
        ({"To_Account": [], "StartTime": 1, "EndTime": 2, "Level": 1}, None),
        ({"Event": "Device.Put"}, None),
        ({}, None),
        ([], None),
    ],
)
def test_key(record: Any, key: bytes | None) -> None:
    """Messages and their recalls by conversation, batches and tasks by their mark, events by their user."""
    assert record_key(json.dumps(record).encode()) == key


@pytest.mark.parametrize("value", [b"", b"nope", b"\xff", b"[" * 100_000])
def test_what_is_no_json_has_no_key(value: bytes) -> None:
    """It can be published all the same, to be seen in the dead letters."""
    assert record_key(value) is None
