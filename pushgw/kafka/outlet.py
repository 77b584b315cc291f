"""Receipts and dead letters go out: an idempotent producer that is told in batches and answers when all is acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
    UnknownTopicOrPartitionError,
    UnsupportedVersionError,
)

from pushgw.kafka.client import (
    START_PATIENCE_S,
    UNMENDABLE,
    ClientOptionsError,
    kafka_client_options,
    patiently,
    sentence,
)
from pushgw.kafka.partitioner import partition_of
from pushgw.kafka.record import Record
from pushgw.settings import KafkaSettings

log = structlog.get_logger()

BATCH_BYTES = 512 * 1024
"""Size of a produce batch; a broker takes 1 MiB unless told otherwise. Halved each time that it takes less."""
LEAST_BATCH_BYTES = 16 * 1024
REFUSALS = 3
"""How often refused records are sent again, over a new producer, before `publish` gives up."""
SILENCE_S = 5.0
CLOSE_TIMEOUT_S = 10.0
LONG_TEXT = 256
"""Characters that stay of each text of a receipt that is too large."""
OMITTED = "pushgw-value-omitted"
"""Header of a dead letter that the broker does not take with its value: the value's size in bytes."""
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

Headers = Sequence[tuple[str, bytes | None]]


class Outgoing(NamedTuple):
    """One record on its way out."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


class _Refused(NamedTuple):
    rows: list[Outgoing]
    error: BaseException


class OutletError(Exception):
    """Not everything was acknowledged; the caller must not settle. Publishing all of it again is safe: a receipt that was
    taken is repeated with the same PushID."""

    retriable = True


class Outlet:
    """The receipt and dead-letter topics.

    While the broker is away, `publish` waits and the producer repeats without making duplicates; `healthy` says so. When
    the broker refuses, the refused records go out again over a new producer.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = START_PATIENCE_S,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        """``clock``: epoch s, for the records' timestamps. ``patience``: how long `start` waits for a broker, s."""
        self._settings = settings
        self._clock = clock
        self._patience = patience
        self._batch_bytes = batch_bytes
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._keyless = 0
        self._silent = False

    async def start(self) -> None:
        """Connect. Raises OutletError when there is no broker, or when it refuses us."""
        await self._ready()

    async def publish(self, receipts: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Put (key, value) pairs on the receipt topic; returns when all are acknowledged by all replicas in sync.

        A receipt too large for the topic is sent with its long texts cut. Raises OutletError.
        """
        rows = [Outgoing(key, value, []) for key, value in receipts]
        await self._deliver(self._settings.topics.receipts, rows, _with_short_texts)

    async def dead_letters(self, letters: Sequence[tuple[Record, Headers]]) -> None:
        """Put records, as they were, on the dead-letter topic; returns when all are acknowledged.

        The headers given replace the record's of the same name. A letter too large for the topic goes without its value:
        its source header says where the original stands. Raises OutletError.
        """
        rows = [
            Outgoing(record.key, record.value, _merged(record.headers, headers))
            for record, headers in letters
        ]
        await self._deliver(self._settings.topics.dead_letters, rows, _without_value)

    async def dead_letter(self, record: Record, headers: Headers) -> None:
        """`dead_letters` for one."""
        await self.dead_letters([(record, headers)])

    async def retries(self, rows: Sequence[tuple[int, Record, Headers]]) -> dict[int, str]:
        """Put records, as they were, on the retry topics; returns when all are acknowledged. A row: the tier in s, the
        record, the headers that replace its own of the same name.

        A retry has nothing to spare: of those that are larger than their topic takes, the answer has the row's index, and
        one sentence. Raises OutletError.
        """
        by_tier: dict[int, list[Outgoing]] = defaultdict(list)
        index: dict[int, int] = {}
        for n, (tier, record, headers) in enumerate(rows):
            row = Outgoing(record.key, record.value, _merged(record.headers, headers))
            by_tier[tier].append(row)
            index[id(row)] = n
        too_large: dict[int, str] = {}
        for tier, outgoing in by_tier.items():
            topic = self._settings.topics.retry(tier)
            for row in await self._deliver(topic, outgoing, None):
                too_large[index[id(row)]] = _takes_no(topic, _size(row))
        return too_large

    async def flush(self) -> None:
        """Wait until nothing is on its way."""
        if self._producer is not None:
            await self._producer.flush()

    async def close(self) -> None:
        """Wait a while for what is on its way, then disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer, CLOSE_TIMEOUT_S)

    @property
    def healthy(self) -> str:
        """``ok``, or one sentence on why nothing goes out."""
        if self._producer is None:
            return "no producer: not connected to Kafka"
        return "no acknowledgement from Kafka; receipts wait" if self._silent else "ok"

    # --- inside ------------------------------------------------------------------------------------------

    async def _deliver(
        self, topic: str, rows: list[Outgoing], smaller: Callable[[Outgoing], Outgoing] | None
    ) -> list[Outgoing]:
        """``smaller`` makes a smaller form of a row that is too large; without it such rows come back."""
        too_large: list[Outgoing] = []
        refusals = 0
        left = deque([rows] if rows else [])
        while left:
            producer = await self._ready()
            refused = await self._send(producer, topic, left.popleft())
            if refused:
                # A batch that was numbered and not taken leaves a gap in the producer's sequence: it is of no more use.
                await self._retire(producer)
            for some, error in refused:
                if not isinstance(error, _TOO_LARGE):
                    refusals += 1
                    self._check_refusal(topic, error, refusals)
                    left.append(some)
                elif len(some) > 1:
                    self._batch_bytes = max(LEAST_BATCH_BYTES, self._batch_bytes // 2)
                    left += [some[: len(some) // 2], some[len(some) // 2 :]]
                elif smaller is not None:
                    left.append([_shrunk(topic, some[0], smaller)])
                else:
                    log.error("record_too_large", topic=topic, bytes=_size(some[0]))
                    too_large += some
        return too_large

    async def _send(self, producer: AIOKafkaProducer, topic: str, rows: list[Outgoing]) -> list[_Refused]:
        """One try; what was refused, by batch."""
        try:
            partitions = len(await producer.partitions_for(topic))
        except KafkaError as error:
            return [_Refused(rows, error)]
        refused: list[_Refused] = []
        waiting: list[tuple[asyncio.Future[Any], list[Outgoing]]] = []
        for partition, batch, some in self._batches(producer, rows, partitions):
            try:
                waiting.append((await _submit(producer, batch, topic, partition), some))
            except KafkaError as error:
                refused.append(_Refused(some, error))
        await self._acknowledged([future for future, _ in waiting])
        for future, some in waiting:
            why = future.exception()
            if why is not None:
                refused.append(_Refused(some, why))
        return refused

    def _batches(
        self, producer: AIOKafkaProducer, rows: list[Outgoing], partitions: int
    ) -> Iterator[tuple[int, Any, list[Outgoing]]]:
        """(partition, batch, what is in it): the first batch of every partition, then the second ones, and so on."""
        left: dict[int, list[Outgoing]] = defaultdict(list)
        for row in rows:
            left[self._partition(row.key, partitions)].append(row)
        now_ms = int(self._clock() * 1000)
        while left:
            for partition in list(left):
                some = left[partition]
                batch = producer.create_batch()
                taken = _fill(batch, some, now_ms)
                if taken == len(some):
                    yield partition, batch, some
                    del left[partition]
                else:
                    yield partition, batch, some[:taken]
                    left[partition] = some[taken:]

    def _partition(self, key: bytes | None, partitions: int) -> int:
        if key is not None:
            return partition_of(key, partitions)
        self._keyless += 1
        return self._keyless % partitions

    async def _acknowledged(self, futures: list[asyncio.Future[Any]]) -> None:
        pending: set[asyncio.Future[Any]] = set(futures)
        try:
            while pending:
                _, pending = await asyncio.wait(pending, timeout=SILENCE_S)
                if pending and not self._silent:
                    self._silent = True
                    log.warning("receipts_wait", why="no acknowledgement from Kafka", batches=len(pending))
        finally:
            self._silent = False

    def _check_refusal(self, topic: str, error: BaseException, refusals: int) -> None:
        log.warning("produce_refused", topic=topic, why=sentence(error), time=refusals)
        if isinstance(error, UnknownTopicOrPartitionError):
            raise OutletError(f"topic {topic} does not exist; create it, or turn kafka.create_topics on")
        if isinstance(error, UNMENDABLE) or refusals >= REFUSALS:
            raise OutletError(f"Kafka does not take records for {topic}: {sentence(error)}")

    async def _ready(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                try:
                    self._producer = await patiently("outlet", self._open, self._settings, self._patience)
                except ClientOptionsError as error:
                    raise OutletError(str(error)) from error
                except KafkaError as error:
                    raise OutletError(f"no producer: {sentence(error)}") from error
            return self._producer

    async def _open(self) -> AIOKafkaProducer:
        try:
            return await self._open_as(idempotent=True)
        except (UnknownError, UnsupportedVersionError) as error:
            log.warning(
                "no_idempotence",
                why=f"the broker gives no producer ids ({sentence(error)})",
                so="a receipt whose acknowledgement is lost is repeated, with the same PushID",
            )
            return await self._open_as(idempotent=False)

    async def _open_as(self, *, idempotent: bool) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **kafka_client_options(self._settings),
            acks="all",
            enable_idempotence=idempotent,
            max_batch_size=self._batch_bytes,
        )
        try:
            await producer.start()
        except BaseException:
            await _stop(producer, CLOSE_TIMEOUT_S)
            raise
        return producer

    async def _retire(self, producer: AIOKafkaProducer) -> None:
        async with self._opening:
            if self._producer is producer:
                self._producer = None
                await _stop(producer, CLOSE_TIMEOUT_S)


def _fill(batch: Any, rows: list[Outgoing], now_ms: int) -> int:
    """How many of ``rows`` fit; one always does."""
    append = batch.append
    for n, (key, value, headers) in enumerate(rows):
        if append(timestamp=now_ms, key=key, value=value, headers=headers) is None:
            return n
    batch.close()
    return len(rows)


async def _submit(producer: AIOKafkaProducer, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
    """Hand a batch over; waits for the partition's slot as long as it takes."""
    while True:
        try:
            future: asyncio.Future[Any] = await producer.send_batch(batch, topic, partition=partition)
        except KafkaTimeoutError:
            continue
        return future


async def _stop(producer: AIOKafkaProducer, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await producer.stop()
    except TimeoutError:
        log.warning("producer_not_flushed", after_s=timeout)
        # stop() waits for acknowledgements that do not come, and leaves its parts running when it is cut short
        try:
            async with asyncio.timeout(timeout):
                await producer._sender.close()
                await producer.client.close()
        except TimeoutError:
            log.warning("producer_not_stopped", after_s=timeout)


def _merged(theirs: Headers, ours: Headers) -> list[tuple[str, bytes | None]]:
    replaced = {name for name, _ in ours}
    return [header for header in theirs if header[0] not in replaced] + list(ours)


def _shrunk(topic: str, row: Outgoing, smaller: Callable[[Outgoing], Outgoing]) -> Outgoing:
    """Raises OutletError when no smaller form of the record is left: the topic's limit is absurd, and nothing is lost by
    waiting until it is mended."""
    shrunk = smaller(row)
    size, before = _size(shrunk), _size(row)
    if size >= before:
        raise OutletError(_takes_no(topic, before))
    log.error("record_too_large", topic=topic, bytes=before, sent_bytes=size)
    return shrunk


def _takes_no(topic: str, size: int) -> str:
    return f"topic {topic} takes no record of {size} bytes; raise its max.message.bytes"


def _size(row: Outgoing) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in row.headers)
    return len(row.key or b"") + len(row.value or b"") + headers


def _with_short_texts(row: Outgoing) -> Outgoing:
    """A receipt that keeps its shape, with every long text cut."""
    try:
        receipt = msgspec.json.decode(row.value or b"")
    except msgspec.DecodeError:
        return row
    return row._replace(value=msgspec.json.encode(_short(receipt)))


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONG_TEXT else value[: LONG_TEXT - 1] + "…"
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner) for inner in value]
    return value


def _without_value(row: Outgoing) -> Outgoing:
    """A dead letter's key and our own headers; they say where the original stands."""
    if any(name == OMITTED for name, _ in row.headers):
        return row
    ours = [header for header in row.headers if header[0].startswith("pushgw-")]
    key = row.key if row.key is None or len(row.key) <= 1024 else None
    return Outgoing(key, None, [*ours, (OMITTED, b"%d" % len(row.value or b""))])
