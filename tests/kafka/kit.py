"""What tests of the Kafka floor do to a broker from outside, whichever broker it is. Loaded by path."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from pushgw.kafka.intake import Intake, Record
from pushgw.settings import KafkaSettings, Topics


def settings_of(servers: str, **more: object) -> KafkaSettings:
    """Settings with topics and a group that nobody else uses."""
    mark = uuid.uuid4().hex[:8]
    topics = Topics(
        messages=f"m-{mark}",
        user_events=f"u-{mark}",
        receipts=f"r-{mark}",
        retries=f"t-{mark}",
        dead_letters=f"d-{mark}",
    )
    given: dict[str, object] = {"partitions": 4} | more
    return KafkaSettings(bootstrap_servers=servers, group_id=f"g-{mark}", topics=topics, **given)  # type: ignore[arg-type]


class Kit:
    """What the tests do to Kafka from outside."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings

    async def produce(self, topic: str, values: list[bytes], partition: int | None = None) -> None:
        """Values on a topic, in order; keyless."""
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap_servers)
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(topic, value, partition=partition)
        finally:
            await producer.stop()

    async def read(self, topic: str, count: int) -> list[ConsumerRecord]:
        """The first ``count`` records of a topic, of all partitions; fails after 20 s."""
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.settings.bootstrap_servers, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: list[ConsumerRecord] = []
        try:
            async with asyncio.timeout(20):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
        finally:
            await consumer.stop()
        return found

    async def committed(self, topic: str, partition: int) -> int | None:
        """What the group has committed, as the broker knows it."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers,
            group_id=self.settings.group_id,
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            offset: int | None = await consumer.committed(TopicPartition(topic, partition))
            return offset
        finally:
            await consumer.stop()

    async def take(self, intake: Intake, count: int) -> list[Record]:
        """Records from an intake until there are ``count``; fails after 20 s."""
        found: list[Record] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                batch = await intake.batch()
                if batch is not None:
                    found += batch.records
        return found

    async def until(self, true: Callable[[], bool], *intakes: Intake) -> None:
        """Poll intakes (records that come are an error) until something is true; fails after 20 s."""
        async with asyncio.timeout(20):
            while not true():
                for batch in await asyncio.gather(*(intake.batch() for intake in intakes)):
                    assert batch is None, "no record was expected"
