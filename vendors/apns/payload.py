"""The payload: Apple's JSON, and how it is brought under Apple's limit. Source: Apple's page on generating a notification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pushgw.messages.model import ApnsInfo, LiveActivity
from pushgw.vendor.adapter import Refused
from pushgw.vendor.push import Notification
from pushgw.vendor.texts import cut_bytes
from vendors.apns.push_type import (
    ALERT,
    BACKGROUND,
    CONTROLS,
    FILE_PROVIDER,
    LIMIT,
    LIVE_ACTIVITY,
    MDM,
    VOIP,
    WIDGETS,
    PushType,
)

LEAST_BODY = 160
"""Bytes of body that stay while the title can still give way."""

NO_SOUND = "push.no_sound"
"""The IM SDK's word for a notification without a sound."""

_PLAIN = ApnsInfo()
_encode = msgspec.json.Encoder().encode


def payload_of(
    push_type: PushType, notification: Notification, defaults: Mapping[str, str], now: float
) -> dict[str, Any]:
    """What a notification says as a push of this type. ``now`` (epoch s) orders the updates of a Live Activity."""
    if push_type is ALERT:
        return alert_payload(notification, defaults)
    if push_type is MDM or push_type is FILE_PROVIDER:
        return {}  # Apple lists their keys; none of them is ours to fill in
    aps: dict[str, Any] = {}
    if push_type is BACKGROUND:
        aps["content-available"] = 1
    elif push_type is VOIP:
        aps["alert"] = _alert(notification, notification.apns or _PLAIN)
    elif push_type is LIVE_ACTIVITY:
        aps = _activity((notification.apns or _PLAIN).live_activity, int(now))
    elif push_type is CONTROLS or push_type is WIDGETS:
        aps["content-changed"] = True
    return {"aps": aps, "ext": notification.ext} if notification.ext else {"aps": aps}


def alert_payload(notification: Notification, defaults: Mapping[str, str]) -> dict[str, Any]:
    """A notification that is shown."""
    info = notification.apns or _PLAIN
    aps: dict[str, Any] = {"alert": _alert(notification, info)}
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
    return payload


def encode(payload: dict[str, Any], limit: int = LIMIT) -> bytes:
    """The JSON, within ``limit`` bytes. Raises Refused where what is never cut leaves no room, with the sizes.

    What is too large gives way in this order: the image, the subtitle, the thread id, the interruption level, the
    body down to 160 bytes, the title, the rest of the body. ``ext`` and a Live Activity's state are never touched.
    """
    try:
        body = _encode(payload)
    except UnicodeEncodeError:
        raise Refused("the text holds half a surrogate pair, which is no character") from None
    return body if len(body) <= limit else _shrunk(payload, limit)


def _alert(notification: Notification, info: ApnsInfo) -> dict[str, Any]:
    alert: dict[str, Any] = {}
    if title := info.title or notification.title:
        alert["title"] = title
    if info.subtitle:
        alert["subtitle"] = info.subtitle
    alert["body"] = notification.body
    return alert


def _activity(activity: LiveActivity | None, now: int) -> dict[str, Any]:
    """The device drops an update whose timestamp is older than the one it shows."""
    aps: dict[str, Any] = {"timestamp": now}
    if activity is None:
        return aps
    aps["event"] = activity.event
    if activity.content_state is not None:
        aps["content-state"] = activity.content_state
    if activity.dismissal_date is not None:
        aps["dismissal-date"] = activity.dismissal_date
    return aps


def _shrunk(payload: dict[str, Any], limit: int) -> bytes:
    aps = _table(payload.get("aps"))
    alert = _table(aps.get("alert"))
    for place, key in (
        (payload, "image"),
        (alert, "subtitle"),
        (aps, "thread-id"),
        (aps, "interruption-level"),
    ):
        if place.pop(key, None) is not None and len(_encode(payload)) <= limit:
            return _encode(payload)
    for key, least in (("body", LEAST_BODY), ("title", 0), ("body", 0)):
        if isinstance(alert.get(key), str):
            alert[key] = _longest(alert[key], least, _fits(payload, alert, key, limit))
            if len(_encode(payload)) <= limit and alert.get("body"):
                return _encode(payload)
    raise Refused(
        f"the payload has {len(_encode(payload))} bytes, Apple takes {limit}; {_never_cut(payload)}"
    )


def _never_cut(payload: Mapping[str, Any]) -> str:
    """What took the room, with its size."""
    state = _table(payload.get("aps")).get("content-state")
    if state:
        return f"content-state alone has {len(_encode(state))} and is never cut"
    return f"ext alone has {len(str(payload.get('ext', '')).encode())} and is never cut"


def _table(value: Any) -> dict[str, Any]:
    """Whatever ``--extra`` put in its place, an object or an empty one."""
    return value if isinstance(value, dict) else {}


def _fits(payload: dict[str, Any], alert: dict[str, Any], key: str, limit: int) -> Callable[[str], bool]:
    return lambda text: (
        len(_encode({**payload, "aps": {**payload["aps"], "alert": {**alert, key: text}}})) <= limit
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
