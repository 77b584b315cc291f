"""The intake and a consumer that fails on command: what is mended by waiting, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetMetadataTooLargeError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from structlog.testing import capture_logs

from pushgw.kafka import intake as intake_module
from pushgw.kafka.intake import Intake, IntakeError, Record
from pushgw.settings import KafkaSettings

TP = TopicPartition("im.offline-messages", 0)


class FakeConsumer:
    """Raises or returns what its script says; records what was committed."""

    def __init__(self) -> None:
        self.fetches: list[Any] = []
        self.commits: list[Any] = []
        self.committed: list[dict[TopicPartition, int]] = []
        self.polled_ms = 1
        self.start: Any = 0
        self.sought: list[tuple[TopicPartition, int]] = []
        self.unknown: set[str] = set()

    async def getmany(self, *_: TopicPartition, timeout_ms: int, max_records: int | None = None) -> Any:
        step = self.fetches.pop(0) if self.fetches else {}
        if isinstance(step, Exception):
            raise step
        return step

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        step = self.commits.pop(0) if self.commits else None
        if isinstance(step, Exception):
            raise step
        if step == "silence":
            await asyncio.Event().wait()
        self.committed.append(offsets)

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        if isinstance(self.start, Exception):
            raise self.start
        return dict.fromkeys(partitions, self.start)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return None if topic in self.unknown else {0}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought.append((tp, offset))

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    def last_poll_timestamp(self, tp: TopicPartition) -> int:
        return self.polled_ms

    async def stop(self) -> None:
        return None


def fetched(offset: int) -> dict[TopicPartition, list[ConsumerRecord]]:
    return {TP: [ConsumerRecord(TP.topic, 0, offset, 1000, 0, None, b"v", None, -1, 1, ())]}


@pytest.fixture
def consumer() -> FakeConsumer:
    """A consumer that does what its scripts say."""
    return FakeConsumer()


@pytest.fixture
async def intake(consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch) -> Intake:
    """An intake that stands on the fake consumer, has one partition, and never waits."""
    monkeypatch.setattr(intake_module, "STUMBLE_WAIT_S", 0)
    made = Intake(KafkaSettings())
    made._consumer = consumer
    await made._assigned({TP})
    return made


async def taken(intake: Intake, consumer: FakeConsumer, offset: int) -> Record:
    consumer.fetches.append(fetched(offset))
    batch = await intake.batch()
    assert batch is not None
    return batch.records[0]


async def test_an_error_that_passes_is_a_sentence_until_it_has_passed(
    intake: Intake, consumer: FakeConsumer
) -> None:
    """A fetch that fails stops nothing: health says why, and is ok again after the next good poll."""
    consumer.fetches += [CorruptRecordException("Invalid CRC"), {}]
    assert await intake.batch() is None
    assert intake.healthy == "fetching failed: CorruptRecordException: Invalid CRC"
    assert await intake.batch() is None
    assert intake.healthy == "ok"


async def test_a_partition_that_was_never_read_is_read_from_its_beginning(
    intake: Intake, consumer: FakeConsumer
) -> None:
    """Without a committed offset nothing is skipped, and nothing is said to be lost."""
    consumer.fetches.append(NoOffsetForPartitionError(TP))
    with capture_logs() as logs:
        assert await intake.batch() is None
    assert consumer.sought == [(TP, 0)]
    assert (logs, intake.lost, intake.healthy) == ([], 0, "ok")


async def test_records_that_retention_took_are_counted_loudly(intake: Intake, consumer: FakeConsumer) -> None:
    """Offsets that were deleted before they were read are an error in the log, with how many, and a number to alert on."""
    consumer.start = 120
    consumer.fetches.append(OffsetOutOfRangeError({TP: 100}))
    with capture_logs() as logs:
        assert await intake.batch() is None
    assert consumer.sought == [(TP, 120)]
    assert intake.lost == 20
    [line] = logs
    assert (line["event"], line["log_level"], line["records"]) == ("records_lost", "error", 20)
    assert (line["topic"], line["partition"], line["why"]) == (
        TP.topic,
        0,
        "offsets 100 to 119 were deleted before they were read",
    )


async def test_a_partition_that_was_cut_back_is_said(intake: Intake, consumer: FakeConsumer) -> None:
    """A topic that ends before what we read already is read again from its beginning, and the log says why."""
    consumer.start = 3
    consumer.fetches.append(OffsetOutOfRangeError({TP: 100}))
    with capture_logs() as logs:
        await intake.batch()
    assert consumer.sought == [(TP, 3)]
    assert [line["event"] for line in logs] == ["partition_cut_back"]


async def test_a_beginning_that_is_not_told_is_asked_for_again(
    intake: Intake, consumer: FakeConsumer
) -> None:
    """While the broker does not say where a partition begins, we move nowhere and count nothing."""
    consumer.start = RequestTimedOutError()
    consumer.fetches.append(OffsetOutOfRangeError({TP: 100}))
    assert await intake.batch() is None
    assert (consumer.sought, intake.lost) == ([], 0)


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError, GroupAuthorizationFailedError])
async def test_what_waiting_does_not_mend_ends_the_intake(
    intake: Intake, consumer: FakeConsumer, error: Callable[[str], KafkaError]
) -> None:
    """A broker that does not let us read, or be in the group, is an error at once, and names itself."""
    consumer.fetches.append(error("im"))
    with pytest.raises(IntakeError, match=error.__name__):
        await intake.batch()


async def test_an_error_without_end_ends_the_intake(intake: Intake, consumer: FakeConsumer) -> None:
    """The same fatal error poll after poll is not swallowed for ever; a retriable one is waited out."""
    consumer.fetches += [RequestTimedOutError()] * 50
    for _ in range(50):
        assert await intake.batch() is None
    consumer.fetches += [{}] + [KafkaError("Unexpected error during coordination")] * 50
    await intake.batch()
    for _ in range(19):
        assert await intake.batch() is None
    with pytest.raises(IntakeError, match="Unexpected error during coordination"):
        await intake.batch()


async def test_a_closed_consumer_gives_nothing(intake: Intake, consumer: FakeConsumer) -> None:
    """A poll that meets the end of the consumer is no error."""
    consumer.fetches.append(ConsumerStoppedError())
    assert await intake.batch() is None


@pytest.mark.parametrize("error", [CommitFailedError("rebalanced"), IllegalStateError("not assigned")])
async def test_a_commit_that_the_group_refuses_is_dropped(
    intake: Intake, consumer: FakeConsumer, error: KafkaError
) -> None:
    """After a rebalance a commit is no longer ours to make: no error, no trouble; the next one is tried afresh."""
    intake.settle(await taken(intake, consumer, 7))
    consumer.commits.append(error)
    await intake.commit()
    assert intake.healthy == "ok"
    await intake.commit()
    assert consumer.committed == [{TP: 8}]


async def test_a_commit_that_fails_is_a_sentence_until_one_succeeds(
    intake: Intake, consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused commit, and one that nobody answers, are said, and made again with the next."""
    monkeypatch.setattr(intake_module, "COMMIT_TIMEOUT_S", 0.01)
    intake.settle(await taken(intake, consumer, 7))
    consumer.commits += [OffsetMetadataTooLargeError(), "silence"]
    await intake.commit()
    assert intake.healthy == "Kafka refused a commit: OffsetMetadataTooLargeError"
    await intake.commit()
    assert "did not take a commit" in intake.healthy
    await intake.commit()
    assert intake.healthy == "ok"
    assert consumer.committed == [{TP: 8}]


