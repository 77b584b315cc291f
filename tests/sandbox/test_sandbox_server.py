"""The sandbox over real sockets: both HTTP versions, many streams, faults, limits, client certificates."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pushgw.sandbox import Authority, Sandbox, make_authority
from pushgw.vendor.adapter import Account, Adapter, Credential
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Request, Response, TlsOptions
from pushgw.vendor.plugin import Vendor
from pushgw.vendor.push import Outcome, Push


class EchoEmulator(Emulator):
    """Accepts everything under /echo/<token>; answers with what it saw."""

    vendor = "echo"

    def claims(self, method: str, path: str) -> bool:
        return path.startswith("/echo/")

    def handle(self, call: Call, now: float) -> Answer:
        token = call.path.removeprefix("/echo/")
        codes = self.scripted.get(token)
        if codes:
            return Answer(response=Response(status=400, body=codes.pop(0).encode()))
        if token == "crash":
            raise KeyError("a defect of the emulator")
        if token == "large":
            return Answer(response=Response(status=200, body=b"x" * 300_000))
        seen = f"{call.method} {call.http_version} {len(call.body)} {call.headers.get('x-test', '')}"
        cert = "" if call.peer_cert_der is None else str(hash(call.peer_cert_der))
        response = Response(status=200, headers={"seen": seen, "cert": cert}, body=call.body[:10])
        accepted = Accepted(
            vendor="echo", token=token, title="t", body="b", vendor_id=call.headers.get("x-id", "")
        )
        return Answer(response=response, accepted=(accepted,))


class EchoAdapter(Adapter):
    """Shows the identity that its account's credential is."""

    vendor = "echo"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = Credential

    def tls(self, account: Account) -> TlsOptions:
        return TlsOptions(identity_pem=account.credential)

    def render(self, push: Push, account: Account, auth: Any) -> Request:
        raise NotImplementedError

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        raise NotImplementedError


VENDORS = {"echo": Vendor(adapter=EchoAdapter(), emulator=EchoEmulator, results={"20001": ("retry", "busy")})}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@contextlib.asynccontextmanager
async def served(
    authority: Authority, *faults: str, accounts: Sequence[Account] = (), **options: Any
) -> AsyncIterator[Sandbox]:
    async with await Sandbox.start(
        accounts, tls=authority, vendors=VENDORS, faults=faults, **options
    ) as sandbox:
        yield sandbox


def trust(sandbox: Sandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=sandbox.ca_pem.decode())


def client(sandbox: Sandbox, *, http2: bool = True, **options: Any) -> httpx.AsyncClient:
    options = {"verify": trust(sandbox), "timeout": 10, **options}
    return httpx.AsyncClient(http2=http2, base_url=sandbox.url, **options)


