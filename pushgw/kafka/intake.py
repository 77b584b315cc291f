"""Records come in: one member of the consumer group, with offsets committed by the ledger's word alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import ConsumerRecord

from pushgw.kafka.client import (
    START_PATIENCE_S,
    UNMENDABLE,
    ClientOptionsError,
    kafka_client_options,
    patiently,
    sentence,
)
from pushgw.kafka.ledger import Ledger
from pushgw.kafka.record import Batch, Record
from pushgw.messages.model import Source
from pushgw.settings import KafkaSettings

__all__ = ["Batch", "Intake", "IntakeError", "OnRevoke", "Record"]

log = structlog.get_logger()
T = TypeVar("T")

OnRevoke = Callable[[set[tuple[str, int]]], Awaitable[None]]
"""Called with (topic, partition) pairs that are about to be given up: finish what is in flight of them."""

COMMIT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 10.0
ASK_TIMEOUT_S = 10.0
SILENCE_S = 5.0
"""A broker that answered no poll for so long is not healthy; it answers one in 0.5 s, records or not."""
METADATA_AGE_S = 30.0
"""New partitions, and a topic that is there again, are noticed within this time."""
STUMBLES = 20
"""Errors of the consumer in a row, without a good poll between them, that end it."""
STUMBLE_WAIT_S = 0.5
FETCH_BYTES = 1024 * 1024
_NOTHING = TopicPartition("", -1)


class IntakeError(Exception):
    """The consumer cannot go on. ``retriable``: asking again later may help (only of `Intake.lag` and the like)."""

    def __init__(self, sentence: str, *, retriable: bool = False) -> None:
        super().__init__(sentence)
        self.retriable = retriable


class Intake:
    """The message and user-event topics as batches of records.

    Everything handed out is open in the ledger until `settle`; `commit` commits the gap-free prefixes. While a partition
    or all of them are paused the member goes on polling and keeps its partitions. A broker that is away is waited for:
    `healthy` says so.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        topics: list[str] | None = None,
        group_id: str | None = None,
        poll_timeout: float = 0.25,
        revoke_grace: float = 30.0,
        patience: float = START_PATIENCE_S,
        fetch_bytes: int = FETCH_BYTES,
    ) -> None:
        """``topics`` and ``group_id``: others than those of messages and user events. ``poll_timeout``: longest wait of
        `batch`, s. ``revoke_grace``: how long a rebalance waits for what is in flight, s. ``patience``: how long `start`
        waits for a broker, s. ``fetch_bytes``: of each partition at once; a larger record still comes."""
        self._settings = settings
        self._topics = topics or [settings.topics.messages, settings.topics.user_events]
        self._group_id = group_id or settings.group_id
        self._poll_ms = int(poll_timeout * 1000)
        self._revoke_grace = revoke_grace
        self._patience = patience
        self._fetch_bytes = fetch_bytes
        self._ledger = Ledger()
        self._consumer: AIOKafkaConsumer | None = None
        self._on_revoke: OnRevoke | None = None
        self._committing = asyncio.Lock()
        self._all_paused = False
        self._paused: set[TopicPartition] = set()
        self._rebalancing = False
        self._stumbles = 0
        self._poll_fault: str | None = None
        self._commit_fault: str | None = None
        self._last_heard = 0.0
        self._last_poll_ms = 0
        self.lost = 0
        """Records that were deleted from their topic before they were read."""

    # --- life --------------------------------------------------------------------------------------------

    async def start(self, on_revoke: OnRevoke | None = None) -> None:
        """Join the group and wait for the first assignment.

        Raises IntakeError when there is no broker, when it refuses us, or when a topic does not exist.
        """
        self._on_revoke = on_revoke
        self._rebalancing = True
        try:
            self._consumer = await patiently("intake", self._join, self._settings, self._patience)
        except ClientOptionsError as error:
            raise IntakeError(str(error)) from error
        except UnknownTopicOrPartitionError as error:
            raise IntakeError(
                f"not all of these topics exist: {', '.join(self._topics)}; create them, or turn kafka.create_topics on"
            ) from error
        except KafkaError as error:
            raise IntakeError(f"Kafka does not let us in: {sentence(error)}") from error
        self._heard()

    async def close(self) -> None:
        """Commit what is settled and leave the group; a static member (`kafka.group_instance_id`) stays in it."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        await self._commit(consumer, COMMIT_TIMEOUT_S)
        await _stop(consumer)
        self._ledger.assign(())

    # --- records -----------------------------------------------------------------------------------------

    async def batch(self) -> Batch | None:
        """What has come in, at most ``kafka.max_poll_records``; None when nothing has within the poll timeout.

        Must be called again and again, also while everything is paused: a member that does not for five minutes loses
        its partitions. Raises IntakeError when the consumer cannot go on.
        """
        consumer = self._running()
        try:
            if self._all_paused:
                await consumer.getmany(_NOTHING, timeout_ms=0)
                await asyncio.sleep(0)
                return None
            found = await consumer.getmany(
                timeout_ms=self._poll_ms, max_records=self._settings.max_poll_records
            )
        except ConsumerStoppedError:
            return None
        except NoOffsetForPartitionError as error:
            await self._begin(consumer, dict.fromkeys(error.args))
            return None
        except OffsetOutOfRangeError as error:
            await self._begin(consumer, error.args[0])
            return None
        except KafkaError as error:
            await self._stumbled(error)
            return None
        self._stumbles = 0
        self._poll_fault = None
        if not found:
            self._listen(consumer)
            return None
        self._heard()
        wanted = self._wanted(found)
        return Batch(self._open(wanted)) if wanted else None

    def settle(self, record: Record) -> None:
        """The record is done with: its offset may be committed. Ignored when its partition was given up since."""
        source = record.source
        self._ledger.settle((source.topic, source.partition), source.offset, record.epoch)

    def settle_many(self, records: Iterable[Record]) -> None:
        """`settle` for many."""
        for record in records:
            self.settle(record)

    async def commit(self) -> None:
        """Commit the gap-free prefix of each partition, in one request; nothing when there is nothing new.

        A commit that the group refuses because it has rebalanced is dropped: the records are delivered again. Raises
        IntakeError when we may not commit at all.
        """
        if self._consumer is not None:
            await self._commit(self._consumer, COMMIT_TIMEOUT_S)

    # --- pausing -----------------------------------------------------------------------------------------

    def pause_all(self) -> None:
        """Hand out nothing until `resume_all`; what is fetched already is kept."""
        self._all_paused = True

    def resume_all(self) -> None:
        """The opposite of `pause_all`. Partitions that were paused by name stay paused."""
        if self._all_paused:
            self._all_paused = False
            self._heard()

    def pause(self, partition: tuple[str, int]) -> None:
        """Fetch nothing more of one partition, whatever the others do. Forgotten when we lose it."""
        tp = TopicPartition(*partition)
        if self._consumer is not None and tp in self._consumer.assignment():
            self._paused.add(tp)
            self._consumer.pause(tp)

    def resume(self, partition: tuple[str, int]) -> None:
        """The opposite of `pause`."""
        tp = TopicPartition(*partition)
        if tp in self._paused:
            self._paused.discard(tp)
            self._heard()
            if self._consumer is not None and tp in self._consumer.assignment():
                self._consumer.resume(tp)

    # --- what is known -----------------------------------------------------------------------------------

    @property
    def healthy(self) -> str:
        """``ok``, or one sentence on what is wrong with the broker or the group."""
        if self._consumer is None:
            return "not connected to Kafka"
        if self._poll_fault or self._commit_fault:
            return self._poll_fault or self._commit_fault or "ok"
        missing = [topic for topic in self._topics if self._consumer.partitions_for_topic(topic) is None]
        if missing and not self._rebalancing:
            return f"topic {missing[0]} does not exist; create it, or restart with kafka.create_topics on"
        silent = asyncio.get_running_loop().time() - self._last_heard
        if self._all_paused or silent < SILENCE_S:
            return "ok"
        if self._rebalancing:
            return f"no partitions yet: the consumer group has been rebalancing for {silent:.0f} s"
        return f"no answer from Kafka at {self._settings.bootstrap_servers} for {silent:.0f} s"

    @property
    def assignment(self) -> set[tuple[str, int]]:
        """The (topic, partition) pairs that are ours now."""
        return set() if self._consumer is None else set(self._consumer.assignment())

    def in_flight(self, partitions: Iterable[tuple[str, int]] | None = None) -> int:
        """Records handed out and not settled, of these partitions or of all that are ours."""
        return self._ledger.in_flight(partitions)

    @property
    def paused(self) -> bool:
        """Whether nothing is handed out for the time being (`pause_all`)."""
        return self._all_paused

    def known_lag(self) -> dict[tuple[str, int], int | None]:
        """As `lag`, from what the last fetches said, without asking the broker; None before a partition's first fetch."""
        if self._consumer is None:
            return {}
        return {tuple(tp): self._known_lag(self._consumer, tp) for tp in self._consumer.assignment()}

    async def end_offsets(self) -> dict[tuple[str, int], int]:
        """The offset that the next record of each of our partitions will get. Raises IntakeError (retriable)."""
        return await self._ask(lambda consumer: consumer.end_offsets(consumer.assignment()))

    async def lag(self) -> dict[tuple[str, int], int]:
        """Offsets between the first unsettled record and the end, for each of our partitions.

        Raises IntakeError (retriable) when the broker does not answer.
        """
        ends = await self.end_offsets()
        behind = {}
        for partition, end in ends.items():
            start = self._ledger.first_unsettled(partition)
            if start is None:
                start = await self._position(TopicPartition(*partition))
            behind[partition] = max(0, end - start)
        return behind

    # --- inside ------------------------------------------------------------------------------------------

    async def _join(self) -> AIOKafkaConsumer:
        settings = self._settings
        session_ms = int(settings.session_timeout * 1000)
        rebalance_ms = int(self._revoke_grace * 1000) + 10_000
        consumer = AIOKafkaConsumer(
            **kafka_client_options(settings),
            group_id=self._group_id,
            group_instance_id=settings.group_instance_id,
            enable_auto_commit=False,
            auto_offset_reset="none",  # `_begin` does it, and says what it costs
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(session_ms // 4, 1),
            metadata_max_age_ms=int(METADATA_AGE_S * 1000),
            max_partition_fetch_bytes=self._fetch_bytes,
            rebalance_timeout_ms=rebalance_ms,
            request_timeout_ms=rebalance_ms + 10_000,
        )
        consumer.subscribe(self._topics, listener=_Listener(self._revoked, self._assigned))
        self._consumer = consumer
        try:
            await consumer.start()
        except BaseException:
            self._consumer = None
            await _stop(consumer)
            raise
        return consumer

    def _running(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise IntakeError("the intake is not started, or closed")
        return self._consumer

    def _open(self, found: dict[TopicPartition, list[ConsumerRecord]]) -> list[Record]:
        records: list[Record] = []
        for tp, fetched in found.items():
            topic, number = tp
            epoch = self._ledger.open_many(tp, [r.offset for r in fetched])
            records += [
                Record(Source(topic, number, r.offset), r.key, r.value, r.headers, r.timestamp, epoch)
                for r in fetched
            ]
        return records

    def _wanted(
        self, found: dict[TopicPartition, list[ConsumerRecord]]
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """What of it is to be handed out now; no empty lists."""
        return found

    async def _commit(self, consumer: AIOKafkaConsumer, timeout: float) -> None:
        async with self._committing:
            offsets = self._ledger.committable()
            if not offsets:
                return
            epochs = self._ledger.epochs()
            try:
                async with asyncio.timeout(timeout):
                    await consumer.commit({TopicPartition(*p): offset for p, offset in offsets.items()})
            except TimeoutError:
                self._commit_fault = f"Kafka did not take a commit within {timeout:.0f} s"
                log.warning("commit_unanswered", after_s=timeout)
            except (CommitFailedError, IllegalStateError) as error:
                log.info(
                    "commit_dropped", why=sentence(error), partitions=len(offsets), then="delivered again"
                )
            except UNMENDABLE as error:
                raise IntakeError(f"Kafka does not let us commit: {sentence(error)}") from error
            except KafkaError as error:
                self._commit_fault = f"Kafka refused a commit: {sentence(error)}"
                log.warning("commit_refused", why=sentence(error))
            else:
                self._commit_fault = None
                self._ledger.committed(offsets, epochs)

    async def _revoked(self, partitions: set[TopicPartition]) -> None:
        """Before the group is joined again: finish, commit, let go. Heartbeats go on meanwhile."""
        self._rebalancing = True
        if not partitions:
            return
        try:
            if self._on_revoke is not None:
                async with asyncio.timeout(self._revoke_grace):
                    await self._on_revoke(set(partitions))
        except TimeoutError:
            log.warning("revoke_grace_over", after_s=self._revoke_grace)
        finally:
            try:
                if self._consumer is not None:
                    await self._commit(self._consumer, COMMIT_TIMEOUT_S / 2)
            finally:
                abandoned = self._ledger.abandon(partitions)
                log.info(
                    "partitions_revoked",
                    group=self._group_id,
                    partitions=len(partitions),
                    abandoned=abandoned,
                )

    async def _assigned(self, partitions: set[TopicPartition]) -> None:
        """Runs before the first fetch of the new assignment; it starts at the committed offsets."""
        self._ledger.assign(partitions)
        self._paused &= partitions
        if self._consumer is not None and self._paused:
            self._consumer.pause(*self._paused)
        self._rebalancing = False
        self._heard()
        log.info("partitions_assigned", group=self._group_id, partitions=len(partitions))

    async def _begin(self, consumer: AIOKafkaConsumer, wanted: dict[TopicPartition, int | None]) -> None:
        """Partitions that have nothing where we wanted to read on (None: we never read there) are read from their
        beginning. Records that nobody will see are said loudly: this is the one place where they can be lost."""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                starts = await consumer.beginning_offsets(list(wanted))
            for tp, offset in wanted.items():
                start = starts[tp]
                consumer.seek(tp, start)
                if offset is not None:
                    self._say_lost(tp, offset, start)
        except (TimeoutError, KafkaError) as error:  # the next poll comes here again
            log.warning("no_beginning", why=sentence(error))

    def _say_lost(self, tp: TopicPartition, offset: int, start: int) -> None:
        if offset < start:
            self.lost += start - offset
            log.error(
                "records_lost",
                topic=tp.topic,
                partition=tp.partition,
                records=start - offset,
                why=f"offsets {offset} to {start - 1} were deleted before they were read",
                mend="raise the topic's retention, or find out why the gateway was behind for so long",
            )
        else:
            log.error(
                "partition_cut_back",
                topic=tp.topic,
                partition=tp.partition,
                wanted=offset,
                why="the topic ends before what was read already: the broker lost its end, or the topic was made anew",
                then=f"read again from offset {start}; what is marked as done is not sent again",
            )

    async def _stumbled(self, error: KafkaError) -> None:
        if isinstance(error, UNMENDABLE):
            raise IntakeError(f"Kafka refuses us: {sentence(error)}") from error
        self._stumbles += 1
        if self._stumbles >= STUMBLES and not error.retriable:
            raise IntakeError(f"the consumer cannot go on: {sentence(error)}") from error
        fault = f"fetching failed: {sentence(error)}"
        if fault != self._poll_fault:
            log.warning("fetch_failed", why=sentence(error))
        self._poll_fault = fault
        await asyncio.sleep(STUMBLE_WAIT_S)

    def _listen(self, consumer: AIOKafkaConsumer) -> None:
        """Nothing came: did the broker at least answer? Paused partitions are not asked for."""
        asked = consumer.assignment() - self._paused
        newest = max((consumer.last_poll_timestamp(tp) or 0 for tp in asked), default=None)
        if newest is None or newest != self._last_poll_ms:
            self._last_poll_ms = newest or 0
            self._heard()

    def _heard(self) -> None:
        self._last_heard = asyncio.get_running_loop().time()

    def _known_lag(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
        end = consumer.highwater(tp)
        start = self._ledger.first_unsettled(tp)
        if start is None:  # nothing was handed out yet
            place = consumer._subscription.subscription.assignment.state_value(tp)
            start = place.position if place.has_valid_position else None
        return None if end is None or start is None else max(0, end - start)

    async def _position(self, tp: TopicPartition) -> int:
        return await self._ask(lambda consumer: consumer.position(tp))

    async def _ask(self, question: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                return await question(self._running())
        except TimeoutError as error:
            raise IntakeError(f"Kafka did not answer within {ASK_TIMEOUT_S:.0f} s", retriable=True) from error
        except KafkaError as error:
            raise IntakeError(f"Kafka did not answer: {sentence(error)}", retriable=True) from error


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    def __init__(
        self,
        revoked: Callable[[set[TopicPartition]], Awaitable[None]],
        assigned: Callable[[set[TopicPartition]], Awaitable[None]],
    ) -> None:
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._assigned(assigned)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await _stop_whole(consumer)
    except TimeoutError:
        log.warning(
            "consumer_not_stopped",
            after_s=CLOSE_TIMEOUT_S,
            then="the group drops us after its session timeout",
        )
    except KafkaError as error:
        log.warning("consumer_stopped_badly", why=sentence(error))


async def _stop_whole(consumer: AIOKafkaConsumer) -> None:
    """`stop`, finished where aiokafka (0.14) does not: it awaits the fetches that it has cancelled, and one that waited
    to try a lost broker again lets the cancellation out, as if it were ours."""
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        fetcher = consumer._fetcher
        left = [] if fetcher is None else [fetcher._fetch_task, *fetcher._pending_tasks]
        for fetch in left:
            fetch.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await consumer._client.close()