async def test_a_commit_that_we_may_not_make_ends_the_intake(intake: Intake, consumer: FakeConsumer) -> None:
    """Without the right to commit everything would come again for ever: an error."""
    intake.settle(await taken(intake, consumer, 7))
    consumer.commits.append(GroupAuthorizationFailedError("g"))
    with pytest.raises(IntakeError, match="does not let us commit"):
        await intake.commit()


async def test_a_silent_broker_is_said_with_its_address(
    intake: Intake, consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polls that nobody answers make health a sentence; an answer without records, or a pause of our own, does not."""
    monkeypatch.setattr(intake_module, "SILENCE_S", 0)
    await intake.batch()
    assert intake.healthy.startswith("no answer from Kafka at 127.0.0.1:9092")
    intake.pause_all()
    assert intake.healthy == "ok"
    monkeypatch.setattr(intake_module, "SILENCE_S", 5)
    intake._last_heard -= 6
    intake._all_paused = False
    await intake.batch()
    assert intake.healthy.startswith("no answer"), "the same poll time is no news"
    consumer.polled_ms = 2
    await intake.batch()
    assert intake.healthy == "ok"


async def test_a_topic_that_is_gone_is_named(intake: Intake, consumer: FakeConsumer) -> None:
    """A broker that answers, and does not know one of our topics any more, is not health."""
    await intake.batch()
    consumer.unknown.add("im.user-events")
    assert (
        intake.healthy
        == "topic im.user-events does not exist; create it, or restart with kafka.create_topics on"
    )


async def test_a_long_rebalance_is_said(
    intake: Intake, consumer: FakeConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the group rebalances there are no records; after a while health says that it is this, not the broker."""
    await intake._revoked({TP})
    assert intake.healthy == "ok"
    monkeypatch.setattr(intake_module, "SILENCE_S", 0)
    assert "rebalancing" in intake.healthy


async def test_a_failing_callback_does_not_keep_partitions(intake: Intake, consumer: FakeConsumer) -> None:
    """When finishing goes wrong, what was settled is still committed and the rest abandoned."""

    async def fail(partitions: set[tuple[str, int]]) -> None:
        raise RuntimeError("finishing went wrong")

    intake._on_revoke = fail
    intake.settle(await taken(intake, consumer, 7))
    await taken(intake, consumer, 8)
    with pytest.raises(RuntimeError, match="went wrong"):
        await intake._revoked({TP})
    assert consumer.committed == [{TP: 8}]
    assert intake.in_flight() == 0


async def test_a_partition_that_is_not_ours_is_not_paused(intake: Intake) -> None:
    """Pausing and resuming what we do not have is nothing, not an error."""
    intake.pause(("elsewhere", 3))
    intake.resume(("elsewhere", 3))
    assert intake.assignment == {tuple(TP)}
