"""vivo's double: auth, single push and list push, with the limits of vivo's pages."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.vivo.results import ACCEPTED, INVALID_REGID, REFUSED_TOKEN, lookup

AUTH_PATH = "/message/auth"
SEND_PATH = "/message/send"
SAVE_PATH = "/message/saveListPayload"
LIST_PATH = "/message/pushToList"
TOKEN_LIFETIME_S = 86_400
CLOCK_WINDOW_S = 600
MAX_TITLE = 40
MAX_CONTENT = 100
MAX_SKIP_CONTENT = 1024
MAX_CUSTOM_PAIRS = 10
MAX_CUSTOM_CHARS = 1024
MAX_REQUEST_ID = 64
MAX_CALLBACK = 128
MAX_CALLBACK_PARAM = 64
MAX_NOTIFY_ID = 2**31 - 1
REMEMBERED = 100_000
"""Answers kept for repeated requestIds, and texts kept for lists."""
FEWEST, MOST = 2, 1000
"""regIds of a list"""

WRONG_APP = "10094"
NO_REGIDS, NO_TASK, UNKNOWN_TASK, WRONG_NUMBER, TASK_EXPIRED = "10150", "10151", "10152", "10153", "10155"
REFUSED_TEXT = "10104"
CATEGORIES = {
    0: frozenset(["NEWS", "CONTENT", "MARKETING", "SOCIAL"]),
    1: frozenset(["IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"]),
}
"""classification -> its categories"""

_TRIAL = re.compile(r"[\d\s!-/:-@\[-`{-~]+|test|测试", re.IGNORECASE)
"""Texts that vivo takes for a trial: digits and signs alone, or the word."""
_SKIP_CODES = {2: ("10061", "10062"), 3: ("10063", "10064"), 4: ("10068", "10069")}
"""skipType -> code of a missing and of an overlong skipContent"""

_STATUSES = {"HTTP 5xx": 503, "HTTP other": 403}


class _Refusal(Exception):
    """vivo's result for the whole request and what displeased it."""

    def __init__(self, code: str, desc: str) -> None:
        super().__init__(code)
        self.code = code
        self.desc = desc


