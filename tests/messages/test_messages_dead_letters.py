from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError

EXAMPLES = Path(__file__).parent / "examples"

Change = dict[str, Any]
"""Dotted path -> new value; MISSING deletes the key."""
MISSING = object()
SECRET = "the-text-nobody-may-quote"


def changed(name: str, changes: Change) -> bytes:
    record = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    for path, value in changes.items():
        *parents, last = [int(p) if p.isdigit() else p for p in path.split(".")]
        place = record
        for parent in parents:
            place = place[parent]
        if value is MISSING:
            del place[last]
        else:
            place[last] = value
    return json.dumps(record).encode()


ROWS: list[tuple[str, Change, int, str]] = [
    # MsgBody and its elements
    ("c2c-rest", {"MsgBody": MISSING, "OfflinePushInfo": MISSING}, 90002, "MsgBody"),
    ("c2c-webhook", {"MsgBody": MISSING}, 90002, "MsgBody"),
    ("c2c-rest", {"MsgBody": {}}, 90002, "MsgBody"),
    ("c2c-rest", {"MsgBody": None}, 90002, "MsgBody"),
    ("c2c-rest", {"MsgBody": []}, 90002, "MsgBody"),
    ("group-rest", {"MsgBody": MISSING}, 90002, "MsgBody"),
    ("push-task", {"OfflinePushInfo": MISSING}, 90002, "MsgBody"),
    ("c2c-rest", {"MsgBody": [SECRET]}, 90010, "MsgBody[0]"),
    ("c2c-webhook", {"MsgBody.1.MsgType": MISSING}, 90010, "MsgBody[1].MsgType"),
    ("c2c-rest", {"MsgBody.0.MsgType": 7}, 90010, "MsgBody[0].MsgType"),
    ("c2c-rest", {"MsgBody.0.MsgContent": MISSING}, 90010, "MsgBody[0].MsgContent"),
    ("c2c-rest", {"MsgBody.0.MsgContent": SECRET}, 90010, "MsgBody[0].MsgContent"),
    ("c2c-rest", {"MsgBody.0.MsgContent.Text": MISSING}, 90010, "MsgBody[0].MsgContent.Text"),
    ("c2c-rest", {"MsgBody.0.MsgContent.Text": 5}, 90010, "MsgBody[0].MsgContent.Text"),
    ("c2c-custom-element", {"MsgBody.0.MsgContent.Desc": None}, 90010, "MsgBody[0].MsgContent.Desc"),
    ("c2c-webhook", {"MsgBody.1.MsgContent.Index": "1"}, 90010, "MsgBody[1].MsgContent.Index"),
    (
        "c2c-rest",
        {"MsgBody.0": {"MsgType": "TIMLocationElem", "MsgContent": {"Latitude": "52"}}},
        90010,
        "MsgBody[0].MsgContent.Latitude",
    ),
    # receivers
    ("c2c-rest", {"To_Account": MISSING}, 90003, "To_Account"),
    ("c2c-rest", {"To_Account": ""}, 90003, "To_Account"),
    ("c2c-rest", {"To_Account": 5}, 90003, "To_Account"),
    ("c2c-rest", {"To_Account": None}, 90003, "To_Account"),
    ("c2c-rest", {"To_Account": "x" * 65}, 90003, "To_Account"),
    ("c2c-webhook", {"To_Account": ["piet"]}, 90003, "To_Account"),
    ("c2c-recall-rest", {"To_Account": MISSING}, 90003, "To_Account"),
    ("batch", {"To_Account": []}, 90003, "To_Account"),
    ("batch", {"To_Account": ["piet", 5]}, 90003, "To_Account[1]"),
    ("batch", {"To_Account": ["piet", ""]}, 90003, "To_Account[1]"),
    ("push-task", {"To_Account": MISSING}, 90003, "To_Account"),
    ("push-task", {"To_Account": ""}, 90003, "To_Account"),
    ("group-rest", {"To_Account": "omar"}, 90003, "To_Account"),
    ("group-rest", {"To_Account": ["omar", None]}, 90003, "To_Account[1]"),
    ("batch", {"To_Account": ["piet"] * 501}, 90011, "To_Account"),
    ("push-task", {"To_Account": ["piet"] * 501}, 90018, "To_Account"),
    ("group-rest", {"To_Account": ["omar"] * 51}, 20001, "To_Account"),
    # randoms
    ("c2c-rest", {"MsgRandom": MISSING}, 90005, "MsgRandom"),
    ("c2c-rest", {"MsgRandom": "424242"}, 90005, "MsgRandom"),
    ("c2c-rest", {"MsgRandom": -1}, 90005, "MsgRandom"),
    ("c2c-rest", {"MsgRandom": 2**32}, 90005, "MsgRandom"),
    ("c2c-rest", {"MsgRandom": True}, 90005, "MsgRandom"),
    ("c2c-rest", {"MsgRandom": 1.5}, 90005, "MsgRandom"),
    ("push-task", {"MsgRandom": MISSING}, 90005, "MsgRandom"),
    ("group-rest", {"Random": MISSING}, 90005, "Random"),
    ("group-rest", {"Random": None}, 90005, "Random"),
    ("group-rest", {"MsgRandom": "x"}, 90005, "MsgRandom"),
    # times, sender, lifetime and the like
    ("c2c-rest", {"MsgTimeStamp": "1796000000"}, 90006, "MsgTimeStamp"),
    ("c2c-webhook", {"MsgTime": None}, 90006, "MsgTime"),
    ("c2c-webhook", {"MsgTime": 1_796_000_000_123}, 90006, "MsgTime"),
    ("group-webhook", {"EventTime": "now"}, 90006, "EventTime"),
    ("c2c-rest", {"From_Account": 5}, 90008, "From_Account"),
    ("c2c-recall-rest", {"From_Account": None}, 90008, "From_Account"),
    ("c2c-rest", {"SyncOtherMachine": "1"}, 90031, "SyncOtherMachine"),
    ("c2c-rest", {"MsgLifeTime": "60"}, 90044, "MsgLifeTime"),
    ("c2c-rest", {"MsgLifeTime": -1}, 90044, "MsgLifeTime"),
    ("push-task", {"MsgLifeTime": None}, 90044, "MsgLifeTime"),
    ("c2c-webhook", {"MsgKey": 5}, 90054, "MsgKey"),
    ("c2c-recall-rest", {"MsgKey": 5}, 90054, "MsgKey"),
    ("c2c-recall-rest", {"MsgKey": "k" * 51}, 90054, "MsgKey"),
    ("c2c-recall-webhook", {"MsgKey": MISSING}, 90054, "MsgKey"),
    # anything else
    ("c2c-rest", {"MsgSeq": "7001"}, 20001, "MsgSeq"),
    ("c2c-rest", {"OnlineOnlyFlag": -1}, 20001, "OnlineOnlyFlag"),
    ("c2c-rest", {"SendMsgControl": ["NoUnread", 5]}, 20001, "SendMsgControl[1]"),
    ("c2c-rest", {"CloudCustomData": {}}, 20001, "CloudCustomData"),
    ("c2c-webhook", {"SendMsgResult": "failed"}, 20001, "SendMsgResult"),
    ("c2c-rest", {"CallbackCommand": 5}, 20001, "CallbackCommand"),
    ("c2c-rest", {"CallbackCommand": ""}, 20001, "CallbackCommand"),
    ("c2c-webhook", {"GroupId": "g"}, 20001, "GroupId"),
    ("group-rest", {"GroupId": ""}, 20001, "GroupId"),
    ("group-webhook", {"GroupId": MISSING}, 20001, "GroupId"),
    ("group-recall", {"MsgSeqList": MISSING}, 20001, "MsgSeqList"),
    ("group-recall", {"MsgSeqList": []}, 20001, "MsgSeqList"),
    ("group-recall", {"MsgSeqList.1.MsgSeq": "32"}, 20001, "MsgSeqList[1].MsgSeq"),
    ("c2c-recall-webhook", {"MsgBody": []}, 20001, "MsgBody"),
    ("push-task", {"DataId": "x" * 65}, 20001, "DataId"),
    ("c2c-rest", {"OfflinePushInfo": SECRET}, 20001, "OfflinePushInfo"),
    ("c2c-rest", {"OfflinePushInfo.PushFlag": 2}, 20001, "OfflinePushInfo.PushFlag"),
    ("c2c-rest", {"OfflinePushInfo.PushFlag": "1"}, 20001, "OfflinePushInfo.PushFlag"),
    ("c2c-rest", {"OfflinePushInfo.PushFlag": True}, 20001, "OfflinePushInfo.PushFlag"),
    ("c2c-rest", {"OfflinePushInfo.Desc": 5}, 20001, "OfflinePushInfo.Desc"),
    ("group-rest", {"GroupAtInfo": {}}, 20001, "GroupAtInfo"),
    ("group-rest", {"GroupAtInfo.0.GroupAtAllFlag": 2}, 20001, "GroupAtInfo[0].GroupAtAllFlag"),
    ("group-rest", {"GroupAtInfo.0.GroupAtAllFlag": MISSING}, 20001, "GroupAtInfo[0].GroupAtAllFlag"),
    ("c2c-rest", {"PushGateway": []}, 20001, "PushGateway"),
    ("c2c-recall-rest", {"PushGateway": {}}, 20001, "PushGateway.SchemaVersion"),
    ("c2c-rest", {"PushGateway.SchemaVersion": 2}, 20001, "PushGateway.SchemaVersion"),
    ("c2c-rest", {"PushGateway.EventId": MISSING}, 20001, "PushGateway.EventId"),
    ("c2c-rest", {"PushGateway.EventId": ""}, 20001, "PushGateway.EventId"),
    ("c2c-rest", {"PushGateway.SdkAppId": "1"}, 20001, "PushGateway.SdkAppId"),
    ("c2c-rest", {"PushGateway.Sender": SECRET}, 20001, "PushGateway.Sender"),
    ("c2c-rest", {"PushGateway.Receivers.0": 5}, 20001, "PushGateway.Receivers[0]"),
    (
        "c2c-rest",
        {"PushGateway.Receivers.0.To_Account": MISSING},
        20001,
        "PushGateway.Receivers[0].To_Account",
    ),
    ("group-rest", {"PushGateway.Receivers.1.To_Account": ""}, 20001, "PushGateway.Receivers[1].To_Account"),
    ("c2c-rest", {"PushGateway.Receivers.0.State": "Away"}, 20001, "PushGateway.Receivers[0].State"),
    ("group-rest", {"PushGateway.Receivers.1.Background": 1}, 20001, "PushGateway.Receivers[1].Background"),
    ("group-rest", {"PushGateway.Part": "2"}, 20001, "PushGateway.Part"),
]


