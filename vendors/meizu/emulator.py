"""Meizu's double: varnished/pushByPushId with the checks of Meizu's API document."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.meizu.results import DEAD_CODES, PER_TARGET, RESULTS, VALUE, lookup

SEND_PATH = "/garcia/api/server/push/varnished/pushByPushId"
MAX_PUSH_IDS = 100
MAX_TITLE = 32
MAX_CONTENT = 100
MAX_HOURS = 72
MAX_CALLBACK_BYTES = 128
MAX_PARAM_BYTES = 64

BAD_PARAMETER = "1005"
WRONG_SIGNATURE = "1006"
UNKNOWN_APP = "110000"
BLANK = "110004"
UNSUBSCRIBED = "110002"
ILLEGAL = "110003"

_NOTIFY_KEY = re.compile(r"[0-9A-Za-z_-]{1,8}")
_CLICK_NEEDS = {0: None, 1: "activity", 2: "url"}
"""clickType -> the field that it needs; 3 is withdrawn."""
_STATUSES = {"HTTP 5xx": 503}


class _Refusal(Exception):
    """Meizu's code for the whole request and what displeased it."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or lookup(code)[1]


class MeizuEmulator(Emulator):
    """Knows apps by AppID and AppSecret; holds nothing else."""

    vendor: ClassVar[str] = "meizu"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._sent = 0

    def claims(self, method: str, path: str) -> bool:
        """Notifications to pushIds."""
        return path.partition("?")[0] == SEND_PATH

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Meizu does: HTTP 200 with a code, also for a wrong signature."""
        try:
            return self._send(call)
        except _Refusal as refusal:
            return _refused(refusal.code, refusal.message)

    def _send(self, call: Call) -> Answer:
        form = _form(call)
        for name in ("appId", "pushIds", "messageJson", "sign"):
            _require(bool(form.get(name, "").strip()), f"{name} is blank", BLANK)
        self._check_sign(form)
        push_ids = _push_ids(form["pushIds"])
        faults = self._scripted(push_ids)
        if whole := [code for code in faults.values() if not _concerns_one(code)]:
            return _fault(whole[0])
        message = json_object(form["messageJson"])
        _check_message(message)
        return self._result(message, push_ids, faults)

    def _check_sign(self, form: dict[str, str]) -> None:
        """Over every field but the sign itself, as they are before percent-encoding."""
        known = {account.credential.app_id: account.credential for account in self.accounts}
        credential = known.get(form["appId"])
        if credential is None:
            raise _Refusal(UNKNOWN_APP)
        fields = "".join(f"{name}={value}" for name, value in sorted(form.items()) if name != "sign")
        text = fields + credential.app_secret.get_secret_value()
        due = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        if form["sign"] != due:
            raise _Refusal(WRONG_SIGNATURE)

    def _scripted(self, push_ids: list[str]) -> dict[str, str]:
        queues = {push_id: self.scripted.get(push_id) for push_id in push_ids}
        return {push_id: codes.pop(0) for push_id, codes in queues.items() if codes}

    def _result(self, message: dict[str, Any], push_ids: list[str], faults: dict[str, str]) -> Answer:
        """Failed pushIds are listed by code; the code of the answer stays 200, also when none is left."""
        self._sent += 1
        value: dict[str, list[str]] = {}
        for push_id in push_ids:
            if code := faults.get(push_id, "").removeprefix(VALUE) or _own_fault(push_id):
                value.setdefault(code, []).append(push_id)
        failed = {push_id for listed in value.values() for push_id in listed}
        told = {"code": "200", "message": "", "value": value, "msgId": f"c2ee{self._sent:028x}"}
        return _json(told, tuple(_accepted(message, p) for p in push_ids if p not in failed))


def _concerns_one(code: str) -> bool:
    """Of the codes that stand in both tables, dead pushIds are listed and 110010 is the rate limit."""
    return code.startswith(VALUE) or code in DEAD_CODES or (code in PER_TARGET and code not in RESULTS)


def _own_fault(push_id: str) -> str:
    if "dead" in push_id:
        return UNSUBSCRIBED
    return ILLEGAL if any(c <= " " for c in push_id) else ""


def _form(call: Call) -> dict[str, str]:
    _require(call.method == "POST", "only POST is allowed")
    given = call.headers.get("content-type", "")
    _require(given.startswith("application/x-www-form-urlencoded"), "the body must be a form")
    try:
        return dict(parse_qsl(call.body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeError, ValueError):
        raise _Refusal(BAD_PARAMETER, "the body is no percent-encoded UTF-8 form") from None


def _push_ids(text: str) -> list[str]:
    push_ids = [push_id for push_id in text.split(",") if push_id]
    _require(1 <= len(push_ids) <= MAX_PUSH_IDS, "pushIds must name 1...100 pushIds")
    return push_ids


# --- the checks of messageJson ----------------------------------------------------------------------------


def _check_message(message: dict[str, Any]) -> None:
    _require(bool(message), "messageJson is no JSON object")
    parts = ("noticeBarInfo", "noticeExpandInfo", "clickTypeInfo", "pushTimeInfo", "advanceInfo", "extra")
    for name in parts:
        _require(isinstance(message.get(name, {}), dict), f"{name} is no object")
    _check_bar(message.get("noticeBarInfo", {}))
    _check_expansion(message.get("noticeExpandInfo", {}))
    _check_click(message.get("clickTypeInfo", {}))
    _check_time(message.get("pushTimeInfo", {}))
    _check_advance(message.get("advanceInfo", {}))
    _check_callback(message.get("extra", {}))


def _check_bar(bar: dict[str, Any]) -> None:
    _require(_one_of(bar.get("noticeMsgType", 0), 0, 1), "noticeMsgType must be 0 or 1")
    _require(_one_of(bar.get("noticeBarType", 0), 0, 2), "noticeBarType must be 0 or 2")
    for name, limit in (("title", MAX_TITLE), ("content", MAX_CONTENT)):
        text = bar.get(name)
        fine = isinstance(text, str) and bool(text.strip()) and len(text) <= limit
        _require(fine, f"{name} must have 1...{limit} characters")


def _check_expansion(expansion: dict[str, Any]) -> None:
    kind = expansion.get("noticeExpandType", 0)
    _require(_one_of(kind, 0, 1, 2), "noticeExpandType must be 0, 1 or 2")
    _require(kind != 1 or bool(expansion.get("noticeExpandContent")), "noticeExpandContent is missing")


def _check_click(click: dict[str, Any]) -> None:
    kind = click.get("clickType", 0)
    _require(_one_of(kind, *_CLICK_NEEDS), "clickType must be 0, 1 or 2")
    needed = _CLICK_NEEDS[int(kind)]
    _require(needed is None or bool(click.get(needed)), f"{needed} is missing")
    _require(isinstance(click.get("parameters", {}), dict), "parameters is no JSON object")


def _check_time(time: dict[str, Any]) -> None:
    kept = time.get("offLine", 1)
    _require(_one_of(kept, 0, 1), "offLine must be 0 or 1")
    hours = time.get("validTime", 24)
    fine = isinstance(hours, int) and not isinstance(hours, bool) and 1 <= hours <= MAX_HOURS
    _require(not kept or fine, "validTime must be 1...72 hours")


def _check_advance(advance: dict[str, Any]) -> None:
    for name in ("suspend", "clearNoticeBar"):
        _require(_one_of(advance.get(name, 1), 0, 1), f"{name} must be 0 or 1")
    kinds = advance.get("notificationType", {})
    _require(
        isinstance(kinds, dict) and all(_one_of(value, 0, 1) for value in kinds.values()),
        "notificationType holds something else than 0 and 1",
    )
    key = advance.get("notifyKey", "k")
    _require(isinstance(key, str) and bool(_NOTIFY_KEY.fullmatch(key)), "notifyKey has 1...8 of 0-9A-Za-z_-")


def _check_callback(extra: dict[str, Any]) -> None:
    for name, limit in (("callback", MAX_CALLBACK_BYTES), ("callback.param", MAX_PARAM_BYTES)):
        text = extra.get(name, "")
        _require(isinstance(text, str) and len(text.encode()) <= limit, f"{name} has more than {limit} bytes")
    _require(_one_of(extra.get("callback.type", 3), 1, 2, 3), "callback.type must be 1, 2 or 3")


def _one_of(value: Any, *allowed: int) -> bool:
    """Meizu's SDK writes true and false where the document says 1 and 0: both are taken."""
    return isinstance(value, int) and value in allowed


def _require(held: bool, message: str, code: str = BAD_PARAMETER) -> None:
    if not held:
        raise _Refusal(code, message)


def _accepted(message: dict[str, Any], push_id: str) -> Accepted:
    bar = message["noticeBarInfo"]
    return Accepted(
        vendor="meizu",
        token=push_id,
        title=bar["title"],
        body=bar["content"],
        vendor_id=str(message.get("advanceInfo", {}).get("notifyKey", "")),
        payload=message,
    )


def _fault(code: str) -> Answer:
    if code.startswith("HTTP "):
        return Answer(response=Response(status=_STATUSES.get(code) or int(code[5:])))
    return _refused(code, lookup(code)[1])


def _refused(code: str, message: str) -> Answer:
    return _json({"code": code, "message": message, "value": "", "redirect": ""})


def _json(told: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    return Answer(
        response=Response(status=200, headers=headers, body=msgspec.json.encode(told)), accepted=accepted
    )
