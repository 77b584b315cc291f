"""How much of the retry topics waits in memory, on a real Apache Kafka (the embedded broker heeds no bound of a fetch)."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from pushgw.kafka.retry_intake import FETCH_BYTES, RetryIntake
from pushgw.kafka.topics import ensure_topics
from pushgw.settings import KafkaSettings

pytestmark = pytest.mark.kafka
TIERS = (5,)


async def test_what_waits_takes_little_memory_and_all_of_it_comes(settings: KafkaSettings, kit: Any) -> None:
    """Of a partition no more is held than its bound, however much stands there; a record larger than that comes, too."""
    await ensure_topics(settings, TIERS)
    now = time.time()
    sizes = [30_000] * 12 + [300_000] + [30_000] * 3
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    due = ("pushgw-not-before", b"%d" % int((now + 60) * 1000))
    for size in sizes:
        await producer.send_and_wait(settings.topics.retry(5), b"x" * size, partition=0, headers=[due])
    await producer.stop()
    clock = [now]
    intake = RetryIntake(settings, TIERS, clock=lambda: clock[0])
    await intake.start()
    while not intake._waiting:
        assert await intake.batch() is None
    [held] = intake._waiting.values()
    assert 0 < sum(len(record.value or b"") for record in held) <= FETCH_BYTES
    clock[0] += 61
    assert [len(r.value or b"") for r in await kit.take(intake, len(sizes))] == sizes
    await intake.close()
