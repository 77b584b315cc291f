"""The transport's seam: a list of requests in, completions out in lists. No future per request crosses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, str], ...]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request that an adapter rendered. Header names are lower case.

    ``shared`` headers come before ``headers`` and are the *same tuple object* for all requests of a
    credential while its authorization lasts, so that a transport can prepare them once.
    """

    method: str = "POST"
    url: str
    """Absolute."""
    shared: Headers = ()
    headers: Headers = ()
    body: bytes = b""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. Header names are lower case; the body is complete."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class TransportError(Exception):
    """No complete answer came.

    ``sent`` says whether the vendor may have taken the request: ``False`` only when it surely never left
    (refused connection, REFUSED_STREAM). ``retriable`` is true for all but a TLS or set-up fault.
    """

    def __init__(self, sentence: str, *, sent: bool = True, retriable: bool = True) -> None:
        super().__init__(sentence)
        self.sent = sent
        self.retriable = retriable


class Completion(msgspec.Struct, frozen=True):
    """One finished request: exactly one of ``response`` and ``error`` is set."""

    tag: object
    response: Response | None
    error: TransportError | None


class TlsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to trust and who we are."""

    ca_pem: bytes | None = None
    """Roots to trust beside the system's, PEM."""
    identity_pem: bytes | None = None
    """Client certificate chain and unencrypted key, PEM (APNs p12)."""


class Transport(Protocol):
    """One lane's way out: its connections to one vendor under one credential."""

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        """Send these (tag, request) pairs; each comes back as exactly one Completion. Never blocks."""

    def renew(self) -> None:
        """Leave the present connections: what is open on them ends there, new requests go on new ones."""

    async def close(self) -> None:
        """Abandon what is open (each as a Completion with an error) and close the connections."""


OnComplete = Callable[[Sequence[Completion]], None]
"""Called in the event loop with every completion that has gathered since the last call."""


class TransportFactory(Protocol):
    """Makes the transport of one lane."""

    def __call__(
        self,
        *,
        on_complete: OnComplete,
        timeout: float,
        http2: bool,
        tls: TlsOptions,
        proxy: str | None = None,
    ) -> Transport:
        """``timeout`` in s bounds a request from submit to its last byte. ``proxy``: URL of the HTTP proxy that all requests
        go through, maybe with a login; None for what the system says (HTTPS_PROXY, NO_PROXY)."""
