"""Pushes that do not work now go to a retry topic: which one, and until when. What returns is narrowed to what is still open."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.delivery.decide import Decider, Decision, Delivery, Suppression, settled
from pushgw.delivery.ending import End, Ending
from pushgw.delivery.plan import parcel
from pushgw.delivery.work import Work
from pushgw.messages.model import OfflineMessage
from pushgw.messages.retries import Return, retry_headers
from pushgw.policy.facts import Device, ReceiverFacts
from pushgw.policy.reasons import Reason
from pushgw.settings import DispatchSettings
from pushgw.state.protocol import Admission

_NO_DEVICE = "the device was removed while the push waited for its next attempt"


TARGETS_IN_A_RECORD = 500
"""More targets than this make another record: headers must not make it too large for the topic."""


class Retry(msgspec.Struct, frozen=True):
    """A record on its way to a retry topic."""

    tier: int
    """s; names the topic."""
    record: Any
    headers: list[tuple[str, bytes | None]]
    endings: list[Ending]
    """The pushes that it is for."""
    names: dict[str, str]
    """What a log line about it is found by."""


class Deferred:
    """Gathers the deferred pushes of one round: a retry for each record and tier, with the targets that are still open."""

    def __init__(self, settings: DispatchSettings) -> None:
        self._settings = settings
        self._groups: dict[tuple[int, int], list[list[Ending]]] = {}

    def take(self, ending: Ending, now: float) -> Ending | None:
        """None when the push is deferred; else how it ends instead: expired, or given up."""
        work: Work = ending.parcel.work
        message = work.message
        assert isinstance(message, OfflineMessage)  # noqa: S101  nothing else has pushes
        tiers = self._settings.retry_tiers
        if not tiers or work.recall or now - work.first_seen_ms / 1000 > self._settings.retry_for:
            return msgspec.structs.replace(ending, end=End.GIVEN_UP)
        tier = next_tier(tiers, work.tier, ending.wait, message.expires_at - now)
        if tier is None:
            return msgspec.structs.replace(ending, end=End.EXPIRED)
        groups = self._groups.setdefault((id(work), tier), [[]])
        if len(groups[-1]) >= TARGETS_IN_A_RECORD:
            groups.append([])
        groups[-1].append(ending)
        return None

    def retries(self, now: float) -> list[Retry]:
        """Their records."""
        return [
            _retry(tier, endings, now) for (_, tier), groups in self._groups.items() for endings in groups
        ]


def next_tier(tiers: tuple[int, ...], last: int, wish: float, lifetime: float) -> int | None:
    """The next wait, s: one longer than the ``last``, not shorter than the vendor's ``wish`` (as far as tiers go), but
    within the message's ``lifetime``. None when no tier is short enough."""
    after = next((tier for tier in tiers if tier > last), tiers[-1])
    wanted = next((tier for tier in tiers if tier >= max(after, wish)), tiers[-1])
    fitting = [tier for tier in tiers if tier <= wanted and tier < lifetime]
    least = min(wish, tiers[-1])
    if not fitting or fitting[-1] < least:
        return None
    return fitting[-1]


def narrowed(message: OfflineMessage, targets: tuple[tuple[str, str], ...]) -> OfflineMessage:
    """The message for those receivers alone that still have an open target, in the record's order."""
    users = {user for user, _ in targets}
    known = tuple(user for user in message.receivers if user in users)
    return msgspec.structs.replace(message, receivers=known)


def resume(decider: Decider, work: Work, admission: Admission, now: float) -> tuple[Decision, list[Ending]]:
    """Decide a retry: the policy as it stands now, for its open targets only. Each gets a verdict of its own, so that no
    target is without its end; those of an expired message come as endings."""
    message, returning = work.message, work.returning
    assert isinstance(message, OfflineMessage)  # noqa: S101  as in Deferred.take
    assert returning is not None  # noqa: S101  only retries come here
    facts = dict(zip(message.receivers, admission.receivers, strict=True))
    open_targets = [
        (user, device_id)
        for user, device_id in returning.targets or ()
        if user in facts
        and "" not in facts[user].done
        and not settled(facts[user].done, device_id, work.attempt)
    ]
    if now >= message.expires_at:
        return _expired(decider, work, message, open_targets, facts, now)
    decision = decider.decide(message, admission, now, attempt=work.attempt)
    deliveries = {(d.user, d.device.device_id): d for d in decision.deliveries}
    devices = {(s.user, s.device.device_id): s for s in decision.suppressions if s.device is not None}
    receivers = {s.user: s for s in decision.suppressions if s.device is None}
    pushed: list[Delivery] = []
    held_back: list[Suppression] = []
    for user, device_id in open_targets:
        delivery = deliveries.get((user, device_id))
        suppression = devices.get((user, device_id)) or receivers.get(user)
        if delivery is not None:
            pushed.append(delivery)
        elif suppression is not None:
            held_back.append(msgspec.structs.replace(suppression, device_id=device_id))
        else:
            held_back.append(_gone(user, device_id))
    return Decision(held_back, pushed, decision.badged), []


def _expired(
    decider: Decider,
    work: Work,
    message: OfflineMessage,
    targets: list[tuple[str, str]],
    facts: dict[str, ReceiverFacts],
    now: float,
) -> tuple[Decision, list[Ending]]:
    endings: list[Ending] = []
    held_back: list[Suppression] = []
    for user, device_id in targets:
        device = _device(facts[user], device_id)
        entry = decider.book.entries.get(device.business_id) if device is not None else None
        if device is None or entry is None:
            held_back.append(_gone(user, device_id))
            continue
        content = decider.notification(message, device, entry, None, {})
        share = parcel(work, work.source, Delivery(user, device, entry, content, None, False))
        detail = "the message's lifetime ended while it waited for its next attempt"
        endings.append(Ending(share, entry, End.EXPIRED, work.attempt, None, detail, 0, now))
    return Decision(held_back, []), endings


def _gone(user: str, device_id: str) -> Suppression:
    return Suppression(user, None, Reason.NO_TOKEN, _NO_DEVICE, device_id)


def _device(facts: ReceiverFacts, device_id: str) -> Device | None:
    return next((d for d in facts.user.devices if d.device_id == device_id), None)


def _retry(tier: int, endings: list[Ending], now: float) -> Retry:
    last = endings[-1]
    work: Work = last.parcel.work
    returning = Return(
        source=work.source,
        first_seen_ms=work.first_seen_ms,
        attempt=max(e.attempt for e in endings) + 1,
        targets=tuple((e.parcel.user, e.parcel.device.device_id) for e in endings),
    )
    code = last.outcome.code if last.outcome else ""
    headers = retry_headers(returning, int((now + tier) * 1000), code, last.detail)
    return Retry(tier, work.record, headers, endings, work.names)
