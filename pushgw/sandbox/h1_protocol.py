"""One HTTP/1.1 connection of the sandbox, on the h11 library."""

from __future__ import annotations

import asyncio
from typing import cast

import h11

from pushgw.sandbox.reply import MAX_BODY, MAX_DISCARDED, Breakage, Reply, Respond, sentence, too_large
from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Response


class H1Protocol(asyncio.Protocol):
    """Turns requests into Calls, one after the other; keeps the connection alive as the client wishes."""

    def __init__(self, respond: Respond, peer_cert_der: bytes | None) -> None:
        self._respond = respond
        self._peer_cert_der = peer_cert_der
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16)
        self._request: h11.Request | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiting = False
        """A reply is due: nothing more is read until it has gone."""
        self._hung = False
        """No reply will ever come: what arrives is thrown away, so that the client's leaving is still noticed."""
        self._write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Feed what came; answer the requests that it completes."""
        if self._hung:
            return
        self._h11.receive_data(data)
        if not self._waiting:
            self._advance()

    def eof_received(self) -> bool:
        """The client has said all: close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """A reply that is still due has nobody left to go to."""
        self._request = None

    def pause_writing(self) -> None:
        """The client does not read: read nothing more from it."""
        self._write_paused = True
        self._regulate()

    def resume_writing(self) -> None:
        """It reads again."""
        self._write_paused = False
        self._regulate()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _advance(self) -> None:
        try:
            while not self._waiting and not self._transport.is_closing():
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    self._invite_body()
                    return
                self._on_event(event)
        except h11.RemoteProtocolError as error:
            self._refuse(error)

    def _on_event(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._request = event
            self._chunks = []
            self._size = 0
        elif isinstance(event, h11.Data):
            self._size += len(event.data)
            if self._size <= MAX_BODY:
                self._chunks.append(bytes(event.data))
            elif self._size > MAX_DISCARDED:
                self._transport.abort()
            else:
                self._chunks = []
        elif isinstance(event, h11.EndOfMessage):
            self._on_end()
        elif isinstance(event, h11.ConnectionClosed):
            self._transport.close()

    def _invite_body(self) -> None:
        """Expect: 100-continue. A body that is announced as too long is not asked for."""
        if not self._h11.they_are_waiting_for_100_continue or self._request is None:
            return
        announced = dict(self._request.headers).get(b"content-length", b"0")
        if int(announced) > MAX_BODY:
            self._send(too_large())
            self._transport.close()
            return
        go_on = h11.InformationalResponse(status_code=100, headers=[])
        self._transport.write(self._h11.send(go_on) or b"")

    def _on_end(self) -> None:
        request = self._request
        assert request is not None  # noqa: S101  h11 gives the request before its end
        if self._size > MAX_BODY:
            self._finish(Reply(too_large()))
            return
        call = Call(
            method=request.method.decode("latin-1"),
            path=request.target.decode("latin-1"),
            headers=_joined(request),
            body=b"".join(self._chunks),
            http_version=request.http_version.decode("latin-1"),
            peer_cert_der=self._peer_cert_der,
        )
        self._chunks = []
        reply = self._respond(call)
        if reply.delay > 0:
            self._waiting = True
            self._regulate()
            self._loop.call_later(reply.delay, self._finish_later, request, reply)
        else:
            self._finish(reply)

    def _finish_later(self, request: h11.Request, reply: Reply) -> None:
        if self._request is not request or self._transport.is_closing():
            return
        self._waiting = False
        self._finish(reply)
        self._regulate()
        self._advance()

    def _finish(self, reply: Reply) -> None:
        if reply.response is not None:
            self._send(reply.response)
            self._next_request()
        elif reply.breakage in (Breakage.HANG, Breakage.HALF_OPEN):
            self._waiting = self._hung = True
        else:
            self._transport.abort()

    def _next_request(self) -> None:
        self._request = None
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        else:
            self._transport.close()

    def _send(self, response: Response) -> None:
        head = self._request is not None and self._request.method == b"HEAD"
        headers = [(name.encode(), value.strip().encode()) for name, value in response.headers.items()]
        if "content-length" not in response.headers:
            headers.append((b"content-length", str(len(response.body)).encode()))
        send = self._h11.send
        try:
            data = send(h11.Response(status_code=response.status, headers=headers)) or b""
            if response.body and not head:
                data += send(h11.Data(data=response.body)) or b""
            data += send(h11.EndOfMessage()) or b""
        except h11.LocalProtocolError:  # an emulator's answer that is no HTTP, such as a body with a 204
            self._transport.abort()
            return
        self._transport.write(data)

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """What came is no HTTP: say so where HTTP still allows it, and close."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._request = None
            response = sentence(error.error_status_hint, "The request is not valid HTTP/1.1.")
            headers = {**response.headers, "connection": "close"}
            self._send(Response(status=response.status, headers=headers, body=response.body))
        self._transport.close()

    def _regulate(self) -> None:
        if self._transport.is_closing():
            return
        if (self._waiting and not self._hung) or self._write_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def _joined(request: h11.Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            headers[name] += ("; " if name == "cookie" else ", ") + value
        else:
            headers[name] = value
    return headers
