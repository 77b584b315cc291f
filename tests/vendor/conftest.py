"""A scripted HTTP/2 server over TLS, the throw-away certificates it needs, and lanes that send to it.

The server does what its ``script`` says with each stream, so that a test can send what no well-behaved server would.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import random
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from pushgw.credentials import CredentialDirectory, CredentialEntry, load_directory
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.delivery.ending import Ending
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.policy.facts import Device
from pushgw.settings import DispatchSettings
from pushgw.vendor.http import Completion, TlsOptions, Transport, TransportFactory
from pushgw.vendor.push import Notification, Target
from vendors import apns, fcm


@dataclass
class Pem:
    """A certificate (chain) and its key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def both(self) -> bytes:
        return self.certificate + self.key


@dataclass
class Certificates:
    """What a session of tests trusts and shows."""

    ca: Pem
    server: Pem
    client: Pem
    stranger: Pem
    """Another authority, which nobody here trusts."""
    directory: Path

    def server_context(self, *, client_certificate: bool = False, alpn: str = "h2") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain = self.directory / "server.pem"
        chain.write_bytes(self.server.both)
        context.load_cert_chain(chain)
        context.set_alpn_protocols([alpn])
        if client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.ca.certificate.decode())
        return context


def _authority(name: str) -> tuple[Pem, x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key), certificate, key


def _leaf(
    name: str,
    usage: x509.ObjectIdentifier,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
) -> Pem:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), ca.subject, key)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return _pem(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pem:
    return Pem(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One authority with a server's and a client's certificate, and one authority that is not trusted."""
    ca_pem, ca, ca_key = _authority("pushgw test authority")
    stranger, _, _ = _authority("somebody else")
    return Certificates(
        ca=ca_pem,
        server=_leaf("localhost", ExtendedKeyUsageOID.SERVER_AUTH, ca, ca_key),
        client=_leaf("im.example.client", ExtendedKeyUsageOID.CLIENT_AUTH, ca, ca_key),
        stranger=stranger,
        directory=tmp_path_factory.mktemp("certificates"),
    )


@dataclass
class Stream:
    """One request that has come in whole, and the means to answer it frame by frame."""

    connection: Connection
    id: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.headers[":path"]

    async def respond(self, status: int, *frames: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Status and headers, then one DATA frame for each of ``frames``; the last frame ends the stream."""
        h2 = self.connection.h2
        h2.send_headers(self.id, [(":status", str(status)), *headers], end_stream=not frames)
        await self.connection.flush()
        for number, frame in enumerate(frames, 1):
            h2.send_data(self.id, frame, end_stream=number == len(frames))
            await self.connection.flush()

    async def begin(self, status: int, *frames: bytes) -> None:
        """As respond, but the stream stays open."""
        self.connection.h2.send_headers(self.id, [(":status", str(status))])
        for frame in frames:
            self.connection.h2.send_data(self.id, frame)
        await self.connection.flush()

    async def pour(self, status: int) -> None:
        """An answer without end: DATA frames as fast as the client's windows allow."""
        self.connection.h2.send_headers(self.id, [(":status", str(status))])
        self.connection.poured.append(self.id)
        await self.connection.flush()

    async def reset(self, code: ErrorCodes) -> None:
        self.connection.h2.reset_stream(self.id, code)
        await self.connection.flush()

    async def goaway(
        self, last_stream_id: int, data: bytes = b"", code: ErrorCodes = ErrorCodes.NO_ERROR
    ) -> None:
        """Says goodbye and drops the connection."""
        self.connection.h2.close_connection(code, data, last_stream_id)
        await self.connection.flush()
        self.connection.writer.close()

    def drop(self) -> None:
        """Cuts the TCP connection without a word."""
        self.connection.writer.transport.abort()


@dataclass
class Connection:
    """One client's connection."""

    writer: asyncio.StreamWriter
    h2: H2Connection
    streams: dict[int, Stream] = field(default_factory=dict)
    client_certificate: bytes | None = None
    """DER."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it is over."""
    poured: list[int] = field(default_factory=list)
    """Streams that get data as long as there is a window for it."""
    deaf: bool = False
    """It reads what comes and says nothing any more, not even that a PING arrived: the peer behind it is gone."""

    async def open(self, streams: int | None) -> None:
        """Says that so many streams may be open at once; who opens more is for the script to refuse."""
        lenient = self.h2.local_settings
        if streams is not None:
            said = {SettingCodes.MAX_CONCURRENT_STREAMS: streams}
            self.h2.local_settings = Settings(client=False, initial_values=said)
        self.h2.initiate_connection()
        self.h2.local_settings = (
            lenient  # what is too many here ends the stream, in the library the connection
        )
        await self.flush()

    async def say_goodbye(self, last_stream_id: int, data: bytes = b"") -> None:
        """GOAWAY as a server that goes on with its open streams says it; nothing is dropped."""
        frame = GoAwayFrame(stream_id=0, last_stream_id=last_stream_id, error_code=0, additional_data=data)
        self.writer.write(frame.serialize())
        await self.writer.drain()

    async def allow(self, streams: int) -> None:
        """From now on so many streams may be open at once."""
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})
        await self.flush()

    def pour_on(self) -> None:
        for stream_id in self.poured:
            while room := min(self.h2.local_flow_control_window(stream_id), 16384):
                self.h2.send_data(stream_id, b"x" * room)

    async def flush(self) -> None:
        if not self.writer.is_closing():
            self.writer.write(self.h2.data_to_send())
            await self.writer.drain()


