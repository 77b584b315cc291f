"""The Kafka floor on a real Apache Kafka: what an embedded broker does not do, or does too kindly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pydantic import SecretStr

from pushgw.kafka import intake as intake_module
from pushgw.kafka import outlet as outlet_module
from pushgw.kafka.intake import Intake, IntakeError, Record
from pushgw.kafka.outlet import OMITTED, Outlet, OutletError
from pushgw.kafka.topics import TopicsError, describe_topics, ensure_topics
from pushgw.messages.model import Source
from pushgw.settings import KafkaSettings

pytestmark = pytest.mark.kafka
StartIntake = Callable[..., Awaitable[Intake]]


async def make_topic(settings: KafkaSettings, name: str, **configs: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(name, 1, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()})]
        )
    finally:
        await admin.close()


def letter(offset: int, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(Source("m", 0, offset), b"key", value, headers, 5, 0)


# --- topics ---------------------------------------------------------------------------------------------------


async def test_topics_are_ours_to_make_not_the_brokers(fresh_settings: KafkaSettings) -> None:
    """A broker that makes topics when asked for them would make them with one partition: we are first."""
    made = await ensure_topics(fresh_settings)
    assert {(t.partitions, t.created) for t in made} == {(4, True)}
    assert {t.timestamp_type for t in await describe_topics(fresh_settings)} == {"CreateTime"}


async def test_looking_at_topics_makes_none(fresh_settings: KafkaSettings) -> None:
    """Describing topics that do not exist, even where the broker would make them, leaves them not existing."""
    for _ in range(2):
        assert {t.partitions for t in await describe_topics(fresh_settings)} == {0}


async def test_a_topic_with_the_brokers_clock_is_told_apart(fresh_settings: KafkaSettings) -> None:
    """A LogAppendTime topic is reported as such, and its records carry the broker's time, not the publisher's."""
    await make_topic(fresh_settings, fresh_settings.topics.messages, message_timestamp_type="LogAppendTime")
    await ensure_topics(fresh_settings)
    facts = {t.name: t.timestamp_type for t in await describe_topics(fresh_settings)}
    assert facts[fresh_settings.topics.messages] == "LogAppendTime"
    assert facts[fresh_settings.topics.user_events] == "CreateTime"
    producer = AIOKafkaProducer(bootstrap_servers=fresh_settings.bootstrap_servers)
    await producer.start()
    for topic in (fresh_settings.topics.messages, fresh_settings.topics.user_events):
        await producer.send_and_wait(topic, b"x", timestamp_ms=1_000)
    await producer.stop()
    intake = Intake(fresh_settings)
    await intake.start()
    times: dict[str, int] = {}
    async with asyncio.timeout(20):
        while len(times) < 2:
            batch = await intake.batch()
            times |= {r.source.topic: r.timestamp_ms for r in batch.records} if batch else {}
    await intake.close()
    assert times[fresh_settings.topics.user_events] == 1_000
    assert times[fresh_settings.topics.messages] > 1_700_000_000_000


# --- login ----------------------------------------------------------------------------------------------------


async def test_a_login_works(fresh_settings: KafkaSettings, kafka_login: dict[str, str]) -> None:
    """With user and password topics, outlet and intake work over the listener that wants a login."""
    settings = KafkaSettings.model_validate(fresh_settings.model_dump() | kafka_login)
    await ensure_topics(settings)
    outlet, intake = Outlet(settings), Intake(settings)
    await outlet.start()
    await intake.start()
    await outlet.publish([(b"u", b"{}")])
    assert len(intake.assignment) == 8
    await intake.close()
    await outlet.close()


async def test_a_wrong_password_is_said_at_once_without_it(
    fresh_settings: KafkaSettings, kafka_login: dict[str, str]
) -> None:
    """A refused login ends the start at once, with the broker's words and without the password."""
    settings = KafkaSettings.model_validate(fresh_settings.model_dump() | kafka_login)
    settings = settings.model_copy(update={"sasl_password": SecretStr("guessed")})
    async with asyncio.timeout(5):
        with pytest.raises(TopicsError, match="SaslAuthenticationFailed") as topics:
            await ensure_topics(settings)
        with pytest.raises(IntakeError, match="SaslAuthenticationFailed") as intake:
            await Intake(settings).start()
        with pytest.raises(OutletError, match="SaslAuthenticationFailed") as outlet:
            await Outlet(settings).start()
    assert "guessed" not in f"{topics.value} {intake.value} {outlet.value}"


# --- intake ---------------------------------------------------------------------------------------------------


