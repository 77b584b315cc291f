"""The message: FCM's JSON, built by pyfcm, and how it is brought under Google's limit.

Source: Firebase's reference page of ``projects.messages``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from pyfcm import FCMNotification

from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.vendor.adapter import Refused
from pushgw.vendor.push import Notification, Push
from pushgw.vendor.texts import cut_bytes

LIMIT = 4096
"""Bytes of the whole message's JSON without its target."""
LONGEST_TTL_S = 2_419_200
LEAST_BODY = 160
"""Bytes of body that stay while the title can still give way."""

_NO_ANDROID = AndroidInfo()
_NO_APNS = ApnsInfo()
_PRIORITY = {"normal": "NORMAL", "high": "HIGH"}
_Parameters = dict[str, Any]


def message_json(push: Push, pyfcm: FCMNotification, defaults: Mapping[str, str]) -> bytes:
    """The request's body: one message for the push's one target, within the limit. Raises Refused with the sizes.

    What is too large gives way in this order: the image, the body down to 160 bytes, the title, the rest of the body.
    ``ext`` is never touched.
    """
    token, extra = push.targets[0].token, push.notification.extra
    parameters = _parameters(push, defaults)
    try:
        body = _built(pyfcm, parameters, extra)
        if len(body) - len(token) > LIMIT:  # quick and a little too strict; the right count is size()
            body = _shrunk(pyfcm, parameters, extra)
    except UnicodeEncodeError:
        raise Refused("the text holds half a surrogate pair, which is no character") from None
    return body


def size(body: bytes) -> int:
    """Bytes that count: those of the message without its target."""
    message = msgspec.json.decode(body)["message"]
    for target in ("token", "fid", "topic", "condition"):
        message.pop(target, None)
    return len(msgspec.json.encode(message))


def _parameters(push: Push, defaults: Mapping[str, str]) -> _Parameters:
    """pyfcm's arguments. A device of unknown platform gets every platform's part."""
    notification, target = push.notification, push.targets[0]
    platform = target.platform
    ttl = min(max(0, notification.expires_at - int(push.now)), LONGEST_TTL_S)
    parameters: _Parameters = {
        "fcm_token": target.token,
        "notification_title": notification.title,
        "notification_body": notification.body,
    }
    if notification.ext:
        parameters["data_payload"] = {"ext": notification.ext}
    if platform in (None, "android"):
        parameters["android_config"] = _android(notification, ttl, defaults)
    if platform in (None, "ios"):
        parameters["apns_config"] = _apns(notification, defaults)
    if platform in (None, "web"):
        parameters["webpush_config"] = _webpush(notification, ttl, defaults)
    return parameters


def _android(notification: Notification, ttl: int, defaults: Mapping[str, str]) -> dict[str, Any]:
    hints = notification.android or _NO_ANDROID
    shown: dict[str, Any] = {"tag": notification.collapse_id}
    if channel := hints.google_channel_id or defaults.get("channel_id"):
        shown["channel_id"] = channel
    shown["sound"] = hints.sound or notification.sound or defaults.get("sound") or "default"
    if notification.badge is not None:
        shown["notification_count"] = notification.badge
    if hints.google_image:
        shown["image"] = hints.google_image
    if defaults.get("click_action") == "intent" and defaults.get("click_target"):
        shown["click_action"] = defaults["click_target"]
    return {
        "priority": _PRIORITY.get((hints.google_priority or "").lower(), "HIGH"),
        "ttl": f"{ttl}s",
        "collapse_key": notification.collapse_id,
        "notification": shown,
    }


def _apns(notification: Notification, defaults: Mapping[str, str]) -> dict[str, Any]:
    """For an app that reaches its iPhones through Firebase; the texts come from the message's own notification."""
    info = notification.apns or _NO_APNS
    aps: dict[str, Any] = {"sound": info.sound or notification.sound or defaults.get("sound") or "default"}
    if notification.badge is not None and info.badge_mode != 1:
        aps["badge"] = notification.badge
    if notification.conversation:
        aps["thread-id"] = notification.conversation
    if info.interruption_level:
        aps["interruption-level"] = info.interruption_level
    headers = {"apns-collapse-id": notification.collapse_id, "apns-expiration": str(notification.expires_at)}
    config: dict[str, Any] = {"headers": headers, "payload": {"aps": aps}}
    if info.image:
        aps["mutable-content"] = 1
        config["fcm_options"] = {"image": info.image}
    return config


def _webpush(notification: Notification, ttl: int, defaults: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {"headers": {"TTL": str(ttl)}, "notification": {"tag": notification.collapse_id}}
    if defaults.get("click_action") == "url" and defaults.get("click_target"):
        config["fcm_options"] = {"link": defaults["click_target"]}
    return config


def _built(pyfcm: FCMNotification, parameters: _Parameters, extra: Mapping[str, Any] | None) -> bytes:
    body: bytes = pyfcm.parse_payload(**parameters)
    if not extra:
        return body
    request = msgspec.json.decode(body)
    request["message"] = _merged(request["message"], extra)
    return bytes(pyfcm.json_dumps(request))


def _merged(base: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` laid over it, level by level."""
    result = dict(base)
    for key, value in extra.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _shrunk(pyfcm: FCMNotification, parameters: _Parameters, extra: Mapping[str, Any] | None) -> bytes:
    def fits(tried: _Parameters) -> bool:
        return size(_built(pyfcm, tried, extra)) <= LIMIT

    if not fits(parameters):
        parameters = _without_images(parameters)
    for key, least in (
        ("notification_body", LEAST_BODY),
        ("notification_title", 0),
        ("notification_body", 0),
    ):
        if not fits(parameters):
            parameters = _cut(parameters, key, least, fits)
    body = _built(pyfcm, parameters, extra)
    if size(body) > LIMIT or not parameters["notification_body"]:
        ext = len(parameters.get("data_payload", {}).get("ext", "").encode())
        raise Refused(
            f"the message has {size(body)} bytes, FCM takes {LIMIT}; ext alone has {ext} and is never cut"
        )
    return body


def _cut(parameters: _Parameters, key: str, least: int, fits: Callable[[_Parameters], bool]) -> _Parameters:
    text = _longest(str(parameters[key]), least, lambda cut: fits({**parameters, key: cut}))
    return {**parameters, key: text}


def _without_images(parameters: _Parameters) -> _Parameters:
    result = dict(parameters)
    if android := result.get("android_config"):
        shown = {name: value for name, value in android["notification"].items() if name != "image"}
        result["android_config"] = {**android, "notification": shown}
    if apns := result.get("apns_config"):
        result["apns_config"] = {name: value for name, value in apns.items() if name != "fcm_options"}
    return result


def _longest(text: str, least: int, fits: Callable[[str], bool]) -> str:
    """The longest cut of ``text`` that fits, or that of ``least`` bytes. By halving: what is escaped counts more."""
    low, high = least, max(least, min(len(text.encode()), LIMIT))
    while low < high:
        middle = (low + high + 1) // 2
        if fits(cut_bytes(text, middle)):
            low = middle
        else:
            high = middle - 1
    return cut_bytes(text, low)
