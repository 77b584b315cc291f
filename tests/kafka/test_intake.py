"""The intake on the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from pushgw.kafka.intake import Intake, IntakeError, Record
from pushgw.settings import KafkaSettings

StartIntake = Callable[..., Awaitable[Intake]]


async def test_records_of_both_topics_come_as_they_stand(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """A record carries its coordinate, key, value, headers and time; a record without a value too."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    topics = settings.topics
    await producer.send_and_wait(
        topics.messages, b"m", key=b"k", partition=2, timestamp_ms=1_795_500_001_000, headers=[("h", b"1")]
    )
    await producer.send_and_wait(topics.user_events, None, key=b"user", partition=1)
    await producer.stop()
    intake = await start_intake()
    message, event = sorted(await kit.take(intake, 2), key=lambda r: r.source.topic)
    assert str(message.source) == f"{topics.messages}/2/0"
    assert (message.key, message.value, message.headers) == (b"k", b"m", (("h", b"1"),))
    assert message.timestamp_ms == 1_795_500_001_000
    assert str(event.source) == f"{topics.user_events}/1/0"
    assert (event.key, event.value) == (b"user", None)
    assert intake.healthy == "ok"


async def test_only_the_gap_free_prefix_is_committed_and_the_rest_comes_again(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """Settled out of order, offsets are committed up to the first unsettled one; a restart delivers from there."""
    topic = settings.topics.messages
    await kit.produce(topic, [b"0", b"1", b"2", b"3"], partition=0)
    first = await start_intake()
    records = await kit.take(first, 4)
    first.settle(records[1])
    first.settle(records[3])
    await first.commit()
    assert await kit.committed(topic, 0) in (None, 0)
    first.settle(records[0])
    await first.commit()
    assert await kit.committed(topic, 0) == 2
    assert await first.lag() == dict.fromkeys(first.assignment, 0) | {(topic, 0): 2}
    assert first.known_lag() == await first.lag()
    await first.close()
    second = await start_intake()
    assert [r.value for r in await kit.take(second, 2)] == [b"2", b"3"]


async def test_closing_commits_what_is_settled(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """An orderly end leaves nothing settled to be delivered again."""
    await kit.produce(settings.topics.messages, [b"0", b"1"], partition=3)
    intake = await start_intake()
    intake.settle_many(await kit.take(intake, 2))
    await intake.close()
    assert await kit.committed(settings.topics.messages, 3) == 2


async def test_nothing_new_asks_nothing_of_the_broker(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many commits in a row with nothing newly settled make one request; all partitions share it."""
    for partition in range(3):
        await kit.produce(settings.topics.messages, [b"x"], partition=partition)
    intake = await start_intake()
    records = await kit.take(intake, 3)
    asked: list[int] = []
    consumer = intake._consumer
    commit = consumer.commit

    async def counting(offsets: dict[Any, int]) -> None:
        asked.append(len(offsets))
        await commit(offsets)

    monkeypatch.setattr(consumer, "commit", counting)
    intake.settle_many(records)
    for _ in range(5):
        await intake.commit()
    assert asked == [3]


async def test_pausing_one_partition_does_not_stop_the_others(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """A paused partition gives nothing while another goes on, and everything once it is resumed."""
    topic = settings.topics.messages
    intake = await start_intake()
    intake.pause((topic, 0))
    await kit.produce(topic, [b"held"], partition=0)
    await kit.produce(topic, [b"a", b"b"], partition=1)
    assert [r.value for r in await kit.take(intake, 2)] == [b"a", b"b"]
    await kit.produce(topic, [b"c"], partition=1)
    assert [r.value for r in await kit.take(intake, 1)] == [b"c"]
    intake.resume((topic, 0))
    assert [r.value for r in await kit.take(intake, 1)] == [b"held"]


async def test_pausing_everything_keeps_the_partitions_and_loses_nothing(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """While all is paused `batch` gives nothing at once; a partition paused by name stays so after `resume_all`."""
    topic = settings.topics.messages
    intake = await start_intake()
    owned = intake.assignment
    intake.pause((topic, 1))
    intake.pause_all()
    await kit.produce(topic, [b"0"], partition=0)
    await kit.produce(topic, [b"1"], partition=1)
    for _ in range(50):
        assert await intake.batch() is None
    intake.resume_all()
    assert [r.value for r in await kit.take(intake, 1)] == [b"0"]
    assert await intake.batch() is None
    intake.resume((topic, 1))
    assert [r.value for r in await kit.take(intake, 1)] == [b"1"]
    assert intake.assignment == owned


async def test_a_rebalance_waits_for_what_is_in_flight(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """What is finished before partitions are given up is committed: the group's new member never sees it."""
    topic = settings.topics.messages
    for partition in range(4):
        await kit.produce(topic, [b"%d" % partition], partition=partition)
    taken: list[Record] = []
    revoked: list[set[tuple[str, int]]] = []

    async def finish(partitions: set[tuple[str, int]]) -> None:
        revoked.append(partitions)
        assert first.in_flight(partitions) == 4
        first.settle_many(taken)

    first = await start_intake(finish)
    everything = first.assignment
    taken += await kit.take(first, 4)
    second = await start_intake()
    await kit.until(lambda: bool(second.assignment) and first.assignment != everything, first, second)
    assert revoked == [everything]
    assert first.assignment | second.assignment == everything
    assert not first.assignment & second.assignment
    for partition in range(4):
        assert await kit.committed(topic, partition) == 1


async def test_a_rebalance_abandons_what_does_not_end(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """After the grace what is in flight is given up: it comes again, and settling the old record commits nothing."""
    topic = settings.topics.messages
    for partition in range(4):
        await kit.produce(topic, [b"%d" % partition], partition=partition)

    async def never(partitions: set[tuple[str, int]]) -> None:
        await asyncio.Event().wait()

    first = await start_intake(never, revoke_grace=0.2)
    old = await kit.take(first, 4)
    second = await start_intake()
    again: list[Record] = []
    async with asyncio.timeout(20):
        while len(again) < 4:
            for batch in await asyncio.gather(first.batch(), second.batch()):
                again += batch.records if batch else []
    assert sorted(str(r.source) for r in again) == sorted(str(r.source) for r in old)
    first.settle_many(old)
    await first.commit()
    assert {await kit.committed(topic, partition) for partition in range(4)} <= {None, 0}
    for record in again:
        owner = first if (topic, record.source.partition) in first.assignment else second
        owner.settle(record)
    await first.commit()
    await second.commit()
    assert {await kit.committed(topic, partition) for partition in range(4)} == {1}


async def test_a_member_that_leaves_hands_its_partitions_back(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """When the other member closes, everything is ours again, and a paused partition that we kept is still paused."""
    first = await start_intake()
    everything = first.assignment
    second = await start_intake()
    await kit.until(lambda: len(first.assignment) == len(second.assignment) == 4, first, second)
    kept = min(p for p in first.assignment if p[0] == settings.topics.messages)
    first.pause(kept)
    await second.close()
    await kit.until(lambda: first.assignment == everything, first)
    await kit.produce(kept[0], [b"held"], partition=kept[1])
    other = (kept[1] + 1) % 4
    await kit.produce(kept[0], [b"flows"], partition=other)
    assert [r.value for r in await kit.take(first, 1)] == [b"flows"]
    assert await first.batch() is None


async def test_no_broker_at_the_start_is_an_error_with_its_address(unused_tcp_port: int) -> None:
    """An intake that finds no broker says where it looked."""
    intake = Intake(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"), patience=0)
    assert intake.healthy == "not connected to Kafka"
    with pytest.raises(IntakeError, match=f"at 127.0.0.1:{unused_tcp_port}"):
        await intake.start()
    with pytest.raises(IntakeError, match="not started"):
        await intake.batch()
    await intake.close()


async def test_closing_while_a_fetch_waits_to_be_repeated(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """A fetch from a broker that is away lets its cancellation out of the client's stop: closing ends all the same, every
    fetch and every connection with it."""
    intake = await start_intake()
    consumer = intake._consumer
    assert consumer is not None
    fetches = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(2)]
    await asyncio.sleep(0)
    consumer._fetcher._pending_tasks.update(fetches)
    await intake.close()
    assert all(fetch.cancelled() for fetch in fetches)
    assert not any(connection.connected() for connection in consumer._client._conns.values())
