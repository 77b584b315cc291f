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
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"
UNIX = "unix:"
"""What the address of a socket file starts with."""


class Page(msgspec.Struct, frozen=True):
    """One answer."""

    status: int
    kind: str
    """Its content type."""
    body: bytes


Pages = Callable[[str, bool], Awaitable[Page]]
"""What is answered under a path (without its query), as JSON or for people."""


def page_of(status: int, known: dict[str, Any], as_json: bool) -> Page:
    """Facts by name: one JSON object, or a line for each fact."""
    if as_json:
        return Page(status, _JSON, msgspec.json.encode(known))
    return Page(status, _TEXT, "".join(_lines(known)).encode())


def _lines(known: dict[str, Any], of: str = "") -> list[str]:
    """A line for each part: its name, a colon, what is to be said."""
    lines: list[str] = []
    for name, said in known.items():
        if isinstance(said, dict):
            for key, value in said.items():
                one = f"{of}{name.removesuffix('s')} {key}"
                lines += _lines(value, f"{one} ") if isinstance(value, dict) else [f"{one}: {value}\n"]
        else:
            lines.append(f"{of}{name}: {('yes' if said else 'no') if isinstance(said, bool) else said}\n")
    return lines


class Listener:
    """Serves ``pages`` at ``host:port`` or ``unix:PATH`` while it is entered; at nothing when ``listen`` is empty.

    A port that is taken is said and stops nothing.
    """

    def __init__(self, listen: str | None, pages: Pages) -> None:
        self._listen = listen
        self._pages = pages
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
            path = head.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")
            page = await self._pages(path, _wants_json(head))
            phrase = HTTPStatus(page.status).phrase
            writer.write(
                f"HTTP/1.1 {page.status} {phrase}\r\ncontent-type: {page.kind}\r\n"
                f"content-length: {len(page.body)}\r\nconnection: close\r\n\r\n".encode()
                + page.body
            )
            await asyncio.wait_for(writer.drain(), READ_TIMEOUT_S)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, IndexError):
            log.debug("health_request_broken")
        finally:
            writer.close()


def _wants_json(head: bytes) -> bool:
    return any(
        b"application/json" in line for line in head.lower().split(b"\r\n") if line.startswith(b"accept:")
    )
