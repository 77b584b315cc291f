"""Web Push: one encrypted message to one browser, through the push service named in its subscription.

Source: RFC 8030 (the request), RFC 8291 (the body), RFC 8292 (who we are).
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

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

from pushgw_vendor_webhook.webpush import base64url
from pushgw_vendor_webhook.webpush.credential import WebpushCredential
from pushgw_vendor_webhook.webpush.encryption import MAX_PLAINTEXT, encrypt, one_time_secrets
from pushgw_vendor_webhook.webpush.results import lookup
from pushgw_vendor_webhook.webpush.subscription import Subscription, parse
from pushgw_vendor_webhook.webpush.vapid import LIFETIME_S

MAX_TTL_S = 2_592_000
MAX_TITLE = 512
"""Bytes."""
LEAST_BODY = 32
"""Bytes of text that must remain when a long ext takes the room."""
REFRESH_EARLY_S = 3600
URGENCIES = frozenset({"very-low", "low", "normal", "high"})
MOST_ORIGINS = 64
"""Push services whose token is kept; there are a handful."""

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHARED = (("content-encoding", "aes128gcm"), ("content-type", "application/octet-stream"))
_encode = msgspec.json.Encoder().encode


class WebpushAdapter(Adapter):
    """Renders for whichever push service a browser has chosen."""

    vendor = "webpush"
    push_platform = 0
    platforms = frozenset({"web"})
    credential_model = WebpushCredential
    http2 = False  # the push services of one credential differ, and HTTP/1.1 they all speak
    sends_badge = True

    def token_fault(self, token: str) -> str | None:
        """As everywhere, and a subscription must be whole, with an address that may be sent to."""
        if fault := super().token_fault(token):
            return fault
        try:
            parse(token)
        except ValueError as error:
            return str(error)
        return None

    def local_auth(self, account: Account, now: float) -> Auth:
        """When the tokens were made: there is one for each push service, and ``render`` knows which."""
        return Auth(value="", made_at=now, expires_at=now + LIFETIME_S - REFRESH_EARLY_S)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The encrypted request. Refused: a push service that is not in ``hosts``, a key off the curve, an ext too long."""
        credential: WebpushCredential = account.credential
        target, note = push.targets[0], push.notification
        try:
            subscription = parse(target.token)
        except ValueError as error:
            raise Refused(str(error)) from None
        if not credential.allows(subscription.host):
            raise Refused("the subscription's push service is not among the hosts of the credential")
        plaintext = _plaintext(note)
        purpose = (target.token.encode(), target.vendor_id.encode(), plaintext)
        as_private, salt = one_time_secrets(credential.key.number, *purpose)
        try:
            body = encrypt(plaintext, subscription.p256dh, subscription.auth, as_private, salt)
        except ValueError:
            raise Refused("keys.p256dh of the subscription is no point of the curve P-256") from None
        return Request(
            url=(account.endpoint or subscription.origin) + subscription.path,
            shared=_SHARED,
            headers=(
                ("ttl", str(min(max(int(note.expires_at - push.now), 0), MAX_TTL_S))),
                ("urgency", _urgency(note, account)),
                ("topic", _topic(note.collapse_id)),
                *_authorization(subscription, account, auth),
            ),
            body=body,
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """The one Outcome, by the status."""
        action, words = lookup(response.status)
        code = f"HTTP {response.status}"
        if action is Action.ACCEPTED:
            message_id = response.headers.get("location", "").rpartition("/")[2][:128]
            return [Outcome(action=action, code=code, vendor_id=message_id)]
        said = _said(push, json_object(response.body)) or words
        wait = retry_after(response, push.now)
        return [Outcome(action=action, code=code, reason=said, hint=words, retry_after=wait)]

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """The tokens that were made: whoever has one may push in our name until it ends."""
        return tuple(_tokens(account).values())


# --- the request ------------------------------------------------------------------------------------------


def _plaintext(note: Notification) -> bytes:
    """What the service worker reads. The text gives way to a long ext."""
    text = note.body
    if not text.strip():
        raise Refused("a browser must show something, and this push has no text")
    while True:
        try:
            plaintext = _encode(_content(note, text))
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        excess = len(plaintext) - MAX_PLAINTEXT
        if excess <= 0:
            return plaintext
        size = len(text.encode())
        if size <= LEAST_BODY:
            raise Refused(
                f"too large for Web Push: {len(plaintext)} bytes, {MAX_PLAINTEXT} are allowed, "
                f"and ext alone has {len(note.ext.encode())}"
            )
        text = cut_bytes(text, max(size - excess, LEAST_BODY))


def _content(note: Notification, text: str) -> dict[str, Any]:
    fields = {
        "title": cut_bytes(note.title, MAX_TITLE),
        "body": text,
        "ext": note.ext,
        "badge": note.badge,
        "tag": note.collapse_id,
        "conversation": note.conversation,
    }
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    return {**given, **note.extra} if note.extra else given


def _urgency(note: Notification, account: Account) -> str:
    """``urgency`` of ``[defaults]``; a chat message without one is high."""
    wanted = account.defaults.get("urgency", "high")
    return wanted if wanted in URGENCIES else "high"


def _topic(collapse_id: str) -> str:
    """At most 32 characters of base64url: the id itself, or 24 bytes of its hash."""
    if _TOPIC.fullmatch(collapse_id):
        return collapse_id
    return base64url.encode(sha256(collapse_id.encode()).digest()[:24])


def _authorization(
    subscription: Subscription, account: Account, auth: Auth | None
) -> tuple[tuple[str, str], ...]:
    if auth is None:
        return ()
    credential: WebpushCredential = account.credential
    issued, tokens = int(auth.made_at), _tokens(account)
    if account.cache.get("webpush.issued") != issued or len(tokens) >= MOST_ORIGINS:
        account.cache["webpush.issued"] = issued
        tokens.clear()
    token = tokens.get(subscription.origin)
    if token is None:
        token = credential.key.token(subscription.origin, credential.subject, issued)
        tokens[subscription.origin] = token
    return (("authorization", f"vapid t={token}, k={credential.key.public_text}"),)


def _tokens(account: Account) -> dict[str, str]:
    """Origin -> JWT, of the authorization in use."""
    tokens: dict[str, str] = account.cache.setdefault("webpush.tokens", {})
    return tokens


# --- the answer -------------------------------------------------------------------------------------------


def _said(push: Push, answer: dict[str, Any]) -> str:
    """The push service's words (Mozilla ``message``, Apple ``reason``), without the address, which is as good as the token."""
    text = answer.get("message") or answer.get("reason")
    if not isinstance(text, str):
        return ""
    try:
        text = text.replace(parse(push.targets[0].token).endpoint, "***")
    except ValueError:
        return ""  # nothing that was ever sent
    return vendor_words(push, text)
