"""What the native transport promises beyond what every transport does. Collected where its wheel is installed."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import HeadersFrame

from pushgw.settings import load_settings
from pushgw.vendor import transport_named
from pushgw.vendor.http import Completion, Request, TlsOptions, Transport

if TYPE_CHECKING:
    from .conftest import Certificates, Outbox, ScriptedServer, Stream, Tunnel

pytest.importorskip("pushgw_native", reason="the wheel is not installed; `make test-native` builds it")

OpenTransport = Callable[..., Transport]


@pytest.fixture
def transport_name() -> str:
    """The one this module is about."""
    return "native"


class Tag:
    """A tag that one can see go."""


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.01)


# --- nothing is lost, nothing is kept -------------------------------------------------------------------------


async def test_tags_are_let_go(server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox) -> None:
    """1,000 requests come back once each, and neither side keeps one of their tags."""
    transport = open_transport(timeout=4)
    tags = [Tag() for _ in range(1000)]
    watched = [weakref.ref(tag) for tag in tags]
    transport.submit([(tag, Request(url=server.url, body=b"{}")) for tag in tags])
    completions = await outbox.wait(1000)
    assert {id(c.tag) for c in completions} == {id(tag) for tag in tags}
    assert all(c.response is not None for c in completions)
    tags.clear()
    completions.clear()
    outbox.lists.clear()
    gc.collect()
    assert [ref for ref in watched if ref() is not None] == []


async def test_requests_abandoned_with_the_transport_let_go_of_their_tags(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Closing gives the tags back, and with them the last reference."""

    async def never(_stream: Stream) -> None:
        pass

    server.script = never
    transport = open_transport()
    tag = Tag()
    watched = weakref.ref(tag)
    transport.submit([(tag, Request(url=server.url))])
    await server.seen(1)
    await transport.close()
    assert outbox.all[0].tag is tag
    del tag
    outbox.lists.clear()
    gc.collect()
    assert watched() is None


def test_event_loops_one_after_another(certificates: Certificates) -> None:
    """The background thread outlives a loop and serves the next one's transports."""

    async def once() -> list[Completion]:
        from .conftest import Outbox, ScriptedServer

        server, outbox = ScriptedServer(), Outbox()
        await server.start(certificates.server_context())
        transport = transport_named("native")(
            on_complete=outbox, timeout=1.5, http2=True, tls=TlsOptions(ca_pem=certificates.ca.certificate)
        )
        transport.submit([(n, Request(url=server.url)) for n in range(3)])
        completions = await outbox.wait(3)
        await transport.close()
        await server.stop()
        return completions

    for _ in range(3):
        assert [c.response is not None for c in asyncio.run(once())] == [True] * 3


@pytest.mark.parametrize("ending", ["pass", "await transport.close()"], ids=["left open", "closed"])
def test_the_interpreter_ends_quietly(ending: str) -> None:
    """A process that ends with a request under way says nothing and does not crash, closed or not."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        script = f"""
import asyncio
from pushgw.vendor import Request, TlsOptions, transport_named
async def main():
    transport = transport_named("native")(on_complete=lambda done: None, timeout=9, http2=True, tls=TlsOptions())
    transport.submit([(n, Request(url="https://localhost:{port}/")) for n in range(50)])
    await asyncio.sleep(0)
    {ending}
asyncio.run(main())
"""
        done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")


async def test_close_lets_go_of_the_connections(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """After close the server has nobody on the line any more."""
    transport = open_transport()
    transport.submit([(1, Request(url=server.url))])
    await outbox.wait(1)
    await transport.close()
    await asyncio.wait_for(server.connections[0].gone.wait(), 5)


# --- HTTP/2 ---------------------------------------------------------------------------------------------------


async def test_the_servers_limit_is_kept_from_the_first_request_on(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A server that allows two streams never sees a third, also in a burst on a cold start; nothing is refused."""
    server.concurrent_streams = 2
    held: list[Stream] = []
    answers: list[asyncio.Task[None]] = []
    most = 0

    async def answer_all() -> None:
        await asyncio.sleep(0.01)  # who sends more than two has sent them by now
        while held:
            await held.pop(0).respond(200)

    async def answer(stream: Stream) -> None:
        nonlocal most
        held.append(stream)
        most = max(most, len(held))
        if len(held) == 2:
            answers.append(asyncio.create_task(answer_all()))

    server.script = answer
    open_transport(timeout=4).submit([(n, Request(url=server.url, body=b"{}")) for n in range(40)])
    completions = await outbox.wait(40)
    assert all(c.response is not None for c in completions)
    assert [c.tag for c in completions] == sorted(c.tag for c in completions)  # type: ignore[type-var]  # tags are ints
    assert most == 2
    assert len(server.connections) == 1
    assert len(server.streams) == 40


