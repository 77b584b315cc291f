"""The main job over real sockets: Kafka in, decided, pushed over HTTP/2 with TLS, receipts out, offsets committed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from typing import Any

import pytest


async def test_a_message_is_pushed_and_committed(rig: Any, message: Any) -> None:
    """A message to a stored device reaches the vendor, gets one receipt `pushed`, and its offset is committed."""
    rig.gateway()
    await rig.put_devices("bob")
    [source] = await rig.publish(message("bob"))
    [receipt] = await rig.collect(1)
    assert receipt["To_Account"] == "bob"
    assert receipt["PushGateway"]["Verdict"] == "pushed"
    assert receipt["PushGateway"]["Source"] == source
    assert receipt["PushGateway"]["Vendor"] == "apns"
    assert rig.sandbox.journal.of("apns").accepted == 1
    await rig.until_committed(rig.topics.messages, 1)


async def test_what_is_not_pushed_has_a_reason(rig: Any, message: Any) -> None:
    """Suppressed messages have a receipt with code and reason; nothing reaches the vendor."""
    rig.gateway()
    await rig.put_devices("bob")
    await rig.publish(
        message("bob", MsgLifeTime=0),
        message("bob", OfflinePushInfo={"PushFlag": 1}),
        message("nobody"),
    )
    receipts = await rig.collect(3)
    assert {r["PushGateway"]["Code"] for r in receipts} == {"A7", "A9", "B3"}
    assert rig.sandbox.journal.counts().accepted == 0


async def test_bytes_that_are_no_message_end_as_dead_letters(rig: Any, message: Any) -> None:
    """Garbage on the message and user-event topics goes to the dead letters with its bytes; the partition goes on."""
    rig.gateway()
    await rig.put_devices("bob")
    broken = message("bob")
    del broken["MsgRandom"]
    await rig.publish(b"\x00\xff not json", broken, b"[]", message("bob"))
    await rig.publish(b"{}", topic=rig.topics.user_events)
    receipts = await rig.collect(1, dead_letters=4)
    assert receipts[0]["PushGateway"]["Verdict"] == "pushed"
    codes = Counter(h["pushgw-error-code"] for _, h in rig.dead_letters)
    assert codes == {"90001": 3, "90005": 1}
    assert any(value == b"\x00\xff not json" for value, _ in rig.dead_letters)
    assert all("pushgw-source" in h and "pushgw-error" in h for _, h in rig.dead_letters)
    await rig.until_committed(rig.topics.messages, 4)


async def test_a_restart_pushes_nothing_twice(rig: Any, message: Any) -> None:
    """After a clean stop and start nothing is pushed again, and what came meanwhile is pushed."""
    first = rig.gateway()
    await rig.put_devices("bob")
    await rig.publish(*(message("bob") for _ in range(20)))
    await rig.collect(20)
    assert await rig.stop(first) == 0
    await rig.publish(message("bob"))
    rig.gateway()
    await rig.collect(21)
    await rig.quiet()
    assert len(rig.receipts) == 21
    assert rig.sandbox.journal.counts().accepted == 21


async def test_a_vendor_that_fails_delays_nobody_else(rig: Any, message: Any) -> None:
    """Invariant 6 end to end: with FCM answering nothing but 500, every APNs push is accepted and FCM's comes back
    later, from a retry topic."""
    rig.gateway(
        PUSHGW_DISPATCH__BACKOFF="0.05",
        PUSHGW_DISPATCH__BACKOFF_MAX="0.1",
        PUSHGW_DISPATCH__RETRY_TIERS="1",
    )
    await rig.put_devices("bob")
    await rig.put_devices("carol", business_id=9002, token="carol:fcm-token")
    for emulator in (rig.sandbox.emulators["fcm"],):
        emulator.fail("carol:fcm-token", *["INTERNAL"] * 4)
    await rig.publish(message("carol"), *(message("bob") for _ in range(10)))
    receipts = await rig.collect(11)
    verdicts = [(r["To_Account"], r["PushGateway"]["Verdict"]) for r in receipts]
    assert verdicts.count(("bob", "pushed")) == 10
    assert verdicts[-1] == ("carol", "pushed")
    assert receipts[-1]["PushGateway"]["Attempt"] == 5


@pytest.mark.kafka
@pytest.mark.parametrize("servers", ["apache"], indirect=True)
async def test_members_come_and_go_and_nothing_is_lost(rig: Any, message: Any, tmp_path: Any) -> None:
    """A second gateway joins and the first leaves while messages flow: every record has exactly one receipt."""
    users = [f"u{n}" for n in range(50)]
    one = rig.gateway()
    await rig.put_devices(*users)
    total = 600
    records = [message(users[n % 50], sender=f"s{n % 7}") for n in range(total)]
    await rig.publish(*records[:200])
    other_db = f"sqlite:///{tmp_path / 'second.db'}"
    _copy_state(rig, tmp_path / "second.db")
    rig.gateway(PUSHGW_STATE__URL=other_db)
    await rig.publish(*records[200:400])
    await rig.collect(300)
    assert await rig.stop(one) == 0
    await rig.publish(*records[400:])
    receipts = await rig.collect(total)
    await rig.quiet()
    by_record = Counter(r["PushGateway"]["Source"] for r in receipts)
    assert len(by_record) == total
    assert {r["PushGateway"]["Verdict"] for r in receipts} == {"pushed"}
    _one_notification_each(rig, receipts, total)
    await rig.until_committed(rig.topics.messages, total)


@pytest.mark.kafka
@pytest.mark.parametrize("servers", ["apache"], indirect=True)
async def test_members_come_and_go_while_the_vendor_is_slow(rig: Any, message: Any, tmp_path: Any) -> None:
    """Pushes take two seconds; a second gateway joins while they are in flight, and the first leaves while more are:
    every record has exactly one receipt, nothing is shown twice, everything is committed."""
    users = [f"u{n}" for n in range(40)]
    await rig.sandbox_again("apns=latency-2000")
    one = rig.gateway()
    await rig.put_devices(*users)
    _copy_state(rig, tmp_path / "second.db")
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    await _accepted(rig, 10)
    assert rig.receipts == []
    rig.gateway(PUSHGW_STATE__URL=f"sqlite:///{tmp_path / 'second.db'}")
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    await _assigned(rig)
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    await _accepted(rig, 85)
    assert await rig.stop(one) == 0
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    receipts = await rig.collect(160)
    await rig.quiet()
    by_record = Counter(r["PushGateway"]["Source"] for r in receipts)
    assert (len(by_record), set(by_record.values())) == (160, {1})
    assert {r["PushGateway"]["Verdict"] for r in receipts} == {"pushed"}
    _one_notification_each(rig, receipts, 160)
    assert rig.sandbox.journal.counts().accepted == 160
    await rig.until_committed(rig.topics.messages, 160)


@pytest.mark.kafka
@pytest.mark.parametrize("servers", ["apache"], indirect=True)
async def test_a_rolling_restart_of_static_members_disturbs_nobody(
    rig: Any, message: Any, tmp_path: Any
) -> None:
    """With kafka.group_instance_id a gateway that is stopped and started while messages flow causes no rebalance of
    the other; every record has one receipt."""
    users = [f"u{n}" for n in range(20)]
    rig.gateway(PUSHGW_KAFKA__GROUP_INSTANCE_ID="one", PUSHGW_KAFKA__SESSION_TIMEOUT="30")
    await rig.put_devices(*users)
    _copy_state(rig, tmp_path / "second.db")
    second = {
        "PUSHGW_STATE__URL": f"sqlite:///{tmp_path / 'second.db'}",
        "PUSHGW_KAFKA__GROUP_INSTANCE_ID": "two",
        "PUSHGW_KAFKA__SESSION_TIMEOUT": "30",
    }
    two = rig.gateway(**second)
    await _assigned(rig)
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    await rig.collect(20)
    before = _rebalances(rig, 0)
    assert await rig.stop(two) == 0
    await rig.publish(*[message(user, sender=f"s{n % 7}") for n, user in enumerate(users)])
    rig.gateway(**second)
    receipts = await rig.collect(40)
    assert _rebalances(rig, 0) == before
    assert _rebalances(rig, 2) == ["partitions_assigned"]
    by_record = Counter(r["PushGateway"]["Source"] for r in receipts)
    assert (len(by_record), set(by_record.values())) == (40, {1})


async def _accepted(rig: Any, count: int) -> None:
    """Until the vendor has so many pushes, answered or not."""
    async with asyncio.timeout(60):
        while rig.sandbox.journal.counts().accepted < count:
            await asyncio.sleep(0.01)


async def _assigned(rig: Any) -> None:
    """Until the newest gateway has its partitions."""
    async with asyncio.timeout(60):
        while "partitions_assigned" not in _rebalances(rig, -1):
            await asyncio.sleep(0.05)


def _rebalances(rig: Any, number: int) -> list[str]:
    """What a gateway said of the partitions of the message topics, in order."""
    lines = [json.loads(line) for line in rig.log(number).splitlines()]
    events = ("partitions_assigned", "partitions_revoked")
    return [
        line["event"]
        for line in lines
        if line["event"] in events and line["group"] == rig.settings.kafka.group_id
    ]


def _copy_state(rig: Any, target: Any) -> None:
    """A second machine with the same users: the embedded store is one process's own."""
    import sqlite3

    source = sqlite3.connect(f"file:{rig.home / 'pushgw.db'}?mode=ro", uri=True)
    with sqlite3.connect(target) as copy:
        source.backup(copy)
    copy.close()
    source.close()


