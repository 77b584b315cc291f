"""Xiaomi's double: message/regid with the checks that Xiaomi's documentation states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.xiaomi.results import INVALID_REGID, lookup

MAX_REGIDS = 1000
MAX_BYTES = 4096
MAX_TTL_MS = 864_000_000
MAX_CUSTOM = 10
MAX_CUSTOM_CHARS = 1024

BAD_PARAMETER = "10017"
MISSING = "10016"
TOO_LONG = "10018"
BAD_TEXT = "10041"
BAD_CHANNEL = "27001"
WRONG_PACKAGE = "22022"
REFUSED_SECRET = "21301"  # noqa: S105  a result code, not a secret

_SEND = re.compile(r"/v[234]/message/regid")
_JOB_KEY = re.compile(r"[0-9A-Za-z-][0-9A-Za-z_-]{0,19}")
_TOKEN_FAULTS = frozenset({INVALID_REGID, "66007"})
"""Codes that concern the one regId they are scripted for; any other answers the whole request."""

_KNOWN_EXTRAS = frozenset(
    [
        "channel_id",
        "template_id",
        "template_param",
        "notify_foreground",
        "notify_effect",
        "intent_uri",
        "web_uri",
        "sound_uri",
        "jobkey",
        "callback",
        "callback.param",
        "callback.type",
        "only_send_once",
        "badge",
    ]
)


class _Refusal(Exception):
    """Xiaomi's code for the whole request and what displeased it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


