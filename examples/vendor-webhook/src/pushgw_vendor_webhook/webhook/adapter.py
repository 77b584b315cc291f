"""Webhook: up to 100 tokens in one signed POST.

The receiver is told what a vendor would be told, and may answer with a bare status. It verifies
``x-pushgw-signature``: ``v1=`` and the hexadecimal HMAC-SHA256, under the shared secret, of the value of ``x-pushgw-timestamp``,
a full stop, and the body.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pushgw.vendor import (
    HALF_CHARACTER,
    Account,
    Action,
    Adapter,
    Auth,
    Notification,
    Outcome,
    Push,
    Refused,
    Request,
    Response,
    cut_bytes,
    json_object,
    retry_after,
    vendor_words,
)

from pushgw_vendor_webhook.webhook.credential import WebhookCredential
from pushgw_vendor_webhook.webhook.results import GONE, RESULTS, lookup

MAX_BYTES = 16_384
"""The notification's JSON, without the targets."""
MAX_TITLE = 1_024
"""Bytes."""
LEAST_BODY = 64
"""Bytes of text that must remain when a long ext takes the room."""

_SHARED = (("content-type", "application/json"), ("user-agent", "pushgw-webhook/1"))
_encode = msgspec.json.Encoder().encode


class WebhookAdapter(Adapter):
    """Renders for a receiver of the operator's own, and reads its answers."""

    vendor = "webhook"
    push_platform = 0
    platforms = frozenset({"android", "ios", "harmony", "web"})
    credential_model = WebhookCredential
    batch_limit = 100
    http2 = False  # a receiver may be anything; HTTP/1.1 they all speak

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The signed request. The text gives way to a long ext; an ext that is too long is Refused."""
        credential: WebhookCredential = account.credential
        try:
            body = _encode({"targets": _targets(push), "notification": _fitted(push.notification)})
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        timestamp = str(int(push.now))
        signature = sign(credential.secret.get_secret_value(), timestamp, body)
        return Request(
            url=_base(account, credential) + credential.path,
            shared=_SHARED,
            headers=(("x-pushgw-timestamp", timestamp), ("x-pushgw-signature", signature)),
            body=body,
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """Decided by the status; a 200 may list tokens as gone: ``{"gone": ["token"]}``."""
        answer, status = json_object(response.body), response.status
        action, words = lookup(status)
        if action is Action.ACCEPTED:
            gone = _gone(answer) if status == 200 else frozenset()
            return [_listed_as_gone() if t.token in gone else _accepted(status, answer) for t in push.targets]
        if action is Action.INVALID_TOKEN and len(push.targets) > 1:
            action, words = (
                Action.UNKNOWN,
                "some token of the batch is gone, and the answer does not say which",
            )
        outcome = Outcome(
            action=action,
            code=f"HTTP {status}",
            reason=vendor_words(push, answer.get("error")) or words,
            hint=words,
            retry_after=retry_after(response, push.now),
        )
        return [outcome] * len(push.targets)

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """The shared secret: it signs, and never travels."""
        credential: WebhookCredential = account.credential
        return (credential.secret.get_secret_value(),)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of ``x-pushgw-signature``."""
    return f"v1={hmac.new(secret.encode(), timestamp.encode() + b'.' + body, sha256).hexdigest()}"


# --- the request ------------------------------------------------------------------------------------------


def _base(account: Account, credential: WebhookCredential) -> str:
    """Scheme, host and port: the credential's, or the account's endpoint in their place (a proxy, the sandbox)."""
    if account.endpoint is not None:
        return account.endpoint
    parts = urlsplit(credential.url)
    return f"{parts.scheme}://{parts.netloc}"


def _targets(push: Push) -> list[dict[str, str]]:
    """``id`` is the same on every attempt: the receiver shows it once."""
    return [
        {
            "id": t.push_id,
            "token": t.token,
            "user": t.user,
            "device": t.device_id,
            "platform": t.platform or "",
        }
        for t in push.targets
    ]


def _fitted(note: Notification) -> dict[str, Any]:
    text = note.body
    while True:
        fields = _notification(note, text)
        excess = len(_encode(fields)) - MAX_BYTES
        if excess <= 0:
            return fields
        text = _shorter(note, text, excess)


def _shorter(note: Notification, text: str, excess: int) -> str:
    """What is escaped takes more room in JSON than in the text, so a cut may be too deep but never too shallow."""
    size = len(text.encode())
    if size <= LEAST_BODY:
        raise Refused(
            f"too large for a webhook: {MAX_BYTES + excess} bytes, {MAX_BYTES} are allowed, "
            f"and ext alone has {len(note.ext.encode())}"
        )
    return cut_bytes(text, max(size - excess, LEAST_BODY))


def _notification(note: Notification, text: str) -> dict[str, Any]:
    fields = {
        "title": cut_bytes(note.title, MAX_TITLE),
        "body": text,
        "ext": note.ext,
        "sound": note.sound,
        "conversation": note.conversation,
        "collapse_id": note.collapse_id,
        "expires_at": note.expires_at,
    }
    return {**fields, **note.extra} if note.extra else fields


# --- the answer -------------------------------------------------------------------------------------------


def _gone(answer: dict[str, Any]) -> frozenset[str]:
    listed = answer.get("gone")
    return frozenset(t for t in listed if isinstance(t, str)) if isinstance(listed, list) else frozenset()


def _listed_as_gone() -> Outcome:
    action, words = RESULTS[GONE]
    return Outcome(action=action, code=GONE, reason=words, hint=words)


def _accepted(status: int, answer: dict[str, Any]) -> Outcome:
    given = answer.get("id")
    return Outcome(
        action=Action.ACCEPTED, code=f"HTTP {status}", vendor_id=given if isinstance(given, str) else ""
    )
