"""The last room: receipts are published, done marks written, and only then may Kafka forget the record."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
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
"""A vendor's outage defers thousands of pushes in the same moment: receipts of the others do not wait for all of them."""
_PUSHED = End.PUSHED
_DEFERRED = End.DEFERRED
_NO_TOKEN: Verdict = ("", "")


class _Told(msgspec.Struct, frozen=True):
    """A round whose receipts are acknowledged: what the store and the ledger are to be told of it."""

    settlements: list[Settlement]
    over: list[Work]
    """Nothing of them is open any more."""
    letters: list[DeadLetter]
    shown: list[Shown]
    now: float


class Settler:
    """Gathers what has ended while the last round is under way, and settles it in one go.

    A round has two halves, each a loop of its own: receipts out (`publish_rounds`), then marks and ledger (`keep_rounds`).
    While the store writes one round's marks, the next round's receipts are on their way.
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
        self._told: asyncio.Queue[_Told] = asyncio.Queue(1)
        self._progress = asyncio.Event()
        self.recallable: dict[str, Work] = {}
        """Works in hand by their tombstone keys: a recall finds what still waits."""

    # --- what comes in -----------------------------------------------------------------------------------

    def ended(self, endings: list[Ending]) -> None:
        """What lanes have done."""
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
        """Round after round, until cancelled: receipts, dead letters and retries, acknowledged."""
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            endings, self._endings = _portion(self._endings)
            if self._endings:
                self._waiting.set()
            suppressed, self._suppressed = self._suppressed, []
            letters, self._letters = self._letters, []
            await self._told.put(await self._tell(endings, suppressed, letters))

    async def keep_rounds(self) -> None:
        """Behind it, until cancelled: done marks, then the ledger. A crash in between repeats, never loses one."""
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

    async def _tell(
        self,
        endings: list[Ending],
        suppressed: list[tuple[Work, list[Suppression]]],
        letters: list[DeadLetter],
    ) -> _Told:
        """The first half. What the store is to be told is put down here, before the next round adds to the same works."""
        now = self._clock()
        tokens = await self._dead_tokens.judge(endings, now) if endings else {}
        receipts, works, retries, ended = self._report(endings, suppressed, tokens, now)
        await self._publish(receipts, letters, retries)
        self._observe(ended, suppressed)
        return _Told(
            settlements=[_settlement(work) for work in works],
            over=[work for work in works if work.open == 0],
            letters=letters,
            shown=_shown(endings) if self._remembers_shown else [],
            now=now,
        )

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

    def _report(
        self,
        endings: list[Ending],
        suppressed: list[tuple[Work, list[Suppression]]],
        tokens: dict[int, Verdict],
        now: float,
    ) -> tuple[list[Keyed], list[Work], list[Retry], list[Ending]]:
        """A receipt for each receiver and device that has ended, the works that they belong to, what is deferred, and the
        endings that are ends."""
        receipts: list[Keyed] = []
        deferred = Deferred(self._dispatch)
        ended: list[Ending] = []
        works: dict[int, Work] = {}
        for work, suppressions in suppressed:
            works[id(work)] = work
            for suppression in suppressions:
                receipts.append(receipt_of_suppression(work, suppression, now))
                device = suppression.device
                work.close_one(suppression.user or "", device.device_id if device else suppression.device_id)
                self._tally.suppressed[suppression.reason.code] += 1
        for ending in endings:
            parcel = ending.parcel
            work = parcel.work
            works[id(work)] = work
            if ending.end is _DEFERRED:
                otherwise = deferred.take(ending, now)
                if otherwise is None:
                    work.hand_over(parcel.user, parcel.device.device_id)
                    continue
                ending = otherwise
            ended.append(ending)
            receipts.append(receipt_of_ending(work, ending, tokens.get(id(ending), _NO_TOKEN), now))
            work.close_one(parcel.user, parcel.device.device_id)
            if parcel.counts and ending.end is _PUSHED and parcel.user not in work.raised:
                work.raises[parcel.user] = parcel.unread
                work.raised.add(parcel.user)
        self._tally.ended(ended)
        return receipts, list(works.values()), deferred.retries(now) if deferred else [], ended

    def _observe(self, ended: list[Ending], suppressed: list[tuple[Work, list[Suppression]]]) -> None:
        """How long it took from the first record to the receipts."""
        works = [ending.parcel.work for ending in ended]
        for work, suppressions in suppressed:
            works += [work] * len(suppressions)
        stamps = [w.record.timestamp_ms if w.returning is None else w.first_seen_ms for w in works]
        self._tally.receipt_latency.observe_since_ms(int(self._clock() * 1000), stamps)

    async def _publish(self, receipts: list[Keyed], letters: list[DeadLetter], retries: list[Retry]) -> None:
        """Acknowledged, all of it at once. While the broker does not take them, nothing advances."""
        sending = []
        if receipts:
            sending.append(self._sent(lambda: self._outlet.publish(receipts)))
        if letters:
            buried = [(letter.record, letter.headers) for letter in letters]
            sending.append(self._sent(lambda: self._outlet.dead_letters(buried)))
        if retries:
            sending.append(self._hand_over(retries))
        await asyncio.gather(*sending)
        self._tally.receipts += len(receipts)
        self._tally.dead_letters.update([letter.code for letter in letters])

    async def _sent(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._patience.ask(call, "receipts", OutletError)

    async def _hand_over(self, retries: list[Retry]) -> None:
        """To the retry topics. What is larger than its topic takes will never fit: its pushes end, told in the next round."""
        rows = [(retry.tier, retry.record, retry.headers) for retry in retries]
        too_large = await self._sent(lambda: self._outlet.retries(rows))
        for index, why in too_large.items():
            ended = retries[index].endings
            for ending in ended:
                ending.parcel.work.take_back(ending.parcel.user, ending.parcel.device.device_id)
            self.ended([_given_up(ending, why) for ending in ended])
        self._note_retries([retry for n, retry in enumerate(retries) if n not in too_large])

    def _note_retries(self, retries: list[Retry]) -> None:
        if not retries:
            return
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
    """What a round takes, and what waits for the next: ends all of them, deferrals only so many. Those of one work stay
    together, since each retry record carries the whole message."""
    if len(endings) <= DEFERRALS_IN_A_ROUND:
        return endings, []
    ends = [ending for ending in endings if ending.end is not _DEFERRED]
    deferred = [ending for ending in endings if ending.end is _DEFERRED]
    cut = DEFERRALS_IN_A_ROUND
    while cut < len(deferred) and deferred[cut].parcel.work is deferred[cut - 1].parcel.work:
        cut += 1
    return ends + deferred[:cut], deferred[cut:]


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
