"""One broker that forgets, refuses or deletes: what pushgw does about it by itself, and what it says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from structlog.testing import capture_logs

from pushgw.kafka import intake as intake_module
from pushgw.kafka import outlet as outlet_module
from pushgw.kafka.intake import Intake, IntakeError
from pushgw.kafka.outlet import Outlet, OutletError
from pushgw.kafka.topics import TopicsError, ensure_topics
from pushgw.settings import KafkaSettings

pytestmark = pytest.mark.kafka_faults
StartIntake = Callable[..., Awaitable[Intake]]
StartOutlet = Callable[..., Awaitable[Outlet]]
SettingsOf = Callable[..., KafkaSettings]
PATIENCE_S = 40.0
ACLS = "org.apache.kafka.tools.AclCommand"


@pytest.fixture(scope="module")
def strict(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A broker that makes no topics by itself, and lets the one with a login do only what it was granted."""
    broker = request.getfixturevalue("broker_of")(
        memory="256m",
        auto_create_topics_enable="false",
        group_min_session_timeout_ms="1000",
        authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        super_users="User:ANONYMOUS",
    )
    broker.start()
    yield broker
    broker.close()


@pytest.fixture
async def settings(strict: Any, settings_of: SettingsOf) -> KafkaSettings:
    """Those of the one who may do everything; the topics exist."""
    made = settings_of(strict.servers, partitions=2)
    await ensure_topics(made)
    return made


