"""The fast portable transport: pyreqwest (Rust's reqwest) behind the seam.

What keeps it cheap: long-lived workers instead of a task for each request, headers of a credential prepared once,
and completions that gather for one call in each turn of the loop. It puts no limit of its own on requests in flight.

HTTP/2 is spoken with prior knowledge. Where the library may negotiate instead, it opens a connection for every request
that finds none ready: measured, 119 for a burst of 300 on a cold start and 249 after a GOAWAY, against 1; Apple takes that
for an attack. A server that turns out to know no HTTP/2 is spoken to in HTTP/1.1 from then on, and so is plain http.

What the library does by itself: it waits where the server's SETTINGS_MAX_CONCURRENT_STREAMS is reached, opens a new
connection after GOAWAY or a loss, and repeats a request up to twice that was refused unprocessed (REFUSED_STREAM, GOAWAY).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    ClientClosedError,
    DetailedPyreqwestError,
    PyreqwestError,
    RequestTimeoutError,
)
from pyreqwest.http import HeaderMap
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response as StreamedResponse

from pushgw.vendor import faults, trust
from pushgw.vendor.gathering import Gathering
from pushgw.vendor.http import Completion, Headers, OnComplete, Request, Response, TlsOptions, TransportError

_PING_AFTER = timedelta(seconds=10)
"""A connection with open requests and nothing heard for so long is asked whether it lives."""
_IDLE_HTTP2 = timedelta(minutes=10)
"""APNs asks for connections that last; middleboxes forget idle ones sooner or later."""
_IDLE_HTTP1 = timedelta(seconds=50)
"""Under the 60-75 s after which most servers hang up."""
_LAST_BREATH = 0.01
"""s"""


class PyreqwestTransport:
    """Transport on pyreqwest. Made in the event loop; see TransportFactory for the arguments.

    Half of ``timeout`` bounds the connecting. Raises TransportError where ``tls`` cannot be used.
    """

    def __init__(
        self,
        *,
        on_complete: OnComplete,
        timeout: float,
        http2: bool,
        tls: TlsOptions,
        proxy: str | None = None,
    ) -> None:
        self._timeout = timeout
        self._http2 = http2
        self._tls = tls
        self._proxy = proxy
        self._client = self._new_client(http2)
        self._spoken = not http2
        """Whether the version of HTTP is settled: an HTTP/2 answer came, or HTTP/1.1 it is."""
        self._plain = self._new_client(False) if http2 else self._client
        self._loop = asyncio.get_running_loop()
        self._gathering = Gathering(on_complete)
        self._queue: deque[tuple[object, Request]] = deque()
        self._workers: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._shared: Headers | None = None
        self._prepared = HeaderMap()
        self._closed = False

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        """Send these; there are as many workers as there have ever been requests in flight."""
        if self._closed:
            for tag, _request in requests:
                self._gathering.add(Completion(tag, None, faults.closed()))
            return
        self._queue.extend(requests)
        for _ in requests:
            self._engage()

    def renew(self) -> None:
        """Leave the present connections: what is open on them ends there, new requests go on new ones.

        A client that is let go of closes each connection when its last request has ended.
        """
        if self._closed:
            return
        downgraded = self._client is self._plain
        self._plain = self._new_client(False)
        self._client = self._plain if downgraded else self._new_client(True)

    async def close(self) -> None:
        """Abandon what is open (each as a Completion with an error) and close the connections."""
        if self._closed:
            return
        self._closed = True
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        while self._queue:
            tag, _request = self._queue.popleft()
            self._gathering.add(Completion(tag, None, faults.closed()))
        self._gathering.deliver()
        await self._client.close()
        await self._plain.close()
        # The library's thread may still be letting go of what it handed over. An interpreter that ends in that very moment
        # aborts (5 of 40 short scripts did under plain asyncio, none after a pause); this makes it rare, not impossible.
        await asyncio.sleep(_LAST_BREATH)

    def _new_client(self, http2: bool) -> Client:
        return _client(self._timeout, http2, self._tls, self._proxy)

    def _engage(self) -> None:
        """One worker more for the queue: the one that went idle last, or a new one."""
        while self._idle:
            waiting = self._idle.pop()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._workers.append(self._loop.create_task(self._work()))

    async def _work(self) -> None:
        """Take requests for as long as the transport is open. The hot loop: one screen, few calls.

        It looks whether it is closed: a cancellation that meets an answer on its way is swallowed in the library.
        """
        queue, gathering = self._queue, self._gathering
        while not self._closed:
            if not queue:
                client = plain = builder = stream = answer = (
                    None  # an idle worker keeps no client that was left alive
                )
                waiting = self._loop.create_future()
                self._idle.append(waiting)
                await waiting
                continue
            tag, request = queue.popleft()
            response: Response | None = None
            fault: TransportError | None = None
            plain = self._plain
            client = plain if request.url.startswith("http:") else self._client
            try:
                if request.shared is not self._shared:
                    self._prepare(request.shared)
                builder = client.request(request.method, request.url).headers(self._prepared)
                if request.headers:
                    builder = builder.headers(request.headers)
                if request.body:
                    builder = builder.body_bytes(request.body)
                stream = builder.build_streamed()
                builder = None  # large, and thousands may wait here
                answer = await stream.__aenter__()
                if answer.get_header("content-length") == "0":
                    body = b""  # all is read: __aexit__ would be one more coroutine for nothing
                else:
                    body = await _read(stream, answer)
                if client is not plain:
                    self._spoken = True
                if len(body) > faults.BODY_LIMIT:
                    fault = faults.too_large(faults.host_of(request))
                else:
                    response = Response(status=answer.status, headers=answer.headers, body=body)
            except asyncio.CancelledError:
                gathering.add(Completion(tag, None, faults.abandoned()))
                raise
            except Exception as error:  # noqa: BLE001  whatever went wrong, the tag must come back exactly once
                if client is not plain and not self._spoken and _knows_no_http2(error):
                    self._client = plain
                    queue.appendleft((tag, request))  # the server could not even read it
                    continue
                fault = _fault(error, faults.host_of(request), self._timeout)
            gathering.add(Completion(tag, response, fault))

    def _prepare(self, shared: Headers) -> None:
        self._prepared = HeaderMap(shared)
        self._shared = shared


async def _read(stream: StreamRequest, answer: StreamedResponse) -> bytes:
    """The body, or one byte more than is allowed."""
    try:
        read = await answer.body_reader.read(faults.BODY_LIMIT + 1)
    finally:
        await stream.__aexit__(None, None, None)
    return bytes(read) if read else b""


def pyreqwest_transport(
    *, on_complete: OnComplete, timeout: float, http2: bool, tls: TlsOptions, proxy: str | None = None
) -> PyreqwestTransport:
    """TransportFactory of PyreqwestTransport."""
    return PyreqwestTransport(on_complete=on_complete, timeout=timeout, http2=http2, tls=tls, proxy=proxy)


def _client(timeout: float, http2: bool, tls: TlsOptions, proxy: str | None) -> Client:
    trust.check(tls)
    builder = (
        ClientBuilder()
        .gzip(False)
        .brotli(False)
        .zstd(False)
        .deflate(False)
        .follow_redirects(False)
        .referer(False)
        .user_agent("pushgw")
        .timeout(timedelta(seconds=timeout))
        .connect_timeout(timedelta(seconds=timeout / 2))
        .pool_idle_timeout(_IDLE_HTTP2 if http2 else _IDLE_HTTP1)
    )
    if http2:
        builder = (
            builder.http2_prior_knowledge()
            .http2_keep_alive_interval(_PING_AFTER)
            .http2_keep_alive_timeout(timedelta(seconds=timeout / 2))
        )
    else:
        builder = builder.http1_only()
    if proxy is not None:
        builder = builder.proxy(ProxyBuilder.all(proxy))
    if tls.ca_pem is not None:
        builder = builder.add_root_certificate_pem(tls.ca_pem)
    if tls.identity_pem is not None:
        builder = builder.identity_pem(tls.identity_pem)
    try:
        return builder.build()
    except ValueError:
        raise TransportError(
            "TLS: pyreqwest takes the certificates or the key in no such form", sent=False, retriable=False
        ) from None


_CONNECTING = "client error (Connect)"
_UNTRUSTED = re.compile(r"invalid peer certificate: ?(.*)|received fatal alert: (?!InternalError)(.*)")
_CAUSES = (
    # in the library's words, as pyreqwest 0.15 gives them -> in ours
    ("tunnel error", "the proxy makes no connection"),
    ("Connection refused", "connection refused"),
    ("dns error", "the name does not resolve"),
    ("connection error received", "the server said goodbye (GOAWAY)"),
    ("reset", "connection reset"),
    ("stream error received", "the server reset the stream"),
    ("broken pipe", "the server closed the connection"),
    ("peer closed connection", "the server closed the connection"),
    ("connection closed", "the server closed the connection"),
)


def _fault(error: Exception, host: str, timeout: float) -> TransportError:
    """What the library said, as ours. Its classes do not tell before and after sending apart; its causes do."""
    causes = _causes(error)
    text = ": ".join(causes)
    connecting = _CONNECTING in causes
    if isinstance(error, RequestTimeoutError):
        return faults.not_connected(host, timeout / 2) if connecting else faults.not_answered(host, timeout)
    if found := _UNTRUSTED.search(text):
        cause = found[1] or found[2]
        return faults.untrusted(
            host, f"certificate verify failed ({cause})" if found[1] else f"alert {cause}"
        )
    if "refused stream" in text:
        return faults.refused_stream(host)
    if isinstance(error, ClientClosedError):
        return faults.abandoned()
    if isinstance(error, BuilderError) or not isinstance(error, PyreqwestError):
        return faults.unbuildable(host, f"malformed URL or header ({type(error).__name__})")
    named = next((ours for theirs, ours in _CAUSES if theirs in text), None)
    last = causes[-1] if causes else type(error).__name__
    detail = last.partition("https://")[0].strip(" :")[:200]
    if named and named in detail.lower():
        detail = ""
    return TransportError(
        f"{host}: {named} ({detail})" if named and detail else f"{host}: {named or detail}",
        sent=not connecting,
    )


def _knows_no_http2(error: Exception) -> bool:
    """Whether this was the first word of a server that has only HTTP/1.1: no protocol in common, or text for a frame."""
    text = ": ".join(_causes(error))
    return "NoApplicationProtocol" in text or "connection error detected: frame with invalid size" in text


def _causes(error: Exception) -> list[str]:
    """Causes from the outermost to the innermost, without those that hold the URL."""
    if not isinstance(error, DetailedPyreqwestError):
        return []
    messages = [cause["message"] for cause in error.details.get("causes") or ()]
    return [message for message in messages if "for url (" not in message]
