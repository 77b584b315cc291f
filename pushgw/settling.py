"""The last room: receipts are published, done marks written, and only then may Kafka forget the record."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import msgspec
import structlog

from pushgw.dead_tokens import DeadTokens, Verdict
from pushgw.delivery.badges import BadgeBook
from pushgw.delivery.decide import Suppression
from pushgw.delivery.deferral import Deferred, Retry
from pushgw.delivery.ending import End, Ending
from pushgw.delivery.report import Keyed, receipt_of_ending, receipt_of_suppression
from pushgw.delivery.tally import Tally
from pushgw.delivery.work import DeadLetter, Work
from pushgw.kafka.intake import Record
from pushgw.kafka.outlet import Outlet, OutletError
from pushgw.patience import Patience
from pushgw.settings import DispatchSettings
from pushgw.state.protocol import Raise, Settlement, Shown, StateStore

log = structlog.get_logger()
T = TypeVar("T")

DEFERRALS_IN_A_ROUND = 64
"""A vendor's outage defers thousands of pushes in the same moment: the others get their turn in between."""
_PUSHED = End.PUSHED
_DEFERRED = End.DEFERRED
_NO_TOKEN: Verdict = ("", "")


class _Told(msgspec.Struct, frozen=True):
    """What is acknowledged of a round: what the store and the ledger are to be told of it."""

    settlements: list[Settlement]
    over: list[Work]
    """Nothing of them is open any more."""
    letters: Sequence[DeadLetter]
    shown: Sequence[Shown]
    now: float