async def with_admin(settings: KafkaSettings, work: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await work(admin)
    finally:
        await admin.close()


async def numbers(intake: Intake, count: int) -> list[int]:
    found: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            batch = await intake.batch()
            found += [int(r.value or b"-1") for r in batch.records] if batch else []
    return found


# --- topics that vanish ---------------------------------------------------------------------------------------


async def test_a_receipt_topic_that_is_deleted_is_said_and_waited_for(
    settings: KafkaSettings, kit_of: Any, start_outlet: StartOutlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNKNOWN_TOPIC: publishing does not return, so that nothing is settled, and health says so; when the topic is there
    again the receipts that waited go out."""
    monkeypatch.setattr(outlet_module, "SILENCE_S", 0.5)
    outlet = await start_outlet(settings)
    await outlet.publish([(b"u", b"1")])
    await with_admin(settings, lambda admin: admin.delete_topics([settings.topics.receipts]))
    publishing = asyncio.create_task(_publish_until(outlet, lambda: outlet.healthy != "ok"))
    async with asyncio.timeout(PATIENCE_S):
        while outlet.healthy == "ok":
            await asyncio.sleep(0.05)
    assert not publishing.done()
    await ensure_topics(settings)
    async with asyncio.timeout(2 * PATIENCE_S):
        last = await publishing
    found = await kit_of(settings).read(settings.topics.receipts, 1)
    assert found[-1].value == b"%d" % last
    assert outlet.healthy == "ok"


async def _publish_until(outlet: Outlet, over: Callable[[], bool]) -> int:
    """Receipts with numbers, one after the other, as long as it is not over when one is taken; the last one's number."""
    number = 1
    troubled = False
    while not troubled:
        number += 1
        one = asyncio.create_task(outlet.publish([(b"u", b"%d" % number)]))
        while not one.done():
            troubled = troubled or over()
            await asyncio.sleep(0.05)
        await one
    return number


async def _published(outlet: Outlet, value: bytes) -> bool:
    try:
        await outlet.publish([(b"u", value)])
    except OutletError:
        return False
    return True


async def test_a_message_topic_that_is_deleted_is_said_and_read_again_when_it_is_back(
    settings: KafkaSettings, kit_of: Any, start_intake: StartIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNKNOWN_TOPIC: the intake outlives the deletion of its topic, health names it, and what the new one holds is read
    from the first record on, without a restart."""
    monkeypatch.setattr(intake_module, "METADATA_AGE_S", 1.0)
    kit, topic = kit_of(settings), settings.topics.messages
    intake = await start_intake(settings)
    await kit.produce(topic, [b"%d" % n for n in range(10)], partition=0)
    records = await kit.take(intake, 10)
    intake.settle_many(records)
    await intake.commit()
    await with_admin(settings, lambda admin: admin.delete_topics([topic]))
    async with asyncio.timeout(PATIENCE_S):
        while intake.healthy == "ok":
            assert await intake.batch() is None
    assert (
        intake.healthy == f"topic {topic} does not exist; create it, or restart with kafka.create_topics on"
    )
    await ensure_topics(settings)
    await kit.produce(topic, [b"%d" % n for n in range(100, 103)], partition=0)
    assert await numbers(intake, 3) == [100, 101, 102]
    assert intake.healthy == "ok"


# --- records that are gone ------------------------------------------------------------------------------------


async def test_what_retention_took_before_it_was_read_is_counted(
    settings: KafkaSettings, kit_of: Any, start_intake: StartIntake
) -> None:
    """OFFSET_OUT_OF_RANGE: the group had committed offset 4, and the topic begins at 15: eleven records are lost, the log
    says which, and reading goes on with the first that there is."""
    kit, topic = kit_of(settings), settings.topics.messages
    first = await start_intake(settings)
    await kit.produce(topic, [b"%d" % n for n in range(20)], partition=0)
    records = await kit.take(first, 20)
    first.settle_many(records[:4])
    await first.close()
    gone = {TopicPartition(topic, 0): RecordsToDelete(before_offset=15)}
    await with_admin(settings, lambda admin: admin.delete_records(gone))
    with capture_logs() as logs:
        intake = await start_intake(settings)
        assert await numbers(intake, 5) == [15, 16, 17, 18, 19]
    assert intake.lost == 11
    [line] = [line for line in logs if line["event"] == "records_lost"]
    assert (line["topic"], line["partition"], line["records"]) == (topic, 0, 11)
    assert line["why"] == "offsets 4 to 14 were deleted before they were read"


async def test_a_broker_that_lost_the_end_of_its_topics_is_worked_with(
    broker_of: Any,
    settings_of: SettingsOf,
    kit_of: Any,
    start_intake: StartIntake,
    start_outlet: StartOutlet,
    tmp_path: Path,
) -> None:
    """A broker comes back with yesterday's disk. OUT_OF_ORDER_SEQUENCE: the receipts go out over a new producer. The intake
    stood past the end: it says so and reads again, rather than wait for offsets that will not come."""
    broker = broker_of(memory="256m", group_min_session_timeout_ms="1000")
    try:
        broker.start()
        settings = settings_of(broker.servers, partitions=1)
        await ensure_topics(settings)
        kit, topic = kit_of(settings), settings.topics.messages
        intake, outlet = await start_intake(settings), await start_outlet(settings)
        await kit.produce(topic, [b"%d" % n for n in range(5)])
        await outlet.publish([(b"u", b"before")])
        assert await numbers(intake, 5) == [0, 1, 2, 3, 4]
        await asyncio.to_thread(broker.stop)
        shutil.copytree(broker.data, tmp_path / "yesterday")
        await asyncio.to_thread(broker.start)
        await kit.produce(topic, [b"%d" % n for n in range(5, 12)])
        assert await numbers(intake, 7) == list(range(5, 12))
        for n in range(4):
            await outlet.publish([(b"u", b"lost %d" % n)])
        await asyncio.to_thread(broker.kill)
        shutil.rmtree(broker.data)
        shutil.copytree(tmp_path / "yesterday", broker.data)
        await asyncio.to_thread(broker.start)
        with capture_logs() as logs:
            async with asyncio.timeout(PATIENCE_S):
                await outlet.publish([(b"u", b"after")])
            assert [r.value for r in await kit.read(settings.topics.receipts, 2)] == [b"before", b"after"]
            assert await numbers(intake, 5) == [0, 1, 2, 3, 4]
        events = {line["event"]: line for line in logs}
        assert "OutOfOrderSequenceNumber" in events["produce_refused"]["why"]
        assert events["partition_cut_back"]["wanted"] == 12
        await intake.close()
        await outlet.close()
    finally:
        broker.close()


# --- rights ---------------------------------------------------------------------------------------------------


@pytest.fixture
def login(strict: Any, settings: KafkaSettings, kafka_user: dict[str, str]) -> Iterator[KafkaSettings]:
    """Settings of the one with a login, who may do everything with our topics and group until the test says otherwise."""
    everything = ("--operation", "All", "--topic", "*", "--group", "*")
    _acl(strict, "--add", "--allow-principal", "User:pushgw", *everything)
    more = {"bootstrap_servers": strict.sasl_servers, **kafka_user}
    yield KafkaSettings.model_validate(settings.model_dump() | more)
    _acl(strict, "--remove", "--force", "--allow-principal", "User:pushgw", *everything)


def _acl(broker: Any, *what: str) -> None:
    broker.tool(ACLS, "--bootstrap-server", broker.servers, *what)


async def test_without_rights_nothing_starts_and_the_answer_is_named(
    strict: Any, settings: KafkaSettings, kafka_user: dict[str, str]
) -> None:
    """A login that may see nothing: the start ends at once with what is missing or not allowed, not with a timeout."""
    more = {"bootstrap_servers": strict.sasl_servers, **kafka_user}
    stranger = KafkaSettings.model_validate(settings.model_dump() | more | {"create_topics": False})
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TopicsError, match="missing topics"):
            await ensure_topics(stranger)
        with pytest.raises(IntakeError, match="AuthorizationFailed"):
            await Intake(stranger, patience=2).start()


async def test_a_right_to_write_that_is_taken_away_is_named_and_waited_for(
    strict: Any, login: KafkaSettings, kit_of: Any, start_outlet: StartOutlet, settings: KafkaSettings
) -> None:
    """TOPIC_AUTHORIZATION_FAILED on receipts: publishing raises at once, so that nothing is settled; when the right is
    back the same outlet goes on."""
    outlet = await start_outlet(login)
    await outlet.publish([(b"u", b"first")])
    topic = settings.topics.receipts
    denied = ("--deny-principal", "User:pushgw", "--operation", "Write", "--topic", topic)
    await asyncio.to_thread(_acl, strict, "--add", *denied)
    try:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(OutletError, match="TopicAuthorizationFailedError"):
                await _publish_until(outlet, lambda: False)  # until the broker has heard of it
    finally:
        await asyncio.to_thread(_acl, strict, "--remove", "--force", *denied)
    async with asyncio.timeout(PATIENCE_S):
        while not await _published(outlet, b"last"):
            await asyncio.sleep(0.2)
    found = await kit_of(settings).read(topic, 2)
    assert found[0].value == b"first"
    async with asyncio.timeout(PATIENCE_S):
        while b"last" not in [r.value for r in found]:
            found = await kit_of(settings).read(topic, len(found) + 1)


async def test_a_right_to_read_that_is_taken_away_ends_the_intake(
    strict: Any, login: KafkaSettings, kit_of: Any, start_intake: StartIntake, settings: KafkaSettings
) -> None:
    """Waiting does not mend a right: the gateway ends with the broker's words, for whoever supervises it to see."""
    intake = await start_intake(login)
    topic = settings.topics.messages
    await kit_of(settings).produce(topic, [b"0"], partition=0)
    assert await numbers(intake, 1) == [0]
    denied = ("--deny-principal", "User:pushgw", "--operation", "Read", "--topic", topic)
    await asyncio.to_thread(_acl, strict, "--add", *denied)
    try:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(IntakeError, match="Kafka refuses us: TopicAuthorizationFailedError"):
                await numbers(intake, 1)
    finally:
        await asyncio.to_thread(_acl, strict, "--remove", "--force", *denied)
