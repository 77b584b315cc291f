"""The double of Push Kit v3: messages:send for notifications, as strict as Huawei's reference pages.

It looks at a request in the order of these pages: who is calling, the kind of push, the shape, the number of tokens,
the size, the fields, and last the tokens one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from pushgw.vendor.service_account import BearerRefused, ServiceAccount, verified
from vendors.harmony.results import ACCEPTED, ALL_TOKENS_FAILED, PARTLY_ACCEPTED, RESULTS, lookup

NOTIFICATION = "0"
PUSH_TYPES = frozenset({"0", "1", "2", "6", "7", "10"})
MAX_TOKENS = 1000
MAX_TEST_TOKENS = 10
MAX_BYTES = 4096
MAX_TTL_S = 1_296_000
MAX_BI_TAG = 64
CATEGORIES = frozenset(
    [
        "IM",
        "VOIP",
        "MISS_CALL",
        "SUBSCRIPTION",
        "TRAVEL",
        "HEALTH",
        "WORK",
        "ACCOUNT",
        "EXPRESS",
        "FINANCE",
        "DEVICE_REMINDER",
        "MAIL",
        "MARKETING",
    ]
)
MALFORMED = "tokenFormatError"

_REASONS = frozenset(code for code in RESULTS if not code[0].isdigit() and not code.startswith("HTTP "))
"""What is scripted by one of these words concerns its token alone; any other code answers the whole request."""
_TOKEN_FAULTS = _REASONS | {PARTLY_ACCEPTED, ALL_TOKENS_FAILED}

_SEND = re.compile(r"/v3/([^/?]+)/messages:send")
_APP_MESSAGE_ID = re.compile(r"[A-Za-z0-9+/=\-_ ]{1,64}")


class _Refusal(Exception):
    """Huawei's code and words for the whole request."""

    def __init__(self, code: str, words: str = "", status: int = 200) -> None:
        super().__init__(code)
        self.code = code
        self.words = words or lookup(code)[1]
        self.status = status


