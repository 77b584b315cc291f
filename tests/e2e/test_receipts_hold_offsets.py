"""If receipts cannot be produced, offsets do not advance: on a real Kafka, with the whole gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

SEEN_S = 3.0
"""Commits come every 0.2 s: this long without one is a refusal."""


async def set_topic(rig: Any, topic: str, **configs: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.servers)
    await admin.start()
    try:
        given = {name.replace("_", "."): value for name, value in configs.items()}
        [answer] = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=given)])
        assert [code for code, *_ in answer.resources] == [0], answer
    finally:
        await admin.close()


@pytest.mark.parametrize("servers", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
async def test_without_receipts_no_offset_advances(rig: Any, message: Any) -> None:
    """The receipt topic takes nothing (max.message.bytes is absurdly small): pushes go out, nothing is committed, and the
    log names topic and setting. As soon as it takes records again every receipt is there once, and the offsets follow."""
    rig.gateway()
    await rig.put_devices("bob")
    await rig.publish(message("bob"))
    await rig.collect(1)
    await rig.until_committed(rig.topics.messages, 1)
    await set_topic(rig, rig.topics.receipts, max_message_bytes="100")
    sources = await rig.publish(*(message("bob") for _ in range(20)))
    async with asyncio.timeout(30):
        while rig.sandbox.journal.of("apns").accepted < 21:
            await asyncio.sleep(0.1)
    await asyncio.sleep(SEEN_S)
    assert await rig.committed(rig.topics.messages) == 1
    await rig.quiet()
    assert len(rig.receipts) == 1
    assert f"topic {rig.topics.receipts} takes no record" in rig.log()
    await set_topic(rig, rig.topics.receipts, max_message_bytes="1048588")
    receipts = await rig.collect(21)
    await rig.until_committed(rig.topics.messages, 21)
    await rig.quiet()
    assert sorted(r["PushGateway"]["Source"] for r in receipts[1:]) == sorted(sources)
    assert rig.sandbox.journal.of("apns").accepted == 21