class Peer:
    """A client on the level of frames, for what httpx does not do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.events: list[h2.events.Event] = []

    @classmethod
    async def connect(cls, sandbox: Sandbox) -> Peer:
        context = trust(sandbox)
        context.set_alpn_protocols(["h2"])
        peer = cls(*await asyncio.open_connection("127.0.0.1", sandbox.port, ssl=context))
        peer.h2.initiate_connection()
        peer.flush()
        return peer

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def request(self, stream_id: int, path: str, *, end: bool = True, method: str = "POST") -> None:
        headers = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "localhost")]
        self.h2.send_headers(stream_id, headers, end_stream=end)

    async def until(self, kind: type[h2.events.Event], number: int = 1) -> list[Any]:
        """Read until so many events of this kind have come since the last call; raises EOFError at the end."""
        async with asyncio.timeout(10):
            while len(found := [e for e in self.events if isinstance(e, kind)]) < number:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self.events += self.h2.receive_data(data)
                self.flush()
        self.events = [e for e in self.events if not isinstance(e, kind)]
        return found

    async def round_trip(self) -> None:
        """Everything that the server had to say before now has been read."""
        self.h2.ping(b"8 bytes!")
        self.flush()
        await self.until(h2.events.PingAckReceived)

    def close(self) -> None:
        self.writer.transport.abort()


@pytest.mark.parametrize("http2", [True, False])
async def test_a_request_reaches_its_emulator_and_the_answer_comes_back(
    authority: Authority, http2: bool
) -> None:
    """Method, headers and body arrive over either HTTP version, and status, headers and body come back."""
    async with served(authority) as sandbox, client(sandbox, http2=http2) as http:
        response = await http.post("/echo/abc", content=b"hello", headers={"X-Test": "yes", "X-Id": "7"})
        assert (response.status_code, response.content) == (200, b"hello")
        version = "2" if http2 else "1.1"
        assert response.headers["seen"] == f"POST {version} 5 yes"
        assert response.http_version == f"HTTP/{version}"
        assert [(line.token, line.vendor_id) for line in sandbox.journal.lines()] == [("abc", "7")]


@pytest.mark.parametrize("http2", [True, False])
async def test_a_path_that_no_vendor_has_is_404_with_a_sentence(authority: Authority, http2: bool) -> None:
    """Whoever aims at the wrong path reads which one it was."""
    async with served(authority) as sandbox, client(sandbox, http2=http2) as http:
        response = await http.post("/nowhere?secret=1")
        assert response.status_code == 404
        assert response.json() == {"error": "No vendor of this sandbox has POST /nowhere."}


@pytest.mark.parametrize("http2", [True, False])
async def test_a_defect_of_an_emulator_is_a_500_and_nothing_more(authority: Authority, http2: bool) -> None:
    """The connection and the server outlive it, and the text of the defect is not shown."""
    async with served(authority) as sandbox, client(sandbox, http2=http2) as http:
        response = await http.post("/echo/crash")
        assert response.status_code == 500
        assert "KeyError" in response.json()["error"]
        assert "defect" not in response.text
        assert (await http.post("/echo/fine")).status_code == 200


async def test_200_streams_at_once_are_answered_each_with_its_own(authority: Authority) -> None:
    """Requests that are all open at once on one connection are not mixed up."""
    async with served(authority) as sandbox:
        peer = await Peer.connect(sandbox)
        streams = range(1, 401, 2)
        for stream_id in streams:
            peer.request(stream_id, f"/echo/{stream_id}", end=False)
        for stream_id in streams:
            peer.h2.send_data(stream_id, str(stream_id).encode(), end_stream=True)
        peer.flush()
        await peer.until(h2.events.StreamEnded, 200)
        answers = {e.stream_id: e.data for e in peer.events if isinstance(e, h2.events.DataReceived)}
        peer.close()
        assert answers == {stream_id: str(stream_id).encode() for stream_id in streams}
        assert sandbox.journal.counts().accepted == 200


async def test_http_1_connections_serve_many_requests(authority: Authority) -> None:
    """Keep-alive: fifty requests one after the other need one connection, pipelined ones come back in order."""
    async with served(authority) as sandbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port, ssl=trust(sandbox))
        for number in range(50):
            writer.write(b"POST /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n%02d" % number)
        writer.write(b"GET /_sandbox/journal/count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            everything = await reader.read()
        writer.close()
        answers = everything.split(b"HTTP/1.1 ")
        assert [answer[-2:] for answer in answers[1:-1]] == [b"%02d" % number for number in range(50)]
        assert b'"accepted":50' in answers[-1]


@pytest.mark.parametrize("http2", [True, False])
async def test_a_body_over_one_mebibyte_is_413(authority: Authority, http2: bool) -> None:
    """One mebibyte passes, one byte more is refused with a sentence, and the connection lives on."""
    async with served(authority) as sandbox, client(sandbox, http2=http2) as http:
        assert (await http.post("/echo/a", content=bytes(1 << 20))).headers["seen"].split()[2] == str(1 << 20)
        refused = await http.post("/echo/a", content=bytes((1 << 20) + 1))
        assert refused.status_code == 413
        assert "1048576" in refused.json()["error"]
        assert (await http.post("/echo/a", content=b"small")).status_code == 200
        assert sandbox.journal.counts().accepted == 2


async def test_http_1_does_not_ask_for_a_body_that_is_announced_as_too_long(authority: Authority) -> None:
    """Expect: 100-continue is answered with 100 for a small body and with 413 for a large one."""
    async with served(authority) as sandbox:
        head = b"POST /echo/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
        for size, expected in ((5, b"HTTP/1.1 100"), (1 << 21, b"HTTP/1.1 413")):
            reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port, ssl=trust(sandbox))
            writer.write(head % size)
            async with asyncio.timeout(10):
                assert (await reader.read(100)).startswith(expected)
            writer.close()


async def test_the_answer_waits_for_the_clients_window(authority: Authority) -> None:
    """A client that grants ten bytes gets ten bytes, and the rest when it grants more."""
    async with served(authority) as sandbox:
        peer = await Peer.connect(sandbox)
        peer.h2.update_settings({4: 10})
        await peer.round_trip()
        peer.request(1, "/echo/large")
        await peer.round_trip()
        assert sum(len(e.data) for e in await peer.until(h2.events.DataReceived)) == 10
        await peer.round_trip()
        assert not [e for e in peer.events if isinstance(e, h2.events.DataReceived)]
        peer.h2.increment_flow_control_window(500_000)
        peer.h2.increment_flow_control_window(500_000, 1)
        peer.flush()
        await peer.until(h2.events.StreamEnded)
        rest = sum(len(e.data) for e in peer.events if isinstance(e, h2.events.DataReceived))
        peer.close()
        assert rest == 300_000 - 10


async def test_a_stream_that_its_client_resets_disturbs_no_other(authority: Authority) -> None:
    """Reset in the same breath as the request: the connection's other streams are answered."""
    async with served(authority) as sandbox:
        peer = await Peer.connect(sandbox)
        peer.request(1, "/echo/large")
        peer.h2.reset_stream(1)
        peer.request(3, "/echo/fine")
        peer.flush()
        ended = await peer.until(h2.events.StreamEnded)
        peer.close()
        assert [e.stream_id for e in ended] == [3]


