"""Reads at the end what a run has left: topics, the vendors' journal, the state."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from pushgw.settings import KafkaSettings, StateSettings
from pushgw.state import open_store
from tests.chaos.cast import Cast
from tests.chaos.history import Handed, Kept, Sent, Stored, Told
from tests.chaos.script import MARK
from tests.chaos.watcher import partitions

NUMBER = "chaos-number"
"""Header of a published record: its number."""


class _Ours(msgspec.Struct):
    Verdict: str
    Source: str
    Code: str = ""
    Action: str = ""
    DeviceID: str = ""
    Vendor: str = ""
    VendorCode: str = ""
    Attempt: int = 0


class _Receipt(msgspec.Struct):
    To_Account: str | None
    PushID: str
    EventTime: int
    PushGateway: _Ours


class _Line(msgspec.Struct):
    at: int
    vendor: str
    token: str
    vendor_id: str
    title: str
    body: str


async def read_stored(kafka: KafkaSettings) -> list[Stored]:
    """The message topic as it is."""
    return [
        Stored(int(dict(r.headers)[NUMBER]), (r.topic, r.partition, r.offset))
        async for r in _records(kafka, [kafka.topics.messages])
    ]


async def read_told(kafka: KafkaSettings) -> list[Told]:
    """All receipts."""
    decode = msgspec.json.Decoder(_Receipt).decode
    return [_told(r, decode(r.value)) async for r in _records(kafka, [kafka.topics.receipts])]


async def read_handed(kafka: KafkaSettings, tiers: tuple[int, ...]) -> list[Handed]:
    """All retry records and dead letters of the message topic."""
    topics = kafka.topics
    wanted = [topics.dead_letters, *(topics.retry(tier) for tier in tiers)]
    found = []
    async for record in _records(kafka, wanted):
        headers = {name: (value or b"").decode() for name, value in record.headers}
        targets = headers.get("pushgw-targets")
        found.append(
            Handed(
                source=headers.get("pushgw-source", ""),
                place=(record.topic, record.partition, record.offset),
                letter=record.topic == topics.dead_letters,
                code=headers.get("pushgw-error-code", ""),
                targets=None if targets is None else tuple((u, d) for u, d in json.loads(targets)),
                attempt=int(headers.get("pushgw-attempt", "0")),
            )
        )
    return found


def read_sent(journal: Path) -> Iterator[Sent]:
    """What the vendors took; the text says which message and record it was."""
    decode = msgspec.json.Decoder(_Line).decode
    with journal.open("rb") as lines:
        for raw in lines:
            line = decode(raw)
            mark = MARK.search(line.body) or MARK.search(line.title)
            message, number = (int(mark[1]), int(mark[2])) if mark else (-1, -1)
            yield Sent(message, number, line.token, line.vendor, line.vendor_id, line.at / 1000)


async def read_kept(state: StateSettings, cast: Cast) -> list[Kept]:
    """The devices of the cast, as the state has them."""
    store = await open_store(state, read_only=True)
    found = []
    try:
        for person in cast.people:
            user = await store.user(0, person.name)
            for device in user.devices if user else ():
                gone = device.dead_ms is not None or device.lost
                found.append(Kept(person.name, device.device_id, device.token, gone))
    finally:
        await store.close()
    return found


def _told(record: ConsumerRecord, receipt: _Receipt) -> Told:
    ours = receipt.PushGateway
    outcome = {"pushed": "pushed", "suppressed": ours.Code}.get(ours.Verdict, f"failed:{ours.Action}")
    return Told(
        source=ours.Source,
        user=receipt.To_Account,
        device=ours.DeviceID,
        outcome=outcome,
        push_id=receipt.PushID,
        place=(record.topic, record.partition, record.offset),
        vendor=ours.Vendor,
        code=ours.VendorCode,
        attempt=ours.Attempt,
        at=float(receipt.EventTime),
    )


async def _records(kafka: KafkaSettings, topics: list[str]) -> AsyncIterator[ConsumerRecord]:
    """Every record of these topics up to their ends now; topics that do not exist have none."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets([tp for tp in await _partitions(kafka) if tp.topic in topics])
        left = {tp for tp, end in ends.items() if end > 0}
        if left:
            consumer.assign(sorted(left))
        while left:
            for records in (await consumer.getmany(timeout_ms=500, max_records=5000)).values():
                for record in records:
                    yield record
            left -= {tp for tp in left if await consumer.position(tp) >= ends[tp]}
    finally:
        await consumer.stop()


async def _partitions(kafka: KafkaSettings) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        return await partitions(admin)
    finally:
        await admin.close()
