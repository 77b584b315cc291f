"""The way out, with real processes: the first signal drains, the second ends at once, and neither loses anything."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from typing import Any

PATIENT = {"PUSHGW_DISPATCH__TIMEOUT": "120", "PUSHGW_DISPATCH__IN_FLIGHT": "1000"}
"""Requests wait for a slow vendor, all at once."""
SLOW = "apns=latency-100000"
USERS = [f"u{n}" for n in range(30)]


def said(rig: Any, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in rig.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == event]


async def until_said(rig: Any, event: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not (found := said(rig, event)):
            await asyncio.sleep(0.05)
    return found[0]


async def in_flight(rig: Any, count: int) -> list[str]:
    """Wait until the vendor has so many pushes that it has not answered; their vendor-side ids."""
    async with asyncio.timeout(60):
        while rig.sandbox.journal.of("apns").accepted < count:
            await asyncio.sleep(0.05)
    return sorted(line.vendor_id for line in rig.sandbox.journal.lines(vendor="apns"))


async def every_record_has_one_receipt(rig: Any, count: int) -> None:
    receipts = await rig.collect(count)
    await rig.quiet()
    assert set(Counter(r["PushGateway"]["Source"] for r in receipts).values()) == {1}
    assert len(receipts) == count
    assert {r["PushGateway"]["Verdict"] for r in receipts} == {"pushed"}
    await rig.until_committed(rig.topics.messages, count)


async def test_sigterm_finishes_what_is_in_flight(rig: Any, message: Any) -> None:
    """All answers are still to come at SIGTERM: they are waited for, reported and committed, and the exit code is 0."""
    await rig.sandbox_again("apns=latency-2000")
    gateway = rig.gateway(**PATIENT)
    await rig.put_devices(*USERS)
    await rig.publish(*[message(user) for user in USERS])
    await in_flight(rig, len(USERS))
    assert rig.receipts == []
    assert await rig.stop(gateway) == 0
    assert said(rig, "stopping")[0]["records"] > 0
    assert said(rig, "abandoned") == []
    assert await rig.committed(rig.topics.messages) == len(USERS)
    await every_record_has_one_receipt(rig, len(USERS))


async def test_what_does_not_end_within_the_grace_is_delivered_again(rig: Any, message: Any) -> None:
    """At the end of the grace what is settled is committed, the rest is left; the next gateway sends it with the same
    vendor-side ids, and each record has one receipt in the end."""
    await rig.sandbox_again(SLOW)
    gateway = rig.gateway(PUSHGW_SHUTDOWN__GRACE="0.5", **PATIENT)
    await rig.put_devices(*USERS)
    await rig.publish(*[message("nobody") for _ in range(8)])
    await rig.collect(8)
    await rig.publish(*[message(user) for user in USERS])
    ids = await in_flight(rig, len(USERS))
    assert await rig.stop(gateway) == 0
    assert said(rig, "abandoned")[0]["records"] == len(USERS)
    assert await rig.committed(rig.topics.messages) == 8
    await rig.sandbox_again()
    rig.gateway()
    receipts = await rig.collect(8 + len(USERS))
    await rig.quiet()
    assert len(receipts) == len({r["PushGateway"]["Source"] for r in receipts}) == 8 + len(USERS)
    assert sorted(r["PushGateway"]["VendorID"] for r in receipts[8:]) == ids
    await rig.until_committed(rig.topics.messages, 8 + len(USERS))


async def test_a_second_sigterm_ends_at_once_and_loses_nothing(rig: Any, message: Any) -> None:
    """With ten minutes of grace the second signal ends the gateway with exit code 1; the next one gets every record
    again, with the same vendor-side ids, and each has one receipt in the end."""
    await rig.sandbox_again(SLOW)
    gateway = rig.gateway(PUSHGW_SHUTDOWN__GRACE="600", **PATIENT)
    await rig.put_devices(*USERS)
    await rig.publish(*[message(user) for user in USERS])
    ids = await in_flight(rig, len(USERS))
    gateway.send_signal(signal.SIGTERM)
    await until_said(rig, "stopping")
    assert gateway.poll() is None
    assert await rig.stop(gateway) == 1
    assert said(rig, "stopping_at_once")[0]["records"] == len(USERS)
    assert len(said(rig, "gateway_stopped")) == 1, (
        "it has left the group and closed, in the time that is given"
    )
    assert rig.receipts == []
    assert await rig.committed(rig.topics.messages) == 0
    await rig.sandbox_again()
    rig.gateway()
    await every_record_has_one_receipt(rig, len(USERS))
    assert sorted(r["PushGateway"]["VendorID"] for r in rig.receipts) == ids


async def test_ctrl_c_is_sigterm(rig: Any, message: Any) -> None:
    """SIGINT drains like SIGTERM, and a SIGTERM after it is the second signal."""
    await rig.sandbox_again(SLOW)
    gateway = rig.gateway(PUSHGW_SHUTDOWN__GRACE="600", **PATIENT)
    await rig.put_devices("u0")
    await rig.publish(message("u0"))
    await in_flight(rig, 1)
    gateway.send_signal(signal.SIGINT)
    await until_said(rig, "stopping")
    assert await rig.stop(gateway) == 1
    assert "Traceback" not in rig.log()