class Settler:
    """Gathers what has ended while the last round is under way, and settles it in one go.

    Three loops, side by side: receipts and dead letters out (`publish_rounds`); deferred pushes out to the retry topics
    (`defer_rounds`), for which no receipt waits; behind both, marks and ledger (`keep_rounds`). A work is closed in parts,
    each when it is acknowledged: no mark is ever ahead of its receipt or retry record.
    """

    def __init__(
        self,
        *,
        outlet: Outlet,
        state: StateStore,
        patience: Patience,
        dead_tokens: DeadTokens,
        badges: BadgeBook,
        tally: Tally,
        clock: Callable[[], float],
        dispatch: DispatchSettings,
        remember_shown: bool,
        close_record: Callable[[Record], None],
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._outlet = outlet
        self._state = state
        self._patience = patience
        self._dead_tokens = dead_tokens
        self._badges = badges
        self._tally = tally
        self._clock = clock
        self._dispatch = dispatch
        self._remembers_shown = remember_shown
        self._close_record = close_record
        self._stopwatch = stopwatch
        self._endings: list[Ending] = []
        self._suppressed: list[tuple[Work, list[Suppression]]] = []
        self._letters: list[DeadLetter] = []
        self._waiting = asyncio.Event()
        """One of these three has something in it."""
        self._deferred: list[Ending] = []
        self._deferring = asyncio.Event()
        self._telling = asyncio.Lock()
        """Rounds are told in the order in which they close their works."""
        self._told: asyncio.Queue[_Told] = asyncio.Queue(1)
        self._progress = asyncio.Event()
        self.recallable: dict[str, Work] = {}
        """Works in hand by their tombstone keys: a recall finds what still waits."""

    # --- what comes in -----------------------------------------------------------------------------------

    def ended(self, endings: list[Ending]) -> None:
        """What lanes have done."""
        deferred = [ending for ending in endings if ending.end is _DEFERRED]
        if deferred:
            self._deferred += deferred
            self._deferring.set()
            endings = [ending for ending in endings if ending.end is not _DEFERRED]
        if endings:
            self._endings += endings
            self._waiting.set()

    def suppressed(self, work: Work, suppressions: list[Suppression]) -> None:
        """What the policy has held back."""
        self._suppressed.append((work, suppressions))
        self._waiting.set()

    def unreadable(self, letter: DeadLetter) -> None:
        """What goes to the dead letters."""
        self._letters.append(letter)
        self._waiting.set()

    # --- rounds ------------------------------------------------------------------------------------------

    async def publish_rounds(self) -> None:
        """Round after round, until cancelled: receipts and dead letters, acknowledged."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            endings, self._endings = self._endings, []
            suppressed, self._suppressed = self._suppressed, []
            letters, self._letters = self._letters, []
            await self._publish(endings, suppressed, letters)

    async def defer_rounds(self) -> None:
        """Likewise: deferred pushes, to the retry topics."""
        while True:
            await self._deferring.wait()
            self._deferring.clear()
            endings, self._deferred = _portion(self._deferred)
            if self._deferred:
                self._deferring.set()
            await self._defer(endings)

    async def keep_rounds(self) -> None:
        """Behind them, until cancelled: done marks, then the ledger. A crash in between repeats, never loses one."""
        while True:
            await self._keep(await self._told.get())
            self._progress.set()

    async def moved(self, timeout: float) -> bool:
        """Wait until a round has ended; False when none has within ``timeout`` s."""
        self._progress.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._progress.wait(), timeout)
            return True
        return False

    async def _publish(
        self,
        endings: list[Ending],
        suppressed: list[tuple[Work, list[Suppression]]],
        letters: list[DeadLetter],
    ) -> None:
        """Receipts and dead letters, at once. While the broker does not take them, nothing of this round is closed."""
        now = self._clock()
        tokens = await self._dead_tokens.judge(endings, now) if endings else {}
        receipts = self._receipts(endings, suppressed, tokens, now)
        sending = []
        if receipts:
            sending.append(self._sent(lambda: self._outlet.publish(receipts)))
        if letters:
            buried = [(letter.record, letter.headers) for letter in letters]
            sending.append(self._sent(lambda: self._outlet.dead_letters(buried)))
        await asyncio.gather(*sending)
        self._tally.receipts += len(receipts)
        self._tally.dead_letters.update([letter.code for letter in letters])
        self._observe(endings, suppressed)
        async with self._telling:
            works = _closed(endings, suppressed)
            shown = _shown(endings) if self._remembers_shown else []
            await self._told.put(_to_keep(works, now, letters, shown))

    async def _defer(self, endings: list[Ending]) -> None:
        """A retry for each record and tier. What cannot be tried again later ends now, and is told of in a receipt."""
        now = self._clock()
        deferred = Deferred(self._dispatch)
        ends = [end for ending in endings if (end := deferred.take(ending, now)) is not None]
        retries = deferred.retries(now)
        if retries:
            rows = [(retry.tier, retry.record, retry.headers) for retry in retries]
            too_large = await self._sent(lambda: self._outlet.retries(rows), "retries")
            for index, why in too_large.items():
                ends += [_given_up(ending, why) for ending in retries[index].endings]
            retries = [retry for n, retry in enumerate(retries) if n not in too_large]
        if ends:
            self.ended(ends)
        if retries:
            self._note_retries(retries)
            async with self._telling:
                await self._told.put(_to_keep(_handed_over(retries), now))

    async def _keep(self, told: _Told) -> None:
        """The second half."""
        if told.settlements:
            started = self._stopwatch()
            await self._patience.ask(lambda: self._state.settle(told.settlements, told.now))
            self._tally.state_latency["settle"].observe(self._stopwatch() - started)
        if told.shown:
            await self._patience.ask(lambda: self._state.show(told.shown, told.now))
        for work in told.over:
            self._forget(work)
        for letter in told.letters:
            self._close_record(letter.record)

    def _receipts(
        self,
        endings: list[Ending],
        suppressed: list[tuple[Work, list[Suppression]]],
        tokens: dict[int, Verdict],
        now: float,
    ) -> list[Keyed]:
        """A receipt for each receiver and device that has ended."""
        receipts: list[Keyed] = []
        for work, suppressions in suppressed:
            for suppression in suppressions:
                receipts.append(receipt_of_suppression(work, suppression, now))
                self._tally.suppressed[suppression.reason.code] += 1
        for ending in endings:
            work = ending.parcel.work
            receipts.append(receipt_of_ending(work, ending, tokens.get(id(ending), _NO_TOKEN), now))
        self._tally.ended(endings)
        return receipts

    def _observe(self, ended: list[Ending], suppressed: list[tuple[Work, list[Suppression]]]) -> None:
        """How long it took from the first record to the receipts."""
        works = [ending.parcel.work for ending in ended]
        for work, suppressions in suppressed:
            works += [work] * len(suppressions)
        stamps = [w.record.timestamp_ms if w.returning is None else w.first_seen_ms for w in works]
        self._tally.receipt_latency.observe_since_ms(int(self._clock() * 1000), stamps)

    async def _sent(self, call: Callable[[], Awaitable[T]], where: str = "receipts") -> T:
        return await self._patience.ask(call, where, OutletError)

    def _note_retries(self, retries: list[Retry]) -> None:
        by_tier = Counter({retry.tier: 0 for retry in retries})
        for retry in retries:
            by_tier[retry.tier] += len(retry.endings)
        self._tally.retries.update(by_tier)
        names = retries[0].names if len(retries) == 1 else {}
        log.info("deferred", pushes_by_wait_s=dict(by_tier), **names)

    def _forget(self, work: Work) -> None:
        """All of the work is settled: its record may go, when it has no sibling left."""
        for key in work.tombstones:
            self.recallable.pop(key, None)
        for user in work.badged:
            self._badges.release(work.message.app, user)
        work.shipments = []  # its parcels point back at it: what is settled is freed without the collector
        if not work.recall:
            self._close_record(work.record)
        elif all(sibling.open == 0 for sibling in work.siblings):
            self._close_record(work.record)
            work.siblings.clear()  # the list is theirs in common


def _portion(endings: list[Ending]) -> tuple[list[Ending], list[Ending]]:
    """What a round takes, and what waits for the next. Those of one work stay together where they follow each other, since
    each retry record carries the whole message."""
    cut = DEFERRALS_IN_A_ROUND
    while cut < len(endings) and endings[cut].parcel.work is endings[cut - 1].parcel.work:
        cut += 1
    return endings[:cut], endings[cut:]


def _closed(endings: list[Ending], suppressed: list[tuple[Work, list[Suppression]]]) -> list[Work]:
    """Close what the round's receipts have told; the works that it belongs to."""
    works: dict[int, Work] = {}
    for work, suppressions in suppressed:
        works[id(work)] = work
        for suppression in suppressions:
            device = suppression.device
            work.close_one(suppression.user or "", device.device_id if device else suppression.device_id)
    for ending in endings:
        parcel = ending.parcel
        work = parcel.work
        works[id(work)] = work
        work.close_one(parcel.user, parcel.device.device_id)
        if parcel.counts and ending.end is _PUSHED and parcel.user not in work.raised:
            work.raises[parcel.user] = parcel.unread
            work.raised.add(parcel.user)
    return list(works.values())


def _handed_over(retries: list[Retry]) -> list[Work]:
    """Close what has gone to the retry topics; the works that it belongs to."""
    works: dict[int, Work] = {}
    for retry in retries:
        for ending in retry.endings:
            parcel = ending.parcel
            works[id(parcel.work)] = parcel.work
            parcel.work.hand_over(parcel.user, parcel.device.device_id)
    return list(works.values())


def _to_keep(
    works: list[Work], now: float, letters: Sequence[DeadLetter] = (), shown: Sequence[Shown] = ()
) -> _Told:
    """Put down at once, before the next round closes more of the same works."""
    return _Told(
        settlements=[_settlement(work) for work in works],
        over=[work for work in works if work.open == 0],
        letters=letters,
        shown=shown,
        now=now,
    )


def _given_up(ending: Ending, why: str) -> Ending:
    said = f"{ending.detail}; not tried again: {why}" if ending.detail else why
    return msgspec.structs.replace(ending, end=End.GIVEN_UP, detail=said)


def _shown(endings: list[Ending]) -> list[Shown]:
    """What devices show now, so that a recall can overwrite it."""
    return [
        Shown(work.tombstone_of(e.parcel.user), e.parcel.user, e.parcel.device.device_id)
        for e in endings
        if e.end is _PUSHED and (work := e.parcel.work).tombstones
    ]


def _settlement(work: Work) -> Settlement:
    """What is new of this record since its last settlement."""
    app = work.message.app
    raises = tuple([Raise(app=app, user=user, to=to) for user, to in work.raises.items()])
    if work.open == 0 and work.whole:
        return Settlement(source=work.source, complete=True, raises=raises)
    done = tuple(work.closed)
    work.raises = {}
    work.closed = []
    return Settlement(source=work.source, done=done, complete=False, raises=raises)
