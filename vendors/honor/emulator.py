"""Honor's double: a token server and sendMessage, with the limits that Honor's clients know of.

It looks at a request in this order: who is calling, the timestamp, the app, the shape, the tokens, the size, the
fields, and last the tokens one by one.
"""

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
from vendors.honor.results import ALL_TOKENS_INVALID, EXPIRED_TOKEN, FAILED_TOKEN, PARTLY_ACCEPTED, lookup

TOKEN_PATH = "/auth/token"  # noqa: S105  a path, not a secret
TOKEN_LIFETIME_S = 3600
CLOCK_WINDOW_S = 600
"""Honor's own window is not known; ten minutes are what its peers allow."""
MAX_TOKENS = 1000
MAX_BYTES = 4096
MAX_TTL_S = 1_296_000
MAX_BUTTONS = 3

_EXPIRY = frozenset({ALL_TOKENS_INVALID, EXPIRED_TOKEN})
_FAILURE = frozenset({PARTLY_ACCEPTED, FAILED_TOKEN})
_TOKEN_FAULTS = _EXPIRY | _FAILURE
"""Codes that concern the one token they are scripted for; any other answers the whole request."""

_SEND = re.compile(r"/api/v1/([^/?]+)/sendMessage")
_TTL = re.compile(r"[0-9]{1,10}s")
_MILLISECONDS = re.compile(r"[0-9]{13}")


class _Refusal(Exception):
    """Honor's code and words for the whole request."""

    def __init__(self, code: int, words: str = "", status: int = 200) -> None:
        super().__init__(code)
        self.code = code
        self.words = words or lookup(str(code))[1]
        self.status = status


