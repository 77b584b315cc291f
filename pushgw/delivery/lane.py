"""A Lane: the bulkhead of one credential. Its connections, in-flight limit, order per receiver, repeats and health."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec
import structlog

from pushgw.credentials import CredentialEntry
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.settings import DispatchSettings
from pushgw.vendor.adapter import Auth, AuthFailed, Refused
from pushgw.vendor.http import Completion, Request, Response, Transport, TransportFactory
from pushgw.vendor.push import Action, Outcome, Push
from pushgw.vendor.token_cache import TokenCache

log = structlog.get_logger()

LONGEST_WAIT_S = 60.0
"""A vendor that asks for a longer pause than this is not waited for in place."""
PROBE_AFTER_S = 30.0
"""A refused credential is tried again after this time, then after twice as long each time."""
LONGEST_PROBE_S = 900.0
STILL_S = 1.0
FIRST_PAUSE_S = 1.0
"""A vendor that throttles us and names no time is left alone for so long; each time in a row for twice as long."""


class End(StrEnum):
    """How a parcel ended."""

    PUSHED = "pushed"
    DEAD = "dead"
    """The vendor declared the token dead."""
    GIVEN_UP = "given_up"
    EXPIRED = "expired"
    CREDENTIAL = "credential_unusable"
    """This very push was refused for the credential's sake."""
    UNUSABLE = "unusable"
    """Never sent: the credential had been refused before (C4)."""
    REFUSED = "refused"
    """Never sent: it cannot be rendered for the vendor (C6)."""
    RECALLED = "recalled"
    """Never sent: withdrawn while it waited (A6)."""


class Ending(msgspec.Struct, frozen=True):
    """How one parcel ended, for its receipt."""

    parcel: Parcel
    entry: CredentialEntry
    end: End
    attempt: int
    outcome: Outcome | None
    detail: str
    latency_ms: int
    sent_at: float


OnEndings = Callable[[list[Ending]], None]


