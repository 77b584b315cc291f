"""OPPO's double: auth, unicast and unicast_batch, with the limits of OPPO's pages."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.oppo.results import INVALID_REGID, WRONG_SIGNATURE, lookup

AUTH_PATH = "/server/v1/auth"
SINGLE_PATH = "/server/v1/message/notification/unicast"
BATCH_PATH = "/server/v1/message/notification/unicast_batch"
TOKEN_LIFETIME_S = 86_400
CLOCK_WINDOW_S = 600
MAX_BATCH = 1000
REMEMBERED = 100_000
"""Message ids kept to recognise duplicates."""

MISSING = "40"
INVALID = "41"
WRONG_CLASS = "67"
DUPLICATE = "32"

_ITEM_FAULTS = frozenset({INVALID_REGID, DUPLICATE, INVALID})
"""Codes that concern the one message they are scripted for; any other answers the whole request."""

_TEXT_LIMITS = {
    "title": 50,
    "sub_title": 10,
    "click_action_activity": 500,
    "click_action_url": 2000,
    "action_parameters": 4000,
    "call_back_url": 200,
    "call_back_parameter": 100,
}
_CONTENT_LIMITS = {1: 50, 2: 128}
_CLICK_NEEDS = {
    0: None,
    1: "click_action_activity",
    2: "click_action_url",
    4: "click_action_activity",
    5: "click_action_url",
}


class _Refusal(Exception):
    """OPPO's code, for the whole request or for one message, and what displeased it."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or lookup(code)[1]