async def test_two_members_share_and_finish_before_they_give_up(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """A second member gets its half only after the first has finished what was in flight: nobody sees it twice."""
    topic = settings.topics.messages
    for partition in range(4):
        await kit.produce(topic, [b"%d" % n for n in range(5)], partition=partition)
    taken: list[Record] = []

    async def finish(partitions: set[tuple[str, int]]) -> None:
        first.settle_many(taken)

    first = await start_intake(finish)
    everything = first.assignment
    taken += await kit.take(first, 20)
    second = await start_intake()
    await kit.until(lambda: len(first.assignment) == len(second.assignment) == 4, first, second)
    assert first.assignment | second.assignment == everything
    assert {await kit.committed(topic, partition) for partition in range(4)} == {5}
    await second.close()
    await kit.until(lambda: first.assignment == everything, first)


async def test_what_a_member_did_not_settle_comes_to_the_other(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """What a member took and did not settle before it left is delivered to the one that stays, from the gap on."""
    topic = settings.topics.messages
    await kit.produce(topic, [b"0", b"1", b"2"], partition=0)
    first = await start_intake()
    records = await kit.take(first, 3)
    first.settle(records[0])
    first.settle(records[2])
    await first.commit()
    assert await kit.committed(topic, 0) == 1
    second = await start_intake(revoke_grace=0.1)
    found: list[Record] = []
    await first.close()
    async with asyncio.timeout(20):
        while len(found) < 2:
            batch = await second.batch()
            found += batch.records if batch else []
    assert [r.value for r in found] == [b"1", b"2"]


async def test_transaction_markers_are_no_gaps(
    settings: KafkaSettings, kit: Any, start_intake: StartIntake
) -> None:
    """Offsets that are no records, such as a transaction's marker, do not hold up commits."""
    topic = settings.topics.messages
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, transactional_id=settings.group_id
    )
    await producer.start()
    for n in range(3):
        async with producer.transaction():
            await producer.send_and_wait(topic, b"%d" % n, partition=0)
    await producer.stop()
    intake = await start_intake()
    records = await kit.take(intake, 3)
    assert [r.source.offset for r in records] == [0, 2, 4]
    intake.settle_many(records)
    await intake.commit()
    assert await kit.committed(topic, 0) == 5


async def test_a_broker_that_goes_and_comes_back_loses_nothing(
    settings: KafkaSettings,
    kit: Any,
    start_intake: StartIntake,
    kafka_broker: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the broker is away both ends say so and wait; when it is back receipts arrive once and intake goes on."""
    monkeypatch.setattr(intake_module, "SILENCE_S", 1.0)
    monkeypatch.setattr(outlet_module, "SILENCE_S", 0.5)
    topic = settings.topics.messages
    intake, outlet = await start_intake(), Outlet(settings)
    await outlet.start()
    await kit.produce(topic, [b"before"], partition=0)
    before = await kit.take(intake, 1)
    await outlet.publish([(b"u", b"1")])
    kafka_broker.kill()
    try:
        publishing = asyncio.create_task(outlet.publish([(b"u", b"%d" % n) for n in range(2, 200)]))
        async with asyncio.timeout(20):
            while intake.healthy == "ok" or outlet.healthy == "ok":
                assert await intake.batch() is None
        assert "no a" in intake.healthy
        assert "no acknowledgement" in outlet.healthy
        assert not publishing.done()
    finally:
        kafka_broker.start()
    async with asyncio.timeout(40):
        await publishing
        intake.settle_many(before)
        await kit.produce(topic, [b"after"], partition=0)
        values: list[bytes | None] = []
        while b"after" not in values:
            batch = await intake.batch()
            values += [r.value for r in batch.records] if batch else []
    assert outlet.healthy == intake.healthy == "ok"
    found = await kit.read(settings.topics.receipts, 199)
    assert [r.value for r in found] == [b"%d" % n for n in range(1, 200)]
    await outlet.close()


# --- outlet ---------------------------------------------------------------------------------------------------


async def test_receipts_are_produced_idempotently(settings: KafkaSettings, kit: Any) -> None:
    """Batches handed over whole carry producer id and sequence: ten thousand receipts, each once and in order."""
    outlet = Outlet(settings, batch_bytes=20_000)
    await outlet.start()
    assert outlet._producer._txn_manager.has_pid()
    receipts = [(b"user-%d" % (n % 7), b'{"n":%d}' % n) for n in range(10_000)]
    publishing = [outlet.publish(receipts[n : n + 500]) for n in range(0, 10_000, 500)]
    for one in publishing:
        await one
    found = await kit.read(settings.topics.receipts, 10_000)
    assert sorted((r.key, r.value) for r in found) == sorted(receipts)
    for user in {key for key, _ in receipts}:
        assert [r.value for r in found if r.key == user] == [v for k, v in receipts if k == user]
    assert (
        outlet._producer._txn_manager.sequence_number(
            next(iter(outlet._producer._txn_manager._sequence_numbers))
        )
        > 0
    )
    await outlet.close()


async def test_batches_adapt_to_what_the_topic_takes(fresh_settings: KafkaSettings, kit_of: Any) -> None:
    """A topic that takes only small batches gets smaller ones; every receipt arrives once, and the next ones too."""
    await make_topic(fresh_settings, fresh_settings.topics.receipts, max_message_bytes="20000")
    await ensure_topics(fresh_settings)
    outlet = Outlet(fresh_settings)
    await outlet.start()
    receipts = [(b"u", b'{"n":%d,"pad":"%s"}' % (n, b"x" * 900)) for n in range(300)]
    await outlet.publish(receipts)
    await outlet.publish([(b"u", b'"next"')])
    found = await kit_of(fresh_settings).read(fresh_settings.topics.receipts, 301)
    assert sorted(r.value for r in found) == sorted([v for _, v in receipts] + [b'"next"'])
    assert 16 * 1024 <= outlet._batch_bytes < 20_000
    await outlet.close()


async def test_a_receipt_that_is_too_large_arrives_with_its_texts_cut(
    fresh_settings: KafkaSettings, kit_of: Any
) -> None:
    """A receipt over the topic's limit keeps its shape and short values; the others of its batch arrive as they are."""
    await make_topic(fresh_settings, fresh_settings.topics.receipts, max_message_bytes="2000")
    await ensure_topics(fresh_settings)
    outlet = Outlet(fresh_settings)
    await outlet.start()
    await outlet.publish(
        [
            (b"a", b'{"n":1}'),
            (b"b", b'{"n":2,"ErrInfo":"%s","list":["ok"]}' % (b"y" * 5000)),
            (b"c", b'{"n":3}'),
        ]
    )
    found = {r.key: r.value for r in await kit_of(fresh_settings).read(fresh_settings.topics.receipts, 3)}
    assert (found[b"a"], found[b"c"]) == (b'{"n":1}', b'{"n":3}')
    assert found[b"b"].startswith(b'{"n":2,"ErrInfo":"yyy')
    assert found[b"b"].endswith('yyy…","list":["ok"]}'.encode())
    with pytest.raises(OutletError, match=r"takes no record of \d+ bytes; raise its max\.message\.bytes"):
        await outlet.publish([(b"d", b"[%s1]" % (b"1," * 3000))])
    await outlet.close()


async def test_a_dead_letter_that_is_too_large_goes_without_its_value(
    fresh_settings: KafkaSettings, kit_of: Any
) -> None:
    """A letter over the topic's limit says how large it was and where it stands; an ordinary one beside it is whole."""
    await make_topic(fresh_settings, fresh_settings.topics.dead_letters, max_message_bytes="2000")
    await ensure_topics(fresh_settings)
    outlet = Outlet(fresh_settings)
    await outlet.start()
    large, small = letter(7, b"x" * 5000, (("theirs", b"t"),)), letter(8, b"small", (("theirs", b"t"),))
    await outlet.dead_letters(
        [(large, [("pushgw-source", b"m/0/7")]), (small, [("pushgw-source", b"m/0/8")])]
    )
    found = await kit_of(fresh_settings).read(fresh_settings.topics.dead_letters, 2)
    by_source = {dict(r.headers)["pushgw-source"]: r for r in found}
    assert by_source[b"m/0/8"].value == b"small"
    assert by_source[b"m/0/7"].value is None
    assert by_source[b"m/0/7"].headers == (("pushgw-source", b"m/0/7"), (OMITTED, b"5000"))
    await outlet.close()


async def test_a_retry_that_is_too_large_is_told_and_the_others_go(
    fresh_settings: KafkaSettings, kit_of: Any
) -> None:
    """A retry has nothing to spare: the answer names it, and what came with it arrives as it was."""
    topic = fresh_settings.topics.retry(5)
    await make_topic(fresh_settings, topic, max_message_bytes="2000")
    await ensure_topics(fresh_settings)
    outlet = Outlet(fresh_settings)
    await outlet.start()
    rows = [
        (5, letter(n, value, ()), [("pushgw-attempt", b"2")])
        for n, value in enumerate([b"a", b"x" * 5000, b"c"])
    ]
    told = await outlet.retries(rows)
    assert list(told) == [1]
    assert told[1].startswith(f"topic {topic} takes no record of 50")
    assert {r.value for r in await kit_of(fresh_settings).read(topic, 2)} == {b"a", b"c"}
    assert await outlet.retries(rows[:1]) == {}
    await outlet.close()