def _one_notification_each(rig: Any, receipts: list[dict[str, Any]], total: int) -> None:
    """At the emulator: one distinct vendor-side id a record, however often it was repeated."""
    ids = {r["PushGateway"]["VendorID"] for r in receipts}
    lines = list(rig.sandbox.journal.lines(vendor="apns"))
    assert {line.vendor_id for line in lines} == ids
    assert len(ids) == total


async def _kill_at(rig: Any, gateway: Any, count: int) -> None:
    """kill -9 as soon as the vendor has accepted so many."""
    while rig.sandbox.journal.counts().accepted < count:
        await asyncio.sleep(0.002)
    gateway.send_signal(signal.SIGKILL)
    await asyncio.to_thread(gateway.wait, 10)


@pytest.mark.kafka
@pytest.mark.parametrize("servers", ["apache"], indirect=True)
async def test_a_kill_loses_nothing_and_shows_nothing_twice(rig: Any, message: Any) -> None:
    """kill -9 in the middle of 20,000 records, restart: each has its terminal receipt; a repeat has the same vendor-side id."""
    total = int(os.environ.get("PUSHGW_KILL_RECORDS", "20000"))
    users = [f"u{n}" for n in range(500)]
    first = rig.gateway()
    await rig.put_devices(*users)
    killer = asyncio.create_task(_kill_at(rig, first, total // 3))
    await rig.publish(*(message(users[n % 500], sender=f"s{n % 13}") for n in range(total)))
    await killer
    before = rig.sandbox.journal.counts().accepted
    assert before < total, "the kill came too late to prove anything"
    rig.gateway()
    await rig.until_committed_slow(total)
    await rig.quiet()
    sources = Counter(r["PushGateway"]["Source"] for r in rig.receipts)
    push_ids = {r["PushID"] for r in rig.receipts}
    assert len(sources) == total
    assert len(push_ids) == total
    counts = rig.sandbox.journal.counts()
    assert counts.distinct == total
    print(f"receipts {len(rig.receipts)}, accepted {counts.accepted}, distinct {counts.distinct}")
