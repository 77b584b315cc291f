"""Publishes the script at an even pace, and keeps what Kafka acknowledged."""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer

from pushgw.messages.key import record_key
from pushgw.settings import KafkaSettings
from tests.chaos.history import Published
from tests.chaos.reader import NUMBER
from tests.chaos.script import Script

TICK_S = 0.05
LINGER_MS = 5
PATIENCE_MS = 60_000
"""A batch is repeated so long while the broker is away."""


class Publisher:
    """The IM backend. Idempotent: Kafka holds each record once."""

    def __init__(self, kafka: KafkaSettings, script: Script) -> None:
        self._kafka = kafka
        self._script = script
        self.published: list[Published] = []
        self.unacknowledged = 0
        self.handed_over = 0

    async def __aenter__(self) -> Publisher:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._kafka.bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            request_timeout_ms=PATIENCE_MS,
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def user_events(self, events: list[dict[str, Any]]) -> None:
        """All of them, acknowledged."""
        topic = self._kafka.topics.user_events
        values = [json.dumps(event).encode() for event in events]
        sent = [await self._producer.send(topic, value, key=record_key(value)) for value in values]
        await asyncio.gather(*sent)

    async def records(self, count: int, duration: float) -> None:
        """Records 0 to ``count`` within ``duration`` s, or as fast as Kafka takes them."""
        start = time.monotonic()
        while self.handed_over < count:
            due = min(count, int((time.monotonic() - start) / duration * count) + 1)
            while self.handed_over < due:
                await self._send(self.handed_over)
                self.handed_over += 1
            await asyncio.sleep(TICK_S)
        await self._producer.flush()

    async def _send(self, number: int) -> None:
        value = self._script.draft(number).value
        future = await self._producer.send(
            self._kafka.topics.messages,
            value,
            key=record_key(value) or b"broken",
            headers=[(NUMBER, b"%d" % number)],
        )
        future.add_done_callback(partial(self._acknowledged, number))

    def _acknowledged(self, number: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            self.unacknowledged += 1
            return
        where = future.result()
        place = (where.topic, where.partition, where.offset)
        self.published.append(Published(number, place, time.time()))