class VivoEmulator(Emulator):
    """Holds the auth tokens that it issued and its answers to the requestIds that it has seen."""

    vendor: ClassVar[str] = "vivo"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._issued: dict[str, tuple[str, float]] = {}
        """auth token -> (AppID, epoch s at which it ends)"""
        self._answered: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
        """(AppID, requestId) -> the answer when it was accepted"""
        self._stored: OrderedDict[tuple[str, str], tuple[dict[str, Any], float]] = OrderedDict()
        """(AppID, taskId) -> a list's message, and when it was stored"""
        self._sent = 0

    def claims(self, method: str, path: str) -> bool:
        """The paths of vivo's server API that single pushes and lists need."""
        return path.partition("?")[0] in (AUTH_PATH, SEND_PATH, SAVE_PATH, LIST_PATH)

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as vivo does: HTTP 200 with a result."""
        if call.method != "POST":
            return Answer(response=Response(status=405))
        body = json_object(call.body)
        try:
            path = call.path.partition("?")[0]
            if path == AUTH_PATH:
                return self._auth(body, now)
            answer = {SEND_PATH: self._send, SAVE_PATH: self._save, LIST_PATH: self._send_list}[path]
            return answer(call, body, now)
        except _Refusal as refusal:
            return _json({"result": int(refusal.code), "desc": refusal.desc})

    # --- auth ---

    def _auth(self, body: dict[str, Any], now: float) -> Answer:
        given = {name: _text(body.get(name)) for name in ("appId", "appKey", "timestamp", "sign")}
        for (name, value), code in zip(given.items(), ("10200", "10201", "10203", "10204"), strict=True):
            _require(bool(value), code, f"{name} is missing")
        self._check_sign(given)
        timestamp = given["timestamp"]
        fresh = re.fullmatch(r"[0-9]{13}", timestamp) and abs(now - int(timestamp) / 1000) <= CLOCK_WINDOW_S
        _require(bool(fresh), "10207", "timestamp is not valid")
        token = hashlib.sha256(f"{given['sign']}/{len(self._issued)}".encode()).hexdigest()[:32]
        self._issued[token] = (given["appId"], now + TOKEN_LIFETIME_S)
        return _json({"result": 0, "desc": "请求成功", "authToken": token})

    def _check_sign(self, given: dict[str, str]) -> None:
        known = {account.credential.app_id: account.credential for account in self.accounts}
        credential = known.get(given["appId"])
        if credential is None:
            raise _Refusal("10205", "appId does not exist")
        _require(credential.app_key == given["appKey"], "10202", "appKey is not valid")
        secret = credential.app_secret.get_secret_value()
        text = f"{given['appId']}{given['appKey']}{given['timestamp']}{secret}".strip()
        due = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        _require(due == given["sign"], "10206", "sign is not valid")

    def _app_of(self, call: Call, body: dict[str, Any], now: float) -> str:
        app_id, end = self._issued.get(call.headers.get("authtoken", ""), ("", 0.0))
        _require(now < end, REFUSED_TOKEN, "权限认证失败")
        _require(_text(body.get("appId")) == app_id, WRONG_APP, "authToken and appId differ")
        return app_id

    # --- sending ---

    def _send(self, call: Call, body: dict[str, Any], now: float) -> Answer:
        app_id = self._app_of(call, body, now)
        regid = _text(body.get("regId"))
        _require(bool(regid), "10050", "regId and alias are empty")
        fault = self._scripted(regid)
        if fault and fault != ACCEPTED:
            return _fault(fault, regid)
        for check in _CHECKS:
            check(body)
        if "dead" in regid or any(c <= " " for c in regid):
            return _fault(INVALID_REGID, regid)
        if body.get("pushMode", 0) == 1:
            return _fault("status 4", regid)
        return self._take(app_id, regid, body)

    def _take(self, app_id: str, regid: str, body: dict[str, Any]) -> Answer:
        """A requestId that was accepted before gets the same answer again, and nothing is shown."""
        key = (app_id, body["requestId"])
        if key in self._answered:
            return _json(self._answered[key])
        return _json(
            self._remember(key, {"result": 0, "desc": "请求成功", "taskId": self._task_id()}),
            (_accepted(regid, body),),
        )

    def _save(self, call: Call, body: dict[str, Any], now: float) -> Answer:
        """Store a list's message: nothing is shown by it."""
        app_id = self._app_of(call, body, now)
        fault = self._scripted("")
        if fault and not _of_a_token(fault):
            return _fault(fault, "")
        for check in _CHECKS:
            check(body)
        key = (app_id, body["requestId"])
        if key in self._answered:
            return _json(self._answered[key])
        task_id = self._task_id()
        _keep(self._stored, (app_id, task_id), (body, now))
        return _json(self._remember(key, {"result": 0, "desc": "请求成功", "taskId": task_id}))

    def _send_list(self, call: Call, body: dict[str, Any], now: float) -> Answer:
        """Send a stored message to 2...1,000 regIds. Those that are invalid are named beside result 0."""
        app_id = self._app_of(call, body, now)
        regids = body.get("regIds")
        if not isinstance(regids, list) or not regids or not all(map(_text, regids)):
            raise _Refusal(NO_REGIDS, "regIds are empty")
        regids = list(dict.fromkeys(map(_text, regids)))
        faults = {regid: self._scripted(regid) for regid in regids}
        for fault in faults.values():
            if fault and not _of_a_token(fault):
                return _fault(fault, "")
        _require(FEWEST <= len(regids) <= MOST, WRONG_NUMBER, "a list has 2 to 1000 regIds")
        message = self._message_of(app_id, _text(body.get("taskId")), now)
        _check_request_id(body)
        key = (app_id, body["requestId"])
        if key in self._answered:
            return _json(self._answered[key])
        refused = {regid: status for regid in regids if (status := _status(regid, faults[regid], body))}
        told: dict[str, Any] = {"result": 0, "desc": "请求成功", "requestId": body["requestId"]}
        if refused:
            told["invalidUsers"] = [{"userid": regid, "status": status} for regid, status in refused.items()]
        shown = tuple(_accepted(regid, message) for regid in regids if regid not in refused)
        return _json(self._remember(key, told), shown)

    def _message_of(self, app_id: str, task_id: str, now: float) -> dict[str, Any]:
        _require(bool(task_id), NO_TASK, "taskId is empty")
        if (app_id, task_id) not in self._stored:
            raise _Refusal(UNKNOWN_TASK, "taskId is not valid")
        message, since = self._stored[app_id, task_id]
        _require(now < since + message.get("timeToLive", 86_400), TASK_EXPIRED, "the message has expired")
        return message

    def _task_id(self) -> str:
        self._sent += 1
        return f"{542_323_000_000_000_000 + self._sent}"

    def _remember(self, key: tuple[str, str], told: dict[str, Any]) -> dict[str, Any]:
        _keep(self._answered, key, told)
        return told

    def _scripted(self, regid: str) -> str:
        codes = self.scripted.get(regid)
        return codes.pop(0) if codes else ""


