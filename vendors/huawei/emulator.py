"""Huawei's double: a token server and messages:send of v1 and v2, as strict as Huawei's reference page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator, Told
from pushgw.vendor.http import Response
from pushgw.vendor.receipts_of_huawei import HEADER, callback_header
from pushgw.vendor.service_account import BearerRefused, ServiceAccount, verified
from vendors.huawei.results import ACCEPTED, ALL_TOKENS_INVALID, PARTLY_ACCEPTED, lookup

TOKEN_PATH = "/oauth2/v3/token"  # noqa: S105  a path, not a secret
TOKEN_LIFETIME_S = 3600
MAX_TOKENS = 1000
MAX_BYTES = 4096
MAX_TTL_S = 1_296_000
MAX_STATUSES = 100
"""In one request of receipts."""
DELIVERED, UNINSTALLED = 0, 2
"""Statuses of receipts."""
CATEGORIES = frozenset(
    [
        "IM",
        "VOIP",
        "SUBSCRIPTION",
        "TRAVEL",
        "HEALTH",
        "WORK",
        "ACCOUNT",
        "EXPRESS",
        "FINANCE",
        "DEVICE_REMINDER",
        "MAIL",
        "PLAY_VOICE",
        "MARKETING",
    ]
)

_TOKEN_FAULTS = frozenset({ALL_TOKENS_INVALID, PARTLY_ACCEPTED})
"""Codes that concern the one token they are scripted for; any other answers the whole request."""

_SEND = re.compile(r"/v([12])/([^/?]+)/messages:send")
_TTL = re.compile(r"[0-9]{1,10}s")


class _Refusal(Exception):
    """Huawei's code and words for the whole request."""

    def __init__(self, code: str, words: str = "", status: int = 200) -> None:
        super().__init__(code)
        self.code = code
        self.words = words or lookup(code)[1]
        self.status = status


