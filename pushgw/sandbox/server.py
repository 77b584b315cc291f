"""The sandbox's TLS server: ALPN chooses HTTP/2 or HTTP/1.1, one asyncio protocol a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import cast

from pushgw.sandbox.authority import Authority
from pushgw.sandbox.h1_protocol import H1Protocol
from pushgw.sandbox.h2_protocol import H2Protocol
from pushgw.sandbox.reply import Respond

MAX_CONNECTIONS = 2000
HANDSHAKE_TIMEOUT = 10.0


def server_context(authority: Authority, client_certificates: Sequence[bytes] = ()) -> ssl.SSLContext:
    """The TLS side of the server.

    ``client_certificates``: PEM certificates (of accounts, with their issuers) that a client may show. Showing one
    is optional. OpenSSL ends the handshake of a client that shows any other, so an emulator never sees a certificate
    that no account of the sandbox has. An account's certificate is trusted as it is: its issuer need not be known.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(authority.server_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_certificates:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=b"\n".join(client_certificates).decode("ascii"))
    return context


class Server:
    """Listens until it is closed. ``port`` is the one it got."""

    def __init__(self, listener: asyncio.Server, open_: set[H1Protocol | H2Protocol]) -> None:
        self._listener = listener
        self._open = open_
        self.port: int = listener.sockets[0].getsockname()[1]

    @classmethod
    async def start(cls, respond: Respond, context: ssl.SSLContext, host: str, port: int) -> Server:
        """Raises OSError where the address cannot be had."""
        connections: set[H1Protocol | H2Protocol] = set()
        listener = await asyncio.get_running_loop().create_server(
            lambda: _Doorway(respond, connections),
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            ssl_shutdown_timeout=1.0,
            backlog=1024,
        )
        return cls(listener, connections)

    async def close(self) -> None:
        """Stop listening and close every connection at once."""
        self._listener.close()
        for connection in list(self._open):
            connection.abort()
        await asyncio.wait_for(self._listener.wait_closed(), timeout=5.0)


class _Doorway(asyncio.Protocol):
    """Hands a connection whose handshake is done to the protocol that ALPN chose, and remembers it while it lives."""

    def __init__(self, respond: Respond, connections: set[H1Protocol | H2Protocol]) -> None:
        self._respond = respond
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        if len(self._connections) >= MAX_CONNECTIONS:
            transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        kind = _H2 if tls.selected_alpn_protocol() == "h2" else _H1
        protocol = kind(self._respond, tls.getpeercert(binary_form=True), self._connections)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class _H1(H1Protocol):
    def __init__(
        self, respond: Respond, peer_cert_der: bytes | None, connections: set[H1Protocol | H2Protocol]
    ) -> None:
        super().__init__(respond, peer_cert_der)
        self._connections = connections
        connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)


class _H2(H2Protocol):
    def __init__(
        self, respond: Respond, peer_cert_der: bytes | None, connections: set[H1Protocol | H2Protocol]
    ) -> None:
        super().__init__(respond, peer_cert_der)
        self._connections = connections
        connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(exc)
