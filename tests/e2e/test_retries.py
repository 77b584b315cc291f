"""A vendor that is down for a while loses nothing: pushes wait in the retry topics, also over a kill of the gateway."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

TIERS = {
    "PUSHGW_DISPATCH__RETRY_TIERS": "1,2",
    "PUSHGW_DISPATCH__RETRIES": "0",
    "PUSHGW_DISPATCH__BREAKER_PAUSE": "0.5",
    "PUSHGW_DISPATCH__BREAKER_PAUSE_MAX": "1",
}


async def test_pushes_wait_out_an_outage_of_the_vendor(rig: Any, message: Any) -> None:
    """While APNs answers 503 the offsets advance and nobody has a receipt; when it works again each message is pushed
    once, also after the gateway was killed in between, with a receipt under its first coordinate."""
    gateway = rig.gateway(**TIERS)
    await rig.put_devices("bob", "carol")
    await rig.set_faults("apns=503")
    sources = await rig.publish(*(message(user) for user in ("bob", "carol") for _ in range(10)))
    await rig.until_committed(rig.topics.messages, 20)
    gateway.send_signal(signal.SIGKILL)
    await asyncio.to_thread(gateway.wait)
    await rig.set_faults()
    rig.gateway(**TIERS)
    receipts = await rig.collect(20)
    await rig.quiet()
    assert sorted(r["PushGateway"]["Source"] for r in receipts) == sorted(sources)
    assert {r["PushGateway"]["Verdict"] for r in receipts} == {"pushed"}
    assert all(r["PushGateway"]["Attempt"] > 1 for r in receipts)
    assert rig.sandbox.journal.of("apns").accepted == 20
