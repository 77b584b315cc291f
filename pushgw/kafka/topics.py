"""The topics that a gateway needs: whether they exist, and making those that do not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    for_code,
)

from pushgw.kafka.client import (
    START_PATIENCE_S,
    ClientOptionsError,
    kafka_client_options,
    patiently,
    sentence,
)
from pushgw.settings import KafkaSettings

__all__ = ["TopicFacts", "TopicsError", "describe_topics", "ensure_topics", "kafka_client_options"]

log = structlog.get_logger()
T = TypeVar("T")

APPEAR_TIMEOUT_S = 15.0
"""How long a new topic may take until every part of the cluster knows it."""


class TopicsError(Exception):
    """Topics cannot be seen or made, or one is missing and `kafka.create_topics` is off."""


class TopicFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One topic."""

    name: str
    partitions: int
    """0: it does not exist."""
    created: bool = False
    """We made it just now."""
    timestamp_type: str | None = None
    """``CreateTime`` or ``LogAppendTime``; None where the broker does not say."""


async def ensure_topics(
    settings: KafkaSettings, tiers: Sequence[int] = (), *, patience: float = START_PATIENCE_S
) -> list[TopicFacts]:
    """The topics of messages, user events, receipts, dead letters and retries; the missing ones are made when
    `kafka.create_topics` is on, with `kafka.partitions` and the broker's default replication.

    Waits ``patience`` s for a broker. Raises TopicsError.
    """

    async def ensure(admin: AIOKafkaAdminClient) -> list[TopicFacts]:
        names = _names(settings, tiers)
        known = await _partitions(admin)
        missing = [name for name in names if name not in known]
        if missing and not settings.create_topics:
            raise TopicsError(
                f"missing topics: {', '.join(missing)}; create them, or turn kafka.create_topics on"
            )
        if missing:
            await _create(admin, missing, settings.partitions)
            known = await _appeared(admin, missing)
            log.info("topics_created", topics=missing, partitions=settings.partitions)
        return [TopicFacts(name=name, partitions=known[name], created=name in missing) for name in names]

    return await _with_admin(settings, patience, ensure)


async def describe_topics(
    settings: KafkaSettings, tiers: Sequence[int] = (), *, patience: float = 0.0
) -> list[TopicFacts]:
    """The same topics as they are; changes nothing. Raises TopicsError when there is no broker, or it refuses us."""

    async def describe(admin: AIOKafkaAdminClient) -> list[TopicFacts]:
        known = await _partitions(admin)
        types = await _timestamp_types(admin, [name for name in _names(settings, tiers) if name in known])
        return [
            TopicFacts(name=name, partitions=known.get(name, 0), timestamp_type=types.get(name))
            for name in _names(settings, tiers)
        ]

    return await _with_admin(settings, patience, describe)


def _names(settings: KafkaSettings, tiers: Sequence[int]) -> list[str]:
    topics = settings.topics
    retries = [topics.retry(tier) for tier in tiers]
    ours = [topics.messages, topics.user_events, topics.receipts, topics.dead_letters, *retries]
    return list(dict.fromkeys(ours))


async def _with_admin(
    settings: KafkaSettings, patience: float, work: Callable[[AIOKafkaAdminClient], Awaitable[T]]
) -> T:
    async def connect() -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(**kafka_client_options(settings), request_timeout_ms=15_000)
        try:
            await admin.start()
        except BaseException:
            await admin.close()
            raise
        return admin

    try:
        admin = await patiently("topics", connect, settings, patience)
        try:
            return await work(admin)
        finally:
            await admin.close()
    except ClientOptionsError as error:
        raise TopicsError(str(error)) from error
    except (KafkaError, TimeoutError) as error:
        raise TopicsError(f"Kafka: {sentence(error)}") from error


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """All topics that we may see, without making any: asking for one by name could."""
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics()
        if topic["partitions"]
    }


async def _create(admin: AIOKafkaAdminClient, names: Sequence[str], partitions: int) -> None:
    refused = await _try_to_create(admin, names, partitions, replication=-1)
    unknown = [name for name, error in refused.items() if isinstance(error, InvalidReplicationFactorError)]
    if unknown:  # a broker that knows no default of its own
        refused = {n: e for n, e in refused.items() if n not in unknown}
        refused |= await _try_to_create(admin, unknown, partitions, replication=1)
    for name, error in refused.items():
        if not isinstance(error, TopicAlreadyExistsError):
            raise TopicsError(f"topic {name} could not be created: {sentence(error)}")


async def _try_to_create(
    admin: AIOKafkaAdminClient, names: Sequence[str], partitions: int, replication: int
) -> dict[str, KafkaError]:
    """What was refused, and why."""
    topics = [
        # aiokafka takes -1 only together with (no) explicit replicas
        NewTopic(name, partitions, replication, replica_assignments={} if replication == -1 else None)
        for name in names
    ]
    answer = await admin.create_topics(topics)
    refused: dict[str, KafkaError] = {}
    for name, code, *words in answer.topic_errors:
        kind = for_code(code)
        if kind is not NoError:
            refused[name] = kind(*[word for word in words if word])
    return refused


async def _appeared(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, int]:
    deadline = time.monotonic() + APPEAR_TIMEOUT_S
    while True:
        known = await _partitions(admin)
        missing = [name for name in names if name not in known]
        if not missing:
            return known
        if time.monotonic() > deadline:
            raise TopicsError(f"Kafka took the order for topics {', '.join(missing)}, but they do not appear")
        await asyncio.sleep(0.1)


async def _timestamp_types(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, str]:
    setting = "message.timestamp.type"
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, configs={setting: None}) for name in names]
    if not asked:
        return {}
    try:
        answers = await admin.describe_configs(asked)
    except KafkaError as error:
        log.debug("topic_configs_unknown", why=sentence(error))
        return {}
    found: dict[str, str] = {}
    for answer in answers:
        for _code, _words, _kind, name, entries, *_ in answer.resources:
            for entry in entries:
                if entry[0] == setting and entry[1] is not None:
                    found[name] = entry[1]
    return found