Script = Callable[[Stream], Awaitable[None]]


async def _ok(stream: Stream) -> None:
    await stream.respond(200)


class ScriptedServer:
    """Runs ``script`` for each request. ``connections`` and ``streams`` keep what came."""

    def __init__(self) -> None:
        self.script: Script = _ok
        self.connections: list[Connection] = []
        self.streams: list[Stream] = []
        self.arrived = asyncio.Condition()
        self.concurrent_streams: int | None = None
        """SETTINGS_MAX_CONCURRENT_STREAMS of new connections; None: the library's hundred."""
        self.deaf = 0
        """So many of the next connections are deaf from their first byte on, TLS aside."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"https://localhost:{self._server.sockets[0].getsockname()[1]}"

    async def start(self, context: ssl.SSLContext, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=context)

    async def seen(self, count: int) -> None:
        """Returns once that many requests have come in."""
        async with asyncio.timeout(2), self.arrived:
            await self.arrived.wait_for(lambda: len(self.streams) >= count)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self.connections:
            # Python before 3.11.4 forgets the TLS connection at the second close(): there is nothing left to abort
            with contextlib.suppress(AttributeError):
                connection.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(
            writer, H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        )
        self.connections.append(connection)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        connection.client_certificate = tls.getpeercert(binary_form=True)
        connection.deaf = self.deaf > 0
        self.deaf = max(0, self.deaf - 1)
        try:
            if not connection.deaf:
                await connection.open(self.concurrent_streams)
            while data := await reader.read(65536):
                if connection.deaf:
                    continue
                for event in connection.h2.receive_data(data):
                    await self._happened(connection, event)
                connection.pour_on()
                await connection.flush()
        except (ConnectionError, ssl.SSLError, ProtocolError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            connection.gone.set()
            writer.close()
            self._tasks.discard(task)

    async def _happened(self, connection: Connection, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(number), headers=headers):
                connection.streams[number] = Stream(
                    connection, number, {str(k): str(v) for k, v in headers or []}
                )
            case DataReceived(stream_id=int(number), data=bytes(data), flow_controlled_length=int(length)):
                connection.streams[number].body += data
                connection.h2.acknowledge_received_data(length, number)
            case StreamEnded(stream_id=int(number)):
                stream = connection.streams[number]
                self.streams.append(stream)
                async with self.arrived:
                    self.arrived.notify_all()
                await self.script(stream)


@pytest.fixture
async def server(certificates: Certificates) -> AsyncIterator[ScriptedServer]:
    """A server on a free port of this machine, trusted through ``certificates.ca``."""
    scripted = ScriptedServer()
    await scripted.start(certificates.server_context())
    yield scripted
    await scripted.stop()


class Outbox:
    """Where completions land, list by list."""

    def __init__(self) -> None:
        self.lists: list[list[Completion]] = []
        self._news = asyncio.Event()

    def __call__(self, completions: Sequence[Completion]) -> None:
        self.lists.append(list(completions))
        self._news.set()

    @property
    def all(self) -> list[Completion]:
        return [completion for completions in self.lists for completion in completions]

    async def wait(self, count: int) -> list[Completion]:
        """The completions, once there are that many."""
        async with asyncio.timeout(40):
            while len(self.all) < count:
                self._news.clear()
                await self._news.wait()
        return self.all


OpenTransport = Callable[..., Transport]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy of the machine the tests run on comes between them and their server."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return iter(())


TRANSPORTS = ["pyreqwest", "httpx", *(["native"] if find_spec("pushgw_native") else [])]
"""``native`` is our own wheel, which `make native` builds; `make test-native` fails where it is missing."""


@pytest.fixture(params=TRANSPORTS)
def transport_name(request: pytest.FixtureRequest) -> str:
    """Each transport in turn."""
    name: str = request.param
    return name


@pytest.fixture
def factory(transport_name: str) -> TransportFactory:
    """What makes it."""
    from pushgw.vendor import transport_named

    return transport_named(transport_name)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
async def open_transport(
    factory: TransportFactory, outbox: Outbox, certificates: Certificates
) -> AsyncIterator[OpenTransport]:
    """Opens transports that trust the test's authority and answer to ``outbox``; closes them at the end."""
    opened: list[Transport] = []

    def open_one(
        *,
        timeout: float = 20,
        http2: bool = True,
        tls: TlsOptions | None = None,
        proxy: str | None = None,
    ) -> Transport:
        tls = tls or TlsOptions(ca_pem=certificates.ca.certificate)
        transport = factory(on_complete=outbox, timeout=timeout, http2=http2, tls=tls, proxy=proxy)
        opened.append(transport)
        return transport

    yield open_one
    for transport in opened:
        await transport.close()


