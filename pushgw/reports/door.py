"""The HTTP/1.1 server that vendors post to, on the h11 library. It may be reached from the internet: everything has a bound."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType

import h11
import msgspec
import structlog

from pushgw.listener import Page

log = structlog.get_logger()

MAX_BODY = 1_048_576
MAX_HEAD = 16_384
"""Also what is read at once, since h11 judges only what is not there as a whole: no head has more than twice this."""
MAX_CONNECTIONS = 128
READ_TIMEOUT_S = 20.0
"""From one answer on: for the next request to come in whole."""


class Posted(msgspec.Struct, frozen=True):
    """A request. Its repr shows nothing: a key may stand in its path."""

    method: str
    path: str
    """Without its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    def __repr__(self) -> str:
        return f"Posted({len(self.body)} bytes)"


Answer = Callable[[Posted], Awaitable[Page]]


class _TooLargeError(Exception):
    pass


class Door:
    """Serves ``answer`` at ``host:port`` while it is entered; nothing where ``listen`` is empty. No TLS: that is a proxy's.

    ``shared``: other processes listen there as well, and the system spreads connections.
    """

    def __init__(self, listen: str | None, answer: Answer, *, shared: bool = False) -> None:
        self._listen = listen
        self._answer = answer
        self._shared = shared
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The one it got. Raises RuntimeError while it does not listen."""
        if self._server is None:
            raise RuntimeError("the door does not listen")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Door:
        if self._listen:
            host, _, port = self._listen.rpartition(":")
            options = {"reuse_port": True} if self._shared and sys.platform != "win32" else {}
            try:
                self._server = await asyncio.start_server(
                    self._visit, host.strip("[]"), int(port), backlog=128, **options
                )
            except OSError as error:
                log.error(
                    "reports_not_served",
                    listen=self._listen,
                    why=str(error),
                    mend="set http.reports_listen to a free port",
                )
            else:
                log.info("reports_served", listen=self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  asyncio runs this in a task
        if len(self._visits) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._visits.add(task)
        try:
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
            while await self._one(connection, reader, writer):
                connection.start_next_cycle()
        except (TimeoutError, OSError, h11.LocalProtocolError):
            log.debug("report_visit_broken")
        finally:
            self._visits.discard(task)
            writer.close()

    async def _one(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request; whether another may follow on the connection."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                posted = await _read(connection, reader, writer)
            if posted is None:
                return False
            page = await self._answer(posted)
        except _TooLargeError:
            page = _said(413, f"the body is over {MAX_BODY} bytes")
        except h11.RemoteProtocolError as error:
            page = _said(error.error_status_hint, "the request is no valid HTTP/1.1")
        if not _write(connection, writer, page):
            return False
        async with asyncio.timeout(READ_TIMEOUT_S):
            await writer.drain()
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _read(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Posted | None:
    """The next request; None where the visitor has gone. Raises _TooLargeError, h11.RemoteProtocolError."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                writer.write(connection.send(go_on) or b"")
            connection.receive_data(await reader.read(MAX_HEAD))
        elif isinstance(event, h11.Request):
            request = event
            if int(dict(event.headers).get(b"content-length", b"0")) > MAX_BODY:
                raise _TooLargeError
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise _TooLargeError
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return _posted(request, bytes(body))
        else:
            return None


def _posted(request: h11.Request, body: bytes) -> Posted:
    return Posted(
        method=request.method.decode("latin-1"),
        path=request.target.partition(b"?")[0].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers},
        body=body,
    )


def _write(connection: h11.Connection, writer: asyncio.StreamWriter, page: Page) -> bool:
    """False where HTTP allows no answer any more."""
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return False
    headers = [("content-type", page.kind), ("content-length", str(len(page.body)))]
    if connection.their_state is not h11.DONE:  # the rest is not read: nothing may follow it
        headers.append(("connection", "close"))
    data = connection.send(
        h11.Response(status_code=page.status, headers=headers, reason=_phrase(page.status))
    )
    data = (data or b"") + (connection.send(h11.Data(data=page.body)) or b"")
    writer.write(data + (connection.send(h11.EndOfMessage()) or b""))
    return True


def _phrase(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()


def _said(status: int, sentence: str) -> Page:
    return Page(status, "application/json", msgspec.json.encode({"error": sentence}))