@pytest.mark.parametrize("http2", [True, False])
async def test_head_gets_headers_and_no_body(authority: Authority, http2: bool) -> None:
    """HEAD is answered as GET without the body."""
    async with served(authority) as sandbox, client(sandbox, http2=http2) as http:
        response = await http.head("/")
        assert response.status_code == 200
        assert response.content == b""
        assert int(response.headers["content-length"]) > 100


@pytest.mark.parametrize("http2", [True, False])
async def test_fault_status(authority: Authority, http2: bool) -> None:
    """A status fault is that status without a body; the emulator is not asked and nothing is accepted."""
    async with served(authority, "echo=503") as sandbox, client(sandbox, http2=http2) as http:
        response = await http.post("/echo/a")
        assert (response.status_code, response.content) == (503, b"")
        counts = sandbox.journal.counts().vendors["echo"]
        assert (counts.requests, counts.accepted, counts.faults) == (1, 0, {"echo=503": 1})


async def test_fault_vendor_code(authority: Authority) -> None:
    """A vendor's own code is answered by the emulator, for whatever token came."""
    async with served(authority, "echo=20001:100%") as sandbox, client(sandbox) as http:
        sandbox.emulators["echo"].fail("a", "first")
        assert (await http.post("/echo/a")).text == "20001"
        assert (await http.post("/echo/b")).text == "20001"
        assert sandbox.emulators["echo"].scripted == {"a": ["first"]}


