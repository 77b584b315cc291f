"""The retry topics' intake: nothing before its time, nothing lost while it waits."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from pushgw.kafka import retry_intake
from pushgw.kafka.record import Batch, Record
from pushgw.kafka.retry_intake import RetryIntake
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.model import Source
from pushgw.settings import KafkaSettings

TIERS = (5, 30)
RECORD = Record(Source("t", 0, 0), None, b"", (), 0, 0)


class Hand:
    """A clock that is moved by hand, from now."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def retries(settings: KafkaSettings) -> AsyncIterator[tuple[RetryIntake, Hand]]:
    await ensure_topics(settings, TIERS)
    hand = Hand()
    intake = RetryIntake(settings, TIERS, clock=hand)
    await intake.start()
    yield intake, hand
    await intake.close()


async def put(settings: KafkaSettings, tier: int, *due_in: float, now: float) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    for seconds in due_in:
        header = ("pushgw-not-before", b"%d" % int((now + seconds) * 1000))
        await producer.send_and_wait(
            settings.topics.retry(tier), str(seconds).encode(), partition=0, headers=[header]
        )
    await producer.stop()


async def test_a_retry_comes_when_it_is_due_and_not_before(
    settings: KafkaSettings, kit: Any, retries: tuple[RetryIntake, Hand]
) -> None:
    """Records that are due come at once; the partition waits for the first that is not, while another topic's go on."""
    intake, hand = retries
    await put(settings, 5, -1, 0, 1.5, 2, now=hand.now)
    await put(settings, 30, -2, now=hand.now)
    early = await kit.take(intake, 3)
    assert {r.value for r in early} == {b"-1", b"0", b"-2"}
    assert intake.healthy == "ok"
    hand.now += 5
    late = await kit.take(intake, 2)
    assert [r.value for r in late] == [b"1.5", b"2"]
    intake.settle_many([*early, *late])
    await intake.commit()
    assert intake.in_flight() == 0


async def test_what_waits_is_neither_open_nor_committed(
    settings: KafkaSettings, kit: Any, retries: tuple[RetryIntake, Hand]
) -> None:
    """A waiting record is left on the topic: the committed offset stays before it, and a restart delivers it."""
    intake, hand = retries
    await put(settings, 5, -1, 3600, now=hand.now)
    [first] = await kit.take(intake, 1)
    intake.settle(first)
    for _ in range(3):
        assert await intake.batch() is None
    await intake.close()
    hand.now += 3601
    again = RetryIntake(settings, TIERS, clock=hand)
    await again.start()
    assert [r.value for r in await kit.take(again, 1)] == [b"3600"]
    await again.close()


async def test_a_broken_time_is_due_at_once(
    settings: KafkaSettings, kit: Any, retries: tuple[RetryIntake, Hand]
) -> None:
    """A header that is no number holds nothing up: the record is judged, and goes to the dead letters, when it is decoded."""
    intake, _ = retries
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    topic = settings.topics.retry(5)
    await producer.send_and_wait(topic, b"x", partition=0, headers=[("pushgw-not-before", b"soon")])
    await producer.stop()
    assert [r.value for r in await kit.take(intake, 1)] == [b"x"]


async def test_many_that_are_due_come_in_small_batches(
    settings: KafkaSettings, kit: Any, retries: tuple[RetryIntake, Hand], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage all is due at once: no batch is larger than the bound, what has waited longest comes first, and all
    of it comes."""
    monkeypatch.setattr(retry_intake, "MOST_AT_ONCE", 3)
    intake, hand = retries
    await put(settings, 5, *range(10, 15), now=hand.now)
    await put(settings, 30, *range(5, 8), now=hand.now)
    assert await kit.take(intake, 0) == []
    while len(intake._waiting) < 2:
        assert await intake.batch() is None
    hand.now += 60
    batches = []
    while intake._waiting:
        batch = await intake.batch()
        assert batch is not None
        batches.append([int(r.value) for r in batch.records])
    assert batches == [[5, 6, 7], [10, 11, 12], [13, 14]]


@pytest.mark.parametrize(
    ("handed_out", "expected"),
    [(0, []), (5, [retry_intake.GATHER_S]), (retry_intake.MOST_AT_ONCE, [0.03]), (10_000, [0.03])],
)
async def test_retries_rest_after_a_batch(
    handed_out: int, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a full batch three times as long as it took; after a small one until more is due; after none not at all."""
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(round(seconds, 3))

    monkeypatch.setattr(retry_intake.asyncio, "sleep", sleep)
    now = [100.0]
    intake = RetryIntake(KafkaSettings(), TIERS, stopwatch=lambda: now[0])
    found = iter([Batch([RECORD] * handed_out) if handed_out else None, None])

    async def next_batch() -> Batch | None:
        return next(found)

    monkeypatch.setattr(intake, "_next", next_batch)
    await intake.batch()
    now[0] += 0.01
    assert await intake.batch() is None
    assert rests == expected