class Tunnel:
    """A proxy that connects and passes on; it keeps the heads it got."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)

    @property
    def asked_for(self) -> list[str]:
        """Host and port of each connection, in order."""
        return [head.split()[1].decode() for head in self.heads]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        port = int(head.split()[1].rpartition(b":")[2])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers += [writer, far_writer]
        writer.write(b"HTTP/1.1 200 connected\r\nx-proxy: yes\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        far_writer.transport.abort()
        writer.transport.abort()


@pytest.fixture
async def tunnel() -> AsyncIterator[Tunnel]:
    """A running proxy."""
    made = Tunnel()
    await made.start()
    yield made
    await made.stop()


# --- lanes ------------------------------------------------------------------------------------------------

NOW = 1_795_500_000.0
"""What the lanes' clock shows at the start of a test; it runs as fast as ours."""
CREDENTIALS = {"apns": 9001, "fcm": 9002}
ACCESS_TOKEN = {"access_token": "ya29.one", "expires_in": 3599, "token_type": "Bearer"}


@pytest.fixture(scope="session")
def example_credentials() -> CredentialDirectory:
    """The throw-away credentials of the sandbox."""
    directory = Path(__file__).parents[2] / "certs.example"
    return load_directory(directory, {"apns": apns.vendor, "fcm": fcm.vendor})


@dataclass
class Arrival:
    """A push as a vendor sees it."""

    stream: Stream
    token: str
    text: str
    identity: tuple[str, ...]
    """By what the vendor knows it again: apns-id and apns-collapse-id; collapse_key and tag."""

    @classmethod
    def of(cls, stream: Stream) -> Arrival:
        content = json.loads(stream.body)
        if "aps" in content:
            token, text = stream.path.rpartition("/")[2], content["aps"]["alert"]
            identity = (stream.headers["apns-id"], stream.headers["apns-collapse-id"])
            return cls(stream, token, text if isinstance(text, str) else text["body"], identity)
        message = content["message"]
        shown = message["android"]
        identity = (shown["collapse_key"], shown["notification"]["tag"])
        return cls(stream, message["token"], message["notification"]["body"], identity)


