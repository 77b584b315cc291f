"""The door: HTTP/1.1 with a bound on everything, for it may be reached from the internet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from pushgw.listener import Page
from pushgw.reports import Door, Posted, door


async def left(writer: asyncio.StreamWriter) -> None:
    """Close, whatever the door has done before."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


class Guest:
    """A door that repeats what it was told, and a way to speak raw HTTP to it."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.door = Door("127.0.0.1:0", self.answer)

    async def answer(self, posted: Posted) -> Page:
        self.posted.append(posted)
        return Page(200, "application/json", posted.body or b"{}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    async def say(self, *parts: bytes) -> bytes:
        """Send this, and read until the door closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
        await left(writer)
        return answer


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    guest = Guest()
    async with guest.door:
        yield guest


async def test_several_requests_on_one_connection(guest: Guest) -> None:
    """A proxy keeps its connection; path without query, names in lower case, the body whole."""
    async with httpx.AsyncClient() as client:
        for body in (b'{"a":1}', b"x" * 300_000):
            answer = await client.post(f"{guest.url}/reports/7?x=1", content=body, headers={"X-Sign": "S"})
            assert (answer.status_code, answer.content) == (200, body)
            assert "connection" not in answer.headers
    assert [(p.method, p.path, p.headers["x-sign"]) for p in guest.posted] == [
        ("POST", "/reports/7", "S")
    ] * 2


async def test_a_body_in_chunks(guest: Guest) -> None:
    """Chunked, and sent only when it is asked for, as some clients do."""
    reader, writer = await asyncio.open_connection("127.0.0.1", guest.door.port)
    writer.write(b"POST /r HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 \r\n\r\n"
    writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert guest.posted[0].body == b"abcde"
    await left(writer)


@pytest.mark.parametrize("how", ["announced", "chunked"])
async def test_a_body_over_the_limit_is_not_read(guest: Guest, how: str) -> None:
    """413, announced or not; the connection closes and nothing is passed on."""
    if how == "announced":
        answer = await guest.say(b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n")
    else:
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        head = b"POST /r HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await guest.say(head, *([chunk] * 16), b"1\r\nx\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()
    assert guest.posted == []


async def test_a_body_at_the_limit_is_read(guest: Guest) -> None:
    """One MiB is taken."""
    async with httpx.AsyncClient() as client:
        assert (await client.post(guest.url, content=b"x" * 1_048_576)).status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"POST /r HTTP/1.1\r\n\r\n",
        b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"POST /r HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 33_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(guest: Guest, said: bytes) -> None:
    """A TLS greeting, a word, no host, a length that is none, a head over 32 KiB: 4xx and closed, nothing is passed on."""
    answer = await guest.say(said + (b"" if said.endswith(b"\n") else b"\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 4")
    assert guest.posted == []


async def test_who_says_nothing_is_shown_out(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that does not come in time ends its connection: nobody holds the door open."""
    monkeypatch.setattr(door, "READ_TIMEOUT_S", 0.05)
    assert await guest.say(b"POST /r HTTP/1.1\r\nHost: h\r\n") == b""


async def test_no_more_connections_than_the_bound(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes when all places are taken is shut out at once; who is in goes on."""
    monkeypatch.setattr(door, "MAX_CONNECTIONS", 1)
    async with httpx.AsyncClient() as client:
        assert (await client.post(guest.url, content=b"a")).status_code == 200
        assert await guest.say() == b""
        assert (await client.post(guest.url, content=b"b")).status_code == 200


async def test_a_port_that_is_taken_stops_nothing() -> None:
    """The gateway runs on without reports; the log says it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with Door(f"127.0.0.1:{taken.getsockname()[1]}", Guest().answer) as shut:
            with pytest.raises(RuntimeError, match="does not listen"):
                _ = shut.port


@pytest.mark.parametrize("listen", [None, ""])
async def test_no_address_no_door(listen: str | None) -> None:
    """Off by default: nothing listens."""
    async with Door(listen, Guest().answer) as shut:
        with pytest.raises(RuntimeError, match="does not listen"):
            _ = shut.port


async def test_two_processes_share_an_address() -> None:
    """Workers listen at the same port; without being told to share it the second is refused."""
    async with Door("127.0.0.1:0", Guest().answer, shared=True) as first:
        address = f"127.0.0.1:{first.port}"
        async with Door(address, Guest().answer, shared=True) as second:
            assert second.port == first.port
        async with Door(address, Guest().answer) as alone:
            with pytest.raises(RuntimeError, match="does not listen"):
                _ = alone.port


async def test_leaving_ends_what_is_going_on() -> None:
    """A visitor whose answer is still due is let go when the gateway stops: nothing is left running."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(_: Posted) -> Page:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with Door("127.0.0.1:0", slow) as open_:
        _, writer = await asyncio.open_connection("127.0.0.1", open_.port)
        writer.write(b"POST /r HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        await begun.wait()
    assert ended.is_set()
    await left(writer)


def test_a_request_does_not_show_itself() -> None:
    """A key may stand in its path."""
    assert "secret" not in repr(Posted("POST", "/reports/7/secret", {"x": "secret"}, b"secret"))
