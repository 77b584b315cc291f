"""The plain transport: httpx behind the same seam. For token servers, the CLI, and machines without a pyreqwest wheel.

It makes a task for each request and costs many times what pyreqwest does. Two weaknesses of the library are made good here:
it keeps using an HTTP/2 connection after the server's goodbye, and it sends line breaks inside of header values.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import httpx

from pushgw.vendor import faults, trust
from pushgw.vendor.gathering import Gathering
from pushgw.vendor.http import Completion, OnComplete, Request, Response, TlsOptions, TransportError


class HttpxTransport:
    """Transport on httpx. Made in the event loop; see TransportFactory for the arguments.

    Half of ``timeout`` bounds the connecting. Raises TransportError where ``tls`` cannot be used.
    """

    def __init__(self, *, on_complete: OnComplete, timeout: float, http2: bool, tls: TlsOptions) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            http2=http2,
            verify=trust.ssl_context(tls),
            follow_redirects=False,
            timeout=httpx.Timeout(timeout, connect=timeout / 2),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=600.0 if http2 else 50.0),
            headers={"user-agent": "pushgw", "accept-encoding": "identity"},
        )
        self._gathering = Gathering(on_complete)
        self._tasks: dict[asyncio.Task[None], object] = {}
        self._closed = False

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        """Send these (tag, request) pairs, each in a task."""
        for tag, request in requests:
            if self._closed:
                self._gathering.add(Completion(tag, None, faults.closed()))
            else:
                task = asyncio.get_running_loop().create_task(self._complete(tag, request))
                self._tasks[task] = tag
                task.add_done_callback(self._finished)

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
        await self._client.aclose()

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
        body = bytearray()
        async with self._client.stream(
            request.method, request.url, headers=headers, content=request.body
        ) as answer:
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > faults.BODY_LIMIT:
                    raise faults.too_large(faults.host_of(request))
        return Response(status=answer.status_code, headers=dict(answer.headers), body=bytes(body))

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A cancelled task completes here, also one that never ran."""
        tag = self._tasks.pop(task)
        if task.cancelled():
            self._gathering.add(Completion(tag, None, faults.abandoned()))


def httpx_transport(
    *, on_complete: OnComplete, timeout: float, http2: bool, tls: TlsOptions
) -> HttpxTransport:
    """TransportFactory of HttpxTransport."""
    return HttpxTransport(on_complete=on_complete, timeout=timeout, http2=http2, tls=tls)


_REPEATS = 2
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
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return faults.unbuildable(host, f"malformed URL or header ({type(error).__name__})")
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
            return TransportError(f"{host}: the server said goodbye (GOAWAY)")
        case httpx.RemoteProtocolError():
            return TransportError(f"{host}: the server closed the connection")
        case httpx.TransportError():
            return TransportError(f"{host}: connection reset ({type(error).__name__})")
    return faults.unbuildable(host, f"malformed URL or header ({type(error).__name__})")


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
