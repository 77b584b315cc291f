"""Another producer has taken over our producer's id: the broker refuses ours for good, and a new one carries on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.transaction_manager import PidAndEpoch
from structlog.testing import capture_logs

from pushgw.assembly import assemble, credentials_of
from pushgw.gateway import Gateway
from pushgw.kafka.outlet import Outlet
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.key import record_key
from pushgw.sandbox import Sandbox, example_directory, with_endpoint
from pushgw.settings import CredentialSettings, KafkaSettings, Settings, StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import StateStore

pytestmark = pytest.mark.kafka_faults
PATIENCE_S = 40.0
SEEN_S = 2.0
"""Commits come every 0.2 s: this long without one is a refusal."""
MESSAGES = 20


@pytest.fixture(scope="module")
def plain(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One broker."""
    broker = request.getfixturevalue("broker_of")(memory="256m", group_min_session_timeout_ms="1000")
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
async def kafka(plain: Any, settings_of: Callable[..., KafkaSettings]) -> KafkaSettings:
    """Topics of one partition."""
    made = settings_of(plain.servers, partitions=1)
    await ensure_topics(made)
    return made


async def fence(outlet: Outlet, kafka: KafkaSettings) -> int:
    """Write as the outlet's producer would in its next epoch; the producer id that is of no more use."""
    assert outlet._producer is not None
    ours = outlet._producer._txn_manager
    assert ours is not None
    usurper = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all", enable_idempotence=True)
    await usurper.start()
    try:
        usurper._txn_manager._pid_and_epoch = PidAndEpoch(ours.producer_id, ours.producer_epoch + 1)
        await usurper.send_and_wait(kafka.topics.receipts, b'"usurper"', partition=0)
    finally:
        await usurper.stop()
    return int(ours.producer_id)


async def test_a_fenced_outlet_says_so_and_goes_on_over_a_new_producer(
    kafka: KafkaSettings, kit_of: Any, start_outlet: Callable[..., Awaitable[Outlet]]
) -> None:
    """INVALID_PRODUCER_EPOCH: what was refused goes out again under a new producer id, each receipt once and in order."""
    outlet = await start_outlet(kafka)
    await outlet.publish([(b"u", b"0")])
    before = await fence(outlet, kafka)
    with capture_logs() as logs:
        async with asyncio.timeout(PATIENCE_S):
            for number in range(1, MESSAGES):
                await outlet.publish([(b"u", b"%d" % number)])
    refused = [line for line in logs if line["event"] == "produce_refused"]
    assert [(line["topic"], line["why"].partition(":")[0]) for line in refused] == [
        (kafka.topics.receipts, "ProducerFenced")
    ]
    found = [record.value for record in await kit_of(kafka).read(kafka.topics.receipts, MESSAGES + 1)]
    assert found == [b"0", b'"usurper"', *(b"%d" % number for number in range(1, MESSAGES))]
    assert outlet._producer is not None
    assert outlet._producer._txn_manager is not None
    assert outlet._producer._txn_manager.producer_id != before
    assert outlet.healthy == "ok"


# --- the whole gateway ------------------------------------------------------------------------------------


class Running:
    """A gateway in this process, on a real broker and the sandbox."""

    def __init__(self, gateway: Gateway, outlet: Outlet, store: StateStore, sandbox: Sandbox) -> None:
        self.gateway = gateway
        self.outlet = outlet
        self.store = store
        self.sandbox = sandbox


@pytest.fixture
async def running(kafka: KafkaSettings, tmp_path: Path) -> AsyncIterator[Running]:
    """It knows bob and his device."""
    accounts = credentials_of(
        Settings(credentials=CredentialSettings(directory=example_directory()))
    ).accounts
    sandbox = await Sandbox.start(accounts)
    with_endpoint(example_directory(), tmp_path / "certs", sandbox.url, sandbox.ca_pem)
    settings = Settings(
        kafka=kafka,
        state=StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}"),
        credentials=CredentialSettings(directory=tmp_path / "certs"),
    )
    store = await open_store(settings.state)
    gateway = assemble(settings, credentials_of(settings), store)
    task = asyncio.create_task(gateway.run())
    try:
        await publish(kafka, kafka.topics.user_events, [device()])
        async with asyncio.timeout(PATIENCE_S):
            while await store.user(0, "bob") is None:
                assert not task.done(), task
                await asyncio.sleep(0.05)
        yield Running(gateway, gateway._outlet, store, sandbox)
    finally:
        gateway.stop()
        await asyncio.wait_for(task, PATIENCE_S)
        await store.close()
        await sandbox.close()


def device() -> dict[str, Any]:
    return {
        "Event": "Device.Put",
        "To_Account": "bob",
        "EventTime": int(time.time() * 1000),
        "DeviceID": "d1",
        "BusinessID": 9001,
        "Platform": "ios",
        "Token": "ab" * 32,
    }


def message(number: int) -> dict[str, Any]:
    return {
        "From_Account": "alice",
        "To_Account": "bob",
        "MsgSeq": number,
        "MsgRandom": number,
        "MsgTimeStamp": int(time.time()),
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"text {number}"}}],
    }


async def publish(kafka: KafkaSettings, topic: str, bodies: list[dict[str, Any]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    try:
        for body in bodies:
            value = json.dumps(body).encode()
            await producer.send_and_wait(topic, value, key=record_key(value))
    finally:
        await producer.stop()


async def test_a_fenced_gateway_loses_no_receipt_and_commits_nothing_meanwhile(
    kafka: KafkaSettings, kit_of: Any, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushes go out while the receipts are refused; no offset advances until a new producer has had them acknowledged, then
    there is one receipt for each message and all is committed."""
    kit, outlet = kit_of(kafka), running.outlet
    await publish(kafka, kafka.topics.messages, [message(0)])
    assert len(await kit.read(kafka.topics.receipts, 1)) == 1
    await until_committed(kit, kafka, 1)
    await fence(outlet, kafka)
    gate, make = asyncio.Event(), outlet._open

    async def make_later() -> AIOKafkaProducer:
        await gate.wait()
        return await make()

    monkeypatch.setattr(outlet, "_open", make_later)
    with capture_logs() as logs:
        await publish(kafka, kafka.topics.messages, [message(number) for number in range(1, MESSAGES + 1)])
        async with asyncio.timeout(PATIENCE_S):
            while running.sandbox.journal.of("apns").accepted < MESSAGES + 1 or not said_fenced(logs):
                await asyncio.sleep(0.05)
        until = time.monotonic() + SEEN_S
        while time.monotonic() < until:
            assert await kit.committed(kafka.topics.messages, 0) == 1
        assert outlet.healthy == "no producer: not connected to Kafka"
        gate.set()
        await until_committed(kit, kafka, MESSAGES + 1)
    found = [json.loads(r.value) for r in await kit.read(kafka.topics.receipts, MESSAGES + 2)]
    receipts = [one for one in found if one != "usurper"]
    assert sorted(one["MsgSeq"] for one in receipts) == list(range(MESSAGES + 1))
    assert {one["PushGateway"]["Verdict"] for one in receipts} == {"pushed"}
    assert running.sandbox.journal.of("apns").accepted == MESSAGES + 1
    assert outlet.healthy == "ok"


def said_fenced(logs: Any) -> bool:
    return any(line["event"] == "produce_refused" and "ProducerFenced" in line["why"] for line in logs)


async def until_committed(kit: Any, kafka: KafkaSettings, offset: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await kit.committed(kafka.topics.messages, 0) != offset:
            await asyncio.sleep(0.1)
