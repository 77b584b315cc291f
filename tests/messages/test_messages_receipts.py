from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages import receipts
from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.model import Source

EXAMPLES = Path(__file__).parent / "examples"
SOURCE = "im.offline-messages/3/1042"
TOKEN = "c0ffee" + "0" * 58


def message(name: str, **changes: Any) -> Any:
    record = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")) | changes
    return MessageCodec().decode(json.dumps(record).encode(), 1_796_000_100_000)


SENT: dict[str, Any] = {
    "source": SOURCE,
    "receiver": "piet",
    "now_ms": 1_796_000_002_900,
    "device_id": "phone",
    "business_id": 31,
    "vendor": "apns",
    "push_platform": 1,
    "token": TOKEN,
    "vendor_id": "some-uuid",
    "vendor_code": "200",
    "attempt": 2,
    "latency_ms": 12,
}


def test_pushed() -> None:
    """A push that the vendor took: every key of the contract, the token masked, times in seconds."""
    assert json.loads(receipts.pushed(message("c2c-rest"), **SENT)) == {
        "CallbackCommand": "Push.OfflinePush",
        "EventType": 1,
        "EventTime": 1_796_000_002,
        "From_Account": "noor",
        "To_Account": "piet",
        "PushPlatform": 1,
        "PushStage": 1,
        "MsgKey": "7001_424242_1796000000",
        "MsgSeq": 7001,
        "MsgRandom": 424_242,
        "MsgTime": 1_796_000_000,
        "PushID": receipts.push_id(SOURCE, "piet", "phone"),
        "ErrCode": 0,
        "ErrInfo": "",
        "PushGateway": {
            "Verdict": "pushed",
            "DeviceID": "phone",
            "BusinessID": 31,
            "Vendor": "apns",
            "VendorID": "some-uuid",
            "VendorCode": "200",
            "Token": receipts.mask_token(TOKEN),
            "Attempt": 2,
            "LatencyMs": 12,
            "EventId": "ferry-1",
            "TraceId": "t-88",
            "Source": SOURCE,
        },
    }


def test_suppressed_for_a_receiver() -> None:
    """A suppressed message has no platform and no stage, but a code, a reason and a sentence."""
    receipt = json.loads(
        receipts.suppressed(
            message("c2c-webhook"),
            source=SOURCE,
            receiver="piet",
            now_ms=1_796_000_002_900,
            code="A5",
            reason="DUPLICATE",
            detail="The key belongs to im.offline-messages/3/7.",
        )
    )
    assert receipt["CallbackCommand"] == "Push.Suppressed"
    assert not {"PushPlatform", "PushStage", "GroupID"} & set(receipt)
    assert receipt["PushID"] == receipts.push_id(SOURCE, "piet", "")
    assert receipt["PushGateway"] == {
        "Verdict": "suppressed",
        "Code": "A5",
        "Reason": "DUPLICATE",
        "Detail": "The key belongs to im.offline-messages/3/7.",
        "Source": SOURCE,
    }


def test_suppressed_at_a_device() -> None:
    """At the device stage the receipt names the device."""
    receipt = json.loads(
        receipts.suppressed(
            message("c2c-webhook"),
            source=SOURCE,
            receiver="piet",
            now_ms=0,
            code="C2",
            reason="CERT_UNKNOWN",
            device_id="phone",
            business_id=31,
            token=TOKEN,
        )
    )
    gateway = receipt["PushGateway"]
    assert (gateway["DeviceID"], gateway["BusinessID"]) == ("phone", 31)
    assert gateway["Token"].startswith("c0ffee…#")
    assert receipt["PushID"] == receipts.push_id(SOURCE, "piet", "phone")


