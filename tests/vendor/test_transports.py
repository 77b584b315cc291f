"""What every transport promises, against a server that does what no good server would."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from h2.errors import ErrorCodes

from pushgw.vendor import transport_named
from pushgw.vendor.faults import BODY_LIMIT
from pushgw.vendor.http import Completion, Request, TlsOptions, Transport, TransportError, TransportFactory

if TYPE_CHECKING:
    from .conftest import Certificates, Outbox, ScriptedServer, Stream

OpenTransport = Callable[..., Transport]
TOKEN = "5ec4e7704e11"


def _request(server: ScriptedServer, **fields: object) -> Request:
    return Request(
        url=f"{server.url}/3/device/{TOKEN}",
        shared=(("authorization", "bearer jwt-5ec4e7"), ("apns-topic", "com.example.chat")),
        headers=(("apns-priority", "10"),),
        body=b'{"aps":{}}',
        **fields,  # type: ignore[arg-type]  # fields of Request, chosen by the test
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _hides_secrets(error: TransportError | None) -> bool:
    return error is not None and TOKEN not in str(error) and "jwt-5ec4e7" not in str(error)


async def test_request_arrives_as_rendered(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Method, path, shared and own headers and the body reach the vendor over HTTP/2; an empty answer has no body."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200, headers=[("apns-id", "one")])

    server.script = answer
    open_transport().submit([("tag", _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.tag == "tag"
    assert completion.error is None
    assert completion.response is not None
    assert (completion.response.status, completion.response.body) == (200, b"")
    assert completion.response.headers.get("apns-id") == "one"
    (stream,) = server.streams
    assert stream.headers[":method"] == "POST"
    assert stream.path == f"/3/device/{TOKEN}"
    assert stream.headers["authorization"] == "bearer jwt-5ec4e7"
    assert stream.headers["apns-topic"] == "com.example.chat"
    assert stream.headers["apns-priority"] == "10"
    assert stream.body == b'{"aps":{}}'


async def test_shared_headers_change_with_the_authorization(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A new tuple of shared headers is used at once, also back and forth."""
    transport = open_transport()
    values = ["old", "new", "old"]
    tuples = {value: (("authorization", value),) for value in set(values)}
    for number, value in enumerate(values, 1):
        transport.submit([(number, Request(url=server.url, shared=tuples[value]))])
        await outbox.wait(number)
    assert [stream.headers["authorization"] for stream in server.streams] == values


