"""From what became of a receiver or a device to its receipt, keyed by the receiver."""

from __future__ import annotations

from pushgw.delivery.decide import Suppression
from pushgw.delivery.lane import End, Ending
from pushgw.delivery.tally import SUPPRESSED_AS
from pushgw.delivery.work import Work
from pushgw.messages import receipts
from pushgw.policy.reasons import Reason

Keyed = tuple[bytes | None, bytes]
"""Kafka key and value of a receipt."""


def receipt_of_suppression(work: Work, suppression: Suppression, now: float) -> Keyed:
    """A receipt of what policy held back. Without a receiver its key is the record's."""
    device = suppression.device
    value = receipts.suppressed(
        work.message,
        source=work.source,
        receiver=suppression.user,
        now_ms=int(now * 1000),
        code=suppression.reason.code,
        reason=suppression.reason.name,
        detail=suppression.detail,
        device_id=device.device_id if device else None,
        business_id=device.business_id if device else None,
        token=device.token if device else None,
    )
    return (_key(suppression.user) if suppression.user is not None else work.record.key), value


def receipt_of_ending(work: Work, ending: Ending, token_action: str, now: float) -> Keyed:
    """A receipt of what a lane did. ``token_action``: what was done about a dead token."""
    reason = SUPPRESSED_AS.get(ending.end)
    if reason is not None:
        return _held_back(work, ending, reason, now)
    parcel, outcome, entry = ending.parcel, ending.outcome, ending.entry
    adapter = entry.adapter
    known = {
        "source": work.source,
        "receiver": parcel.user,
        "now_ms": int(now * 1000),
        "device_id": parcel.device.device_id,
        "business_id": entry.business_id,
        "vendor": entry.vendor,
        "push_platform": adapter.push_platform if adapter else 0,
        "token": parcel.target.token,
        "push_id": parcel.target.push_id,
        "vendor_id": (outcome.vendor_id if outcome else "") or parcel.target.vendor_id,
        "vendor_code": outcome.code if outcome else "",
        "attempt": ending.attempt,
        "latency_ms": ending.latency_ms,
    }
    if ending.end is End.PUSHED:
        return _key(parcel.user), receipts.pushed(work.message, **known)  # type: ignore[arg-type]  # mixed values
    action = token_action or ending.end.value
    value = receipts.failed(work.message, action=action, error=ending.detail, **known)  # type: ignore[arg-type]  # as above
    return _key(parcel.user), value


def _held_back(work: Work, ending: Ending, reason: Reason, now: float) -> Keyed:
    parcel = ending.parcel
    value = receipts.suppressed(
        work.message,
        source=work.source,
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
    return _key(parcel.user), value


def _key(user: str) -> bytes:
    return user.encode("utf-8", "surrogatepass")