def test_no_receiver_is_null() -> None:
    """A record that names nobody has one receipt, whose To_Account is there and null."""
    receipt = json.loads(
        receipts.suppressed(
            message("group-webhook"), source=SOURCE, receiver=None, now_ms=0, code="B1", reason="NO_RECEIVER"
        )
    )
    assert receipt["To_Account"] is None
    assert (receipt["EventType"], receipt["GroupID"], receipt["MsgSeq"]) == (2, "@TGS#HARBOUR", 32)


def test_push_task_names_its_data() -> None:
    """A push task counts as event type 1 and carries its DataId; without a time in the body it has no MsgKey."""
    receipt = json.loads(receipts.pushed(message("push-task"), **SENT))
    assert (receipt["EventType"], receipt["PushGateway"]["DataId"]) == (1, "spring-sale")
    assert "MsgKey" not in receipt


@pytest.mark.parametrize(
    ("code", "number"),
    [
        ("80300007", 80_300_007),
        ("-3", -3),
        ("Unregistered", -1),
        ("", -1),
        ("0", -1),
        ("²", -1),
        ("9" * 30, -1),
    ],
)
def test_failed(code: str, number: int) -> None:
    """ErrCode is the vendor's code where it is a number, and never 0 for a failure."""
    arguments = SENT | {"vendor_code": code}
    receipt = json.loads(
        receipts.failed(message("c2c-rest"), **arguments, action="token_removed", error="gone")
    )
    assert (receipt["ErrCode"], receipt["ErrInfo"]) == (number, "gone")
    gateway = receipt["PushGateway"]
    assert (gateway["Verdict"], gateway["Action"], gateway["VendorCode"]) == ("failed", "token_removed", code)


def test_receipt_of_an_event() -> None:
    """A failed send has no message, but its receipt can still be found by MsgKey."""
    event = message("c2c-webhook", SendMsgResult=9)
    receipt = json.loads(
        receipts.suppressed(event, source=SOURCE, receiver="piet", now_ms=0, code="A4", reason="SEND_FAILED")
    )
    assert (receipt["MsgKey"], receipt["From_Account"]) == ("7002_424243_1796000001", "noor")


def test_overwritten_by_a_recall() -> None:
    """A push that overwrites a withdrawn message says so; others do not have the key."""
    assert (
        json.loads(receipts.pushed(message("c2c-rest"), **SENT, recall=True))["PushGateway"]["Recall"] is True
    )
    assert "Recall" not in json.loads(receipts.pushed(message("c2c-rest"), **SENT))["PushGateway"]


def test_receipts_can_be_read_back() -> None:
    """What we publish we can read; whatever else lies on the topic is a DecodeError."""
    receipt = receipts.decode_receipt(receipts.pushed(message("c2c-rest"), **SENT))
    assert (receipt.To_Account, receipt.PushGateway.DeviceID) == ("piet", "phone")
    for value in (None, b"", b"{}", b"\xff", b"[" * 50_000):
        with pytest.raises(DecodeError):
            receipts.decode_receipt(value)


@pytest.mark.parametrize("token", ["", "a", "abcdef", "abcdefg", "x" * 200, "日本語の端末の印", "\ud800"])
def test_masked_tokens(token: str) -> None:
    """A masked token shows six characters at most, and nothing of a token that has no more."""
    shown, _, digest = receipts.mask_token(token).partition("…#")
    assert shown == (token[:6] if len(token) > 6 else "")
    assert len(digest) == 8
    assert receipts.mask_token(token) == receipts.mask_token(token)


def test_dead_letter_headers() -> None:
    """A dead letter says where it comes from, what is wrong, and where."""
    headers = receipts.dead_letter_headers(
        Source("t", 3, 9), DecodeError(90003, "To_Account is missing", "To_Account"), 1_796_000_000_000
    )
    assert headers == [
        ("pushgw-source", b"t/3/9"),
        ("pushgw-error-code", b"90003"),
        ("pushgw-error", b"To_Account is missing"),
        ("pushgw-json-path", b"To_Account"),
        ("pushgw-first-seen", b"1796000000000"),
        ("pushgw-attempt", b"1"),
    ]
