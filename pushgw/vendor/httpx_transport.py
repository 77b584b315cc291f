"""The plain transport: httpx behind the same seam. For token servers, the CLI, and machines without a pyreqwest wheel.

It makes a task for each request and costs many times what pyreqwest does. Weaknesses of the library are made good here:
it keeps using an HTTP/2 connection after the server's goodbye, and one whose peer is gone or breaks the rules, for as long as
the network lets it write; it counts requests that were abandoned against the server's limit for ever, and stands still where
that limit falls below what is open; it sends line breaks inside of header values.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import httpx
from h2.exceptions import H2Error, TooManyStreamsError

from pushgw.vendor import faults, trust
from pushgw.vendor.gathering import Gathering
from pushgw.vendor.http import Completion, OnComplete, Request, Response, TlsOptions, TransportError


class HttpxTransport:
    """Transport on httpx. Made in the event loop; see TransportFactory for the arguments.

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
        self._proxy = proxy
        self._context = trust.ssl_context(tls)
        self._loop = asyncio.get_running_loop()
        self._pool = self._new_pool()
        self._left: list[_Pool] = []
        """Pools that take no more requests; each is closed once its last one has ended."""
        self._closings: set[asyncio.Task[None]] = set()
        self._gathering = Gathering(on_complete)
        self._tasks: dict[asyncio.Task[None], object] = {}
        self._closed = False

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        """Send these (tag, request) pairs, each in a task."""
        for tag, request in requests:
            if self._closed:
                self._gathering.add(Completion(tag, None, faults.closed()))
            else:
                task = self._loop.create_task(self._complete(tag, request))
                self._tasks[task] = tag
                task.add_done_callback(self._finished)

    def renew(self) -> None:
        """Leave the present connections: what is open on them ends there, new requests go on new ones."""
        if not self._closed:
            self._left.append(self._pool)
            self._pool = self._new_pool()
            self._close_ended()

    async def close(self) -> None:
        """Abandon what is open (each as a Completion with an error) and close the connections."""
        if self._closed:
            return
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the tasks' own callbacks
        self._gathering.deliver()
        for pool in (self._pool, *self._left):
            await pool.client.aclose()
        await asyncio.gather(*self._closings, return_exceptions=True)

    async def _complete(self, tag: object, request: Request) -> None:
        host = faults.host_of(request)
        try:
            async with asyncio.timeout(self._timeout):
                completion = Completion(tag, await self._repeat_unwritten(request), None)
        except TransportError as error:
            completion = Completion(tag, None, error)
        except TimeoutError:
            completion = Completion(tag, None, faults.not_answered(host, self._timeout))
        except Exception as error:  # noqa: BLE001  whatever went wrong, the tag must come back exactly once
            completion = Completion(tag, None, _fault(error, host, self._timeout))
        self._gathering.add(completion)
        self._close_ended()

    def _close_ended(self) -> None:
        """Let go of what was left, once nothing is open on it any more."""
        for pool in [pool for pool in self._left if not pool.open]:
            self._left.remove(pool)
            # In a task of its own: this one must not be cancelled any more, or its tag came back twice.
            closing = self._loop.create_task(pool.client.aclose())
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)

    async def _repeat_unwritten(self, request: Request) -> Response:
        """A request whose end could not be written is unknown to the server: the connection was dead, a new one is taken."""
        for _ in range(_REPEATS):
            try:
                return await self._exchange(request)
            except httpx.WriteError:
                continue
        return await self._exchange(request)

    async def _exchange(self, request: Request) -> Response:
        headers = [*request.shared, *request.headers]
        if any(_BREAKS.search(name) or _BREAKS.search(value) for name, value in headers):
            raise faults.unbuildable(faults.host_of(request), "a header holds a line break")
        pool = self._pool
        pool.open += 1
        body = bytearray()
        try:
            async with pool.client.stream(
                request.method, request.url, headers=headers, content=request.body
            ) as answer:
                pool.heard_at = self._loop.time()
                async for chunk in answer.aiter_raw():
                    body += chunk
                    if len(body) > faults.BODY_LIMIT:
                        raise faults.too_large(faults.host_of(request))
        except BaseException as error:
            if pool is self._pool and not self._closed and (_broken_rule(error) or self._mute(pool, error)):
                self._left.append(pool)
                self._pool = self._new_pool()
            raise
        finally:
            pool.open -= 1
        return Response(status=answer.status_code, headers=dict(answer.headers), body=bytes(body))

    def _mute(self, pool: _Pool, error: BaseException) -> bool:
        """Whether this request's time is up and for half of it nobody there said anything."""
        waited = isinstance(error, asyncio.CancelledError | httpx.TimeoutException)
        return waited and self._loop.time() - pool.heard_at >= self._timeout / 2

    def _new_pool(self) -> _Pool:
        client = httpx.AsyncClient(
            http2=self._http2,
            verify=self._context,
            proxy=self._proxy,
            follow_redirects=False,
            timeout=httpx.Timeout(self._timeout, connect=self._timeout / 2),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=600.0 if self._http2 else 50.0),
            headers={"user-agent": "pushgw", "accept-encoding": "identity"},
        )
        return _Pool(client, self._loop.time())

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A cancelled task completes here, also one that never ran."""
        tag = self._tasks.pop(task)
        if task.cancelled():
            self._gathering.add(Completion(tag, None, faults.abandoned()))


class _Pool:
    """A client with its connections, and when there was life in them.

    One that fell silent, or broke down, is left to the requests that are still in it; the library itself asks with no PING
    whether a peer lives.
    """

    __slots__ = ("client", "heard_at", "open")

    def __init__(self, client: httpx.AsyncClient, now: float) -> None:
        self.client = client
        self.open = 0
        self.heard_at = now


def httpx_transport(
    *, on_complete: OnComplete, timeout: float, http2: bool, tls: TlsOptions, proxy: str | None = None
) -> HttpxTransport:
    """TransportFactory of HttpxTransport."""
    return HttpxTransport(on_complete=on_complete, timeout=timeout, http2=http2, tls=tls, proxy=proxy)


_REPEATS = 2
_FAREWELL = 200
"""Bytes"""
_BREAKS = re.compile(r"[\r\n\0]")
_UNTRUSTED = re.compile(r"\[SSL: (CERTIFICATE_VERIFY_FAILED|\w*ALERT(?!_INTERNAL)\w*)\]([^(]*)")
_RESET = re.compile(r"<StreamReset .*error_code:(?:ErrorCodes\.)?(\w+)")


def _fault(error: Exception, host: str, timeout: float) -> TransportError:
    text = str(error)
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return faults.not_connected(host, timeout / 2)
        case httpx.TimeoutException():
            return faults.not_answered(host, timeout)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return faults.unbuildable(host, f"malformed URL or header ({type(error).__name__})")
    if broken := _broken_rule(error):
        sent = not isinstance(broken, TooManyStreamsError)
        return TransportError(f"{host}: HTTP/2 broke down ({type(broken).__name__})", sent=sent)
    if found := _UNTRUSTED.search(text):
        return faults.untrusted(host, found[2].strip() or found[1])
    if found := _RESET.search(text):
        if found[1] in ("REFUSED_STREAM", "7"):
            return faults.refused_stream(host)
        return TransportError(f"{host}: the server reset the stream ({found[1]})")
    match error:
        case httpx.ProxyError():
            return TransportError(f"{host}: the proxy makes no connection", sent=False)
        case httpx.ConnectError():
            return TransportError(f"{host}: {_connecting(error)}", sent=False)
        case httpx.WriteError():
            return TransportError(f"{host}: connection reset before the request was out", sent=False)
        case httpx.RemoteProtocolError() if "ConnectionTerminated" in text:
            return TransportError(f"{host}: the server said goodbye (GOAWAY){_farewell(error)}")
        case httpx.RemoteProtocolError():
            return TransportError(f"{host}: the server closed the connection")
        case ValueError() | TypeError() | httpx.LocalProtocolError():
            return faults.unbuildable(host, f"malformed URL or header ({type(error).__name__})")
    return TransportError(f"{host}: connection reset ({type(error).__name__})")


def _broken_rule(error: BaseException) -> H2Error | None:
    """What the HTTP/2 library says against going on with a connection; httpx hands it on wrapped or as it is."""
    inner = _wrapped(error) if isinstance(error, httpx.LocalProtocolError) else error
    return inner if isinstance(inner, H2Error) else None


def _farewell(error: BaseException) -> str:
    """The words in a GOAWAY; Apple's are a JSON object with a reason."""
    words = getattr(_wrapped(error), "additional_data", None) or b""
    return f": {words[:_FAREWELL].decode('ascii', 'backslashreplace')!r}" if words else ""


def _wrapped(error: BaseException) -> object:
    """httpx raises its own error from httpcore's, which holds what the HTTP/2 library said."""
    return error.__cause__.args[0] if error.__cause__ and error.__cause__.args else None


def _connecting(error: BaseException) -> str:
    """The innermost reason for a connection not made."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError):
            return "connection refused"
        if isinstance(seen, ConnectionResetError):
            return "connection reset"
        if "Name or service" in str(seen) or "nodename nor servname" in str(seen):
            return "the name does not resolve"
        seen = seen.__cause__ or seen.__context__
    return "no connection could be made"