# --- the checks, in the order of vivo's codes ---------------------------------------------------------------


def _check_texts(body: dict[str, Any]) -> None:
    for name, limit, missing, too_long in (
        ("title", MAX_TITLE, "10055", "10056"),
        ("content", MAX_CONTENT, "10057", "10058"),
    ):
        text = body.get(name)
        if not isinstance(text, str) or not text.strip():
            raise _Refusal(missing, f"{name} is empty")
        _require(len(text) <= limit, too_long, f"{name} has more than {limit} characters")


def _check_notify_type(body: dict[str, Any]) -> None:
    _require(_within(body.get("notifyType"), 1, 4), "10054", "notifyType must be 1, 2, 3 or 4")


def _check_life(body: dict[str, Any]) -> None:
    _require(
        _within(body.get("timeToLive", 86_400), 60, 86_400), "10059", "timeToLive must be 60...86400 seconds"
    )


def _check_skip(body: dict[str, Any]) -> None:
    kind, content = body.get("skipType"), body.get("skipContent", "")
    _require(_within(kind, 1, 4), "10060", "skipType must be 1, 2, 3 or 4")
    if kind != 1 and kind is not None:
        missing, too_long = _SKIP_CODES[kind]
        if not isinstance(content, str) or not content:
            raise _Refusal(missing, "skipContent is missing")
        _require(len(content) <= MAX_SKIP_CONTENT, too_long, "skipContent has more than 1024 characters")


def _check_network(body: dict[str, Any]) -> None:
    _require(body.get("networkType", -1) in (-1, 1), "10065", "networkType must be -1 or 1")


def _check_custom(body: dict[str, Any]) -> None:
    custom = body.get("clientCustomMap", {})
    if not isinstance(custom, dict) or not all(isinstance(value, str) for value in custom.values()):
        raise _Refusal("10066", "clientCustomMap is no map of strings")
    _require(len(custom) <= MAX_CUSTOM_PAIRS, "10066", "clientCustomMap has more than 10 pairs")
    size = sum(len(name) + len(value) for name, value in custom.items())
    _require(size <= MAX_CUSTOM_CHARS, "10067", "clientCustomMap has more than 1024 characters")


def _check_trial(body: dict[str, Any]) -> None:
    for name in ("title", "content"):
        _require(
            not _TRIAL.fullmatch(body[name].strip()), REFUSED_TEXT, f"{name} is only a test, digits or signs"
        )