class Lanes:
    """A dispatcher over real adapters and a real transport, and what came out of it."""

    def __init__(
        self, factory: TransportFactory, entries: dict[str, CredentialEntry], **settings: float
    ) -> None:
        self.entries = entries
        self.endings: list[Ending] = []
        self.skew = 0.0
        """s by which our clock goes wrong."""
        self._news = asyncio.Event()
        self._start = asyncio.get_running_loop().time()
        self.dispatcher = Dispatcher(
            DispatchSettings.model_validate(
                {"backoff": 0.01, "backoff_max": 0.02, "timeout": 5.0, **settings}
            ),
            factory,
            factory,
            on_endings=self._ended,
            clock=self.clock,
            rng=random.Random(1),
        )

    def clock(self) -> float:
        return NOW + self.skew + asyncio.get_running_loop().time() - self._start

    def offer(self, vendor: str, *cargo: str) -> None:
        """Pushes on their way: ``"bob 1"`` is the text ``bob 1`` for bob's one device."""
        self.dispatcher.dispatch([self._shipment(self.entries[vendor], text) for text in cargo])

    async def ended(self, vendor: str, count: int) -> list[Ending]:
        """That lane's endings, once there are that many."""
        async with asyncio.timeout(10):
            while len(self.of(vendor)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(vendor)

    def of(self, vendor: str) -> list[Ending]:
        return [e for e in self.endings if e.entry is self.entries[vendor]]

    def _ended(self, endings: list[Ending]) -> None:
        self.endings += endings
        self._news.set()

    def _shipment(self, entry: CredentialEntry, text: str) -> Shipment:
        user = text.split()[0]
        token = user.encode().hex()
        target = Target(
            token=token,
            user=user,
            device_id="phone",
            push_id=text,
            vendor_id=str(uuid.uuid5(uuid.NAMESPACE_URL, text)),
            platform="ios" if entry.vendor == "apns" else "android",
        )
        device = Device(device_id="phone", business_id=entry.business_id, token=token, put_ms=0)
        parcel = Parcel(work=text, user=user, device=device, target=target, unread=None, counts=True)
        notification = Notification(
            body=text, expires_at=int(NOW) + 3600, collapse_id=text.replace(" ", "-"), notify_id=1
        )
        return Shipment(entry=entry, notification=notification, parcels=[parcel], tokens=(token,))


async def _grant(stream: Stream) -> None:
    await stream.respond(200, json.dumps(ACCESS_TOKEN).encode())


@pytest.fixture
def read() -> Callable[[Stream], Arrival]:
    """Reads a stream as the vendor would."""
    return Arrival.of


@pytest.fixture
async def lanes(
    request: pytest.FixtureRequest,
    factory: TransportFactory,
    certificates: Certificates,
    example_credentials: CredentialDirectory,
    server: ScriptedServer,
    neighbour: ScriptedServer,
    token_server: ScriptedServer,
) -> AsyncIterator[Lanes]:
    """``apns`` and ``fcm`` send to ``server``, ``neighbour`` is a second APNs credential with a good server of its own.

    An indirect parameter holds dispatch settings.
    """
    wanted = (("apns", "apns", server), ("fcm", "fcm", server), ("neighbour", "apns", neighbour))
    entries = {}
    for number, (name, vendor, its_server) in enumerate(wanted, 1):
        example = example_credentials.entries[CREDENTIALS[vendor]]
        assert example.account is not None
        account = msgspec.structs.replace(
            example.account,
            business_id=number,
            endpoint=its_server.url,
            auth_endpoint=token_server.url,
            ca_pem=certificates.ca.certificate,
            cache={},
        )
        entries[name] = CredentialEntry(number, vendor, adapter=example.adapter, account=account)
    made = Lanes(factory, entries, **getattr(request, "param", {}))
    yield made
    await made.dispatcher.close()


@pytest.fixture
async def neighbour(certificates: Certificates) -> AsyncIterator[ScriptedServer]:
    """A second vendor, which takes everything."""
    scripted = ScriptedServer()
    await scripted.start(certificates.server_context())
    yield scripted
    await scripted.stop()


@pytest.fixture
async def token_server(certificates: Certificates) -> AsyncIterator[ScriptedServer]:
    """Google's token server; it gives an access token to everyone."""
    scripted = ScriptedServer()
    scripted.script = _grant
    await scripted.start(certificates.server_context())
    yield scripted
    await scripted.stop()