class HonorEmulator(Emulator):
    """Holds the access tokens that it issued; knows apps and clients from the credentials."""

    vendor: ClassVar[str] = "honor"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._issued: dict[str, tuple[str, float]] = {}
        """access token -> (client id, epoch s at which it ends)"""
        self._requests = 0

    def claims(self, method: str, path: str) -> bool:
        """Honor's token path, and sendMessage of any app."""
        path = path.partition("?")[0]
        return path == TOKEN_PATH or _SEND.fullmatch(path) is not None

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Honor does: mostly HTTP 200 with a numeric code."""
        path = call.path.partition("?")[0]
        if call.method != "POST":
            return Answer(response=Response(status=405))
        if path == TOKEN_PATH:
            return self._issue(call, now)
        try:
            return self._send(call, path, now)
        except _Refusal as refusal:
            return self._answer(refusal.code, refusal.words, status=refusal.status)

    # --- the token server ---

    def _issue(self, call: Call, now: float) -> Answer:
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        if form.get("grant_type") != "client_credentials":
            return _no_token(400, "unsupported_grant_type", "grant_type must be client_credentials")
        client = form.get("client_id", "")
        secrets = {
            a.credential.client_id: a.credential.client_secret.get_secret_value() for a in self.accounts
        }
        if client not in secrets or form.get("client_secret") != secrets[client]:
            return _no_token(401, "invalid_client", "client_id or client_secret is wrong")
        token = hashlib.sha256(f"{client}/{len(self._issued)}/{now}".encode()).hexdigest()
        self._issued[token] = (client, now + TOKEN_LIFETIME_S)
        return _json(200, {"access_token": token, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"})

    # --- sendMessage ---

    def _send(self, call: Call, path: str, now: float) -> Answer:
        client = self._client(call, now)
        _check_timestamp(call.headers.get("timestamp", ""), now)
        self._check_app(path, client)
        message, tokens = _message(call.body)
        faults = self._scripted(tokens)
        if whole := [code for code in faults.values() if code not in _TOKEN_FAULTS]:
            return self._fail(whole[0])
        _check_size(call.body, tokens)
        _check_message(message)
        expired = [t for t in tokens if "dead" in t or faults.get(t) in _EXPIRY]
        failed = [t for t in tokens if t not in expired and faults.get(t) in _FAILURE]
        taken = [t for t in tokens if t not in expired and t not in failed]
        return self._result(taken, failed, expired, tuple(_accepted(message, t) for t in taken))

    def _client(self, call: Call, now: float) -> str:
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        client, ends = self._issued.get(bearer, ("", 0.0))
        if scheme != "Bearer" or not client:
            raise _Refusal(401, "the access token is missing or unknown", 401)
        if now >= ends:
            raise _Refusal(401, "the access token has expired", 401)
        return client

    def _check_app(self, path: str, client: str) -> None:
        matched = _SEND.fullmatch(path)
        app = matched[1] if matched else ""
        owners = {a.credential.client_id for a in self.accounts if a.credential.app_id == app}
        if not owners:
            raise _Refusal(10205)
        if client not in owners:
            raise _Refusal(403, "the access token belongs to another app")

    # --- answers ---

    def _result(
        self, taken: list[str], failed: list[str], expired: list[str], accepted: tuple[Accepted, ...]
    ) -> Answer:
        if not failed and not expired:
            return self._answer(200, "success", accepted, sent=True)
        invalid = not taken and not failed
        code = int(ALL_TOKENS_INVALID if invalid else PARTLY_ACCEPTED)
        return self._answer(
            code, lookup(str(code))[1], accepted, sent=bool(taken), failed=failed, expired=expired
        )

    def _scripted(self, tokens: list[str]) -> dict[str, str]:
        queues = {token: self.scripted.get(token) for token in tokens}
        return {token: codes.pop(0) for token, codes in queues.items() if codes}

    def _fail(self, code: str) -> Answer:
        if code.startswith("HTTP "):
            return Answer(response=Response(status=502 if code == "HTTP 5xx" else int(code[5:])))
        return self._answer(int(code), lookup(code)[1])

    def _answer(
        self,
        code: int,
        words: str,
        accepted: tuple[Accepted, ...] = (),
        *,
        status: int = 200,
        sent: bool = False,
        failed: Sequence[str] = (),
        expired: Sequence[str] = (),
    ) -> Answer:
        self._requests += 1
        data = {
            "sendResult": sent,
            "requestId": f"1767{self._requests:014d}008",
            FAILED_TOKEN: list(failed),
            EXPIRED_TOKEN: list(expired),
        }
        return _json(status, {"code": code, "message": words, "data": data}, accepted)


def _no_token(status: int, error: str, words: str) -> Answer:
    return _json(status, {"error": error, "error_description": words})


def _json(status: int, body: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    headers = {"content-type": "application/json;charset=UTF-8"}
    response = Response(status=status, headers=headers, body=msgspec.json.encode(body))
    return Answer(response=response, accepted=accepted)


# --- what is being sent -----------------------------------------------------------------------------------


def _check_timestamp(given: str, now: float) -> None:
    if not given:
        raise _Refusal(10001, "the timestamp header is missing")
    if _MILLISECONDS.fullmatch(given) is None or abs(now - int(given) / 1000) > CLOCK_WINDOW_S:
        raise _Refusal(10207, "the timestamp header is no time of now in ms")


def _message(body: bytes) -> tuple[dict[str, Any], list[str]]:
    message = json_object(body)
    tokens = message.get("token")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise _Refusal(80100003, "the body is no JSON object with a list of tokens")
    if not tokens or not all(token.strip() for token in tokens):
        raise _Refusal(10300)
    if len(tokens) > MAX_TOKENS:
        raise _Refusal(80300010)
    if len(set(tokens)) < len(tokens):
        raise _Refusal(80300006)
    return message, tokens


def _check_size(body: bytes, tokens: list[str]) -> None:
    if len(body) - sum(len(token.encode()) + 3 for token in tokens) > MAX_BYTES:
        raise _Refusal(80300008)


def _check_message(message: dict[str, Any]) -> None:
    android, common = message.get("android"), message.get("notification", {})
    shown = android.get("notification") if isinstance(android, dict) else None
    if not isinstance(android, dict) or not isinstance(shown, dict) or not isinstance(common, dict):
        raise _Refusal(80100003, "android.notification is missing")
    _check_android(android)
    _require(isinstance(message.get("data", ""), str), "data must be a string")
    for name in ("title", "body"):
        text = shown.get(name) or common.get(name)
        _require(isinstance(text, str) and bool(text.strip()), f"{name} is missing or blank")
    _check_click(shown.get("clickAction"))
    _check_look(shown)
    if shown.get("importance") == "LOW" and (shown.get("image") or common.get("image")):
        raise _Refusal(80200050)


def _check_android(android: dict[str, Any]) -> None:
    ttl = android.get("ttl", "86400s")
    held = isinstance(ttl, str) and _TTL.fullmatch(ttl) is not None and 1 <= int(ttl[:-1]) <= MAX_TTL_S
    _require(held, "ttl must be seconds with an s, 1s...1296000s")
    _require(_is_int(android.get("targetUserType", 0), 0, 1), "targetUserType must be 0 or 1")
    _require(isinstance(android.get("biTag", ""), str), "biTag must be a string")
    _require(isinstance(android.get("data", ""), str), "android.data must be a string")


def _check_click(click: Any) -> None:
    if not isinstance(click, dict):
        raise _Refusal(400, "clickAction is missing")
    kind = click.get("type")
    _require(_is_int(kind, 1, 3), "clickAction.type must be 1, 2 or 3")
    _require(kind != 1 or bool(click.get("intent") or click.get("action")), "type 1 needs intent or action")
    _require(kind != 2 or str(click.get("url", "")).startswith("https://"), "type 2 needs an https url")


def _check_look(shown: dict[str, Any]) -> None:
    badge, style, buttons = _badge(shown), shown.get("style", 0), shown.get("buttons", [])
    _require(shown.get("importance", "NORMAL") in ("LOW", "NORMAL"), "importance must be LOW or NORMAL")
    _require(_is_int(shown.get("notifyId", 0), 0, 2**31 - 1), "notifyId must be a 32-bit integer")
    _require(_is_int(badge.get("addNum", 1), 1, 99), "badge addNum must be within 1...99")
    _require(_is_int(badge.get("setNum", 0), 0, 99), "badge setNum must be within 0...99")
    _require(style in (0, 1), "style must be 0 or 1")
    _require(style != 1 or bool(shown.get("bigTitle") and shown.get("bigBody")), "style 1 needs big texts")
    _require(str(shown.get("image", "https://")).startswith("https://"), "image must be an https url")
    _require(isinstance(buttons, list) and len(buttons) <= MAX_BUTTONS, "at most 3 buttons")


def _badge(shown: dict[str, Any]) -> dict[str, Any]:
    """Clients know two names of it."""
    badge = shown.get("badge", shown.get("badgeNotification", {}))
    if not isinstance(badge, dict):
        raise _Refusal(400, "badge is no object")
    return badge


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _require(held: bool, words: str) -> None:
    if not held:
        raise _Refusal(400, words)


def _accepted(message: dict[str, Any], token: str) -> Accepted:
    shown = {**message.get("notification", {}), **message["android"]["notification"]}
    return Accepted(
        vendor="honor",
        token=token,
        title=shown["title"],
        body=shown["body"],
        vendor_id=str(shown.get("notifyId", "")),
        payload={name: value for name, value in message.items() if name != "token"},
    )
