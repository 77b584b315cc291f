"""Retries come in when they are due: a partition whose next record is not is paused until it is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from pushgw.kafka.client import START_PATIENCE_S
from pushgw.kafka.intake import Intake
from pushgw.kafka.record import Batch
from pushgw.messages.retries import not_before_ms
from pushgw.settings import KafkaSettings

MOST_AT_ONCE = 64
"""Records in one batch. After an outage thousands are due in the same moment: in small batches they let new messages pass."""
REST = 3.0
"""After a full batch retries rest so many times as long as it took: new messages find most of the way free."""
LONGEST_REST_S = 0.2
GATHER_S = 0.05
"""What is due within so long comes in one batch: nobody notices it behind a wait of seconds, and a batch is cheap."""
FETCH_BYTES = 128 * 1024
"""Of each partition at once. It waits here until it is due, and there are many partitions: those of every tier."""
GROUP_SUFFIX = ".retries"
"""The retry topics have a consumer group of their own, so that neither group's rebalances stop the other."""


class RetryIntake(Intake):
    """The retry topics as batches of records that are due.

    All records of a topic wait equally long, so that the first of a partition is due first. What was fetched and is not
    due is kept here, unopened: to seek back to it would fetch it again and again.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        tiers: Sequence[int],
        *,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.perf_counter,
        revoke_grace: float = 30.0,
        patience: float = START_PATIENCE_S,
    ) -> None:
        """``tiers``: the waits of the retry topics, s. ``clock``: epoch s; ``stopwatch``: s. The rest as in `Intake`."""
        super().__init__(
            settings,
            topics=[settings.topics.retry(tier) for tier in tiers],
            group_id=settings.group_id + GROUP_SUFFIX,
            revoke_grace=revoke_grace,
            patience=patience,
            fetch_bytes=FETCH_BYTES,
        )
        self._clock = clock
        self._stopwatch = stopwatch
        self._waiting: dict[TopicPartition, deque[ConsumerRecord]] = {}
        """Fetched, not due, not opened; their partitions are paused. At most one fetch of each partition."""
        self._handed_out = 0
        """Records in the last batch."""
        self._handed_at = 0.0

    async def batch(self) -> Batch | None:
        """As `Intake.batch`, after a rest; what has waited here and is due comes first."""
        await self._rest()
        batch = await self._next()
        self._handed_out = 0 if batch is None else len(batch.records)
        self._handed_at = self._stopwatch()
        return batch

    async def _rest(self) -> None:
        if self._handed_out >= MOST_AT_ONCE:
            took = self._stopwatch() - self._handed_at
            await asyncio.sleep(min(REST * took, LONGEST_REST_S))
        elif self._handed_out:
            await asyncio.sleep(GATHER_S)

    async def _next(self) -> Batch | None:
        if self._waiting and not self._all_paused:
            due = self._due()
            if due:
                return Batch(self._open(due))
        return await super().batch()

    def _wanted(
        self, found: dict[TopicPartition, list[ConsumerRecord]]
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Those that are due; the rest waits here, and its partition with it."""
        for tp, fetched in found.items():
            self._waiting.setdefault(tp, deque()).extend(fetched)
            self.pause(tp)
        return self._due()

    def _due(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Taken from what waits, in its order, what is due longest first; a partition of which nothing is left is fetched again."""
        now_ms = self._clock() * 1000
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        room = MOST_AT_ONCE
        for tp in sorted(self._waiting, key=self._first_due_ms):
            waiting = self._waiting[tp]
            due: list[ConsumerRecord] = []
            while room and waiting and not_before_ms(waiting[0].headers) <= now_ms:
                due.append(waiting.popleft())
                room -= 1
            if due:
                found[tp] = due
            if not waiting:
                del self._waiting[tp]
                self.resume(tp)
        return found

    def _first_due_ms(self, tp: TopicPartition) -> float:
        return not_before_ms(self._waiting[tp][0].headers)

    async def _assigned(self, partitions: set[TopicPartition]) -> None:
        """Every partition begins at its committed offset again, which is before all that waits here."""
        self._waiting.clear()
        self._paused.clear()
        await super()._assigned(partitions)
