"""A receiver's double: checks signature, clock and shape as a careful receiver does."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
from pushgw.vendor import Accepted, Account, Action, Answer, Call, Emulator, Response, json_object

from pushgw_vendor_webhook.webhook.adapter import MAX_BYTES, sign
from pushgw_vendor_webhook.webhook.results import GONE, RESULTS

CLOCK_WINDOW_S = 300
MAX_TARGETS = 100


class _Refusal(Exception):
    """A status, and what displeased the receiver."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class WebhookEmulator(Emulator):
    """Knows its accounts by the path of their address. A token that contains ``dead`` is listed as gone."""

    vendor = "webhook"

    def claims(self, method: str, path: str) -> bool:
        """POST to the path of an account's address; ``/`` alone is the sandbox's own."""
        return method == "POST" and path != "/" and any(a.credential.path == path for a in self.accounts)

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as a careful receiver does."""
        try:
            self._account(call, now)
            targets, notification = _read(call.body)
            return self._deliver(targets, notification)
        except _Refusal as refusal:
            return _json(refusal.status, {"error": refusal.words})

    def _account(self, call: Call, now: float) -> Account:
        timestamp, given = (call.headers.get(f"x-pushgw-{name}", "") for name in ("timestamp", "signature"))
        if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > CLOCK_WINDOW_S:
            raise _Refusal(401, "x-pushgw-timestamp is missing or off by more than five minutes")
        for account in self.accounts:
            wanted = sign(account.credential.secret.get_secret_value(), timestamp, call.body)
            if account.credential.path == call.path and hmac.compare_digest(wanted.encode(), given.encode()):
                return account
        raise _Refusal(401, "x-pushgw-signature does not verify")

    def _deliver(self, targets: list[dict[str, Any]], notification: dict[str, Any]) -> Answer:
        tokens = [target["token"] for target in targets]
        scripted = {token: queue.pop(0) for token in tokens if (queue := self.scripted.get(token))}
        for code in scripted.values():
            if code != GONE and RESULTS.get(code, (Action.UNKNOWN,))[0] is not Action.ACCEPTED:
                return _fault(code)
        gone = [token for token in tokens if "dead" in token or scripted.get(token) == GONE]
        accepted = tuple(_accepted(target, notification) for target in targets if target["token"] not in gone)
        if scripted and not gone:
            return Answer(response=Response(status=int(next(iter(scripted.values()))[5:])), accepted=accepted)
        return _json(200, {"gone": gone} if gone else {}, accepted)


def _read(body: bytes) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    told = json_object(body)
    targets, notification = told.get("targets"), told.get("notification")
    if not isinstance(targets, list) or not isinstance(notification, dict):
        raise _Refusal(400, "targets or notification is missing")
    if not 1 <= len(targets) <= MAX_TARGETS:
        raise _Refusal(400, f"targets has not 1 to {MAX_TARGETS} entries")
    for target in targets:
        if not isinstance(target, dict) or not all(isinstance(target.get(k), str) for k in ("id", "token")):
            raise _Refusal(400, "a target has no id or token")
    if not all(isinstance(notification.get(name), str) for name in ("title", "body", "collapse_id")):
        raise _Refusal(422, "title, body or collapse_id is missing")
    if len(msgspec.json.encode(notification)) > MAX_BYTES:
        raise _Refusal(413, f"the notification has more than {MAX_BYTES} bytes")
    return targets, notification


def _fault(code: str) -> Answer:
    digits = code.removeprefix("HTTP ").replace("xx", "02")
    return Answer(response=Response(status=int(digits) if digits.isdecimal() else 500))


def _accepted(target: dict[str, Any], notification: dict[str, Any]) -> Accepted:
    return Accepted(
        vendor="webhook",
        token=target["token"],
        title=notification["title"],
        body=notification["body"],
        vendor_id=target["id"],
        payload=notification,
    )


def _json(status: int, body: dict[str, Any], accepted: tuple[Accepted, ...] = ()) -> Answer:
    response = Response(
        status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(body)
    )
    return Answer(response=response, accepted=accepted)