class HarmonyEmulator(Emulator):
    """Knows the service accounts of the credentials; v3 issues nothing."""

    vendor: ClassVar[str] = "harmony"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._requests = 0

    def claims(self, method: str, path: str) -> bool:
        """messages:send of v3; v1 and v2 are another vendor's here, and v3 has no token server."""
        return _SEND.fullmatch(path.partition("?")[0]) is not None

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Huawei does."""
        if call.method != "POST":
            return Answer(response=Response(status=405))
        try:
            return self._send(call, now)
        except _Refusal as refusal:
            return self._answer(refusal.code, refusal.words, status=refusal.status)

    def _send(self, call: Call, now: float) -> Answer:
        self._authorize(call, now)
        _check_push_type(call.headers.get("push-type", ""))
        message, tokens = _message(call.body)
        faults = self._scripted(tokens)
        if whole := [code for code in faults.values() if code not in _TOKEN_FAULTS]:
            return self._fail(whole[0])
        _check_size(call.body, tokens)
        _check_message(message)
        bad = {token: MALFORMED for token in tokens if _is_dead(token)}
        bad |= {token: code if code in _REASONS else MALFORMED for token, code in faults.items()}
        return self._result(tokens, bad, tuple(_accepted(message, t) for t in tokens if t not in bad))

    # --- who is calling ---

    def _authorize(self, call: Call, now: float) -> None:
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not bearer:
            raise _Refusal("80200001", "the Authorization header is missing", 401)
        services: list[ServiceAccount] = [account.credential.service for account in self.accounts]
        try:
            service = verified(bearer, services, now)
        except BearerRefused as refused:
            raise _Refusal(refused.code, refused.words, 401) from None
        matched = _SEND.fullmatch(call.path.partition("?")[0])
        if matched is None or matched[1] != service.project_id:
            raise _Refusal("80200001", "the JWT belongs to another project", 401)

    # --- answers ---

    def _result(self, tokens: list[str], bad: dict[str, str], accepted: tuple[Accepted, ...]) -> Answer:
        if not bad:
            return self._answer(ACCEPTED, "Success", accepted)
        by_reason: dict[str, list[str]] = {}
        for token, reason in bad.items():
            by_reason.setdefault(reason, []).append(token)
        failed = sum(token in bad for token in tokens)
        told: dict[str, Any] = {"illegalTokens": by_reason, "failure": failed}
        if failed < len(tokens):
            told["success"] = len(tokens) - failed
        code = PARTLY_ACCEPTED if failed < len(tokens) else ALL_TOKENS_FAILED
        return self._answer(code, msgspec.json.encode(told).decode(), accepted)

    def _scripted(self, tokens: list[str]) -> dict[str, str]:
        queues = {token: self.scripted.get(token) for token in tokens}
        return {token: codes.pop(0) for token, codes in queues.items() if codes}

    def _fail(self, code: str) -> Answer:
        if code.startswith("HTTP "):
            return Answer(response=Response(status=502 if code == "HTTP 5xx" else int(code[5:])))
        return self._answer(code, lookup(code)[1])

    def _answer(
        self, code: str, words: str, accepted: tuple[Accepted, ...] = (), *, status: int = 200
    ) -> Answer:
        self._requests += 1
        told = {"code": code, "msg": words, "requestId": f"1767{self._requests:014d}009"}
        headers = {"content-type": "application/json;charset=UTF-8"}
        response = Response(status=status, headers=headers, body=msgspec.json.encode(told))
        return Answer(response=response, accepted=accepted)


# --- what is being sent -----------------------------------------------------------------------------------


def _check_push_type(kind: str) -> None:
    if kind not in PUSH_TYPES:
        raise _Refusal("80100001", "the push-type header is missing or unknown", 400)
    if kind != NOTIFICATION:
        raise _Refusal("80100001", "this double shows notifications only, push-type 0", 400)


def _message(body: bytes) -> tuple[dict[str, Any], list[str]]:
    message = json_object(body)
    if not message:
        raise _Refusal("80100003", "the body is no JSON object", 400)
    target, options = message.get("target"), message.get("pushOptions", {})
    tokens = target.get("token") if isinstance(target, dict) else None
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_TOKENS:
        raise _Refusal("80300010")
    _require(all(isinstance(token, str) for token in tokens), "tokens must be strings")
    _require(isinstance(options, dict), "pushOptions is no object")
    if options.get("testMessage") is True and len(tokens) > MAX_TEST_TOKENS:
        raise _Refusal("80300030")
    return message, tokens


def _check_size(body: bytes, tokens: list[str]) -> None:
    if len(body) - sum(len(token.encode()) + 3 for token in tokens) > MAX_BYTES:
        raise _Refusal("80300008")


def _check_message(message: dict[str, Any]) -> None:
    payload = message.get("payload")
    shown = payload.get("notification") if isinstance(payload, dict) else None
    if not isinstance(shown, dict):
        raise _Refusal("80100003", "Illegal payload, payload.notification is missing", 400)
    _require(shown.get("category") in CATEGORIES, "category is missing or none of Huawei's")
    for name in ("title", "body"):
        text = shown.get(name)
        _require(isinstance(text, str) and bool(text.strip()), f"{name} is missing or blank")
    _check_click(shown.get("clickAction"))
    _check_identity(shown)
    _check_look(shown)
    _check_options(message.get("pushOptions", {}))


def _check_click(click: Any) -> None:
    if not isinstance(click, dict):
        raise _Refusal("80100003", "Illegal payload, clickAction is missing", 400)
    kind = click.get("actionType")
    _require(_is_int(kind, 0, 1), "clickAction.actionType must be 0 or 1")
    _require(kind == 0 or bool(click.get("action") or click.get("uri")), "actionType 1 needs action or uri")
    _require(isinstance(click.get("data", {}), dict), "clickAction.data must be a JSON object")


def _check_identity(shown: dict[str, Any]) -> None:
    _require(_is_int(shown.get("notifyId", -1), -1, 2**31 - 1), "notifyId must be a 32-bit integer")
    app_id = shown.get("appMessageId", "x")
    _require(isinstance(app_id, str) and _APP_MESSAGE_ID.fullmatch(app_id) is not None, "appMessageId")
    _require(_is_text(shown.get("profileId", ""), 64), "profileId is over 64 characters")


def _check_look(shown: dict[str, Any]) -> None:
    badge = shown.get("badge", {})
    _require(isinstance(badge, dict), "badge is no object")
    _require(_is_int(badge.get("addNum", 1), 1, 99), "badge addNum must be within 1...99")
    _require(_is_int(badge.get("setNum", 0), 0, 99), "badge setNum must be within 0...99")
    _require(isinstance(shown.get("sound", ""), str), "sound must be a file name")
    _require(_is_int(shown.get("soundDuration", 1), 1, 60), "soundDuration must be within 1...60 s")
    _require(isinstance(shown.get("foregroundShow", True), bool), "foregroundShow must be a boolean")
    _require(str(shown.get("image", "https://")).startswith("https://"), "image must be an https url")
    style, lines = shown.get("style", 0), shown.get("inboxContent", [])
    _require(style in (0, 1, 3), "style must be 0, 1 or 3")
    _require(style != 3 or bool(lines), "style 3 needs inboxContent")
    _require(
        isinstance(lines, list) and len(lines) <= 3 and all(_is_text(line, 1024) for line in lines),
        "inboxContent holds at most 3 lines of 1024 characters",
    )


def _check_options(options: dict[str, Any]) -> None:
    if not _is_int(options.get("ttl", 86_400), 1, MAX_TTL_S):
        raise _Refusal("80100004", "ttl must be an integer of seconds, 1...1296000", 400)
    _require(_is_int(options.get("collapseKey", -1), -1, 100), "collapseKey must be within -1...100")
    tag = options.get("biTag", "")
    _require(isinstance(tag, str) and len(tag.encode()) <= MAX_BI_TAG, "biTag is over 64 bytes")
    _require(isinstance(options.get("receiptId", ""), str), "receiptId must be a string")
    _require(isinstance(options.get("testMessage", False), bool), "testMessage must be a boolean")
    _require("backgroundMode" not in options, "backgroundMode is for push-type 6 only")


def _is_text(value: Any, limit: int) -> bool:
    return isinstance(value, str) and len(value) <= limit


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _require(held: bool, words: str) -> None:
    if not held:
        raise _Refusal("80100003", f"Illegal payload, {words}", 400)


def _is_dead(token: str) -> bool:
    return "dead" in token or not token or any(c <= " " for c in token)


def _accepted(message: dict[str, Any], token: str) -> Accepted:
    shown = message["payload"]["notification"]
    return Accepted(
        vendor="harmony",
        token=token,
        title=shown["title"],
        body=shown["body"],
        vendor_id=str(shown.get("notifyId", "")),
        payload={name: value for name, value in message.items() if name != "target"},
    )
