"""Reads the dead-letter topic from somewhere to where it ends now, in no group, and leaves no trace there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from pushgw.kafka.client import kafka_client_options
from pushgw.messages.letters import Letter
from pushgw.settings import KafkaSettings

POLL_MS = 500
QUIET_S = 5.0
"""When nothing has come for so long and the broker is there, the end is reached, whatever the offsets say."""
ANSWER_S = 10.0


async def read_letters(settings: KafkaSettings, since_ms: int | None = None) -> AsyncIterator[Letter]:
    """Every letter that is there now, in the order of each partition; some older than ``since_ms`` may be among them.

    Raises KafkaError, ClientOptionsError.
    """
    consumer = await _started(settings)
    try:
        left = await _ends(consumer, since_ms)
        fetched: set[TopicPartition] = set()
        heard = time.monotonic()
        while left:
            batch = await consumer.getmany(timeout_ms=POLL_MS)
            _settle_ends(consumer, left, fetched)
            for partition, records in batch.items():
                for record in records:
                    if record.offset < left.get(partition, 0):
                        yield _letter(record)
            for partition in fetched & set(left):
                if await consumer.position(partition) >= left[partition]:
                    del left[partition]
            if batch:
                heard = time.monotonic()
            elif left and time.monotonic() - heard > QUIET_S:
                await _answer(consumer.end_offsets(list(left)))
                return
    finally:
        await consumer.stop()


async def read_letter(settings: KafkaSettings, partition: int, offset: int) -> Letter | None:
    """The letter at this place, or None. Raises as `read_letters`."""
    consumer = await _started(settings)
    try:
        wanted = TopicPartition(settings.topics.dead_letters, partition)
        others = consumer.assignment() - {wanted}
        if wanted not in consumer.assignment():
            return None
        first = (await _answer(consumer.beginning_offsets([wanted])))[wanted]
        if offset < first:
            return None
        consumer.pause(*others)
        consumer.seek(wanted, offset)
        heard = time.monotonic()
        while time.monotonic() - heard < QUIET_S:
            for record in (await consumer.getmany(wanted, timeout_ms=POLL_MS)).get(wanted, ()):
                return _letter(record) if record.offset == offset else None
            end = consumer.highwater(wanted)
            if end is not None and offset >= end:
                return None
        await _answer(consumer.end_offsets([wanted]))
        return None
    finally:
        await consumer.stop()


async def _started(settings: KafkaSettings) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        settings.topics.dead_letters,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **kafka_client_options(settings),
    )
    try:
        await consumer.start()
    except BaseException:
        await consumer.stop()
        raise
    return consumer


async def _ends(consumer: AIOKafkaConsumer, since_ms: int | None) -> dict[TopicPartition, int]:
    """Partitions with something to read, and where they end by the broker's word; they are set to where reading begins."""
    partitions = list(consumer.assignment())
    if not partitions:
        return {}
    ends: dict[TopicPartition, int] = await _answer(consumer.end_offsets(partitions))
    starts = await _answer(consumer.beginning_offsets(partitions))
    if since_ms is not None:
        found = await _answer(consumer.offsets_for_times(dict.fromkeys(partitions, since_ms)))
        starts = {p: found[p].offset if found.get(p) else ends[p] for p in partitions}
    for partition in partitions:
        consumer.seek(partition, starts[partition])
    return ends


def _settle_ends(
    consumer: AIOKafkaConsumer, left: dict[TopicPartition, int], fetched: set[TopicPartition]
) -> None:
    """The first fetch says where the partition truly ends: the embedded broker's end offsets may be too low."""
    for partition in set(left) - fetched:
        highwater = consumer.highwater(partition)
        if highwater is not None:
            fetched.add(partition)
            left[partition] = max(left[partition], highwater)


async def _answer(question: Any) -> Any:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await question
    except TimeoutError:
        raise KafkaTimeoutError(f"no answer within {ANSWER_S:g} s") from None


def _letter(record: Any) -> Letter:
    return Letter(
        partition=record.partition,
        offset=record.offset,
        time_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
