"""A credential's own proxy: on the way to the vendor and to its token server, with every transport."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from pushgw.delivery.lane import End
from pushgw.vendor.http import Request, Transport

if TYPE_CHECKING:
    from .conftest import Lanes, Outbox, ScriptedServer, Stream, Tunnel

OpenTransport = Callable[..., Transport]
LOGIN = "me:planted-proxy%40pass"


async def test_the_credentials_proxy_wins_over_the_systems(
    server: ScriptedServer,
    tunnel: Tunnel,
    open_transport: OpenTransport,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All goes through it, with its login, whatever HTTPS_PROXY and NO_PROXY say; new connections, too."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    transport = open_transport(proxy=f"http://{LOGIN}@127.0.0.1:{tunnel.port}")
    transport.submit([(n, Request(url=server.url)) for n in range(3)])
    assert all(c.response is not None for c in await outbox.wait(3))
    assert set(tunnel.asked_for) == {server.url.removeprefix("https://").partition("/")[0]}
    login = base64.b64encode(b"me:planted-proxy@pass").lower()
    assert all(b"proxy-authorization: basic " + login in head.lower() for head in tunnel.heads)
    before = len(tunnel.heads)
    transport.renew()
    transport.submit([(3, Request(url=server.url))])
    assert (await outbox.wait(4))[-1].response is not None
    assert len(tunnel.heads) > before


async def test_a_proxy_that_is_away_is_no_way_around_it(
    server: ScriptedServer, open_transport: OpenTransport, outbox: Outbox
) -> None:
    """Nothing is sent directly instead, and the fault does not hold the login."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    open_transport(proxy=f"http://{LOGIN}@127.0.0.1:{port}").submit([(1, Request(url=server.url))])
    (completion,) = await outbox.wait(1)
    assert completion.error is not None
    assert not completion.error.sent
    assert "planted-proxy" not in str(completion.error)
    assert server.streams == []


async def test_a_lane_and_its_token_server_go_through_the_credentials_proxy(
    lanes: Lanes, server: ScriptedServer, token_server: ScriptedServer, tunnel: Tunnel
) -> None:
    """FCM asks Google for a token and sends, both through the tunnel; the APNs credential beside it has none and goes directly."""
    entry = lanes.entries["fcm"]
    assert entry.account is not None
    entry.account = msgspec.structs.replace(entry.account, proxy=f"http://127.0.0.1:{tunnel.port}")
    server.script = _takes
    lanes.offer("fcm", "bob 1")
    lanes.offer("apns", "bob 1")
    ends = [e.end for name in ("fcm", "apns") for e in await lanes.ended(name, 1)]
    assert ends == [End.PUSHED, End.PUSHED]
    places = [one.url.removeprefix("https://").partition("/")[0] for one in (token_server, server)]
    assert tunnel.asked_for == places


async def _takes(stream: Stream) -> None:
    await stream.respond(200, b'{"name":"projects/demo/messages/0:1"}')