class Lane:
    """Carries shipments of one credential.

    A receiver's shipments keep their order, also over repeats. Nothing here waits for another lane. Completions
    come in lists and leave in lists.
    """

    def __init__(
        self,
        entry: CredentialEntry,
        transport: TransportFactory,
        tokens: TokenCache,
        settings: DispatchSettings,
        *,
        on_endings: OnEndings,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        assert entry.adapter is not None  # noqa: S101  only usable credentials get a lane
        assert entry.account is not None  # noqa: S101  as above
        self.entry = entry
        self._adapter = entry.adapter
        self._account = entry.account
        self._settings = settings
        self._tokens = tokens
        self._on_endings = on_endings
        self._clock = clock
        self._rng = rng
        self._ready: deque[Shipment] = deque()
        self._tails: dict[str, Shipment] = {}
        self._in_flight = 0
        self._open = 0
        self._waiting: dict[int, tuple[asyncio.TimerHandle, Shipment]] = {}
        self._probe: asyncio.TimerHandle | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._failing_since: float | None = None
        self._answered_at = clock()
        self._limit = settings.in_flight
        self._pause: asyncio.TimerHandle | None = None
        self._pause_step = FIRST_PAUSE_S
        self._probe_after = PROBE_AFTER_S
        self._transport: Transport = transport(
            on_complete=self._completed,
            timeout=settings.timeout,
            http2=entry.adapter.http2,
            tls=entry.adapter.tls(entry.account),
        )

    @property
    def open(self) -> int:
        """Shipments not yet ended."""
        return self._open

    @property
    def failing(self) -> bool:
        """Whether nothing has gone through for longer than one request may take."""
        since = self._failing_since
        return since is not None and self._clock() - since > self._settings.timeout

    @property
    def moving(self) -> bool:
        """Whether the vendor has answered within the last second, or has nothing to answer."""
        return self._in_flight == 0 or self._clock() - self._answered_at < STILL_S

    def offer(self, shipments: Sequence[Shipment]) -> None:
        """Take shipments over. While the lane fails, it holds no more than ``backlog`` of them; the rest is given up."""
        room = self._settings.backlog - self._open if self.failing else len(shipments)
        for shipment in shipments[: max(room, 0)]:
            self._queue(shipment)
        shed = shipments[max(room, 0) :]
        if shed:
            log.error(
                "lane_full", credential=self.entry.business_id, vendor=self.entry.vendor, given_up=len(shed)
            )
            why = f"{self.entry.vendor} has not answered for a while and its lane is full"
            self._on_endings([e for s in shed for e in self._endings(s, End.GIVEN_UP, None, why)])
        self._pump()

    async def close(self) -> None:
        """Abandon what is open (without an ending: the record is delivered again) and close the connections."""
        self._on_endings = _ignore
        self._limit = 0
        for handle, _ in self._waiting.values():
            handle.cancel()
        for timer in (self._probe, self._pause):
            if timer:
                timer.cancel()
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self._transport.close()

    # --- on the way out ----------------------------------------------------------------------------------

    def _queue(self, shipment: Shipment) -> None:
        self._open += 1
        tails = self._tails
        for token in shipment.tokens:
            before = tails.get(token)
            tails[token] = shipment
            if before is not None and before is not shipment:
                shipment.blockers += 1
                if before.followers is None:
                    before.followers = []
                before.followers.append(shipment)
        if shipment.blockers == 0:
            self._ready.append(shipment)

    def _pump(self) -> None:
        """Start what may start: within the in-flight limit, with a fresh authorization."""
        if not self._ready or self._in_flight >= self._limit or self._pause is not None:
            return
        if self.entry.refused is not None:
            self._drop_ready()
            return
        auth = self._tokens.fresh()
        if auth is None and self._tokens.needs_auth:
            self._refresh()
            return
        self._submit(auth)

    def _submit(self, auth: Auth | None) -> None:
        now = self._clock()
        requests: list[tuple[object, Request]] = []
        unsent: list[Ending] = []
        while self._ready and self._in_flight < self._limit:
            shipment = self._ready.popleft()
            request = self._render(shipment, auth, now, unsent)
            if request is not None:
                self._in_flight += 1
                requests.append((shipment, request))
        if requests:
            self._transport.submit(requests)
        if unsent:
            self._on_endings(unsent)

    def _render(
        self, shipment: Shipment, auth: Auth | None, now: float, unsent: list[Ending]
    ) -> Request | None:
        if shipment.cancelled and not self._without_withdrawn(shipment, unsent):
            return None
        if now >= shipment.notification.expires_at:
            self._unsent(shipment, End.EXPIRED, "the message's lifetime ended while it waited", unsent)
            return None
        parcels = shipment.parcels
        targets = (parcels[0].target,) if len(parcels) == 1 else tuple([p.target for p in parcels])
        push = Push(notification=shipment.notification, targets=targets, now=now)
        try:
            request = self._adapter.render(push, self._account, auth)
        except Refused as refused:
            self._unsent(shipment, End.REFUSED, str(refused), unsent)
            return None
        except Exception as error:  # noqa: BLE001  an adapter may be a third party's: its defect costs this shipment
            self._unsent(shipment, End.GIVEN_UP, self._defect("render", error), unsent)
            return None
        shipment.push = push
        shipment.auth = auth
        if not shipment.first_sent:
            shipment.first_sent = now
        return request

    def _without_withdrawn(self, shipment: Shipment, unsent: list[Ending]) -> bool:
        """Take out what was withdrawn while it waited; whether anything is left to send."""
        now = self._clock()
        why = "the message was withdrawn before it was sent"
        gone = [p for p in shipment.parcels if p.withdrawn]
        unsent += [self._ending(shipment, p, End.RECALLED, None, why, now) for p in gone]
        shipment.parcels = [p for p in shipment.parcels if not p.withdrawn]
        shipment.cancelled = False
        if not shipment.parcels:
            self._finish(shipment)
        return bool(shipment.parcels)

    def _unsent(self, shipment: Shipment, end: End, detail: str, unsent: list[Ending]) -> None:
        unsent += self._endings(shipment, end, None, detail)
        self._finish(shipment)

    def _refresh(self) -> None:
        if self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().create_task(self._get_token())

    async def _get_token(self) -> None:
        try:
            await self._tokens.get()
        except AuthFailed as failed:
            self._token_failed(failed.outcome)
        except Exception as error:  # noqa: BLE001  as in _render; the pushes that wait must end
            self._token_failed(Outcome(action=Action.RETRY, reason=self._defect("read_auth", error)))
        finally:
            self._refreshing = None
        self._pump()

    def _token_failed(self, outcome: Outcome) -> None:
        """No token: an unusable credential refuses the waiting; a token server that is down is a failed attempt of all."""
        waiting = list(self._ready)
        self._ready.clear()
        endings: list[Ending] = []
        if outcome.action is Action.CONFIG:
            self._refuse(outcome)
            for shipment in waiting:
                endings += self._endings(shipment, End.CREDENTIAL, outcome, _words(outcome))
                self._finish(shipment)
        else:
            self._fail()
            for shipment in waiting:
                self._again(shipment, shipment.parcels, [outcome] * len(shipment.parcels), endings)
        if endings:
            self._on_endings(endings)

    # --- on the way back ---------------------------------------------------------------------------------

    def _completed(self, completions: Sequence[Completion]) -> None:
        if self._on_endings is _ignore:
            return  # closed: what is abandoned is not repeated either
        endings: list[Ending] = []
        self._in_flight -= len(completions)
        now = self._answered_at = self._clock()
        for completion in completions:
            shipment = completion.tag
            assert isinstance(shipment, Shipment)  # noqa: S101  tags are ours
            if completion.response is None:
                error = completion.error
                words = str(error) if error else "no answer"
                self._fail()
                retriable = error is None or error.retriable
                outcome = Outcome(action=Action.RETRY if retriable else Action.CONFIG, code="", reason=words)
                outcomes = [outcome] * len(shipment.parcels)
            else:
                outcomes = self._interpret(shipment, completion.response)
            if len(outcomes) == 1 and outcomes[0].action is Action.ACCEPTED:
                self._succeed()
                endings.append(self._ending(shipment, shipment.parcels[0], End.PUSHED, outcomes[0], "", now))
                self._finish(shipment)
            else:
                self._sort(shipment, outcomes, endings)
        self._on_endings(endings)
        self._pump()

    def _interpret(self, shipment: Shipment, response: Response) -> list[Outcome]:
        """What the adapter makes of the answer. A defect of an adapter costs this shipment, not the lane."""
        try:
            outcomes = self._adapter.interpret(shipment.push, self._account, response)
            if len(outcomes) == len(shipment.parcels):
                return outcomes
            raise ValueError(f"{len(outcomes)} outcomes for {len(shipment.parcels)} targets")
        except Exception as error:  # noqa: BLE001  an adapter may be a third party's
            outcome = Outcome(
                action=Action.UNKNOWN, code=str(response.status), reason=self._defect("interpret", error)
            )
            return [outcome] * len(shipment.parcels)

    def _defect(self, where: str, error: Exception) -> str:
        trace = uuid.uuid4().hex[:12]
        log.error("adapter_defect", vendor=self.entry.vendor, where=where, traceback_id=trace, exc_info=error)
        return f"unexpected {type(error).__name__} in the adapter's {where}; traceback id {trace}"

    def _sort(self, shipment: Shipment, outcomes: list[Outcome], endings: list[Ending]) -> None:
        """Each parcel to where its Outcome sends it; what is to be repeated stays together."""
        again: list[Parcel] = []
        why: list[Outcome] = []
        now = self._clock()
        for parcel, outcome in zip(shipment.parcels, outcomes, strict=True):
            action = outcome.action
            first_auth = action is Action.AUTH and not shipment.auth_tried
            if first_auth or action is Action.RETRY or action is Action.RETRY_AFTER:
                again.append(parcel)
                why.append(outcome)
            elif action in (Action.CONFIG, Action.AUTH):
                self._refuse(outcome)
                endings.append(self._ending(shipment, parcel, End.CREDENTIAL, outcome, _words(outcome), now))
            else:
                if action is Action.ACCEPTED:
                    self._succeed()
                elif action is Action.UNKNOWN:
                    log.error(
                        "unknown_answer", vendor=self.entry.vendor, code=outcome.code, reason=outcome.reason
                    )
                end = _ENDS[action]
                endings.append(self._ending(shipment, parcel, end, outcome, _words(outcome), now))
        if again:
            self._again(shipment, again, why, endings)
        else:
            self._finish(shipment)

    def _again(
        self, shipment: Shipment, parcels: list[Parcel], outcomes: list[Outcome], endings: list[Ending]
    ) -> None:
        """Repeat these parcels: at once with a new token, later after a temporary failure, or give them up."""
        shipment.parcels = parcels
        outcome = outcomes[0]
        if outcome.action is Action.AUTH:
            if shipment.auth is not None:
                self._tokens.refuse(shipment.auth)
            shipment.auth_tried = True
            self._ready.appendleft(shipment)
            return
        if outcome.action is Action.RETRY_AFTER:
            self._slow_down(outcome)
        wait = self._wait(shipment, outcome)
        late = self._clock() + wait >= shipment.notification.expires_at
        if shipment.attempt > self._settings.retries or late or wait > LONGEST_WAIT_S:
            end = End.EXPIRED if late else End.GIVEN_UP
            for parcel, last in zip(parcels, outcomes, strict=True):
                endings.append(self._ending(shipment, parcel, end, last, _words(last), self._clock()))
            self._finish(shipment)
            return
        shipment.attempt += 1
        log.info(
            "push_retry",
            vendor=self.entry.vendor,
            credential=self.entry.business_id,
            code=outcome.code,
            reason=outcome.reason,
            attempt=shipment.attempt,
            wait_s=round(wait, 3),
        )
        handle = asyncio.get_running_loop().call_later(wait, self._retry, shipment)
        self._waiting[id(shipment)] = (handle, shipment)

    def _retry(self, shipment: Shipment) -> None:
        del self._waiting[id(shipment)]
        self._ready.append(shipment)
        self._pump()

    def _wait(self, shipment: Shipment, outcome: Outcome) -> float:
        """Exponential back-off with jitter between half and all of the step; the vendor's own wish is a minimum."""
        step = min(self._settings.backoff * 2.0 ** (shipment.attempt - 1), self._settings.backoff_max)
        return max(step * self._rng.uniform(0.5, 1.0), outcome.retry_after or 0.0)

    def _finish(self, shipment: Shipment) -> None:
        """The shipment has ended: its devices' next ones may start."""
        self._open -= 1
        tails = self._tails
        for token in shipment.tokens:
            if tails.get(token) is shipment:
                del tails[token]
        if shipment.followers:
            for follower in shipment.followers:
                follower.blockers -= 1
                if follower.blockers == 0:
                    self._ready.append(follower)
            shipment.followers = None

    # --- health ------------------------------------------------------------------------------------------

    def _succeed(self) -> None:
        self._failing_since = None
        self._limit = self._settings.in_flight
        self._probe_after = PROBE_AFTER_S
        if self._pause is None:
            self._pause_step = FIRST_PAUSE_S

    def _slow_down(self, outcome: Outcome) -> None:
        """The vendor throttles this credential: its lane, and no other, sends nothing for a while."""
        if self._pause is not None:
            return
        wait = min(outcome.retry_after or self._pause_step, LONGEST_WAIT_S)
        self._pause_step = min(self._pause_step * 2, LONGEST_WAIT_S)
        log.warning(
            "lane_paused",
            credential=self.entry.business_id,
            vendor=self.entry.vendor,
            code=outcome.code,
            wait_s=wait,
        )
        self._pause = asyncio.get_running_loop().call_later(wait, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._pump()

    def _fail(self) -> None:
        if self._failing_since is None:
            self._failing_since = self._clock()

    def _refuse(self, outcome: Outcome) -> None:
        """The vendor refused the credential: C4 for what follows, until a probe after a while."""
        if self.entry.refused is not None:
            return
        self.entry.refused = f"{self.entry.vendor} refused the credential: {_words(outcome)}"
        log.error(
            "credential_refused",
            credential=self.entry.business_id,
            vendor=self.entry.vendor,
            code=outcome.code,
            reason=outcome.reason,
            hint=outcome.hint,
        )
        self._probe = asyncio.get_running_loop().call_later(self._probe_after, self._allow_probe)
        self._probe_after = min(self._probe_after * 2, LONGEST_PROBE_S)

    def _allow_probe(self) -> None:
        """One push at a time may try again; the first success opens the lane."""
        self.entry.refused = None
        self._limit = 1
        self._tokens.forget()
        self._pump()

    def _drop_ready(self) -> None:
        endings: list[Ending] = []
        while self._ready:
            shipment = self._ready.popleft()
            endings += self._endings(shipment, End.UNUSABLE, None, self.entry.refused or "")
            self._finish(shipment)
        if endings:
            self._on_endings(endings)

    # --- endings -----------------------------------------------------------------------------------------

    def _endings(self, shipment: Shipment, end: End, outcome: Outcome | None, detail: str) -> list[Ending]:
        now = self._clock()
        return [self._ending(shipment, parcel, end, outcome, detail, now) for parcel in shipment.parcels]

    def _ending(
        self, shipment: Shipment, parcel: Parcel, end: End, outcome: Outcome | None, detail: str, now: float
    ) -> Ending:
        sent = shipment.first_sent
        latency = round((now - sent) * 1000) if sent else 0
        return Ending(parcel, self.entry, end, shipment.attempt, outcome, detail, latency, sent)


_ENDS = {
    Action.ACCEPTED: End.PUSHED,
    Action.INVALID_TOKEN: End.DEAD,
    Action.BAD_MESSAGE: End.GIVEN_UP,
    Action.QUOTA: End.GIVEN_UP,
    Action.UNKNOWN: End.GIVEN_UP,
}


def _words(outcome: Outcome) -> str:
    if not outcome.hint or outcome.hint == outcome.reason:
        return outcome.reason
    return f"{outcome.reason} ({outcome.hint})"


def _ignore(_endings: list[Ending]) -> None:
    return None
