"""A tiny HTTP/1.1 server for machines and for people with curl: GET, one request a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()

READ_TIMEOUT_S = 5.0
UNIX = "unix:"
"""What the address of a socket file starts with."""


class Answer(msgspec.Struct, frozen=True):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"


Route = Callable[[str], Awaitable[Answer]]
"""The answer to a path."""


def json_answer(status: int, body: dict[str, Any]) -> Answer:
    """One JSON object."""
    return Answer(status, msgspec.json.encode(body))


class Listener:
    """Serves ``route`` at ``host:port`` or ``unix:PATH`` while it is entered; at nothing when ``listen`` is empty.

    A port that is taken is said and stops nothing.
    """

    def __init__(self, listen: str | None, route: Route) -> None:
        self._listen = listen
        self._route = route
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Listener:
        if self._listen:
            try:
                self._server = await self._start(self._listen)
            except OSError as error:
                log.warning(
                    "health_not_served",
                    listen=self._listen,
                    why=str(error),
                    mend="set http.listen to a free port",
                )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    async def _start(self, listen: str) -> asyncio.Server:
        if listen.startswith(UNIX):
            return await asyncio.start_unix_server(self._serve, listen.removeprefix(UNIX))
        host, _, port = listen.rpartition(":")
        return await asyncio.start_server(self._serve, host.strip("[]"), int(port))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), READ_TIMEOUT_S)
            answer = await self._route(head.split(b" ", 2)[1].decode("latin-1"))
            writer.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
                % (
                    answer.status,
                    HTTPStatus(answer.status).phrase.encode(),
                    answer.content_type.encode(),
                    len(answer.body),
                    answer.body,
                )
            )
            await asyncio.wait_for(writer.drain(), READ_TIMEOUT_S)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, IndexError):
            log.debug("health_request_broken")
        finally:
            writer.close()
