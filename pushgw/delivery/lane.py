"""A Lane: the bulkhead of one credential. Its connections, order per device and repeats; `Health` says how much may go."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Sequence
from math import inf

import structlog

from pushgw.credentials import CredentialEntry
from pushgw.delivery.ending import END_OF, End, Ending, OnEndings, words
from pushgw.delivery.health import LONGEST_PAUSE_S, Breaker, Health
from pushgw.delivery.line import Line
from pushgw.delivery.repeats import Repeats
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.settings import DispatchSettings
from pushgw.vendor.adapter import Auth, AuthFailed, Refused
from pushgw.vendor.http import Completion, Request, Response, Transport, TransportFactory
from pushgw.vendor.push import MOST_FOLLOW_UPS, Action, FollowUp, Outcome, Push
from pushgw.vendor.send import AsyncSender
from pushgw.vendor.token_cache import TokenCache

log = structlog.get_logger()

STILL_S = 1.0
"""A vendor that has not answered for so long is not moving."""
AT_ONCE = 256
"""Answers, or shipments that end without one, that are dealt with before other lanes get their turn: thousands time out
in the same moment."""
RENEW_AGAIN_AFTER_S = 10.0
"""A lane takes a new connection at an answer's wish no more often than this."""


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
        sender: AsyncSender,
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
        self._sender = sender
        self._left: Callable[[Lane], None] | None = None
        self._leaving = False
        self._on_endings = on_endings
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._line = Line()
        self._in_flight = 0
        self._closed = False
        self._repeats = Repeats(settings, rng, self._repeat)
        self._refreshing: asyncio.Task[None] | None = None
        self._renew = False
        """An answer in the present list of completions wishes for another connection."""
        self._renewed_at = -inf
        self._answered_at = clock()
        self.good_at = 0.0
        """When the vendor last accepted a push, epoch s; 0 before."""
        self.health = Health(entry, settings, clock=clock, resume=self._resume)
        self.repeats = 0
        """Requests that were sent again in place, since the lane was opened."""
        self._transport: Transport = transport(
            on_complete=self._completed,
            timeout=settings.timeout,
            http2=entry.adapter.http2,
            tls=entry.adapter.tls(entry.account),
            proxy=entry.account.proxy,
        )

    @property
    def open(self) -> int:
        """Shipments not yet ended."""
        return self._line.open

    @property
    def in_flight(self) -> int:
        """Requests that the vendor has not answered yet."""
        return self._in_flight

    @property
    def moving(self) -> bool:
        """Whether the vendor has answered within the last second, or has nothing to answer."""
        return self._in_flight == 0 or self._clock() - self._answered_at < STILL_S

    def offer(self, shipments: Sequence[Shipment]) -> None:
        """Take shipments over, as far as there is room; what is beyond ``dispatch.backlog`` is deferred. While the vendor
        answers nothing, half of that is enough: what waits for it had better not wait in memory."""
        moving = self.moving
        most = self._settings.backlog if moving else self._settings.backlog // 2
        room = max(most - self._line.open, 0)
        for shipment in shipments[:room]:
            self._line.join(shipment)
        if room < len(shipments):
            pace = "is slow" if moving else "does not answer"
            why = f"{self.entry.vendor} {pace} and its lane is full"
            log.warning(
                "lane_full",
                credential=self.entry.business_id,
                vendor=self.entry.vendor,
                deferred=len(shipments) - room,
                **(shipments[room].names if len(shipments) == room + 1 else {}),
            )
            self._on_endings([e for s in shipments[room:] for e in self._endings(s, End.DEFERRED, None, why)])
        self._pump()

    async def close(self) -> None:
        """Abandon what is open (without an ending: the record is delivered again) and close all connections."""
        self._on_endings = _ignore
        self._closed = True
        self._repeats.take_all()
        self.health.close()
        if self._refreshing:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await asyncio.gather(self._transport.close(), self._sender.close())

    def leave(self, left: Callable[[Lane], None]) -> None:
        """Another credential has taken this one's place: finish what is here, then call ``left``.

        A push that the old credential can no longer send is deferred, not failed: the new one will send it.
        """
        self._left = left
        self._leaving = True
        self._pump()

    def _may_have_left(self) -> None:
        if self._left is not None and self._line.open == 0:
            left, self._left = self._left, None
            left(self)

    def _refused(self, end: End) -> End:
        """How a push ends that this credential cannot send: another one may send it when this one is leaving."""
        return End.DEFERRED if self._leaving else end

    # --- on the way out ----------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Start what may start: within the in-flight limit, with a fresh authorization."""
        if self._line.ready and not self._closed:
            self._start()
        if self._leaving:
            self._may_have_left()

    def _start(self) -> None:
        health = self.health
        problem = self.entry.problem_at(self._clock())
        if problem is not None:
            self._drop_ready(self._refused(End.UNUSABLE), problem)
        elif health.down:
            self._drop_ready(End.DEFERRED, f"{self.entry.vendor} does not work at the moment")
        elif self._in_flight < health.limit and not health.paused:
            auth = self._tokens.fresh()
            if auth is None and self._tokens.needs_auth:
                self._refresh()
            else:
                self._submit(auth)

    def _resume(self) -> None:
        """A pause or a break is over; after a break the token server may be asked once more."""
        if self.health.breaker is Breaker.HALF_OPEN:
            self._tokens.ask_again()
        self._pump()

    def _submit(self, auth: Auth | None) -> None:
        now = self._clock()
        requests: list[tuple[object, Request]] = []
        unsent: list[Ending] = []
        limit = self.health.limit
        while self._line.ready and self._in_flight < limit:
            shipment = self._line.ready.popleft()
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
        push = Push(
            notification=shipment.notification,
            targets=targets,
            now=now,
            stage=shipment.stage,
            origin=shipment.origin,
        )
        try:
            request = self._adapter.render(push, self._account, auth)
        except Refused as refused:
            self._unsent(shipment, End.REFUSED, str(refused), unsent)
            return None
        except Exception as error:  # noqa: BLE001  an adapter may be a third party's: its defect costs this shipment
            self._unsent(shipment, End.GIVEN_UP, self._defect("render", error, shipment), unsent)
            return None
        shipment.push = push
        shipment.auth = auth
        shipment.sent_at = now
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
            self._line.leave(shipment)
        return bool(shipment.parcels)

    def _unsent(self, shipment: Shipment, end: End, detail: str, unsent: list[Ending]) -> None:
        unsent += self._endings(shipment, end, None, detail)
        self._line.leave(shipment)

    def _refresh(self) -> None:
        if self._refreshing is None:
            self._refreshing = self._loop.create_task(self._get_token())

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
        waiting = list(self._line.ready)
        self._line.ready.clear()
        endings: list[Ending] = []
        if outcome.action is Action.CONFIG:
            self.health.refused(outcome, words(outcome))
            for shipment in waiting:
                endings += self._endings(shipment, self._refused(End.CREDENTIAL), outcome, words(outcome))
                self._line.leave(shipment)
        else:
            self.health.failed(self._clock(), words(outcome))
            for shipment in waiting:
                self._again(shipment, shipment.parcels, [outcome] * len(shipment.parcels), endings)
            if self.health.down:
                self._defer_waiting(endings)
        if endings:
            self._on_endings(endings)

    # --- on the way back ---------------------------------------------------------------------------------

    def _completed(self, completions: Sequence[Completion]) -> None:
        if self._closed:
            return  # closed: what is abandoned is not repeated either
        if len(completions) > AT_ONCE:
            self._loop.call_soon(self._completed, completions[AT_ONCE:])
            completions = completions[:AT_ONCE]
        endings: list[Ending] = []
        had = self._in_flight
        self._in_flight -= len(completions)
        now = self._answered_at = self._clock()
        accepted = 0
        sent_at = 0.0
        for completion in completions:
            shipment = completion.tag
            assert isinstance(shipment, Shipment)  # noqa: S101  tags are ours
            if completion.response is None:
                error = completion.error
                said = str(error) if error else "no answer"
                retriable = error is None or error.retriable
                outcome = Outcome(action=Action.RETRY if retriable else Action.CONFIG, code="", reason=said)
                outcomes = [outcome] * len(shipment.parcels)
            else:
                read = self._interpret(shipment, completion.response)
                if isinstance(read, FollowUp):
                    self._follow_up(shipment, read)
                    continue
                outcomes = read
            if len(outcomes) == 1 and outcomes[0].action is Action.ACCEPTED:
                accepted += 1
                sent_at = shipment.sent_at
                endings.append(self._ending(shipment, shipment.parcels[0], End.PUSHED, outcomes[0], "", now))
                self._line.leave(shipment)
            else:
                accepted += self._sort(shipment, outcomes, endings)
                sent_at = shipment.sent_at
        if accepted:
            self.good_at = now
            self.health.answered(accepted, had, sent_at)
        if self.health.down:
            self._defer_waiting(endings)
        self._on_endings(endings)
        if self._renew:
            self._renew_connection(now)
        self._pump()

    def _renew_connection(self, now: float) -> None:
        """Not again at once: answers to what was under way wish for it too, and vendors take many connections for an attack."""
        self._renew = False
        if now - self._renewed_at >= RENEW_AGAIN_AFTER_S:
            self._renewed_at = now
            log.info("connection_renewed", vendor=self.entry.vendor, credential=self.entry.business_id)
            self._transport.renew()

    def _follow_up(self, shipment: Shipment, follow_up: FollowUp) -> None:
        """The next call of the same push: ahead of what waits, under the same limits, pauses and checks as any other."""
        shipment.stage = follow_up.stage
        shipment.follow_ups += 1
        self._line.ready.appendleft(shipment)

    def _interpret(self, shipment: Shipment, response: Response) -> list[Outcome] | FollowUp:
        """What the adapter makes of the answer. A defect of an adapter costs this shipment, not the lane."""
        try:
            outcomes = self._adapter.interpret(shipment.push, self._account, response)
            if isinstance(outcomes, FollowUp):
                if shipment.follow_ups < MOST_FOLLOW_UPS:
                    return outcomes
                raise ValueError(f"more than {MOST_FOLLOW_UPS} follow-ups")
            if len(outcomes) == len(shipment.parcels):
                return outcomes
            raise ValueError(f"{len(outcomes)} outcomes for {len(shipment.parcels)} targets")
        except Exception as error:  # noqa: BLE001  an adapter may be a third party's
            outcome = Outcome(
                action=Action.UNKNOWN,
                code=str(response.status),
                reason=self._defect("interpret", error, shipment),
            )
            return [outcome] * len(shipment.parcels)

    def _defect(self, where: str, error: Exception, shipment: Shipment | None = None) -> str:
        trace = uuid.uuid4().hex[:12]
        log.error(
            "adapter_defect",
            vendor=self.entry.vendor,
            credential=self.entry.business_id,
            where=where,
            traceback_id=trace,
            exc_info=error,
            **(shipment.names if shipment is not None else {}),
        )
        return f"unexpected {type(error).__name__} in the adapter's {where}; traceback id {trace}"

    def _sort(self, shipment: Shipment, outcomes: list[Outcome], endings: list[Ending]) -> int:
        """Each parcel to where its Outcome sends it; what is to be repeated stays together. How many were accepted."""
        again: list[Parcel] = []
        why: list[Outcome] = []
        accepted = 0
        now = self._clock()
        for parcel, outcome in zip(shipment.parcels, outcomes, strict=True):
            action = outcome.action
            if outcome.renew:
                self._renew = True
            first_auth = action is Action.AUTH and not shipment.auth_tried
            if first_auth or action is Action.RETRY or action is Action.RETRY_AFTER:
                again.append(parcel)
                why.append(outcome)
            elif action in (Action.CONFIG, Action.AUTH):
                self.health.refused(outcome, words(outcome))
                end = self._refused(End.CREDENTIAL)
                endings.append(self._ending(shipment, parcel, end, outcome, words(outcome), now))
            else:
                if action is Action.ACCEPTED:
                    accepted += 1
                elif action is Action.UNKNOWN:
                    self._unknown(parcel, outcome)
                end = END_OF[action]
                endings.append(self._ending(shipment, parcel, end, outcome, words(outcome), now))
        if again:
            self._again(shipment, again, why, endings)
        else:
            self._line.leave(shipment)
        return accepted

    def _unknown(self, parcel: Parcel, outcome: Outcome) -> None:
        log.error(
            "unknown_answer",
            vendor=self.entry.vendor,
            credential=self.entry.business_id,
            code=outcome.code,
            reason=outcome.reason,
            **parcel.names,
        )

    def _again(
        self, shipment: Shipment, parcels: list[Parcel], outcomes: list[Outcome], endings: list[Ending]
    ) -> None:
        """Repeat these parcels: at once with a new token, a little later after a temporary failure, or defer them."""
        shipment.parcels = parcels
        outcome = outcomes[0]
        if outcome.action is Action.AUTH:
            if shipment.auth is not None:
                self._tokens.refuse(shipment.auth)
            shipment.auth_tried = True
            self._line.ready.appendleft(shipment)
            return
        if outcome.action is Action.RETRY_AFTER:
            self.health.throttled(outcome, shipment.sent_at)
        elif shipment.sent_at:
            self.health.failed(shipment.sent_at, words(outcome))
        wait = self._repeats.pause(shipment, outcome)
        late = self._clock() + wait >= shipment.notification.expires_at
        tried = shipment.attempt - shipment.first_attempt
        if late or tried >= self._settings.retries or wait > LONGEST_PAUSE_S or self.health.down:
            end = End.EXPIRED if late else End.DEFERRED
            now = self._clock()
            for parcel, last in zip(parcels, outcomes, strict=True):
                endings.append(self._ending(shipment, parcel, end, last, words(last), now))
            self._line.leave(shipment)
            return
        shipment.attempt += 1
        shipment.why = outcome
        self.repeats += 1
        log.info(
            "push_retry",
            vendor=self.entry.vendor,
            credential=self.entry.business_id,
            code=outcome.code,
            reason=outcome.reason,
            attempt=shipment.attempt,
            wait_s=round(wait, 3),
            **shipment.names,
        )
        self._repeats.put(shipment, wait)

    def _defer_waiting(self, endings: list[Ending]) -> None:
        """The breaker has opened: what waits for its repeat does not wait in memory."""
        for shipment in self._repeats.take_all():
            outcome = shipment.why
            endings += self._endings(shipment, End.DEFERRED, outcome, words(outcome) if outcome else "")
            self._line.leave(shipment)

    def _repeat(self, shipment: Shipment) -> None:
        self._line.ready.append(shipment)
        self._pump()

    def _drop_ready(self, end: End, why: str) -> None:
        endings: list[Ending] = []
        while self._line.ready and len(endings) < AT_ONCE:
            shipment = self._line.ready.popleft()
            endings += self._endings(shipment, end, shipment.why, why)
            self._line.leave(shipment)
        self._on_endings(endings)
        if self._line.ready:
            self._loop.call_soon(self._pump)  # it looks anew whether they may go

    # --- endings -----------------------------------------------------------------------------------------

    def _endings(self, shipment: Shipment, end: End, outcome: Outcome | None, detail: str) -> list[Ending]:
        now = self._clock()
        return [self._ending(shipment, parcel, end, outcome, detail, now) for parcel in shipment.parcels]

    def _ending(
        self, shipment: Shipment, parcel: Parcel, end: End, outcome: Outcome | None, detail: str, now: float
    ) -> Ending:
        sent = shipment.first_sent
        latency = round((now - sent) * 1000) if sent else 0
        wait = (outcome.retry_after or 0.0) if outcome and end is End.DEFERRED else 0.0
        return Ending(parcel, self.entry, end, shipment.attempt, outcome, detail, latency, sent, wait)


def _ignore(_endings: list[Ending]) -> None:
    return None