class HuaweiEmulator(Emulator):
    """Holds the access tokens that it issued; knows apps and service accounts from the credentials."""

    vendor: ClassVar[str] = "huawei"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._issued: dict[str, tuple[str, float]] = {}
        """access token -> (client id, epoch s at which it ends)"""
        self._requests = 0

    def claims(self, method: str, path: str) -> bool:
        """Huawei's token path, and messages:send directly under one id (Google's has two segments there)."""
        return path.partition("?")[0] == TOKEN_PATH or _SEND.fullmatch(path.partition("?")[0]) is not None

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Huawei does."""
        path = call.path.partition("?")[0]
        if call.method != "POST":
            return Answer(response=Response(status=405))
        if path == TOKEN_PATH:
            return self._issue(call, now)
        try:
            return self._send(call, path, now)
        except _Refusal as refusal:
            return _answer(self._request_id(), refusal.code, refusal.words, refusal.status)

    # --- the token server ---

    def _issue(self, call: Call, now: float) -> Answer:
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if fault := self._client_fault(form.get("grant_type", ""), client, secret):
            return _json(400, {"error": 1101, "sub_error": fault, "error_description": lookup(str(fault))[1]})
        seed = f"{client}/{len(self._issued)}/{now}"
        token = "DAEB" + hashlib.sha256(seed.encode()).hexdigest()
        self._issued[token] = (client, now + TOKEN_LIFETIME_S)
        return _json(200, {"access_token": token, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"})

    def _client_fault(self, grant: str, client: str, secret: str) -> int:
        known = {a.credential.app_id: a.credential.app_secret.get_secret_value() for a in self.accounts}
        if grant != "client_credentials" or not client.isascii() or not client.isalnum():
            return 20002
        if not known.get(client):
            return 20003
        if not secret:
            return 20171
        return 0 if secret == known[client] else 12304

    # --- messages:send ---

    def _send(self, call: Call, path: str, now: float) -> Answer:
        self._authorize(call, path, now)
        message, tokens = _message(call.body)
        faults = self._scripted(tokens)
        if whole := [code for code in faults.values() if code not in _TOKEN_FAULTS]:
            return self._fail(whole[0])
        _check_size(call.body, tokens)
        _check_message(message)
        bad = [token for token in tokens if _is_dead(token) or token in faults]
        validate_only = json_object(call.body).get("validate_only") is True
        accepted = [] if validate_only else [_accepted(message, t) for t in tokens if t not in bad]
        request_id = self._request_id()
        answer = self._result(request_id, tokens, bad, tuple(accepted))
        if not self.reporting or not accepted:
            return answer
        told = self._told(path, message, [a.token for a in accepted], request_id, now)
        return msgspec.structs.replace(answer, reports=told)

    def _result(
        self, request_id: str, tokens: list[str], bad: list[str], accepted: tuple[Accepted, ...]
    ) -> Answer:
        if len(bad) == len(tokens):
            return _answer(request_id, ALL_TOKENS_INVALID, "All the tokens are invalid")
        if bad:
            told = {"success": len(tokens) - len(bad), "failure": len(bad), "illegal_tokens": bad}
            return _answer(request_id, PARTLY_ACCEPTED, msgspec.json.encode(told).decode(), accepted=accepted)
        return _answer(request_id, ACCEPTED, "Success", accepted=accepted)

    def _told(
        self, path: str, message: dict[str, Any], tokens: list[str], request_id: str, now: float
    ) -> tuple[Told, ...]:
        """The receipts of a message, to each credential of the app that has a secret to sign them with."""
        at_ms = int(now * 1000)
        statuses = [
            {
                "biTag": message["android"].get("bi_tag", ""),
                "appid": _path_id(path),
                "token": token,
                "status": UNINSTALLED if "uninstalled" in token else DELIVERED,
                "timestamp": at_ms,
                "requestId": request_id,
            }
            for token in tokens
        ]
        bodies = [
            msgspec.json.encode({"statuses": statuses[start : start + MAX_STATUSES]})
            for start in range(0, len(statuses), MAX_STATUSES)
        ]
        nonce = hashlib.sha256(request_id.encode()).hexdigest()[:32]
        return tuple(
            Told(vendor="huawei", business_id=a.business_id, headers=_signed(a, str(at_ms), nonce), body=body)
            for a in self.accounts
            if a.credential.path == path and a.credential.receipt_secret.get_secret_value()
            for body in bodies
        )

    def _scripted(self, tokens: list[str]) -> dict[str, str]:
        queues = {token: self.scripted.get(token) for token in tokens}
        return {token: codes.pop(0) for token, codes in queues.items() if codes}

    def _fail(self, code: str) -> Answer:
        if code.startswith("HTTP "):
            return Answer(response=Response(status=502 if code == "HTTP 5xx" else int(code[5:])))
        return _answer(self._request_id(), code, lookup(code)[1])

    def _request_id(self) -> str:
        self._requests += 1
        return f"1767{self._requests:014d}006"

    # --- who is calling ---

    def _authorize(self, call: Call, path: str, now: float) -> None:
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not bearer:
            raise _Refusal("80200001", "the Authorization header is missing", 401)
        matched = _SEND.fullmatch(path)
        version, path_id = (matched[1], matched[2]) if matched else ("", "")
        if bearer.count(".") == 2:
            self._authorize_jwt(bearer, version, path_id, now)
        else:
            self._authorize_issued(bearer, version, path_id, now)

    def _authorize_issued(self, bearer: str, version: str, path_id: str, now: float) -> None:
        client, ends = self._issued.get(bearer, ("", 0.0))
        if not client:
            raise _Refusal("80200001", status=401)
        if now >= ends:
            raise _Refusal("80200003", "access token expired")
        owned = [a.credential for a in self.accounts if a.credential.app_id == client]
        ids = {client} if version == "1" else {c.project_id for c in owned if c.project_id}
        if path_id not in ids:
            raise _Refusal("80200001", "the token belongs to another client id or project", 401)

    def _authorize_jwt(self, bearer: str, version: str, path_id: str, now: float) -> None:
        services: list[ServiceAccount] = [
            account.credential.service for account in self.accounts if account.credential.service
        ]
        try:
            service = verified(bearer, services, now)
        except BearerRefused as refused:
            raise _Refusal(refused.code, refused.words, 401) from None
        clients = {a.credential.app_id for a in self.accounts if a.credential.service is service}
        if path_id not in (clients if version == "1" else {service.project_id}):
            raise _Refusal("80200001", "the JWT belongs to another project", 401)


# --- what is being sent -----------------------------------------------------------------------------------


def _message(body: bytes) -> tuple[dict[str, Any], list[str]]:
    told = json_object(body)
    if not told:
        raise _Refusal("80100003", "the body is no JSON object", 400)
    message = told.get("message")
    tokens = message.get("token") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_TOKENS:
        raise _Refusal("80300010", "the number of tokens is not within 1...1000")
    if "topic" in message or "condition" in message or not all(isinstance(t, str) for t in tokens):
        raise _Refusal("80100003", "exactly one of token, topic and condition is allowed, tokens are strings")
    return message, tokens


def _check_size(body: bytes, tokens: list[str]) -> None:
    if len(body) - sum(len(token.encode()) + 3 for token in tokens) > MAX_BYTES:
        raise _Refusal("80300008")


def _check_message(message: dict[str, Any]) -> None:
    android = message.get("android", {})
    _require(isinstance(android, dict), "android is no object")
    shown = android.get("notification")
    _require(isinstance(shown, dict), "android.notification is missing")
    _check_android(android)
    _check_texts(shown, message.get("notification") or {})
    _check_click(shown.get("click_action"))
    _check_look(shown)
    data = android.get("data", message.get("data"))
    _require(data is None or (isinstance(data, str) and _is_json(data)), "data must be JSON text")


def _check_android(android: dict[str, Any]) -> None:
    ttl = android.get("ttl", "86400s")
    if not isinstance(ttl, str) or not _TTL.fullmatch(ttl) or not 1 <= int(ttl[:-1]) <= MAX_TTL_S:
        raise _Refusal("80100001", "ttl must be seconds with an s, 1s...1296000s")
    if not _is_int(android.get("collapse_key", -1), -1, 100):
        raise _Refusal("80100013")
    if android.get("category", "IM") not in CATEGORIES:
        raise _Refusal("80100001", "category is none of Huawei's")
    if android.get("urgency") == "HIGH":
        raise _Refusal("80300011")


def _check_texts(shown: dict[str, Any], common: dict[str, Any]) -> None:
    for name in ("title", "body"):
        text = shown.get(name) or common.get(name)
        _require(isinstance(text, str) and bool(text.strip()), f"{name} is missing or blank")


def _check_click(click: Any) -> None:
    _require(isinstance(click, dict), "click_action is missing")
    kind = click.get("type")
    _require(_is_int(kind, 1, 3), "click_action.type must be 1, 2 or 3")
    _require(kind != 1 or bool(click.get("intent") or click.get("action")), "type 1 needs intent or action")
    _require(kind != 2 or str(click.get("url", "")).startswith("https://"), "type 2 needs an https url")


def _check_look(shown: dict[str, Any]) -> None:
    badge, style = shown.get("badge"), shown.get("style", 0)
    _require(_is_int(shown.get("notify_id", -1), -1, 2**31 - 1), "notify_id must be a 32-bit integer")
    _require(shown.get("importance", "NORMAL") in ("LOW", "NORMAL"), "importance must be LOW or NORMAL")
    _require(badge is None or _is_badge(badge), "badge needs class, add_num 1...99 or set_num 0...99")
    _require(style in (0, 1, 3), "style must be 0, 1 or 3")
    _require(
        style != 1 or bool(shown.get("big_title") and shown.get("big_body")),
        "style 1 needs big_title and big_body",
    )
    _require(str(shown.get("image", "https://")).startswith("https://"), "image must be an https url")
    _require(str(shown.get("sound", "/raw/")).startswith("/raw/"), "sound must be /raw/<name>")
    _require(len(str(shown.get("profile_id", ""))) <= 64, "profile_id is over 64 characters")


def _is_badge(badge: Any) -> bool:
    if not isinstance(badge, dict) or not badge.get("class"):
        return False
    return _is_int(badge.get("add_num", 1), 1, 99) and _is_int(badge.get("set_num", 0), 0, 99)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _require(held: bool, words: str) -> None:
    if not held:
        raise _Refusal("80100003", f"Illegal payload, {words}", 400)


def _is_dead(token: str) -> bool:
    return "dead" in token or not token or any(c <= " " for c in token)


def _path_id(path: str) -> str:
    matched = _SEND.fullmatch(path)
    return matched[2] if matched else ""


def _signed(account: Account, timestamp: str, nonce: str) -> tuple[tuple[str, str], ...]:
    secret = account.credential.receipt_secret.get_secret_value()
    header = callback_header(secret, account.credential.receipt_user, timestamp, nonce)
    return (("content-type", "application/json"), (HEADER, header))


def _accepted(message: dict[str, Any], token: str) -> Accepted:
    android = message["android"]
    shown = {**(message.get("notification") or {}), **android["notification"]}
    return Accepted(
        vendor="huawei",
        token=token,
        title=shown["title"],
        body=shown["body"],
        vendor_id=str(shown.get("notify_id", "")),
        payload={name: value for name, value in message.items() if name != "token"},
    )


def _answer(
    request_id: str, code: str, words: str, status: int = 200, accepted: tuple[Accepted, ...] = ()
) -> Answer:
    return _json(status, {"code": code, "msg": words, "requestId": request_id}, accepted)


def _json(status: int, body: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    return Answer(
        response=Response(status=status, headers=headers, body=msgspec.json.encode(body)), accepted=accepted
    )