class OppoEmulator(Emulator):
    """Holds the auth tokens that it issued and the message ids that it has seen."""

    vendor: ClassVar[str] = "oppo"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._issued: dict[str, float] = {}
        """auth token -> epoch s at which it ends"""
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        """(app_message_id, registration id)"""
        self._sent = 0

    def claims(self, method: str, path: str) -> bool:
        """The three paths of OPPO's server API."""
        return path.partition("?")[0] in (AUTH_PATH, SINGLE_PATH, BATCH_PATH)

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as OPPO does: HTTP 200 with a code."""
        path = call.path.partition("?")[0]
        try:
            if call.method != "POST":
                raise _Refusal("12", "Invalid Http Method")
            form = _form(call.body)
            return self._auth(form, now) if path == AUTH_PATH else self._send(call, path, form, now)
        except _Refusal as refusal:
            return _refused(refusal)

    # --- auth ---

    def _auth(self, form: dict[str, str], now: float) -> Answer:
        for name, code in (("app_key", "15"), ("timestamp", "18"), ("sign", "17")):
            if not form.get(name):
                raise _Refusal(code)
        self._check_sign(form)
        timestamp = form["timestamp"]
        if not re.fullmatch(r"[0-9]{13}", timestamp) or abs(now - int(timestamp) / 1000) > CLOCK_WINDOW_S:
            raise _Refusal("19", "Invalid Timestamp")
        token = hashlib.sha256(f"{form['sign']}/{len(self._issued)}".encode()).hexdigest()[:32]
        self._issued[token] = now + TOKEN_LIFETIME_S
        return _json(
            {"code": 0, "message": "success", "data": {"auth_token": token, "create_time": int(now * 1000)}}
        )

    def _check_sign(self, form: dict[str, str]) -> None:
        """A signature made with AppSecret is to OPPO any wrong signature."""
        for account in self.accounts:
            credential = account.credential
            if credential.app_key == form["app_key"]:
                text = f"{credential.app_key}{form['timestamp']}{credential.master_secret.get_secret_value()}"
                if hashlib.sha256(text.encode()).hexdigest() != form["sign"]:
                    raise _Refusal(WRONG_SIGNATURE, "Invalid Signature")
                return
        raise _Refusal("14", "Invalid App Key")

    def _check_token(self, call: Call, form: dict[str, str], now: float) -> None:
        given = {form.get("auth_token", ""), call.headers.get("auth_token", "")} - {""}
        if not given:
            raise _Refusal("29", "Missing Auth Token")
        if any(now >= self._issued.get(token, 0.0) for token in given):
            raise _Refusal("11", "Invalid Auth Token")

    # --- sending ---

    def _send(self, call: Call, path: str, form: dict[str, str], now: float) -> Answer:
        self._check_token(call, form, now)
        messages = _messages(form) if path == BATCH_PATH else [_message(form)]
        faults = self._scripted(messages)
        if whole := [code for code in faults.values() if code not in _ITEM_FAULTS]:
            return _fault(whole[0])
        if path == BATCH_PATH:
            return self._batch(messages, faults)
        accepted = self._take(messages[0], faults)
        return _json({"code": 0, "message": "", "data": {"messageId": self._message_id()}}, (accepted,))

    def _batch(self, messages: list[dict[str, Any]], faults: dict[str, str]) -> Answer:
        items: list[dict[str, Any]] = []
        accepted: list[Accepted] = []
        for message in messages:
            item = {"messageId": self._message_id(), "registrationId": message["target_value"]}
            try:
                accepted.append(self._take(message, faults))
            except _Refusal as refusal:
                item |= {"errorCode": int(refusal.code), "errorMessage": refusal.message}
            items.append(item)
        return _json({"code": 0, "message": "", "data": items}, tuple(accepted))

    def _take(self, message: dict[str, Any], faults: dict[str, str]) -> Accepted:
        regid = message["target_value"]
        if regid in faults:
            raise _Refusal(faults[regid])
        if "dead" in regid or any(c <= " " for c in regid):
            raise _Refusal(INVALID_REGID, "registration_id format error")
        notification = message.get("notification")
        if not isinstance(notification, dict):
            raise _Refusal(MISSING, "notification is missing")
        _check_notification(notification)
        self._check_duplicate(str(notification.get("app_message_id", "")), regid)
        return _accepted(regid, notification)

    def _check_duplicate(self, message_id: str, regid: str) -> None:
        if not message_id:
            return
        if (message_id, regid) in self._seen:
            raise _Refusal(DUPLICATE, "Duplicate Data")
        self._seen[message_id, regid] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _scripted(self, messages: list[dict[str, Any]]) -> dict[str, str]:
        queues = {message["target_value"]: self.scripted.get(message["target_value"]) for message in messages}
        return {regid: codes.pop(0) for regid, codes in queues.items() if codes}

    def _message_id(self) -> str:
        self._sent += 1
        return f"3702811-1-1-{self._sent:024x}"


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeError, ValueError):
        raise _Refusal("25", "the body is no percent-encoded UTF-8 form") from None


def _messages(form: dict[str, str]) -> list[dict[str, Any]]:
    if not form.get("messages"):
        raise _Refusal(MISSING, "messages is missing")
    told = json_object(f'{{"messages":{form["messages"]}}}').get("messages")
    if not isinstance(told, list) or not 1 <= len(told) <= MAX_BATCH:
        raise _Refusal(INVALID, "messages is no JSON array of 1...1000 messages")
    for message in told:
        _check_target(message)
    return told


def _message(form: dict[str, str]) -> dict[str, Any]:
    if not form.get("message"):
        raise _Refusal(MISSING, "message is missing")
    message = json_object(form["message"])
    _check_target(message)
    return message


def _check_target(message: Any) -> None:
    _require(isinstance(message, dict), INVALID, "a message is no JSON object")
    _require(message.get("target_type") == 2, INVALID, "target_type must be 2")
    regid = message.get("target_value")
    _require(isinstance(regid, str) and bool(regid), INVALID, "target_value is missing")


def _check_notification(notification: dict[str, Any]) -> None:
    for name in ("title", "content"):
        text = notification.get(name)
        _require(isinstance(text, str) and bool(text.strip()), MISSING, f"{name} is missing or blank")
    for name, limit in _TEXT_LIMITS.items():
        value = notification.get(name, "")
        _require(
            isinstance(value, str) and len(value) <= limit,
            INVALID,
            f"{name} has more than {limit} characters",
        )
    style = notification.get("style", 1)
    _require(style in _CONTENT_LIMITS, INVALID, "style must be 1 or 2")
    limit = _CONTENT_LIMITS[style]
    _require(len(notification["content"]) <= limit, INVALID, f"content has more than {limit} characters")
    _check_click(notification)
    _check_numbers(notification)
    _check_class(notification)


def _check_click(notification: dict[str, Any]) -> None:
    kind = notification.get("click_action_type", 0)
    _require(kind in _CLICK_NEEDS, INVALID, "click_action_type must be 0, 1, 2, 4 or 5")
    needed = _CLICK_NEEDS[kind]
    _require(needed is None or bool(notification.get(needed)), MISSING, f"{needed} is missing")
    parameters = notification.get("action_parameters", "")
    _require(
        not parameters or bool(json_object(parameters)),
        INVALID,
        "action_parameters is no JSON object as text",
    )


def _check_numbers(notification: dict[str, Any]) -> None:
    _require(isinstance(notification.get("off_line", True), bool), INVALID, "off_line must be true or false")
    for name in ("off_line_ttl", "notify_id", "show_ttl"):
        value = notification.get(name, 1)
        fine = (
            isinstance(value, int)
            and not isinstance(value, bool)
            and value >= (1 if name == "off_line_ttl" else 0)
        )
        _require(fine, INVALID, f"{name} must be a positive integer")


def _check_class(notification: dict[str, Any]) -> None:
    level, category = notification.get("notify_level"), notification.get("category")
    _require(
        category is None or (isinstance(category, str) and bool(category)), WRONG_CLASS, "category is blank"
    )
    _require(
        level is None or (level in (1, 2, 16) and bool(category)), WRONG_CLASS, "notify_level needs category"
    )
    for name in ("private_title_parameters", "private_content_parameters"):
        value = notification.get(name)
        _require(
            value is None or (isinstance(value, str) and bool(json_object(value))),
            INVALID,
            f"{name} is no JSON text",
        )


def _require(held: bool, code: str, message: str) -> None:
    if not held:
        raise _Refusal(code, message)


def _accepted(regid: str, notification: dict[str, Any]) -> Accepted:
    return Accepted(
        vendor="oppo",
        token=regid,
        title=notification["title"],
        body=notification["content"],
        vendor_id=str(notification.get("app_message_id", "")),
        payload=notification,
    )


def _fault(code: str) -> Answer:
    if code.startswith("HTTP "):
        return Answer(response=Response(status=502 if code == "HTTP 5xx" else int(code[5:])))
    return _refused(_Refusal(code))


def _refused(refusal: _Refusal) -> Answer:
    return _json({"code": int(refusal.code), "message": refusal.message})


def _json(told: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    return Answer(
        response=Response(status=200, headers=headers, body=msgspec.json.encode(told)), accepted=accepted
    )
