"""The payload: Apple's JSON, and how it is brought under Apple's limit. Source: Apple's page on generating a notification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pushgw.messages.model import ApnsInfo
from pushgw.vendor.adapter import Refused
from pushgw.vendor.push import Notification
from pushgw.vendor.texts import cut_bytes

LIMIT = 4096
"""Bytes of the whole JSON."""
LEAST_BODY = 160
"""Bytes of body that stay while the title can still give way."""

NO_SOUND = "push.no_sound"
"""The IM SDK's word for a notification without a sound."""

_PLAIN = ApnsInfo()
_encode = msgspec.json.Encoder().encode


def alert_payload(notification: Notification, defaults: Mapping[str, str]) -> dict[str, Any]:
    """A notification that is shown."""
    info = notification.apns or _PLAIN
    alert: dict[str, Any] = {}
    if title := info.title or notification.title:
        alert["title"] = title
    if info.subtitle:
        alert["subtitle"] = info.subtitle
    alert["body"] = notification.body
    aps: dict[str, Any] = {"alert": alert}
    if notification.badge is not None and info.badge_mode != 1:
        aps["badge"] = notification.badge
    sound = info.sound or notification.sound or defaults.get("sound") or "default"
    if sound != NO_SOUND:
        aps["sound"] = sound
    if notification.conversation:
        aps["thread-id"] = notification.conversation
    if info.mutable_content == 1 or info.image:
        aps["mutable-content"] = 1
    if info.interruption_level:
        aps["interruption-level"] = info.interruption_level
    payload: dict[str, Any] = {"aps": aps}
    if info.image:
        payload["image"] = info.image
    if notification.ext:
        payload["ext"] = notification.ext
    return merged(payload, notification.extra) if notification.extra else payload


def silent_payload(notification: Notification) -> dict[str, Any]:
    """A push that only wakes the app: no alert, badge or sound, or Apple refuses it."""
    payload: dict[str, Any] = {"aps": {"content-available": 1}}
    if notification.ext:
        payload["ext"] = notification.ext
    return merged(payload, notification.extra) if notification.extra else payload


def encode(payload: dict[str, Any]) -> bytes:
    """The JSON, within the limit. Raises Refused where ``ext`` leaves no room, with the sizes.

    What is too large gives way in this order: the image, the subtitle, the thread id, the interruption level, the
    body down to 160 bytes, the title, the rest of the body. ``ext`` is never touched.
    """
    try:
        body = _encode(payload)
    except UnicodeEncodeError:
        raise Refused("the text holds half a surrogate pair, which is no character") from None
    return body if len(body) <= LIMIT else _shrunk(payload)


def merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` laid over it, level by level."""
    result = dict(base)
    for key, value in extra.items():
        result[key] = merged(_table(result.get(key)), value) if isinstance(value, dict) else value
    return result


def _shrunk(payload: dict[str, Any]) -> bytes:
    aps = _table(payload["aps"])
    alert = _table(aps.get("alert"))
    for place, key in (
        (payload, "image"),
        (alert, "subtitle"),
        (aps, "thread-id"),
        (aps, "interruption-level"),
    ):
        if place.pop(key, None) is not None and len(_encode(payload)) <= LIMIT:
            return _encode(payload)
    for key, least in (("body", LEAST_BODY), ("title", 0), ("body", 0)):
        if isinstance(alert.get(key), str):
            alert[key] = _longest(alert[key], least, _fits(payload, alert, key))
            if len(_encode(payload)) <= LIMIT and alert["body"]:
                return _encode(payload)
    size, ext = len(_encode(payload)), len(str(payload.get("ext", "")).encode())
    raise Refused(f"the payload has {size} bytes, Apple takes {LIMIT}; ext alone has {ext} and is never cut")


def _table(value: Any) -> dict[str, Any]:
    """Whatever ``--extra`` put in its place, an object or an empty one."""
    return value if isinstance(value, dict) else {}


def _fits(payload: dict[str, Any], alert: dict[str, Any], key: str) -> Callable[[str], bool]:
    return lambda text: (
        len(_encode({**payload, "aps": {**payload["aps"], "alert": {**alert, key: text}}})) <= LIMIT
    )


def _longest(text: str, least: int, fits: Callable[[str], bool]) -> str:
    """The longest cut of ``text`` that fits, or that of ``least`` bytes. By halving: what is escaped counts more."""
    low, high = least, len(text.encode())
    while low < high:
        middle = (low + high + 1) // 2
        if fits(cut_bytes(text, middle)):
            low = middle
        else:
            high = middle - 1
    return cut_bytes(text, low)
