"""The gateway.

A record comes in from Kafka; for every receiver and device it is decided whether a notification may be shown, and
why when it may not; the notification is handed to the device's vendor; what happened is published; and only then does
Kafka forget the record.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from pushgw.credentials import CredentialWatch
from pushgw.dead_tokens import DeadTokens
from pushgw.delivery.decide import HANDED_OVER, Decider
from pushgw.delivery.deferral import resume
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.delivery.ending import Ending
from pushgw.delivery.lane import Lane
from pushgw.delivery.plan import plan
from pushgw.delivery.tally import Tally
from pushgw.delivery.work import Work
from pushgw.good_pushes import GoodPushes
from pushgw.kafka.intake import Batch, Intake, Record
from pushgw.kafka.outlet import Outlet, OutletError
from pushgw.messages.model import Source
from pushgw.patience import Patience
from pushgw.reading import Read, Reader
from pushgw.recalls import Recalls
from pushgw.settings import Settings, Topics
from pushgw.settling import Settler
from pushgw.state.protocol import Admission, StateStore

log = structlog.get_logger()

COMMIT_EVERY_S = 0.2
EXPIRE_EVERY_S = 60.0
REVIEW_EVERY_S = 5.0
IDLE_WAIT_S = 0.5
CANCEL_AGAIN_S = 0.5
CLOSE_S = 20.0
"""As long as the slowest of what is closed here waits for by itself."""


class Gateway:
    """The pipeline of one process. `run` returns after `stop`, when what was in flight is settled or abandoned."""

    def __init__(
        self,
        settings: Settings,
        *,
        intake: Intake,
        outlet: Outlet,
        state: StateStore,
        decider: Decider,
        make_dispatcher: Callable[[Callable[[list[Ending]], None]], Dispatcher],
        retries: Intake | None = None,
        watch: CredentialWatch | None = None,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.perf_counter,
        tally: Tally | None = None,
    ) -> None:
        """``retries``: the retry topics' intake; None where `dispatch.retry_tiers` is empty. ``watch``: of the
        decider's credentials, while the gateway runs."""
        self._settings = settings
        self._intake = intake
        self._retries = retries
        self._intakes = [intake] if retries is None else [intake, retries]
        tiers = settings.dispatch.retry_tiers if retries is not None else ()
        self._tiers = {settings.kafka.topics.retry(tier): tier for tier in tiers}
        self._taking = asyncio.Lock()
        self._watch = watch
        self._outlet = outlet
        self._state = state
        self._decider = decider
        self._clock = clock
        self._stopwatch = stopwatch
        self.tally = tally or Tally()
        self._patience = Patience()
        self._dead_tokens = DeadTokens(
            settings.tokens, state=state, patience=self._patience, tally=self.tally, clock=clock
        )
        self._settler = Settler(
            outlet=outlet,
            state=state,
            patience=self._patience,
            dead_tokens=self._dead_tokens,
            badges=decider.badges,
            tally=self.tally,
            clock=clock,
            dispatch=settings.dispatch,
            remember_shown=settings.policy.recall.overwrite,
            close_record=self._close_record,
            stopwatch=stopwatch,
        )
        self._dispatcher = make_dispatcher(self._settler.ended)
        self._good_pushes = GoodPushes(state, lambda: self._dispatcher.good_pushes)
        self._reader = Reader(settings, self._tiers, unreadable=self._settler.unreadable, tally=self.tally)
        self._recalls = Recalls(
            settings.policy,
            state=state,
            patience=self._patience,
            decider=decider,
            waiting=self._settler.recallable,
            dispatch=self._dispatcher.dispatch,
            clock=clock,
        )
        self._stopping = asyncio.Event()
        self._closing = False

    # --- the sentence, top-down --------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop`. Raises what cannot be mended while running (such as a broker that refuses our login)."""
        await self._outlet.start()
        await asyncio.gather(*(intake.start(self._finish_partitions) for intake in self._intakes))
        pipelines = [self._pipeline(intake) for intake in self._intakes]
        loops = [
            *pipelines,
            self._settle_loop(),
            self._settler.defer_rounds(),
            self._settler.keep_rounds(),
            self._commit_loop(),
            self._expire_loop(),
            self._review_loop(),
            self._good_pushes.run(),
        ]
        if self._watch is not None:
            loops.append(self._watch.run(self._dispatcher.supersede))
        tasks = [asyncio.create_task(loop) for loop in loops]
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            await self._drain()
        finally:
            await _end([stopped, *tasks])
            await self._close()

    async def _pipeline(self, intake: Intake) -> None:
        while not self._stopping.is_set():
            await self._wait_for_room(intake)
            batch = await intake.batch()
            if batch is not None:
                async with self._taking:  # badges are numbered between the store's answer and the decision
                    await self.take(batch)

    async def take(self, batch: Batch) -> None:
        """One batch of records, each through the rooms once: read, admit, decide, plan, dispatch."""
        self._decider.badges.sweep()
        found = self._reader.read(batch.records)
        await self._apply(found)
        self._decide_and_dispatch(await self._admit(found.works))

    def stop(self) -> None:
        """Take no more records; finish what is in flight within ``shutdown.grace``."""
        self._stopping.set()

    # --- events and recalls ------------------------------------------------------------------------------

    async def _apply(self, found: Read) -> None:
        """User events and recalls change what is remembered; they make no receipts."""
        events, recalls, _ = found
        if events:
            flat = [event for _, some in events for event in some]
            await self._patience.ask(lambda: self._state.apply(flat))
            self.tally.user_events += len(events)
        overwriting: set[Source] = set()
        if recalls:
            overwriting = await self._recalls.carry_out(recalls)
            self.tally.recalls += len(recalls)
        for record, _ in (*events, *recalls):
            if record.source not in overwriting:
                self._close_record(record)

    # --- admit -------------------------------------------------------------------------------------------

    async def _admit(self, works: list[Work]) -> list[tuple[Work, Admission]]:
        """One round trip to the store for all messages of the batch."""
        asked: list[Work] = []
        questions = []
        for work in works:
            try:
                question = self._decider.ask(work.message, work.source, work.created_ms)
            except Exception as error:  # noqa: BLE001  as in Reader
                self._reader.poisoned(work.record, error)
                continue
            work.tombstones = question.tombstones
            asked.append(work)
            questions.append(question)
        if not asked:
            return []
        started = self._stopwatch()
        admissions = await self._patience.ask(lambda: self._state.admit(questions, self._clock()))
        self.tally.state_latency["admit"].observe(self._stopwatch() - started)
        return list(zip(asked, admissions, strict=True))

    # --- decide, plan, dispatch --------------------------------------------------------------------------

    def _decide_and_dispatch(self, admitted: list[tuple[Work, Admission]]) -> None:
        shipments = []
        now = self._clock()
        pushes = 0
        for work, admission in admitted:
            if admission.settled:
                self._close_record(work.record)
                continue
            expired: list[Ending] = []
            try:
                if work.returning is None or work.returning.targets is None:
                    decision = self._decider.decide(work.message, admission, now, attempt=work.attempt)
                else:
                    decision, expired = resume(self._decider, work, admission, now)
                planned = plan(work, work.source, decision.deliveries, work.attempt)
            except Exception as error:  # noqa: BLE001  as in Reader
                self._reader.poisoned(work.record, error)
                continue
            work.deferred = _handed_over_before(admission)
            work.open = len(decision.deliveries) + len(decision.suppressions) + len(expired)
            if work.open == 0:
                self._close_record(work.record)
                continue
            if planned:
                if work.returning is None:
                    pushes += len(decision.deliveries)
                work.shipments = planned
                work.badged = decision.badged
                for key in work.tombstones:
                    self._settler.recallable[key] = work
                shipments += planned
            if decision.suppressions:
                self._settler.suppressed(work, decision.suppressions)
            if expired:
                self._settler.ended(expired)
        self.tally.decided_push += pushes
        first_time = [work.record.timestamp_ms for work, _ in admitted if work.returning is None]
        self.tally.decide_latency.observe_since_ms(int(now * 1000), first_time)
        self._dispatcher.dispatch(shipments)

    # --- the record's life -------------------------------------------------------------------------------

    def _close_record(self, record: Record) -> None:
        """The record is done with: Kafka may forget it."""
        intake = self._intake if record.source.topic not in self._tiers else self._retries
        assert intake is not None  # noqa: S101  tiers are only known where there is an intake of them
        intake.settle(record)

    # --- waiting -----------------------------------------------------------------------------------------

    @property
    def health(self) -> dict[str, str]:
        """``kafka``, ``state`` and ``receipts``: for each the word ok, or one sentence on what is in the way."""
        troubles = self.troubles
        kafka = [intake.healthy for intake in self._intakes]
        return {
            "kafka": next((said for said in kafka if said != "ok"), "ok"),
            "state": troubles.get("state", "ok"),
            "receipts": troubles.get("receipts") or troubles.get("retries") or self._outlet.healthy,
        }

    @property
    def troubles(self) -> dict[str, str]:
        """What does not move at the moment: "state", "receipts" or "retries" -> one sentence. Empty when all is well."""
        return self._patience.troubles

    async def publish(self, receipts: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Put receipts of what vendors told later on their topic; returns when all are acknowledged. Raises OutletError."""
        if self._closing:
            raise OutletError("the gateway is stopping")
        await self._outlet.publish(receipts)
        self.tally.receipts += len(receipts)

    @property
    def lanes(self) -> Mapping[int, Lane]:
        """The lanes opened so far, by credential."""
        return self._dispatcher.lanes

    @property
    def repeats(self) -> int:
        """Requests that lanes sent again in place."""
        return self._dispatcher.repeats

    @property
    def good_pushes(self) -> dict[int, float]:
        """Credential -> when a push of it was last accepted, epoch s."""
        return self._good_pushes.times

    @property
    def lost(self) -> int:
        """Records that were deleted before they were read."""
        return sum(intake.lost for intake in self._intakes)

    @property
    def paused(self) -> bool:
        """Whether intake waits until some of what is in flight is settled."""
        return self._intake.paused

    @property
    def partitions(self) -> dict[tuple[str, int], int | None]:
        """The (topic, partition) pairs that are ours -> how many records each is behind; None where not known yet."""
        return {tp: lag for intake in self._intakes for tp, lag in intake.known_lag().items()}

    @property
    def tiers(self) -> tuple[int, ...]:
        """Waits of the retry topics, s."""
        return tuple(self._tiers.values())

    @property
    def topics(self) -> Topics:
        """Their names."""
        return self._settings.kafka.topics

    @property
    def open_records(self) -> int:
        """Records taken and not yet settled."""
        return self._in_flight()

    async def _wait_for_room(self, intake: Intake) -> None:
        """Too much in flight: stop fetching until some of it is settled. What waits in a lane does not count: a lane
        has a bound of its own, and a slow one does not hold up the others.

        So with lanes that all have enough to do: what would wait for them falls out of the processor's cache.
        """
        busy = self._dispatcher.busy
        if not busy and self.open_records - self._dispatcher.open < self._settings.dispatch.backlog:
            intake.resume_all()
            return
        intake.pause_all()
        await self._settler.moved(IDLE_WAIT_S)

    def _in_flight(self, partitions: set[tuple[str, int]] | None = None) -> int:
        return sum(intake.in_flight(partitions) for intake in self._intakes)

    async def _finish_partitions(self, partitions: set[tuple[str, int]]) -> None:
        """Before partitions are given up: wait for what is in flight of them, but not for ever. What is left is
        abandoned: its next owner gets it again, with the same vendor-side ids."""
        deadline = asyncio.get_running_loop().time() + self._settings.shutdown.grace
        while not self._closing and self._in_flight(partitions) > 0:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self._settler.moved(left):
                break

    async def _drain(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._settings.shutdown.grace
        while self.open_records > 0:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self._settler.moved(left):
                log.warning(
                    "abandoned",
                    records=self.open_records,
                    why="shutdown.grace is over; they are delivered again",
                )
                break
        await self._commit()
        await self._good_pushes.note()

    async def _settle_loop(self) -> None:
        await self._dead_tokens.restore()
        await self._settler.publish_rounds()

    async def _commit_loop(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        for intake in self._intakes:
            await intake.commit()

    async def _expire_loop(self) -> None:
        while True:
            await self._patience.ask(lambda: self._state.expire(self._clock()))
            self.tally.claims_held = await self._patience.ask(self._state.claims_held)
            gc.collect()  # cycles are rare here; `pushgw run` turns the automatic collector off
            await asyncio.sleep(EXPIRE_EVERY_S)

    async def _review_loop(self) -> None:
        """What an operator decides about held tokens is heard here."""
        while True:
            await asyncio.sleep(REVIEW_EVERY_S)
            await self._dead_tokens.look_again()

    async def _close(self) -> None:
        self._closing = True  # leaving the group revokes our partitions: there is nobody left to wait for
        await _within("connections to vendors", self._dispatcher.close())
        await asyncio.gather(*(_within("consumer", intake.close()) for intake in self._intakes))
        await _within("producer", self._outlet.close())


async def _within(what: str, closing: Awaitable[None]) -> None:
    """All is settled or abandoned: what cannot be closed must not keep the process from ending."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await closing
    except TimeoutError:
        log.error("not_closed", what=what, after_s=CLOSE_S, so="the process ends without it")


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are gone. Once is not enough: a cancellation that meets an answer on its way in a client's
    call can be swallowed there, and the task goes on as if nothing had been said."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def _handed_over_before(admission: Admission) -> bool:
    """Whether an earlier delivery of the record handed pushes to a retry topic: the record is not settled without them."""
    for facts in admission.receivers:
        if facts.done and any(HANDED_OVER in mark for mark in facts.done):
            return True
    return False
