"""Retries come in when they are due: a partition whose next record is not is paused until it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from pushgw.kafka.client import START_PATIENCE_S
from pushgw.kafka.intake import Intake
from pushgw.messages.retries import not_before_ms
from pushgw.settings import KafkaSettings

GROUP_SUFFIX = ".retries"
"""The retry topics have a consumer group of their own, so that neither group's rebalances stop the other."""


class RetryIntake(Intake):
    """The retry topics as batches of records that are due. All records of a topic wait equally long, so that the first of
    a partition is due first."""

    def __init__(
        self,
        settings: KafkaSettings,
        tiers: Sequence[int],
        *,
        clock: Callable[[], float] = time.time,
        revoke_grace: float = 30.0,
        patience: float = START_PATIENCE_S,
    ) -> None:
        """``tiers``: the waits of the retry topics, s. The rest as in `Intake`."""
        super().__init__(
            settings,
            topics=[settings.topics.retry(tier) for tier in tiers],
            group_id=settings.group_id + GROUP_SUFFIX,
            revoke_grace=revoke_grace,
            patience=patience,
        )
        self._clock = clock
        self._timers: dict[TopicPartition, asyncio.TimerHandle] = {}

    async def close(self) -> None:
        """Forget the timers, commit what is settled and leave the group."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        await super().close()

    def _wanted(self, tp: TopicPartition, fetched: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """Those that are due. The partition goes back to the first that is not, and waits for it."""
        now_ms = self._clock() * 1000
        for index, record in enumerate(fetched):
            due_ms = not_before_ms(record.headers)
            if due_ms > now_ms:
                self._running().seek(tp, record.offset)
                self._wait(tp, (due_ms - now_ms) / 1000)
                return fetched[:index]
        return fetched

    def _wait(self, tp: TopicPartition, seconds: float) -> None:
        self.pause(tp)
        known = self._timers.pop(tp, None)
        if known is not None:
            known.cancel()
        self._timers[tp] = asyncio.get_running_loop().call_later(seconds, self._due, tp)

    def _due(self, tp: TopicPartition) -> None:
        del self._timers[tp]
        self.resume(tp)