@pytest.mark.parametrize("http2", [True, False])
async def test_fault_drop(authority: Authority, http2: bool) -> None:
    """The connection ends in mid-request, and a new one is served."""
    async with served(authority, "echo=drop") as sandbox, client(sandbox, http2=http2) as http:
        with pytest.raises(httpx.TransportError):
            await http.post("/echo/a")
        assert (await http.get("/")).status_code == 200
        assert sandbox.journal.counts().accepted == 0


@pytest.mark.parametrize("http2", [True, False])
async def test_fault_lost(authority: Authority, http2: bool) -> None:
    """The vendor has taken the push, but its answer never arrives: the journal shows it."""
    async with served(authority, "echo=lost") as sandbox, client(sandbox, http2=http2) as http:
        with pytest.raises(httpx.TransportError):
            await http.post("/echo/a")
        assert sandbox.journal.counts().accepted == 1


async def test_fault_reset(authority: Authority) -> None:
    """RST_STREAM ends one stream; the connection goes on."""
    async with served(authority, "echo=reset") as sandbox:
        peer = await Peer.connect(sandbox)
        peer.request(1, "/echo/a")
        peer.request(3, "/", method="GET")
        peer.flush()
        (reset,) = await peer.until(h2.events.StreamReset)
        (ended,) = await peer.until(h2.events.StreamEnded)
        peer.close()
        assert (reset.stream_id, reset.error_code, ended.stream_id) == (1, 2, 3)


async def test_fault_hang(authority: Authority) -> None:
    """The request stays open without an answer, and the connection serves others meanwhile."""
    async with served(authority, "echo=hang") as sandbox:
        peer = await Peer.connect(sandbox)
        peer.request(1, "/echo/a")
        peer.request(3, "/", method="GET")
        peer.flush()
        (ended,) = await peer.until(h2.events.StreamEnded)
        await peer.round_trip()
        assert ended.stream_id == 3
        assert not [e for e in peer.events if getattr(e, "stream_id", None) == 1]
        peer.close()


async def test_fault_half_open(authority: Authority) -> None:
    """One request is enough to silence its whole connection, PINGs included; another connection is served."""
    async with served(authority, "echo=half-open") as sandbox:
        mute, other = await Peer.connect(sandbox), await Peer.connect(sandbox)
        mute.request(1, "/echo/a")
        mute.flush()
        mute.request(3, "/", method="GET")
        mute.request(5, "/echo/b")
        mute.flush()
        await other.round_trip()
        other.request(1, "/", method="GET")
        other.flush()
        await other.until(h2.events.StreamEnded)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await mute.round_trip()
        assert not [e for e in mute.events if isinstance(e, h2.events.ResponseReceived)]
        assert sandbox.journal.counts().vendors["echo"].requests == 1
        mute.close()
        other.close()


