"""Brokers of a cluster die: what they led moves, and nothing is lost, doubled or committed too far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from pushgw.kafka.intake import Intake
from pushgw.kafka.outlet import Outlet
from pushgw.kafka.topics import ensure_topics
from pushgw.settings import KafkaSettings

pytestmark = pytest.mark.kafka_faults
StartIntake = Callable[..., Awaitable[Intake]]
StartOutlet = Callable[..., Awaitable[Outlet]]
PATIENCE_S = 60.0


@pytest.fixture
async def settings(cluster: Any, settings_of: Callable[..., KafkaSettings]) -> KafkaSettings:
    """The cluster's; the topics exist, replicated three times."""
    made = settings_of(cluster.servers, partitions=3)
    await ensure_topics(made)
    return made


async def ask(settings: KafkaSettings, question: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        return await question(admin)
    finally:
        await admin.close()


async def leader_of(settings: KafkaSettings, topic: str, partition: int) -> int:
    async def look(admin: AIOKafkaAdminClient) -> int:
        [found] = await admin.describe_topics([topic])
        return next(p["leader"] for p in found["partitions"] if p["partition"] == partition)

    return int(await ask(settings, look))


async def test_a_leader_that_dies_costs_no_receipt(
    cluster: Any, settings: KafkaSettings, kit_of: Any, start_outlet: StartOutlet
) -> None:
    """The leader of a receipt partition is killed while receipts are published: `publish` waits for the next leader, and
    each receipt is there once, in order."""
    outlet = await start_outlet(settings)
    await outlet.publish([(b"u", b"0")])
    leader = await leader_of(settings, settings.topics.receipts, _partition_of(outlet, b"u"))
    publishing = asyncio.create_task(_publish(outlet, range(1, 300)))
    await asyncio.sleep(0)
    await asyncio.to_thread(cluster.nodes[leader].kill)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await publishing
        found = await kit_of(settings).read(settings.topics.receipts, 300)
        assert [int(r.value) for r in found] == list(range(300))
        assert outlet.healthy == "ok"
    finally:
        await asyncio.to_thread(cluster.nodes[leader].start)


async def _publish(outlet: Outlet, numbers: range) -> None:
    for number in numbers:
        await outlet.publish([(b"u", b"%d" % number)])


def _partition_of(outlet: Outlet, key: bytes) -> int:
    return outlet._partition(key, 3)


async def test_a_leader_that_dies_costs_no_record(
    cluster: Any, settings: KafkaSettings, kit_of: Any, start_intake: StartIntake
) -> None:
    """The leader of a message partition is killed: the intake goes on with the next leader, without a gap or a repeat."""
    kit, topic = kit_of(settings), settings.topics.messages
    intake = await start_intake(settings)
    await kit.produce(topic, [b"%d" % n for n in range(20)], partition=0)
    before = await kit.take(intake, 20)
    leader = await leader_of(settings, topic, 0)
    await asyncio.to_thread(cluster.nodes[leader].kill)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await kit.produce(topic, [b"%d" % n for n in range(20, 40)], partition=0)
            after: list[bytes | None] = []
            while len(after) < 20:
                batch = await intake.batch()
                after += [r.value for r in batch.records] if batch else []
        assert [int(r.value) for r in before] + [int(v or b"-1") for v in after] == list(range(40))
    finally:
        await asyncio.to_thread(cluster.nodes[leader].start)


async def test_a_coordinator_that_dies_costs_no_commit(
    cluster: Any, settings: KafkaSettings, kit_of: Any, start_intake: StartIntake
) -> None:
    """The group's coordinator is killed: the group moves to another one with what it had committed; commits that failed
    meanwhile are made again, and whoever joins next begins where they say."""
    kit, topic = kit_of(settings), settings.topics.messages
    intake = await start_intake(settings)
    await kit.produce(topic, [b"%d" % n for n in range(10)], partition=0)
    records = await kit.take(intake, 10)
    intake.settle_many(records[:5])
    await intake.commit()
    coordinator = int(await ask(settings, lambda admin: admin.find_coordinator(settings.group_id)))
    await asyncio.to_thread(cluster.nodes[coordinator].kill)
    try:
        intake.settle_many(records[5:8])
        async with asyncio.timeout(PATIENCE_S):
            while await kit.committed(topic, 0) != 8:
                assert (await intake.batch()) is None or intake.in_flight() > 0
                await intake.commit()
        await intake.close()
        successor = await start_intake(settings)
        async with asyncio.timeout(PATIENCE_S):
            again = await kit.take(successor, 2)
        assert [r.value for r in again] == [b"8", b"9"]
    finally:
        await asyncio.to_thread(cluster.nodes[coordinator].start)