async def test_error_body_in_several_frames(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """An error body that comes in several DATA frames is put together."""

    async def answer(stream: Stream) -> None:
        await stream.respond(400, b'{"rea', b'son":"BadDevice', b'Token"}')

    server.script = answer
    open_transport().submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.response is not None
    assert completion.response.status == 400
    assert completion.response.body == b'{"reason":"BadDeviceToken"}'


async def test_empty_data_frame(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """An empty DATA frame ends an answer and harms neither it nor the connection."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200, b"", b"")

    server.script = answer
    transport = open_transport()
    for number in (1, 2):
        transport.submit([(number, _request(server))])
        await outbox.wait(number)
    assert [c.response.status for c in outbox.all if c.response] == [200, 200]
    assert len(server.connections) == 1


async def test_refused_stream_was_not_sent(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """REFUSED_STREAM, however often, ends as an error that says the vendor did not take it."""

    async def answer(stream: Stream) -> None:
        await stream.reset(ErrorCodes.REFUSED_STREAM)

    server.script = answer
    open_transport().submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (False, True)
    assert "REFUSED_STREAM" in str(completion.error)
    assert _hides_secrets(completion.error)


async def test_other_reset_may_have_been_sent(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Any other reset leaves open whether the vendor took it; the connection goes on."""

    async def answer(stream: Stream) -> None:
        if len(server.streams) == 1:
            await stream.reset(ErrorCodes.INTERNAL_ERROR)
        else:
            await stream.respond(200)

    server.script = answer
    transport = open_transport()
    transport.submit([(1, _request(server))])
    (first,) = await outbox.wait(1)
    assert first.error is not None
    assert (first.error.sent, first.error.retriable) == (True, True)
    assert "reset" in str(first.error)
    assert _hides_secrets(first.error)
    transport.submit([(2, _request(server))])
    assert (await outbox.wait(2))[1].response is not None
    assert len(server.connections) == 1


async def test_goaway_then_a_new_connection(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """After a goodbye the next request goes out on a new connection."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200)
        if len(server.streams) == 1:
            await stream.goaway(stream.id)

    server.script = answer
    transport = open_transport()
    for number in (1, 2):
        transport.submit([(number, _request(server))])
        await outbox.wait(number)
    assert [str(c.error) for c in outbox.all if c.error] == []
    assert len(server.connections) == 2


async def test_connection_lost_without_answer(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A connection cut with the request out is a retriable error that may have been sent."""

    async def answer(stream: Stream) -> None:
        stream.drop()

    server.script = answer
    open_transport().submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (True, True)
    assert _hides_secrets(completion.error)


@pytest.mark.parametrize("begun", [False, True], ids=["no answer", "half an answer"])
async def test_silence_ends_in_a_timeout(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, begun: bool
) -> None:
    """No answer, or one that never ends, is an error once the time is up, and says how long that was."""

    async def answer(stream: Stream) -> None:
        if begun:
            await stream.begin(200, b"abc")

    transport = open_transport(timeout=1)
    transport.submit([(0, _request(server))])  # so that connecting is over
    await outbox.wait(1)
    server.script = answer
    transport.submit([(1, _request(server))])
    completion = (await outbox.wait(2))[1]
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (True, True)
    assert "timeout" in str(completion.error)
    assert "1 s" in str(completion.error)
    assert _hides_secrets(completion.error)


async def test_connecting_takes_too_long(open_transport: OpenTransport, outbox: Outbox) -> None:
    """A peer that accepts and never shakes hands costs half the time, and nothing was sent."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"https://localhost:{listener.getsockname()[1]}/{TOKEN}"
        open_transport(timeout=0.6).submit([(1, Request(url=url))])
        (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (False, True)
    assert "0.3 s" in str(completion.error)
    assert _hides_secrets(completion.error)


async def test_connection_refused_was_not_sent(open_transport: OpenTransport, outbox: Outbox) -> None:
    """Where nobody listens, nothing was sent, and the sentence says so with host and port."""
    port = _free_port()
    open_transport().submit([(1, Request(url=f"https://127.0.0.1:{port}/3/device/{TOKEN}"))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (False, True)
    assert str(completion.error) == f"127.0.0.1:{port}: connection refused"


async def test_untrusted_certificate(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, certificates: Certificates
) -> None:
    """A server nobody vouches for gets nothing, and no repeat is worth it."""
    transport = open_transport(tls=TlsOptions(ca_pem=certificates.stranger.certificate))
    transport.submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (False, False)
    assert "certificate verify failed" in str(completion.error)
    assert _hides_secrets(completion.error)
    assert server.streams == []


async def test_every_root_of_a_bundle_counts(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, certificates: Certificates
) -> None:
    """A PEM with several roots adds all of them."""
    bundle = certificates.stranger.certificate + certificates.ca.certificate
    open_transport(tls=TlsOptions(ca_pem=bundle)).submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.response is not None


async def test_client_certificate_is_shown(
    open_transport: OpenTransport, outbox: Outbox, certificates: Certificates, server: ScriptedServer
) -> None:
    """With an identity the server sees our certificate."""
    guarded = type(server)()
    await guarded.start(certificates.server_context(client_certificate=True))
    try:
        tls = TlsOptions(ca_pem=certificates.ca.certificate, identity_pem=certificates.client.both)
        open_transport(tls=tls).submit([(1, Request(url=guarded.url))])
        (completion,) = await outbox.wait(1)
        assert completion.response is not None
        shown = guarded.connections[0].client_certificate
        assert shown is not None
        assert x509.load_der_x509_certificate(shown) == x509.load_pem_x509_certificate(
            certificates.client.certificate
        )
    finally:
        await guarded.stop()


@pytest.mark.parametrize("field", ["ca_pem", "identity_pem"])
async def test_unusable_tls_options(factory: TransportFactory, outbox: Outbox, field: str) -> None:
    """PEM that is none stops the making of the transport with a sentence that does not quote it."""
    tls = TlsOptions(**{field: b"S3CRET, no PEM"})
    with pytest.raises(TransportError, match="TLS") as caught:
        factory(on_complete=outbox, timeout=1, http2=True, tls=tls)
    assert (caught.value.sent, caught.value.retriable) == (False, False)
    assert "S3CRET" not in str(caught.value)


async def test_key_of_another_certificate(
    factory: TransportFactory, outbox: Outbox, certificates: Certificates
) -> None:
    """A certificate with somebody else's key is refused before anything is sent."""
    tls = TlsOptions(identity_pem=certificates.client.certificate + certificates.server.key)
    with pytest.raises(TransportError, match="client certificate") as caught:
        factory(on_complete=outbox, timeout=1, http2=True, tls=tls)
    assert not caught.value.retriable


@pytest.mark.parametrize("part", ["url", "header"])
async def test_malformed_request(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox, part: str
) -> None:
    """A request that cannot be built comes back once as an error that no repeat mends, without its values."""
    broken = (
        Request(url="no url") if part == "url" else Request(url=server.url, headers=(("x-a", f"{TOKEN}\nb"),))
    )
    open_transport().submit([(1, broken)])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert (completion.error.sent, completion.error.retriable) == (False, False)
    assert _hides_secrets(completion.error)


async def test_answer_without_end_is_not_kept(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """An answer beyond the limit is an error, not memory."""

    async def answer(stream: Stream) -> None:
        await stream.pour(200)

    server.script = answer
    open_transport().submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert f"larger than {BODY_LIMIT // 1024} KiB" in str(completion.error)


async def test_many_requests_share_a_connection(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """300 requests at once each complete once, with their own tag, on one connection, in fewer calls than requests."""
    transport = open_transport()
    transport.submit([(number, _request(server)) for number in range(300)])
    completions = await outbox.wait(300)
    assert sorted(c.tag for c in completions) == list(range(300))  # type: ignore[type-var]  # tags are ints
    assert all(c.response is not None and c.error is None for c in completions)
    assert len(server.connections) == 1
    assert len(outbox.lists) < 300
    assert all(outbox.lists)


async def test_burst_after_goaway_opens_one_connection(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A burst that finds its connection gone shares one new connection; it does not open one for each request."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200)
        if len(server.streams) == 1:
            await stream.goaway(stream.id)

    server.script = answer
    transport = open_transport()
    transport.submit([("first", _request(server))])
    await outbox.wait(1)
    await server.connections[0].gone.wait()
    transport.submit([(number, _request(server)) for number in range(100)])
    completions = await outbox.wait(101)
    assert all(c.response is not None for c in completions), [str(c.error) for c in completions if c.error]
    assert len(server.connections) == 2


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_server_without_http2(
    open_transport: OpenTransport, outbox: Outbox, certificates: Certificates, scheme: str
) -> None:
    """A vendor that turns out to have only HTTP/1.1 is served over it, and no request is lost in finding out."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"PRI "):
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            lines.append(head.split(b"\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    context = certificates.server_context(alpn="http/1.1") if scheme == "https" else None
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listener:
        url = f"{scheme}://localhost:{listener.sockets[0].getsockname()[1]}/send"
        open_transport().submit([(number, Request(url=url)) for number in range(5)])
        completions = await outbox.wait(5)
    assert [c.response.status for c in completions if c.response] == [200] * 5
    assert lines == [b"POST /send HTTP/1.1"] * 5


async def test_submit_from_within_on_complete(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A lane may send the next request while it is being told of the last."""
    transport = open_transport()
    deliver = type(outbox).__call__

    class Chain(type(outbox)):  # type: ignore[misc]  # the class comes with the fixture
        def __call__(self, completions: list[object]) -> None:
            deliver(self, completions)
            if len(self.all) < 5:
                transport.submit([(len(self.all), _request(server))])

    outbox.__class__ = Chain
    transport.submit([(0, _request(server))])
    assert [c.tag for c in await outbox.wait(5)] == [0, 1, 2, 3, 4]


async def test_close_abandons_what_is_open(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """When close returns, everything outstanding has completed with an error, once; so does what is submitted later."""

    async def never(stream: Stream) -> None:
        pass

    server.script = never
    transport = open_transport()
    transport.submit([(number, _request(server)) for number in range(10)])
    await server.seen(10)
    transport.submit([(10, _request(server))])  # has had no turn of the loop yet
    await transport.close()
    assert sorted(c.tag for c in outbox.all) == list(range(11))  # type: ignore[type-var]  # tags are ints
    assert all(c.error is not None and c.response is None and c.error.retriable for c in outbox.all)
    transport.submit([("late", _request(server))])
    late = (await outbox.wait(12))[-1]
    assert late.tag == "late"
    assert late.error is not None
    assert not late.error.sent
    await transport.close()
    assert len(outbox.all) == 12


async def test_http1_where_http2_is_off(
    open_transport: OpenTransport, outbox: Outbox, certificates: Certificates
) -> None:
    """A vendor that wants HTTP/1.1 gets it."""
    heard: list[str | None] = []
    first_line: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        heard.append(tls.selected_alpn_protocol())
        first_line.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    context = certificates.server_context(alpn="http/1.1")
    context.set_alpn_protocols(["h2", "http/1.1"])
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with listener:
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/send"
        open_transport(http2=False).submit([(1, Request(url=url, body=b"a=b"))])
        (completion,) = await outbox.wait(1)
    assert completion.response is not None
    assert completion.response.body == b"hi"
    assert first_line == [b"POST /send HTTP/1.1"]
    assert heard[0] in (None, "http/1.1")


async def test_redirects_are_answers(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """A redirect is not followed: secrets do not go where an answer points."""

    async def answer(stream: Stream) -> None:
        await stream.respond(302, headers=[("location", f"{server.url}/elsewhere")])

    server.script = answer
    open_transport().submit([(1, _request(server))])
    (completion,) = await outbox.wait(1)
    assert completion.response is not None
    assert completion.response.status == 302
    assert len(server.streams) == 1


async def test_proxy_of_the_system_is_used(
    server: ScriptedServer, factory: TransportFactory, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is obeyed, as networks without a direct way to FCM need it."""
    asked = asyncio.Event()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readuntil(b"\r\n\r\n")
        if line.startswith(b"CONNECT localhost:"):
            asked.set()
        writer.write(b"HTTP/1.1 502 no way\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        transport = factory(on_complete=outbox, timeout=1.5, http2=True, tls=TlsOptions())
        transport.submit([(1, _request(server))])
        (completion,) = await outbox.wait(1)
        await transport.close()
    assert asked.is_set()
    assert completion.error is not None
    assert not completion.error.sent
    assert "proxy" in str(completion.error)
    assert _hides_secrets(completion.error)


def test_unknown_transport() -> None:
    """A transport that does not exist is refused with the names of those that do."""
    with pytest.raises(ValueError, match="pyreqwest, httpx and native"):
        transport_named("curl")


async def test_closing_ends_at_whatever_moment(
    server: ScriptedServer, factory: TransportFactory, certificates: Certificates
) -> None:
    """Answers that arrive in the very moment of closing keep nothing open: close returns, and every tag has come back once."""
    rng = random.Random(3)
    tls = TlsOptions(ca_pem=certificates.ca.certificate)
    for _ in range(30):
        done: list[Completion] = []
        transport = factory(on_complete=done.extend, timeout=20, http2=True, tls=tls)
        transport.submit([(0, _request(server))])
        while not done:  # connecting is over: httpx leaves a connection half made to the collector
            await asyncio.sleep(0.001)
        transport.submit([(number, _request(server)) for number in range(1, 100)])
        await asyncio.sleep(rng.uniform(0, 0.05))
        transport.submit([(number, _request(server)) for number in range(100, 110)])
        await asyncio.sleep(rng.uniform(0, 0.004))
        async with asyncio.timeout(10):
            await transport.close()
        assert sorted(c.tag for c in done) == list(range(110))  # type: ignore[type-var]  # tags are ints


# --- other connections ------------------------------------------------------------------------------------


async def test_renewed_connections_leave_the_open_requests_where_they_are(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """After renew the next request comes on another connection; what was open ends well on the old one, which then closes."""
    held: list[Stream] = []

    async def hold_the_first(stream: Stream) -> None:
        if stream.connection is server.connections[0]:
            held.append(stream)
        else:
            await stream.respond(200)

    server.script = hold_the_first
    transport = open_transport()
    transport.submit([(1, _request(server)), (2, _request(server))])
    await server.seen(2)
    transport.renew()
    transport.submit([(3, _request(server))])
    assert [c.tag for c in await outbox.wait(1)] == [3]
    assert len(server.connections) == 2
    for stream in held:
        await stream.respond(200)
    await outbox.wait(3)
    assert [c.response.status for c in outbox.all if c.response] == [200, 200, 200]
    async with asyncio.timeout(2):
        await server.connections[0].gone.wait()
    assert not server.connections[1].gone.is_set()


async def test_an_idle_connection_that_is_left_is_closed(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Renew closes what nobody uses, and costs no connection by itself; so does closing while something is open on an old one."""
    transport = open_transport()
    transport.submit([(1, _request(server))])
    await outbox.wait(1)
    transport.renew()
    async with asyncio.timeout(2):
        await server.connections[0].gone.wait()
    assert len(server.connections) == 1

    async def hold(_stream: Stream) -> None:
        """No answer."""

    server.script = hold
    transport.submit([(2, _request(server))])
    await server.seen(2)
    transport.renew()
    await transport.close()
    assert [(c.tag, c.error is not None) for c in outbox.all] == [(1, False), (2, True)]
    transport.renew()  # closed is closed


async def test_http1_connections_are_renewed_too(
    certificates: Certificates, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Also where the server speaks no HTTP/2."""
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            await reader.readexactly(len(b'{"aps":{}}'))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    context = certificates.server_context(alpn="http/1.1")
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://localhost:{listener.sockets[0].getsockname()[1]}/"
    transport = open_transport(http2=False)
    for number, renewed in enumerate((False, False, True), 1):
        if renewed:
            transport.renew()
            async with asyncio.timeout(2):
                await gone.wait()
            gone.clear()
        transport.submit([(number, Request(url=url, body=b'{"aps":{}}'))])
        await outbox.wait(number)
    assert [c.response.status for c in outbox.all if c.response] == [200, 200, 200]
    assert len(opened) == 2
    await transport.close()
    opened[1].close()
    async with asyncio.timeout(2):
        await gone.wait()
    listener.close()
