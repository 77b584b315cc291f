"""From what became of a receiver or a device to its receipt, keyed by the receiver."""

from __future__ import annotations

from pushgw.delivery.decide import Suppression
from pushgw.delivery.ending import End, Ending
from pushgw.delivery.tally import SUPPRESSED_AS
from pushgw.delivery.work import Work
from pushgw.messages import receipts
from pushgw.policy.reasons import Reason

_PUSHED = End.PUSHED
Keyed = tuple[bytes | None, bytes]
"""Kafka key and value of a receipt."""


def receipt_of_suppression(work: Work, suppression: Suppression, now: float) -> Keyed:
    """A receipt of what policy held back. Without a receiver its key is the record's."""
    device = suppression.device
    value = receipts.suppressed(
        work.message,
        source=_source(work),
        receiver=suppression.user,
        now_ms=int(now * 1000),
        code=suppression.reason.code,
        reason=suppression.reason.name,
        detail=suppression.detail,
        device_id=device.device_id if device else suppression.device_id or None,
        business_id=device.business_id if device else None,
        token=device.token if device else None,
    )
    return (_key(suppression.user) if suppression.user is not None else work.record.key), value


def receipt_of_ending(work: Work, ending: Ending, token: tuple[str, str], now: float) -> Keyed:
    """A receipt of what a lane did. ``token``: Action and Detail of what was done about a dead token, else empty."""
    end = ending.end
    if end is _PUSHED:
        return _key(ending.parcel.user), _pushed(work, ending, now)
    reason = SUPPRESSED_AS.get(end)
    if reason is not None:
        return _key(ending.parcel.user), _held_back(work, ending, reason, now)
    return _key(ending.parcel.user), _failed(work, ending, token[0] or end.value, token[1], now)


def _pushed(work: Work, ending: Ending, now: float) -> bytes:
    parcel, entry, outcome = ending.parcel, ending.entry, ending.outcome
    target, adapter = parcel.target, entry.adapter
    return receipts.pushed(  # argument by argument: a dict of them would cost as much as the receipt
        work.message,
        source=_source(work),
        receiver=parcel.user,
        now_ms=int(now * 1000),
        device_id=parcel.device.device_id,
        business_id=entry.business_id,
        vendor=entry.vendor,
        push_platform=adapter.push_platform if adapter else 0,
        token=target.token,
        push_id=target.push_id,
        vendor_id=(outcome.vendor_id if outcome else "") or target.vendor_id,
        vendor_code=outcome.code if outcome else "",
        attempt=ending.attempt,
        latency_ms=ending.latency_ms,
        recall=work.recall,
    )


def _failed(work: Work, ending: Ending, action: str, detail: str, now: float) -> bytes:
    parcel, entry, outcome = ending.parcel, ending.entry, ending.outcome
    target, adapter = parcel.target, entry.adapter
    return receipts.failed(
        work.message,
        source=_source(work),
        receiver=parcel.user,
        now_ms=int(now * 1000),
        device_id=parcel.device.device_id,
        business_id=entry.business_id,
        vendor=entry.vendor,
        push_platform=adapter.push_platform if adapter else 0,
        token=target.token,
        action=action,
        error=ending.detail,
        detail=detail,
        push_id=target.push_id,
        vendor_id=(outcome.vendor_id if outcome else "") or target.vendor_id,
        vendor_code=outcome.code if outcome else "",
        attempt=ending.attempt,
        latency_ms=ending.latency_ms,
        recall=work.recall,
    )


def _held_back(work: Work, ending: Ending, reason: Reason, now: float) -> bytes:
    parcel = ending.parcel
    return receipts.suppressed(
        work.message,
        source=_source(work),
        receiver=parcel.user,
        now_ms=int(now * 1000),
        code=reason.code,
        reason=reason.name,
        detail=ending.detail,
        push_id=parcel.target.push_id,
        device_id=parcel.device.device_id,
        business_id=parcel.device.business_id,
        vendor=ending.entry.vendor,
        token=parcel.target.token,
    )


def _source(work: Work) -> str:
    """The record's coordinate. What one recall overwrites for several messages is told apart behind it."""
    return work.source.partition("#")[0] if work.recall else work.source


def _key(user: str) -> bytes:
    return user.encode("utf-8", "surrogatepass")
