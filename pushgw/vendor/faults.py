"""The TransportErrors that every transport words alike.

A sentence names the host and the cause, never the URL (an APNs path is the device token), a header or a body.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from pushgw.vendor.http import Request, TransportError

BODY_LIMIT = 1024 * 1024
"""Bytes of an answer that a transport reads; vendors' answers are a few KB."""


def host_of(request: Request) -> str:
    """Host and port of a request's URL, the only part of it fit for a sentence."""
    try:
        parts = urlsplit(request.url)
        host = parts.hostname or "no host"
        return host if parts.port is None else f"{host}:{parts.port}"
    except ValueError:
        return "a URL that cannot be read"


def not_connected(host: str, seconds: float) -> TransportError:
    """The connection was not made in time."""
    return TransportError(f"{host}: timeout, no connection within {seconds:g} s", sent=False)


def not_answered(host: str, seconds: float) -> TransportError:
    """The request's time is up; the vendor may have taken it."""
    return TransportError(f"{host}: timeout, no complete answer within {seconds:g} s")


def too_large(host: str) -> TransportError:
    """The answer is no vendor's answer."""
    return TransportError(f"{host}: the answer is larger than {BODY_LIMIT // 1024} KiB")


def refused_stream(host: str) -> TransportError:
    """REFUSED_STREAM: HTTP/2's word for a request that was not looked at."""
    return TransportError(f"{host}: the request was refused unprocessed (REFUSED_STREAM)", sent=False)


def untrusted(host: str, cause: str) -> TransportError:
    """TLS failed for a reason that another attempt does not mend."""
    return TransportError(f"{host}: TLS: {cause}", sent=False, retriable=False)


def unbuildable(host: str, cause: str) -> TransportError:
    """The request itself is malformed; no attempt will do."""
    return TransportError(f"{host}: the request cannot be built: {cause}", sent=False, retriable=False)


def abandoned() -> TransportError:
    """The transport was closed with this request under way."""
    return TransportError("the transport was closed before the answer came")


def closed() -> TransportError:
    """The transport had been closed before this request could leave."""
    return TransportError("the transport is closed", sent=False)
