"""The answer of `explain`: every check of every stage for each receiver and device, and the request that would be sent."""

from __future__ import annotations

from typing import Any

from pushgw.cli.dry_run import rendered
from pushgw.delivery.decide import Decider, Delivery, badge_effect, compose_notification, shows_badge, turn_to
from pushgw.delivery.plan import parcel
from pushgw.messages.errors import DecodeError
from pushgw.messages.model import OfflineMessage
from pushgw.policy.case import Case, Check
from pushgw.policy.facts import Device, ReceiverFacts
from pushgw.policy.reasons import Reason, Stage
from pushgw.policy.rules import explain_device, explain_receiver
from pushgw.vendor.adapter import Refused

SOURCE = "explain/0/0"
"""In the place of the record's coordinate."""

Row = dict[str, Any]

_READABLE = Check(Reason.MALFORMED, "pass")
_VERDICT = ("Verdict", "Code", "Reason", "Detail", "Mend")
_STAGES = [reason for reason in Reason if reason is not Reason.MALFORMED]


def explained(decider: Decider, case: Case, user: str, facts: ReceiverFacts) -> Row:
    """One receiver: verdict, checks, devices. The checks of the device stage are those of the device that decides."""
    message = case.message
    turn_to(case, user, facts, message.hints.get(user) if isinstance(message, OfflineMessage) else None)
    checks = explain_receiver(case)
    failed = _failed(checks)
    if failed is not None:
        return _answer(user, _verdict(failed.reason, failed.detail), [*checks, *_not_reached()], [])
    stored = facts.user.devices
    if not stored:
        case.device = None
        missing = explain_device(case)
        failed = _failed(missing)
        assert failed is not None  # noqa: S101  without a device it is C1
        return _answer(user, _verdict(failed.reason, failed.detail), [*checks, *_device_rows(missing)], [])
    judged = [_device(decider, case, device) for device in stored]
    row, decisive = next((both for both in judged if both[0]["Verdict"] == "push"), _last_to_fail(judged))
    verdict: Row = {key: row[key] for key in _VERDICT if key in row}
    return _answer(user, verdict, [*checks, *_device_rows(decisive)], [row for row, _ in judged])


def unnamed(case: Case) -> Row:
    """A record that names no receiver."""
    checks = explain_receiver(case)
    failed = _failed(checks)
    assert failed is not None  # noqa: S101  without a receiver it is B1 at the latest
    return _answer(None, _verdict(failed.reason, failed.detail), [*checks, *_not_reached()], [])


def stranger(user: str) -> Row:
    """Somebody whom the record does not name."""
    verdict = _verdict(Reason.NO_RECEIVER, f"the record does not name {user}")
    return {"To_Account": user, **verdict, "Checks": [], "Devices": []}


def malformed(error: DecodeError) -> Row:
    """The whole answer for what cannot be read."""
    verdict = _verdict(Reason.MALFORMED, error.sentence)
    checks = [Check(Reason.MALFORMED, "fail", error.sentence)]
    checks += [Check(reason, "not reached") for reason in _STAGES]
    receiver = {"To_Account": None, **verdict, "Checks": [_row(c) for c in checks], "Devices": []}
    return {"receivers": [receiver], **verdict, "ErrorCode": error.code, "Path": error.path}


def _device(decider: Decider, case: Case, device: Device) -> tuple[Row, list[Check]]:
    case.device = device
    checks = explain_device(case)
    failed = _failed(checks)
    row: Row = {"DeviceID": device.device_id, "BusinessID": device.business_id}
    if failed is None:
        row |= _request(decider, case, device)
        if row["Verdict"] == "suppress":  # what only the vendor's renderer can see
            checks[-1] = Check(Reason.CHANNEL_REJECT, "fail", row["Detail"])
    else:
        row |= _verdict(failed.reason, failed.detail)
    row.setdefault("Request", None)
    row["Checks"] = [_row(check) for check in checks]
    return row, checks


def _request(decider: Decider, case: Case, device: Device) -> Row:
    """The verdict push with the exact request, or C6 where it cannot be rendered."""
    message = case.message
    assert isinstance(message, OfflineMessage)  # noqa: S101  other events never reach the device stage
    entry = decider.book.entries[device.business_id]
    counts, unread, step = badge_effect(message, case.hint)
    badge = (unread if unread is not None else case.facts.user.badge + step) if counts else None
    shown = badge if shows_badge(entry) else None
    lang = device.lang or decider.policy.language
    notification = compose_notification(
        message, decider.policy, entry.ios or device.platform == "ios", lang, shown
    )
    delivery = Delivery(case.receiver or "", device, entry, notification, unread, counts)
    target = parcel(None, SOURCE, delivery).target
    try:
        request = rendered(entry, notification, target, case.now)
    except Refused as refused:
        return _verdict(Reason.CHANNEL_REJECT, str(refused))
    answer: Row = {"Verdict": "push", "Code": None, "Reason": None, "Request": request}
    if entry.adapter and entry.account and (warnings := entry.adapter.warnings(notification, entry.account)):
        answer["Warnings"] = list(warnings)
    return answer


def _last_to_fail(judged: list[tuple[Row, list[Check]]]) -> tuple[Row, list[Check]]:
    """The device that came furthest, for it tells the most; of several the first."""
    return max(judged, key=lambda both: [c.result for c in both[1]].index("fail") if _failed(both[1]) else -1)


def _failed(checks: list[Check]) -> Check | None:
    return next((check for check in checks if check.result == "fail"), None)


def _not_reached() -> list[Check]:
    return [Check(reason, "not reached") for reason in Reason if reason.stage is Stage.DEVICE]


def _device_rows(checks: list[Check]) -> list[Check]:
    """Without B4, which stands among the receiver's checks already."""
    return [check for check in checks if check.reason.stage is Stage.DEVICE]


def _answer(user: str | None, verdict: Row, checks: list[Check], devices: list[Row]) -> Row:
    rows = [_row(check) for check in (_READABLE, *checks)]
    return {"To_Account": user, **verdict, "Checks": rows, "Devices": devices}


def _verdict(reason: Reason, detail: str) -> Row:
    return {
        "Verdict": "suppress",
        "Code": reason.code,
        "Reason": reason.name,
        "Detail": detail,
        "Mend": reason.mend,
    }


def _row(check: Check) -> Row:
    return {
        "Code": check.reason.code,
        "Reason": check.reason.name,
        "Result": check.result,
        "Detail": check.detail,
    }