class XiaomiEmulator(Emulator):
    """Knows apps by their AppSecret; holds nothing else."""

    vendor: ClassVar[str] = "xiaomi"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._sent = 0

    def claims(self, method: str, path: str) -> bool:
        """v2, v3 and v4 of message/regid."""
        return _SEND.fullmatch(path.partition("?")[0]) is not None

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Xiaomi does: HTTP 200 with a code, also for a wrong secret."""
        try:
            return self._send(call)
        except _Refusal as refusal:
            return _error(refusal.code, refusal.reason)

    def _send(self, call: Call) -> Answer:
        account = self._account(call)
        form = _form(call)
        regids = _regids(form)
        if form.get("restricted_package_name") != account.credential.package:
            raise _Refusal(WRONG_PACKAGE, "restricted_package_name is not the app's package")
        faults = self._scripted(regids)
        if whole := [code for code in faults.values() if code not in _TOKEN_FAULTS]:
            return _fault(whole[0])
        _check_texts(form)
        _check_numbers(form)
        _check_extras({name[6:]: value for name, value in form.items() if name.startswith("extra.")})
        bad = [regid for regid in regids if _is_dead(regid) or regid in faults]
        return self._result(call, form, regids, bad)

    def _account(self, call: Call) -> Account:
        given = call.headers.get("authorization", "")
        for account in self.accounts:
            if given == f"key={account.credential.app_secret.get_secret_value()}":
                return account
        raise _Refusal(REFUSED_SECRET, "no valid authorization, expected key=<AppSecret>")

    def _scripted(self, regids: list[str]) -> dict[str, str]:
        queues = {regid: self.scripted.get(regid) for regid in regids}
        return {regid: codes.pop(0) for regid, codes in queues.items() if codes}

    def _result(self, call: Call, form: dict[str, str], regids: list[str], bad: list[str]) -> Answer:
        if len(bad) == len(regids):
            return _error(INVALID_REGID, "all regids are invalid")
        self._sent += 1
        data: dict[str, Any] = {"id": f"scm{self._sent:022d}"}
        if bad:
            data["bad_regids"] = ",".join(bad) if call.path.startswith("/v4") else bad
        told = {
            "result": "ok",
            "trace_id": f"Xcm{self._sent:022d}",
            "code": 0,
            "data": data,
            "description": "成功",
            "info": f"Received push messages for {len(regids) - len(bad)} regid",
        }
        return _json(told, tuple(_accepted(form, regid) for regid in regids if regid not in bad))


def _form(call: Call) -> dict[str, str]:
    if call.method != "POST":
        raise _Refusal("10021", "only POST is allowed")
    if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise _Refusal("10012", "the body must be a form")
    try:
        return dict(parse_qsl(call.body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except (UnicodeError, ValueError):
        raise _Refusal("10012", "the body is no percent-encoded UTF-8 form") from None


def _regids(form: dict[str, str]) -> list[str]:
    regids = [regid for regid in form.get("registration_id", "").split(",") if regid]
    if not regids:
        raise _Refusal(MISSING, "registration_id is missing")
    if len(regids) > MAX_REGIDS:
        raise _Refusal(BAD_PARAMETER, "more than 1000 regids")
    return regids


def _check_texts(form: dict[str, str]) -> None:
    for name, limit in (("title", 50), ("description", 128)):
        text = form.get(name, "")
        if not text.strip() or _utf16_units(text) >= limit:
            raise _Refusal(BAD_TEXT, f"{name} is blank or has {limit} characters or more")
    size = sum(len(form.get(name, "").encode()) for name in ("title", "description", "payload"))
    if size > MAX_BYTES:
        raise _Refusal(TOO_LONG, "title, description and payload are over 4096 bytes")


def _check_numbers(form: dict[str, str]) -> None:
    for name, low, high in (
        ("pass_through", 0, 1),
        ("notify_type", -1, 7),
        ("notify_id", 0, 2**31 - 1),
        ("time_to_live", 1, MAX_TTL_MS),
    ):
        if name in form and not _within(form[name], low, high):
            raise _Refusal(BAD_PARAMETER, f"{name} must be an integer from {low} to {high}")


def _check_extras(extras: dict[str, str]) -> None:
    if "template_id" in extras and not extras.get("channel_id", "").strip():
        raise _Refusal(BAD_CHANNEL, "invalid channel info!")
    if "channel_id" in extras and not extras["channel_id"].strip():
        raise _Refusal(BAD_CHANNEL, "invalid channel info!")
    if "template_param" in extras and not json_object(extras["template_param"]):
        raise _Refusal(BAD_PARAMETER, "extra.template_param is no JSON object")
    if "jobkey" in extras and not _JOB_KEY.fullmatch(extras["jobkey"]):
        raise _Refusal(BAD_PARAMETER, "extra.jobkey has 1...20 of 0-9A-Za-z_- and does not start with _")
    _check_effect(extras)
    custom = {name: value for name, value in extras.items() if name not in _KNOWN_EXTRAS}
    if len(custom) > MAX_CUSTOM or sum(len(n) + len(v) for n, v in custom.items()) > MAX_CUSTOM_CHARS:
        raise _Refusal(BAD_PARAMETER, "more than 10 extra pairs, or more than 1024 characters in them")


def _check_effect(extras: dict[str, str]) -> None:
    effect = extras.get("notify_effect")
    if effect is None:
        return
    needed = {"1": (), "2": ("intent_uri",), "3": ("web_uri",)}.get(effect)
    if needed is None or not all(extras.get(name) for name in needed):
        raise _Refusal(BAD_PARAMETER, "extra.notify_effect is 1, 2 with intent_uri, or 3 with web_uri")


def _within(text: str, low: int, high: int) -> bool:
    return re.fullmatch(r"-?[0-9]{1,12}", text) is not None and low <= int(text) <= high


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _is_dead(regid: str) -> bool:
    return "dead" in regid or any(c <= " " for c in regid)


def _accepted(form: dict[str, str], regid: str) -> Accepted:
    return Accepted(
        vendor="xiaomi",
        token=regid,
        title=form["title"],
        body=form["description"],
        vendor_id=form.get("notify_id", ""),
        payload={name: value for name, value in form.items() if name != "registration_id"},
    )


def _fault(code: str) -> Answer:
    if code.startswith("HTTP "):
        return Answer(response=Response(status=502 if code == "HTTP 5xx" else int(code[5:])))
    return _error(code, lookup(code)[1])


def _error(code: str, reason: str) -> Answer:
    return _json(
        {
            "result": "error",
            "reason": reason,
            "trace_id": "Xcm0",
            "code": int(code),
            "description": "发送消息失败",
        }
    )


def _json(told: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    return Answer(
        response=Response(status=200, headers=headers, body=msgspec.json.encode(told)), accepted=accepted
    )
