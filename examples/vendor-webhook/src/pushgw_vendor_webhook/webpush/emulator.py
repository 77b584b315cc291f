"""A push service and a browser in one: checks the request as the one does, and decrypts it as the other.

A push service never sees the text; the journal of the sandbox should. So the double serves subscriptions of its own making,
whose private keys follow from their names: see ``sandbox_subscription``.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from pushgw.vendor import Accepted, Answer, Call, Emulator, Response, json_object

from pushgw_vendor_webhook.webpush import base64url
from pushgw_vendor_webhook.webpush.credential import WebpushCredential
from pushgw_vendor_webhook.webpush.encryption import RECORD_SIZE, decrypt
from pushgw_vendor_webhook.webpush.vapid import public_bytes

HOST = "push.example.net"
"""Of the subscriptions that it serves; the credential's ``hosts`` must have it."""
PATH = "/wpush/"
LONGEST_LIFE_S = 86_400
MAX_TTL_S = 2_592_000

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_VAPID = re.compile(r"vapid t=([^,\s]+), ?k=([^,\s]+)", re.IGNORECASE)
_URGENCIES = ("very-low", "low", "normal", "high")


def sandbox_subscription(name: str) -> str:
    """The device token of a browser that lives in the sandbox; one whose name contains ``dead`` has unsubscribed.

    ``name``: 1 to 64 letters, digits, hyphens and underscores. Raises ValueError for any other.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a sandbox subscription's name has 1 to 64 letters, digits, - and _")
    private, auth = _browser(name)
    keys = {"p256dh": base64url.encode(public_bytes(private.public_key())), "auth": base64url.encode(auth)}
    return msgspec.json.encode({"endpoint": f"https://{HOST}{PATH}{name}", "keys": keys}).decode()


class _Refusal(Exception):
    """Status and errno, as Mozilla's push service has them, and its words."""

    def __init__(self, status: int, errno: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.errno = errno
        self.words = words


class WebpushEmulator(Emulator):
    """Accepts the VAPID keys of its accounts."""

    vendor = "webpush"

    def claims(self, method: str, path: str) -> bool:
        """Everything below ``/wpush/``."""
        return path.startswith(PATH)

    def handle(self, call: Call, now: float) -> Answer:
        """Answer as Mozilla's push service does."""
        try:
            return self._take(call, now)
        except _Refusal as refusal:
            body = {"code": refusal.status, "errno": refusal.errno, "message": refusal.words}
            return Answer(
                response=Response(status=refusal.status, headers=_JSON, body=msgspec.json.encode(body))
            )

    def _take(self, call: Call, now: float) -> Answer:
        name = call.path.partition("?")[0].removeprefix(PATH)
        if call.method != "POST":
            raise _Refusal(405, 999, "only POST is allowed here")
        if not _NAME.fullmatch(name):
            raise _Refusal(404, 102, "no such subscription")
        self._authorize(call, now)
        _check_headers(call)
        token = sandbox_subscription(name)
        scripted = self.scripted.get(token)
        if scripted and not (code := scripted.pop(0)).startswith("HTTP 2"):
            raise _Refusal(_status(code), 999, f"Refused with {code}, because a test asked for it.")
        if "dead" in name:
            raise _Refusal(410, 106, "the subscription has ended")
        content = _content(call.body, name)
        accepted = Accepted(
            vendor=self.vendor,
            token=token,
            title=_text(content.get("title")),
            body=_text(content.get("body")),
            vendor_id=call.headers.get("topic", ""),
            payload={"content": content, **{n: call.headers.get(n, "") for n in ("ttl", "urgency", "topic")}},
        )
        location = f"https://{HOST}/m/{sha256(call.body).hexdigest()[:32]}"
        return Answer(response=Response(status=201, headers={"location": location}), accepted=(accepted,))

    def _authorize(self, call: Call, now: float) -> None:
        found = _VAPID.fullmatch(call.headers.get("authorization", ""))
        if found is None:
            raise _Refusal(401, 109, "the authorization is no VAPID")
        token, public = found[1], found[2]
        credential = self._owner(public)
        claims = _verified(token, credential)
        audience, ends = urlsplit(_text(claims.get("aud"))), claims.get("exp")
        if (audience.scheme, audience.path, audience.query) != ("https", "", "") or not credential.allows(
            audience.netloc
        ):
            raise _Refusal(401, 109, "aud is not the origin of this push service")
        if not isinstance(ends, int) or not now < ends <= now + LONGEST_LIFE_S:
            raise _Refusal(401, 109, "exp has passed or is more than a day away")
        if not _text(claims.get("sub")).startswith(("mailto:", "https:")):
            raise _Refusal(401, 109, "sub is no contact")

    def _owner(self, public: str) -> WebpushCredential:
        for account in self.accounts:
            credential: WebpushCredential = account.credential
            if credential.key.public_text == public.rstrip("="):
                return credential
        raise _Refusal(403, 109, "no subscription was made under this key")


def _verified(token: str, credential: WebpushCredential) -> dict[str, Any]:
    signed, _, signature = token.rpartition(".")
    try:
        header, claims = (json_object(base64url.decode(part)) for part in signed.split("."))
        raw = base64url.decode(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), credential.key.public)
        public.verify(der, signed.encode(), ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        raise _Refusal(401, 109, "the JWT's signature does not verify") from None
    if header.get("alg") != "ES256" or len(raw) != 64:
        raise _Refusal(401, 109, "the JWT is not ES256")
    return claims


def _check_headers(call: Call) -> None:
    ttl = call.headers.get("ttl", "")
    if not (ttl.isascii() and ttl.isdigit()) or int(ttl) > MAX_TTL_S:
        raise _Refusal(400, 112, "TTL is missing, or no number of seconds up to 30 days")
    if not _TOPIC.fullmatch(call.headers.get("topic", "none")):
        raise _Refusal(400, 113, "Topic has not 1 to 32 characters of base64url")
    if call.headers.get("urgency", "normal") not in _URGENCIES:
        raise _Refusal(400, 114, "Urgency is none of the four")
    if call.headers.get("content-encoding") != "aes128gcm":
        raise _Refusal(400, 110, "Content-Encoding is not aes128gcm")
    if len(call.body) > RECORD_SIZE:
        raise _Refusal(413, 104, "the message is larger than 4096 bytes")


def _content(body: bytes, name: str) -> dict[str, Any]:
    """What the browser's service worker would read."""
    private, auth = _browser(name)
    try:
        content = json_object(decrypt(body, private, auth))
    except ValueError as error:
        raise _Refusal(400, 110, f"the browser could not decrypt it: {error}") from None
    if not content:
        raise _Refusal(400, 110, "the browser decrypted something that is no JSON object")
    return content


def _browser(name: str) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """(private key, auth secret) of a browser of the sandbox."""
    seed = sha256(f"pushgw sandbox browser {name}".encode()).digest()
    private = ec.derive_private_key(int.from_bytes(seed, "big") >> 1 or 1, ec.SECP256R1())
    return private, sha256(seed).digest()[:16]


def _status(code: str) -> int:
    digits = code.removeprefix("HTTP ").replace("xx", "02")
    return int(digits) if len(digits) == 3 and digits.isascii() and digits.isdigit() else 500


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_JSON = {"content-type": "application/json"}