async def test_large_bodies_both_ways(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Bodies beyond the windows of HTTP/2 go through whole, beside small ones."""
    body = bytes(range(256)) * 1200

    async def answer(stream: Stream) -> None:
        windows = stream.connection.h2
        windows.send_headers(stream.id, [(":status", "200")])
        rest = memoryview(stream.body)
        while room := min(windows.local_flow_control_window(stream.id), 16384, len(rest)):
            windows.send_data(stream.id, bytes(rest[:room]))
            rest = rest[room:]
        left[stream.id] = (stream, rest)
        await send_on()

    left: dict[int, tuple[Stream, memoryview]] = {}

    async def send_on() -> None:
        """The test's server sends the rest as windows open."""
        for number, (stream, rest) in list(left.items()):
            windows = stream.connection.h2
            while rest and (room := min(windows.local_flow_control_window(number), 16384, len(rest))):
                windows.send_data(number, bytes(rest[:room]))
                rest = rest[room:]
            left[number] = (stream, rest)
            if not rest:
                windows.end_stream(number)
                del left[number]
            await stream.connection.flush()

    server.script = answer
    transport = open_transport(timeout=4)
    transport.submit([(n, Request(url=server.url, body=body if n % 2 else b"{}")) for n in range(4)])
    async with asyncio.timeout(5):
        while len(outbox.all) < 4:
            await asyncio.sleep(0.01)
            await send_on()
    answers = {c.tag: c.response.body for c in outbox.all if c.response}
    assert answers == {0: b"{}", 1: body, 2: b"{}", 3: body}


async def test_a_connection_outlasts_many_empty_frames(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Empty DATA frames amid answers are no reason to hang up, however many a long life brings."""

    async def answer(stream: Stream) -> None:
        await stream.respond(400, b"", b'{"reason":', b"", b'"BadTopic"}')

    server.script = answer
    open_transport(timeout=4).submit([(n, Request(url=server.url)) for n in range(150)])
    completions = await outbox.wait(150)
    assert {c.response.body for c in completions if c.response} == {b'{"reason":"BadTopic"}'}
    assert [str(c.error) for c in completions if c.error] == []
    assert len(server.connections) == 1


async def test_answers_that_come_too_late_do_no_harm(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A connection on which requests were given up takes their late answers and carries the next request."""
    held: list[Stream] = []

    async def hold(stream: Stream) -> None:
        held.append(stream)

    server.script = hold
    transport = open_transport(timeout=2)
    transport.submit([(n, Request(url=server.url)) for n in range(90)])
    completions = await outbox.wait(90)
    assert {str(c.error).partition(": ")[2] for c in completions} == {
        "timeout, no complete answer within 2 s"
    }
    for stream in held:
        late = HeadersFrame(stream.id, data=b"\x88", flags=["END_HEADERS", "END_STREAM"])  # :status 200
        stream.connection.writer.write(late.serialize())
    server.script = type(server)().script
    transport.submit([("next", Request(url=server.url))])
    last = (await outbox.wait(91))[-1]
    assert last.response is not None
    assert len(server.connections) == 1


async def test_a_silent_but_living_connection_is_kept(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Who answers a PING lives: a request that is never answered has its whole time, and the connection stays."""

    async def never(_stream: Stream) -> None:
        pass

    server.script = never
    transport = open_transport(timeout=2)
    transport.submit([(1, Request(url=server.url))])
    (completion,) = await outbox.wait(1)
    assert "no complete answer within 2 s" in str(completion.error)
    assert not server.connections[0].gone.is_set()
    server.script = type(server)().script
    transport.submit([(2, Request(url=server.url))])
    assert (await outbox.wait(2))[1].response is not None
    assert len(server.connections) == 1


async def test_the_end_of_a_dead_connection_is_told(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A peer that does not answer a PING is left before the request's time is up, and the sentence says why."""

    async def die(stream: Stream) -> None:
        stream.connection.deaf = True

    server.script = die
    open_transport(timeout=2).submit([(1, Request(url=server.url))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert "no answer to a PING" in str(completion.error)
    assert (completion.error.sent, completion.error.retriable) == (True, True)


async def test_what_a_goodbye_leaves_unread_is_not_sent(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Under a GOAWAY with an error code the vendor has not seen what lies behind its last stream: the error says so."""
    wave: list[Stream] = []

    async def answer(stream: Stream) -> None:
        wave.append(stream)
        if len(wave) == 3:
            await wave[0].goaway(wave[0].id, b'{"reason":"Shutdown"}', ErrorCodes.ENHANCE_YOUR_CALM)

    server.script = answer
    open_transport().submit([(n, Request(url=server.url)) for n in range(3)])
    completions = await outbox.wait(3)
    assert {c.tag: c.error.sent for c in completions if c.error} == {0: True, 1: False, 2: False}
    assert all('{"reason":"Shutdown"}' in str(c.error) for c in completions)


async def test_renew_leaves_the_present_connection(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """After renew what is open ends where it is, what is new goes on a new connection, and the old one is closed."""
    held: list[Stream] = []

    async def hold(stream: Stream) -> None:
        held.append(stream)

    server.script = hold
    transport = open_transport()
    transport.submit([("old", Request(url=server.url))])
    await server.seen(1)
    transport.renew()
    server.script = type(server)().script
    transport.submit([("new", Request(url=server.url))])
    (first,) = await outbox.wait(1)
    assert first.tag == "new"
    assert first.response is not None
    assert [s.connection is server.connections[0] for s in server.streams] == [True, False]
    await held[0].respond(200)
    assert (await outbox.wait(2))[1].response is not None
    await asyncio.wait_for(server.connections[0].gone.wait(), 5)
    assert not server.connections[1].gone.is_set()


async def test_two_places_in_one_batch(
    server: ScriptedServer, neighbour: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A batch may go to several places; each request arrives at its own."""
    urls = [f"{(server, neighbour)[n % 2].url}/{n}" for n in range(6)]
    open_transport().submit([(n, Request(url=url)) for n, url in enumerate(urls)])
    await outbox.wait(6)
    assert [s.path for s in server.streams] == ["/0", "/2", "/4"]
    assert [s.path for s in neighbour.streams] == ["/1", "/3", "/5"]


# --- requests and answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        Request(url="ftp://vendor.example/"),
        Request(url="https://me:secret@vendor.example/"),
        Request(url="https:///nowhere"),
        Request(url="https://localhost:1/a b"),
        Request(url="https://localhost:1/", method="P OST"),
        Request(url="https://localhost:1/", headers=(("x y", "1"),)),
        Request(url="https://localhost:1/", shared=(("x-a", "1\n2"),)),
        Request(url="https://localhost:1/\ud800"),
        Request(url="https://localhost:1/", headers=(("x-a", 1),)),  # type: ignore[arg-type]  # the case
    ],
    ids=["scheme", "login", "no host", "path", "method", "name", "shared", "half a character", "type"],
)
async def test_what_cannot_be_built_costs_only_itself(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, broken: Request
) -> None:
    """A malformed request ends as an error that no repeat mends; its neighbours in the batch go out."""
    good = Request(url=server.url)
    open_transport().submit([(0, good), (1, broken), (2, good)])
    by_tag = {c.tag: c for c in await outbox.wait(3)}
    assert by_tag[0].response is not None
    assert by_tag[2].response is not None
    error = by_tag[1].error
    assert error is not None
    assert "cannot be built" in str(error)
    assert (error.sent, error.retriable) == (False, False)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("tail", "path"),
    [("", "/"), ("/", "/"), ("?a=b", "/?a=b"), ("/x/y?a=b#c", "/x/y?a=b")],
)
async def test_paths(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, tail: str, path: str
) -> None:
    """A URL without a path means the root; what follows # stays here."""
    open_transport().submit([(1, Request(url=server.url + tail))])
    await outbox.wait(1)
    assert server.streams[0].path == path


async def test_headers_are_a_mapping(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """An answer's headers behave as a dict of lower-case names; a name that came twice has both values."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200, headers=[("retry-after", "3"), ("via", "a"), ("via", "b")])

    server.script = answer
    open_transport().submit([(1, Request(url=server.url))])
    (completion,) = await outbox.wait(1)
    assert completion.response is not None
    headers = completion.response.headers
    assert isinstance(headers, Mapping)
    assert dict(headers) == {"retry-after": "3", "via": "a, b"}
    assert headers == {"retry-after": "3", "via": "a, b"}
    assert (headers.get("none"), headers.get("none", "x"), "via" in headers, len(headers)) == (
        None,
        "x",
        True,
        2,
    )
    assert sorted(headers.items()) == [("retry-after", "3"), ("via", "a, b")]
    with pytest.raises(KeyError):
        headers["none"]


# --- HTTP/1.1 -------------------------------------------------------------------------------------------------


class Http1Server:
    """Answers each request with ``answer``; keeps what it heard, connection by connection."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        self.heard: list[list[bytes]] = []
        self._server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self, host: str) -> int:
        self._server = await asyncio.start_server(self._serve, host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self.writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        heard: list[bytes] = []
        self.heard.append(heard)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heard.append(head)
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        await reader.readexactly(int(line.split(b":")[1]))
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def http1_server() -> AsyncIterator[Http1Server]:
    made = Http1Server()
    yield made
    await made.stop()


async def test_http1_keeps_its_connection(
    http1_server: Http1Server, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """One request after another uses one connection; a second at the same time has its own; a lost one is replaced."""
    url = f"http://127.0.0.1:{await http1_server.start('127.0.0.1')}/send"
    transport = open_transport(http2=False)
    for number in range(1, 4):
        transport.submit([(number, Request(url=url, body=b"a=b"))])
        assert (await outbox.wait(number))[-1].response is not None
        await asyncio.sleep(0.05)  # the connection comes back after its answer
    assert [len(heard) for heard in http1_server.heard] == [3]
    transport.submit([(4, Request(url=url)), (5, Request(url=url))])
    await outbox.wait(5)
    assert len(http1_server.heard) == 2
    for writer in http1_server.writers:
        writer.close()
    await asyncio.sleep(0.05)
    transport.submit([(6, Request(url=url))])
    assert (await outbox.wait(6))[-1].response is not None


async def test_http1_head(http1_server: Http1Server, open_transport: OpenTransport, outbox: Outbox) -> None:
    """Host, length and our headers are in the head, and the body follows."""
    port = await http1_server.start("127.0.0.1")
    request = Request(
        url=f"http://127.0.0.1:{port}/a?b=c", shared=(("x-app", "1"),), headers=(("x-id", "2"),), body=b"abc"
    )
    open_transport(http2=False).submit([(1, request)])
    await outbox.wait(1)
    first, *lines = http1_server.heard[0][0].split(b"\r\n")
    assert first == b"POST /a?b=c HTTP/1.1"
    assert {f"host: 127.0.0.1:{port}".encode(), b"x-app: 1", b"x-id: 2", b"content-length: 3"} <= set(lines)


async def test_http1_over_ipv6(
    http1_server: Http1Server, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A literal IPv6 address is a host like any other."""
    try:
        port = await http1_server.start("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    open_transport().submit([(1, Request(url=f"http://[::1]:{port}/"))])
    (completion,) = await outbox.wait(1)
    assert completion.response is not None
    assert f"host: [::1]:{port}".encode() in http1_server.heard[0][0].split(b"\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n" + b"x" * 2_000_000, "larger than 1024 KiB"),
        (b"garbage\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "no complete answer within 0.5 s"),
    ],
    ids=["too large", "garbage", "half"],
)
async def test_http1_answers_that_are_none(
    http1_server: Http1Server, open_transport: OpenTransport, outbox: Outbox, answer: bytes, words: str
) -> None:
    """What is no complete answer of sensible size is an error that may have been sent."""
    http1_server.answer = answer
    url = f"http://127.0.0.1:{await http1_server.start('127.0.0.1')}/"
    open_transport(http2=False, timeout=0.5).submit([(1, Request(url=url))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert words in str(completion.error)
    assert completion.error.sent


async def test_http1_closing_under_way(
    http1_server: Http1Server, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Closing ends requests over HTTP/1.1 too, once each."""
    http1_server.answer = b""
    url = f"http://127.0.0.1:{await http1_server.start('127.0.0.1')}/"
    transport = open_transport(http2=False)
    transport.submit([(n, Request(url=url)) for n in range(5)])
    await _until(lambda: len(http1_server.heard) == 5)
    await transport.close()
    assert sorted(c.tag for c in outbox.all) == list(range(5))  # type: ignore[type-var]  # tags are ints
    assert all(c.error is not None for c in outbox.all)


# --- proxies --------------------------------------------------------------------------------------------------


async def test_through_a_proxy_with_a_login(
    server: ScriptedServer,
    tunnel: Tunnel,
    open_transport: OpenTransport,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTPS_PROXY with a login carries HTTP/2; NO_PROXY goes around it."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{tunnel.port}")
    through = open_transport()
    through.submit([(n, Request(url=server.url)) for n in range(3)])
    assert all(c.response is not None for c in await outbox.wait(3))
    (head,) = tunnel.heads
    lines = head.split(b"\r\n")
    assert lines[0] == f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1".encode()
    assert b"proxy-authorization: Basic " + base64.b64encode(b"me:p@ss") in lines
    monkeypatch.setenv("NO_PROXY", "localhost")
    open_transport().submit([(3, Request(url=server.url))])
    assert (await outbox.wait(4))[-1].response is not None
    assert len(tunnel.heads) == 1
    await through.close()


async def test_a_proxy_that_speaks_something_else(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SOCKS proxy is said to be none of ours instead of being gone around."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    open_transport().submit([(1, Request(url=server.url))])
    (completion,) = await outbox.wait(1)
    assert "the proxy of the system speaks no HTTP" in str(completion.error)
    assert server.connections == []


def test_the_wheel_fits_the_gateway() -> None:
    """The wheel beside this gateway is of its version, so that the setting takes it."""
    assert load_settings(dispatch={"transport": "native"}).dispatch.transport == "native"
