"""Withdrawn messages: what waits of them is not sent, what is still to come is held back, what is shown can be overwritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pushgw.delivery.decide import Decider
from pushgw.delivery.overwrite import ask as overwrite_question
from pushgw.delivery.overwrite import decide_overwrite, overwriting_messages
from pushgw.delivery.plan import plan
from pushgw.delivery.shipment import Shipment
from pushgw.delivery.work import Work
from pushgw.kafka.record import Record
from pushgw.messages.model import BadgeSet, C2CRecall, GroupRecall, Source
from pushgw.patience import Patience
from pushgw.policy.dedup import recall_keys
from pushgw.settings import PolicySettings
from pushgw.state.protocol import StateStore

Recalled = Sequence[tuple[Record, C2CRecall | GroupRecall]]


class Recalls:
    """Carries out recalls, a batch at a time."""

    def __init__(
        self,
        policy: PolicySettings,
        *,
        state: StateStore,
        patience: Patience,
        decider: Decider,
        waiting: Mapping[str, Work],
        dispatch: Callable[[list[Shipment]], None],
        clock: Callable[[], float],
    ) -> None:
        """``waiting``: works in hand by their tombstone keys."""
        self._policy = policy
        self._state = state
        self._patience = patience
        self._decider = decider
        self._waiting = waiting
        self._dispatch = dispatch
        self._clock = clock

    async def carry_out(self, recalls: Recalled) -> set[Source]:
        """Returns the records that are settled with pushes which overwrite; the others are done with."""
        keys = [key for _, recall in recalls for key in recall_keys(recall)]
        await self._patience.ask(lambda: self._state.bury(keys, self._clock()))
        for key in keys:
            work = self._waiting.get(key)
            if work is not None:
                work.cancel(key)
        await self._set_badges(recalls)
        return await self._overwrite(recalls, keys) if self._policy.recall.overwrite else set()

    async def _set_badges(self, recalls: Recalled) -> None:
        """A recall that says how much is unread sets the base that later pushes count on from."""
        bases = [
            BadgeSet(app=r.app, user=r.receiver, time_ms=record.timestamp_ms, unread=r.unread)
            for record, r in recalls
            if isinstance(r, C2CRecall) and r.unread is not None
        ]
        if bases:
            await self._patience.ask(lambda: self._state.apply(bases))

    async def _overwrite(self, recalls: Recalled, keys: list[str]) -> set[Source]:
        """Push in place of what devices still show of the withdrawn messages."""
        now = self._clock()
        shown = await self._patience.ask(lambda: self._state.shown(keys, now))
        busy: set[Source] = set()
        for record, recall in recalls if shown else ():
            messages = overwriting_messages(recall, shown, now, record.timestamp_ms, self._policy.language)
            works = [
                Work(
                    record=record,
                    source=f"{record.source}#{n}" if n else str(record.source),
                    message=m,
                    recall=True,
                )
                for n, (m, _) in enumerate(messages)
            ]
            questions = [
                overwrite_question(message, work.source)
                for work, (message, _) in zip(works, messages, strict=True)
            ]
            admissions = await self._patience.ask(partial(self._state.admit, questions, now))
            shipments = []
            for work, (message, pairs), admission in zip(works, messages, admissions, strict=True):
                if admission.settled:
                    continue
                decision = decide_overwrite(self._decider, message, admission, pairs, now)
                work.open = len(decision.deliveries)
                work.badged = decision.badged
                work.siblings = works
                work.shipments = plan(work, work.source, decision.deliveries)
                shipments += work.shipments
            if shipments:
                busy.add(record.source)
                self._dispatch(shipments)
        return busy
