"""The fastest transport: our own wheel ``pushgw-native`` (Rust) behind the seam. See native/README.md.

A batch crosses into Rust in one call and comes back in one call; one background thread carries the connections of all lanes
and never takes the GIL. There is no task, no future and no callback for a single request.

It keeps one HTTP/2 connection to a place, waits where the server's SETTINGS_MAX_CONCURRENT_STREAMS is reached, opens a new
connection after GOAWAY or a loss, and repeats a request up to twice that was refused unprocessed (REFUSED_STREAM, GOAWAY).
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Sequence

import pushgw_native

from pushgw.vendor import faults, trust
from pushgw.vendor.gathering import Gathering
from pushgw.vendor.http import Completion, OnComplete, Request, Response, TlsOptions, TransportError

_CLOSING_S = 5.0
"""Longer than the background thread can need to let go."""


class NativeTransport:
    """Transport on pushgw-native. Made in the event loop; see TransportFactory for the arguments.

    Half of ``timeout`` bounds the connecting. Raises TransportError where ``tls`` cannot be used.
    """

    def __init__(
        self,
        *,
        on_complete: OnComplete,
        timeout: float,
        http2: bool,
        tls: TlsOptions,
        proxy: str | None = None,
    ) -> None:
        trust.check(tls)
        self._timeout = timeout
        self._on_complete = on_complete
        self._loop = asyncio.get_running_loop()
        self._gathering = Gathering(on_complete)
        """Of what never got as far as Rust."""
        try:
            self._lane = pushgw_native.Lane(
                timeout=timeout,
                http2=http2,
                ca_pem=tls.ca_pem,
                identity_pem=tls.identity_pem,
                proxy_for=_proxy_for if proxy is None else lambda _scheme, _host: proxy,
            )
        except ValueError as error:
            raise TransportError(f"TLS: {error}", sent=False, retriable=False) from None
        self._closed = False
        self._let_go = asyncio.Event()
        self._loop.add_reader(self._lane.fileno(), self._drain)

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        """Send these; they are copied before this returns."""
        if self._closed:
            for tag, _request in requests:
                self._gathering.add(Completion(tag, None, faults.closed()))
            return
        for index, cause in self._lane.submit(requests):
            tag, request = requests[index]
            self._gathering.add(Completion(tag, None, faults.unbuildable(faults.host_of(request), cause)))

    def renew(self) -> None:
        """Leave the present connections: what is open on them ends there, new requests go on new ones."""
        self._lane.renew()

    async def close(self) -> None:
        """Abandon what is open (each as a Completion with an error) and close the connections."""
        if self._closed:
            return
        self._closed = True
        self._lane.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                while not self._lane.finished():
                    self._let_go.clear()
                    await self._let_go.wait()
                    self._drain()
        finally:
            self._loop.remove_reader(self._lane.fileno())
        self._gathering.deliver()

    def _drain(self) -> None:
        good, bad = self._lane.drain()
        completions = [
            Completion(tag, Response(status=status, headers=headers, body=body), None)
            for tag, status, headers, body in good
        ]
        for tag, kind, detail, host in bad:
            completions.append(Completion(tag, None, _FAULTS[kind](host, detail, self._timeout)))
        if completions:
            self._on_complete(completions)
        if self._closed:
            self._let_go.set()


def native_transport(
    *, on_complete: OnComplete, timeout: float, http2: bool, tls: TlsOptions, proxy: str | None = None
) -> NativeTransport:
    """TransportFactory of NativeTransport."""
    return NativeTransport(on_complete=on_complete, timeout=timeout, http2=http2, tls=tls, proxy=proxy)


def _proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the system has for this place (HTTPS_PROXY, NO_PROXY and their like)."""
    proxies = urllib.request.getproxies()
    if not proxies or urllib.request.proxy_bypass(host):
        return None
    return proxies.get(scheme) or proxies.get("all")


_FAULTS: dict[str, Callable[[str, str, float], TransportError]] = {
    # Rust's kind of fault -> ours, from host, detail and the time a request has
    "not_connected": lambda host, _, timeout: faults.not_connected(host, timeout / 2),
    "not_answered": lambda host, _, timeout: faults.not_answered(host, timeout),
    "no_room": lambda host, _, timeout: TransportError(
        f"{host}: timeout, no room on the connection within {timeout:g} s", sent=False
    ),
    "too_large": lambda host, _, __: faults.too_large(host),
    "refused": lambda host, _, __: faults.refused_stream(host),
    "untrusted": lambda host, detail, _: faults.untrusted(host, detail),
    "unbuildable": lambda host, detail, _: faults.unbuildable(host, detail),
    "abandoned": lambda _, __, ___: faults.abandoned(),
    "closed": lambda _, __, ___: faults.closed(),
    "unsent": lambda host, detail, _: TransportError(f"{host}: {detail}", sent=False),
    "lost": lambda host, detail, _: TransportError(f"{host}: {detail}"),
}
