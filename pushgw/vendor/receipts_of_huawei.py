"""Huawei's receipts: the signature of a callback, and the list of statuses in its body.

Here, below the vendors' folders, because Android and HarmonyOS share them and none imports another; the list is Honor's, too.
What a status means is in each folder's own table.
Source: Huawei's guide to message receipts: the header ``X-HUAWEI-CALLBACK-ID: timestamp=…;nonce=…;value=…``, its value
Base64(HMAC-SHA256(secret, timestamp + nonce + user name)). The body is not signed: HTTPS guards it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Iterator
from typing import Any

from pushgw.vendor.answers import json_object
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, Stage, time_of

HEADER = "x-huawei-callback-id"
OLDEST_S = 86_400.0
"""A signature made longer ago (or so far ahead) is not taken: one that leaked is of no use for ever."""
MAX_STATUSES = 1000

Meaning = Callable[[str], tuple[Stage, str]]
"""A status -> what it says of the push, and its words."""


def signature(secret: str, user: str, timestamp: str, nonce: str) -> str:
    """The header's value under a new secret, which is Base64 of the key."""
    return _signature(_keys(secret)[0], user, timestamp, nonce)


def callback_header(secret: str, user: str, timestamp: str, nonce: str) -> str:
    """The whole header, as Huawei writes it. ``timestamp``: epoch ms."""
    return f"timestamp={timestamp};nonce={nonce};value={signature(secret, user, timestamp, nonce)}"


def check_signature(call: ReportCall, *, secret: str, user: str, now: float) -> None:
    """Raises ReportRefused: 403 where the credential has no secret, 401 for a header that is missing, old or signed otherwise.

    Secrets of newer consoles are Base64 of the key, older ones the key itself: both are tried.
    """
    if not secret:
        raise ReportRefused(
            403,
            "the credential has no receipt_secret; copy it from the receipt settings of AppGallery Connect",
        )
    parts = dict(_parts(call.headers.get(HEADER, "")))
    if not {"timestamp", "nonce", "value"} <= parts.keys():
        raise ReportRefused(401, f"the header {HEADER} is missing or not timestamp=…;nonce=…;value=…")
    timestamp, nonce, value = parts["timestamp"], parts["nonce"], parts["value"].encode("utf-8", "replace")
    good = [_signature(key, user, timestamp, nonce).encode() for key in _keys(secret)]
    if not any(hmac.compare_digest(value, one) for one in good):
        raise ReportRefused(
            401, "the signature is wrong; compare receipt_user and receipt_secret with AppGallery Connect"
        )
    if not timestamp.isdecimal() or abs(now - int(timestamp) / 1000) > OLDEST_S:
        raise ReportRefused(401, "the signature is older than a day, or this machine's clock is wrong")


def read_statuses(body: bytes, meaning: Meaning) -> list[Report]:
    """Reports of a body, of version 1 (``status``) or 2 (``deliveryStatus.result``). Raises ReportRefused 400 where it is none.

    A single entry that cannot be read is left out, so that its neighbours are not repeated for ever.
    """
    listed = json_object(body).get("statuses")
    if not isinstance(listed, list) or len(listed) > MAX_STATUSES:
        raise ReportRefused(400, f"the body is no JSON object with at most {MAX_STATUSES} statuses")
    return [report for one in listed if isinstance(one, dict) for report in _report(one, meaning)]


def _report(one: dict[str, Any], meaning: Meaning) -> Iterator[Report]:
    delivery = one.get("deliveryStatus")
    if isinstance(delivery, dict):
        code, at = delivery.get("result"), delivery.get("timestamp")
    else:
        code, at = one.get("status"), one.get("timestamp")
    if not isinstance(code, int | str) or isinstance(code, bool):
        return
    stage, words = meaning(str(code))
    yield Report(
        echo=_text(one.get("biTag")),
        token=_text(one.get("token")),
        stage=stage,
        code=str(code),
        words=words,
        at_ms=time_of(at),
        vendor_id=_text(one.get("requestId")),
    )


def _parts(header: str) -> Iterator[tuple[str, str]]:
    """Blanks may follow a semicolon; the value itself ends in equals signs."""
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            yield name, value


def _signature(key: bytes, user: str, timestamp: str, nonce: str) -> str:
    signed = f"{timestamp}{nonce}{user}".encode("utf-8", "replace")
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _keys(secret: str) -> list[bytes]:
    raw = secret.encode()
    try:
        return [base64.b64decode(raw, validate=True), raw]
    except binascii.Error:
        return [raw]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