@pytest.mark.parametrize("fault", ["hang", "half-open"])
async def test_fault_hang_over_http_1(authority: Authority, fault: str) -> None:
    """The client runs into its own timeout."""
    async with (
        served(authority, f"echo={fault}") as sandbox,
        client(sandbox, http2=False, timeout=0.2) as http,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/echo/a")


async def test_fault_latency(authority: Authority) -> None:
    """A late answer lets other answers pass it, and then it comes."""
    async with served(authority, "echo=latency-100") as sandbox:
        peer = await Peer.connect(sandbox)
        peer.request(1, "/echo/a")
        await peer.round_trip()
        assert not [e for e in peer.events if isinstance(e, h2.events.ResponseReceived)]
        (ended,) = await peer.until(h2.events.StreamEnded)
        peer.close()
        assert ended.stream_id == 1


async def test_fault_latency_over_http_1_keeps_the_order(authority: Authority) -> None:
    """A request that is pipelined behind a late one is answered after it."""
    async with served(authority, "echo=latency-20:1") as sandbox:
        reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port, ssl=trust(sandbox))
        writer.write(b"POST /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nlate")
        writer.write(b"GET /missing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            everything = await reader.read()
        writer.close()
        assert 0 < everything.index(b"late") < everything.index(b"HTTP/1.1 404")


def _client_identity(directory: Path) -> tuple[bytes, Path, bytes]:
    """A self-signed client certificate, as an account's p12 file would hold."""
    from datetime import UTC, datetime, timedelta

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example.chat")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    directory.mkdir(exist_ok=True)
    (directory / "identity.pem").write_bytes(pem)
    return pem, directory / "identity.pem", certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize("http2", [True, False])
async def test_a_clients_certificate_reaches_the_emulator(
    authority: Authority, tmp_path: Path, http2: bool
) -> None:
    """An account's certificate is asked for, is optional, and is shown to the emulator as it is."""
    pem, file, der = _client_identity(tmp_path)
    account = Account(business_id=1, vendor="echo", credential=pem)
    async with served(authority, accounts=[account]) as sandbox:
        context = trust(sandbox)
        context.load_cert_chain(file)
        async with client(sandbox, http2=http2, verify=context) as http:
            assert (await http.post("/echo/a")).headers["cert"] == str(hash(der))
        async with client(sandbox, http2=http2) as http:
            assert (await http.post("/echo/a")).headers["cert"] == ""


async def test_a_certificate_that_no_account_has_is_refused(authority: Authority, tmp_path: Path) -> None:
    """The handshake fails: the emulator never sees a stranger's certificate."""
    pem, _, _ = _client_identity(tmp_path / "known")
    _, strange, _ = _client_identity(tmp_path / "strange")
    account = Account(business_id=1, vendor="echo", credential=pem)
    async with served(authority, accounts=[account]) as sandbox:
        context = trust(sandbox)
        context.load_cert_chain(strange)
        async with client(sandbox, verify=context) as http:
            with pytest.raises(httpx.TransportError):
                await http.post("/echo/a")
        assert sandbox.journal.counts().vendors == {}


@pytest.mark.parametrize(
    ("alpn", "rubbish"),
    [
        (None, b"\x00\xff" * 500),
        ("h2", b"\x00\xff" * 500),
        ("h2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x05\x01\x04\x00\x00\x00\x00rubbish"),
        ("http/1.1", b"\x00\xff" * 500),
        ("http/1.1", b"POST /echo/a HTTP/1.1\r\ncontent-length: -1\r\n\r\n"),
        ("http/1.1", b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000),
    ],
)
async def test_rubbish_ends_its_own_connection_only(
    authority: Authority, alpn: str | None, rubbish: bytes
) -> None:
    """Bytes that are no TLS, no HTTP/2 or no HTTP/1.1 end their connection; nothing is raised in the server."""
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))
    async with served(authority) as sandbox:
        context = None
        if alpn:
            context = trust(sandbox)
            context.set_alpn_protocols([alpn])
        reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port, ssl=context)
        writer.write(rubbish)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):  # an abrupt end is an end
                await reader.read()
        writer.transport.abort()
        async with client(sandbox) as http:
            assert (await http.post("/echo/a")).status_code == 200
    assert raised == []


async def test_closing_does_not_wait_for_open_requests(authority: Authority) -> None:
    """A request that hangs does not keep the sandbox alive."""
    async with served(authority, "echo=hang") as sandbox:
        peer = await Peer.connect(sandbox)
        peer.request(1, "/echo/a")
        await peer.round_trip()
    with pytest.raises((EOFError, ConnectionError)):
        await peer.until(h2.events.StreamEnded)
    peer.close()


def test_it_serves_under_uvloop(authority: Authority) -> None:
    """The event loop of production serves both HTTP versions and closes cleanly."""

    async def scenario() -> list[str]:
        async with served(authority) as sandbox:
            seen = []
            for http2 in (True, False):
                async with client(sandbox, http2=http2) as http:
                    seen.append((await http.post("/echo/large")).http_version)
            return seen

    assert uvloop.run(scenario()) == ["HTTP/2", "HTTP/1.1"]