def _check_notify_id(body: dict[str, Any]) -> None:
    _require(_within(body.get("notifyId", 1), 1, MAX_NOTIFY_ID), "10095", "notifyId must be 1...2147483647")


def _check_class(body: dict[str, Any]) -> None:
    category, kind = body.get("category"), body.get("classification")
    _require(kind is None or _within(kind, 0, 1), "11000", "classification must be 0 or 1")
    if category is None:
        return
    if not isinstance(category, str) or not any(category in known for known in CATEGORIES.values()):
        raise _Refusal("10096", "category is not known")
    _require(kind is None or category in CATEGORIES[kind], "10097", "category does not match classification")


def _check_extra(body: dict[str, Any]) -> None:
    extra = body.get("extra", {})
    known = isinstance(extra, dict) and set(extra) <= {"callback", "callback.param"}
    _require(known, "10304", "extra has an unknown key")
    callback, param = extra.get("callback", ""), extra.get("callback.param", "")
    _require(isinstance(callback, str) and len(callback) <= MAX_CALLBACK, "10305", "callback is too long")
    _require(
        isinstance(param, str) and len(param) <= MAX_CALLBACK_PARAM, "10306", "callback.param is too long"
    )


def _check_request_id(body: dict[str, Any]) -> None:
    request_id = body.get("requestId")
    if not isinstance(request_id, str) or not request_id:
        raise _Refusal("10352", "requestId is missing")
    _require(len(request_id) <= MAX_REQUEST_ID, "10353", "requestId has more than 64 characters")


_CHECKS: tuple[Callable[[dict[str, Any]], None], ...] = (
    _check_notify_type,
    _check_texts,
    _check_life,
    _check_skip,
    _check_network,
    _check_custom,
    _check_notify_id,
    _check_class,
    _check_trial,
    _check_extra,
    _check_request_id,
)


def _of_a_token(fault: str) -> bool:
    """A scripted answer that spoils one regId of a list and not the whole of it."""
    return fault in (ACCEPTED, INVALID_REGID) or fault.startswith("status ")


def _status(regid: str, fault: str, body: dict[str, Any]) -> int:
    """What is said of a regId of a list; 0: nothing, it is sent to."""
    if fault.startswith("status "):
        return int(fault[7:])
    if fault == INVALID_REGID or "dead" in regid or any(c <= " " for c in regid):
        return 1
    return 4 if body.get("pushMode", 0) == 1 else 0


def _keep(kept: OrderedDict[tuple[str, str], Any], key: tuple[str, str], value: Any) -> None:
    kept[key] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)


def _require(held: bool, code: str, desc: str) -> None:
    if not held:
        raise _Refusal(code, desc)


def _within(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _text(value: object) -> str:
    """vivo takes numbers as numbers or as text here."""
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _accepted(regid: str, body: dict[str, Any]) -> Accepted:
    return Accepted(
        vendor="vivo",
        token=regid,
        title=body["title"],
        body=body["content"],
        vendor_id=_text(body.get("notifyId")),
        payload={name: value for name, value in body.items() if name not in ("appId", "regId")},
    )


def _fault(code: str, regid: str) -> Answer:
    """A dead regId is named beside its code; a status stands beside result 0."""
    if code.startswith("HTTP "):
        return Answer(response=Response(status=_STATUSES.get(code) or int(code[5:])))
    if code.startswith("status "):
        user = {"userid": regid, "status": int(code[7:])}
        return _json({"result": 0, "desc": "请求成功", "invalidUser": user})
    told: dict[str, Any] = {"result": int(code), "desc": lookup(code)[1]}
    if code == INVALID_REGID:
        told["invalidUser"] = {"userid": regid, "status": 1}
    return _json(told)


def _json(told: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    return Answer(
        response=Response(status=200, headers=headers, body=msgspec.json.encode(told)), accepted=accepted
    )
