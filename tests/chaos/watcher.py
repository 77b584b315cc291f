"""Watches the group's committed offsets from outside, and beside each look the ends of the topics that gateways write."""

from __future__ import annotations

import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pushgw.kafka.retry_intake import GROUP_SUFFIX
from pushgw.settings import KafkaSettings
from tests.chaos.history import Sample

EVERY_S = 0.25
ASK_S = 5.0


class Watcher:
    """`run` takes samples until it is cancelled; a broker that is away is asked again."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self.samples: list[Sample] = []

    async def run(self) -> None:
        """Sample after sample."""
        try:
            while True:
                try:
                    async with asyncio.timeout(ASK_S):
                        self._keep(await self.sample())
                except (KafkaError, TimeoutError, OSError):
                    await self.close()
                await asyncio.sleep(EVERY_S)
        finally:
            await self.close()

    async def sample(self) -> Sample:
        """One look. The order of its two questions is what makes the judgement on commits sound."""
        admin, consumer = await self._clients()
        offsets = await self._committed(admin)
        committed = {f"{tp.topic}/{tp.partition}": offset for tp, offset in offsets.items()}
        ends = await consumer.end_offsets([tp for tp in await partitions(admin) if self._is_output(tp.topic)])
        return Sample(time.time(), committed, {f"{tp.topic}/{tp.partition}": end for tp, end in ends.items()})

    async def behind(self) -> int:
        """Offsets of our inputs that are not committed. Raises KafkaError."""
        admin, consumer = await self._clients()
        known = await self._committed(admin)
        topics = self._kafka.topics
        inputs = (topics.messages, topics.user_events)
        ends = await consumer.end_offsets(
            [
                tp
                for tp in await partitions(admin)
                if tp.topic in inputs or tp.topic.startswith(f"{topics.retries}.")
            ]
        )
        return sum(max(0, end - known.get(tp, 0)) for tp, end in ends.items())

    async def close(self) -> None:
        """Let go of the broker; the next look connects again."""
        admin, consumer = self._admin, self._consumer
        self._admin = self._consumer = None
        for client in (admin.close() if admin else None, consumer.stop() if consumer else None):
            if client is None:
                continue
            try:
                async with asyncio.timeout(ASK_S):
                    await client
            except (KafkaError, TimeoutError, OSError):
                pass  # it is being thrown away

    async def _committed(self, admin: AIOKafkaAdminClient) -> dict[TopicPartition, int]:
        """Of both groups: the retry topics have one of their own."""
        found: dict[TopicPartition, int] = {}
        for group in (self._kafka.group_id, self._kafka.group_id + GROUP_SUFFIX):
            offsets = await admin.list_consumer_group_offsets(group)
            found |= {tp: known.offset for tp, known in offsets.items() if known.offset >= 0}
        return found

    def _keep(self, sample: Sample) -> None:
        last = self.samples[-1] if self.samples else None
        if last is None or (last.committed, last.ends) != (sample.committed, sample.ends):
            self.samples.append(sample)

    def _is_output(self, name: str) -> bool:
        topics = self._kafka.topics
        return name in (topics.receipts, topics.dead_letters) or name.startswith(f"{topics.retries}.")

    async def _clients(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        if self._admin is None:
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self._kafka.bootstrap_servers, request_timeout_ms=4000
            )
            self._admin = admin
            await admin.start()
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._kafka.bootstrap_servers,
                enable_auto_commit=False,
                request_timeout_ms=4000,
            )
            self._consumer = consumer
            await consumer.start()
        return self._admin, self._consumer


async def partitions(admin: AIOKafkaAdminClient) -> list[TopicPartition]:
    """All partitions of all topics."""
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics()
        for partition in topic["partitions"]
    ]
