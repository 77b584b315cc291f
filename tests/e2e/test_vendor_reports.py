"""The whole way of a vendor's later report: gateway, push, vendor, report, receipt with the same PushID."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx

PAIR = ("bob", "eve")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def put_phones(rig: Any, **tokens: str) -> None:
    """Huawei phones of these users."""
    await rig.put_devices(*tokens)  # waits until the gateway takes events; the same device again, as a phone
    events = [
        {
            "Event": "Device.Put",
            "To_Account": user,
            "EventTime": int(time.time() * 1000),
            "DeviceID": "d1",
            "BusinessID": 9003,
            "Platform": "android",
            "Token": token,
        }
        for user, token in tokens.items()
    ]
    await rig.publish(*events, topic=rig.topics.user_events)
    await rig.until_committed(rig.topics.user_events, 2 * len(tokens))


def to_group(users: tuple[str, ...]) -> dict[str, Any]:
    return {
        "CallbackCommand": "Group.CallbackAfterSendMsg",
        "GroupId": "@team",
        "Type": "Public",
        "From_Account": "alice",
        "MsgSeq": 5,
        "Random": 55,
        "MsgTime": int(time.time()),
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "to all"}}],
        "PushGateway": {
            "SchemaVersion": 1,
            "EventId": "e1",
            "Receivers": [{"To_Account": user} for user in users],
        },
    }


def to_one(user: str) -> dict[str, Any]:
    return {
        "From_Account": "alice",
        "To_Account": user,
        "MsgSeq": 1,
        "MsgRandom": 11,
        "MsgTimeStamp": int(time.time()),
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "to you"}}],
    }


async def test_a_report_becomes_a_receipt_with_the_same_push_id(rig: Any) -> None:
    """One push to one phone, one to two phones in one request, one to a phone without the app: each has its receipt with
    PushStage 1, and another with PushStage 2 and the same PushID, receiver and device. A forged report is refused."""
    port = free_port()
    await rig.sandbox_again(reports_to=f"http://127.0.0.1:{port}")
    gateway = rig.gateway(PUSHGW_HTTP__REPORTS_LISTEN=f"127.0.0.1:{port}")
    await put_phones(rig, bob="phone-of-bob", eve="phone-of-eve", joe="uninstalled-of-joe")
    await rig.publish(to_group(PAIR))
    await rig.collect(4)
    await rig.publish(to_one("bob"), to_one("joe"))
    receipts = await rig.collect(8)
    sent = {r["PushID"]: r for r in receipts if r["PushStage"] == 1}
    told = {r["PushID"]: r for r in receipts if r["PushStage"] == 2}
    assert (len(sent), sent.keys()) == (4, told.keys())
    for push_id, receipt in sent.items():
        later = told[push_id]
        for name in ("EventType", "To_Account", "PushPlatform"):
            assert later[name] == receipt[name]
        for name in ("DeviceID", "BusinessID", "Vendor", "Token"):
            assert later["PushGateway"][name] == receipt["PushGateway"][name]
    assert {r["To_Account"]: r["ErrCode"] for r in told.values()} == {"bob": 0, "eve": 0, "joe": 2}
    assert {r["To_Account"] for r in told.values() if "Source" in r["PushGateway"]} == set(PAIR), (
        "the group's push was one request"
    )
    async with httpx.AsyncClient() as client:
        at = f"http://127.0.0.1:{port}"
        assert (await client.post(f"{at}/reports/9003", json={"statuses": []})).status_code == 401
        assert (await client.get(f"{at}/metrics")).status_code == 404
    assert rig.sandbox.postman.lost == 0
    assert await rig.stop(gateway) == 0
    assert "phone-of-bob" not in rig.log()