@pytest.mark.parametrize(("name", "changes", "code", "path"), ROWS)
def test_code_and_path(name: str, changes: Change, code: int, path: str) -> None:
    """Each fault has Tencent's code and the path of its key; the sentence never quotes what the record says."""
    with pytest.raises(DecodeError) as caught:
        MessageCodec().decode(changed(name, changes), 0)
    assert (caught.value.code, caught.value.path) == (code, path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"{} {}",
        b"{}",
        b'{"MsgRandom":1,"From_Account":"noor"}',
        b'{"MsgSeqList":[{"MsgSeq":1}]}',
        b'{"MsgRandom":NaN}',
        b'{"To_Account":"\xff"}',
        b'{"Colour":"\xff"}',
        b'{"To_Account":"\\ud800"}',
        b'{"a":' * 20_000,
        b'{"MsgBody":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_record_at_all(value: bytes | None) -> None:
    """Bytes that are no JSON object, or an object with the keys of nothing known, are 90001 at the root."""
    with pytest.raises(DecodeError) as caught:
        MessageCodec().decode(value, 0)
    assert caught.value.path == "$"
    assert caught.value.code == (93000 if value and len(value) > 65_536 else 90001)


def test_size() -> None:
    """A record of exactly 64 KiB is read; one byte more is refused."""
    value = changed("c2c-rest", {})
    codec = MessageCodec()
    assert codec.decode(value.ljust(65_536), 0) == codec.decode(value, 0)
    with pytest.raises(DecodeError, match="93000 at"):
        codec.decode(value.ljust(65_537), 0)


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, "1e400", "-1e999"])
def test_numbers_beyond_every_bound(digits: str) -> None:
    """A number that fits no machine word is an ordinary fault of its key."""
    value = changed("c2c-rest", {"MsgRandom": 1}).replace(
        b'"MsgRandom": 1', f'"MsgRandom": {digits}'.encode()
    )
    with pytest.raises(DecodeError) as caught:
        MessageCodec().decode(value, 0)
    assert (caught.value.code, caught.value.path) == (90005, "MsgRandom")


def test_limits_count_before_doubles_go() -> None:
    """500 receivers are fine; 501 are too many even where they are all the same user."""
    assert MessageCodec().decode(changed("batch", {"To_Account": [f"u{i}" for i in range(500)]}), 0)
    with pytest.raises(DecodeError, match="90011"):
        MessageCodec().decode(changed("batch", {"To_Account": ["u"] * 501}), 0)


def test_lenient_mode_still_refuses_words() -> None:
    """Lenient takes digits for integers, not words, blanks or fractions."""
    for word in ("x", "", " 1", "1.5", "١"):
        with pytest.raises(DecodeError, match="90005"):
            MessageCodec(lenient=True).decode(changed("c2c-rest", {"MsgRandom": word}), 0)
