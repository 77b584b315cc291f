"""The device token of Web Push: a browser's subscription, as ``JSON.stringify(subscription)`` writes it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from pushgw_vendor_webhook.webpush import base64url


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that was looked at: its address is fit to be sent to, its keys have the right sizes."""

    endpoint: str
    host: str
    """In lower case; whether it may be sent to is the credential's to say."""
    path: str
    """With the query, if any."""
    p256dh: bytes
    auth: bytes

    @property
    def origin(self) -> str:
        """What VAPID calls the audience: scheme and host."""
        return f"https://{self.host}"

    def __repr__(self) -> str:
        return f"Subscription(host={self.host!r})"


class _Keys(msgspec.Struct, frozen=True):
    p256dh: str
    auth: str


class _Json(msgspec.Struct, frozen=True):
    endpoint: str
    keys: _Keys


_decoder = msgspec.json.Decoder(_Json)


def parse(token: str) -> Subscription:
    """Raises ValueError with a sentence that quotes nothing.

    The endpoint comes from a client, who must not choose whom the gateway talks to: https on its usual port, by name,
    without a password, and nothing that could split a request (JSON's escapes hide such things from a look at the token).
    """
    try:
        read = _decoder.decode(token)
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(
            "the token is no subscription as JSON, with endpoint, keys.p256dh and keys.auth"
        ) from None
    host, path = _address(read.endpoint)
    return Subscription(
        endpoint=read.endpoint,
        host=host,
        path=path,
        p256dh=_key("p256dh", read.keys.p256dh, 65),
        auth=_key("auth", read.keys.auth, 16),
    )


def _address(endpoint: str) -> tuple[str, str]:
    if (
        not endpoint.isascii()
        or not endpoint.isprintable()
        or " " in endpoint
        or "#" in endpoint
        or "\\" in endpoint
    ):
        raise ValueError("endpoint holds blanks, control characters or others that a URL has not")
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("endpoint is no URL") from None
    if parts.scheme != "https" or port not in (None, 443) or "@" in parts.netloc:
        raise ValueError("endpoint is no https URL on the usual port without user name")
    if "." not in host or host.endswith(".") or _is_ip(host):
        raise ValueError("endpoint names no public host")
    return host, f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host.rpartition(".")[2].isdigit()  # also what old resolvers take for an address
    return True


def _key(name: str, text: str, size: int) -> bytes:
    try:
        key = base64url.decode(text)
    except ValueError:
        key = b""
    if len(key) != size or (size == 65 and key[0] != 4):
        raise ValueError(f"keys.{name} has not {size} bytes as base64url")
    return key
