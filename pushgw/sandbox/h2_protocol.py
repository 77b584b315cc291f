"""One HTTP/2 connection of the sandbox, on the h2 library."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

from pushgw.sandbox.reply import MAX_BODY, MAX_DISCARDED, Breakage, Reply, Respond, too_large
from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Response

MAX_STREAMS = 1000
"""Concurrent streams, as many as Apple's servers grant."""

MAX_BUFFERED = 64 << 20
"""Bytes of unfinished request bodies on one connection; a stream that would exceed it is answered with 413."""

CONNECTION_WINDOW = 16 << 20


class H2Protocol(asyncio.Protocol):
    """Turns streams into Calls and Replies into frames; respects the client's flow control."""

    def __init__(self, respond: Respond, peer_cert_der: bytes | None) -> None:
        self._respond = respond
        self._peer_cert_der = peer_cert_der
        self._streams: dict[int, _Stream] = {}
        self._buffered = 0
        self._silent = False
        self._unsent: dict[int, memoryview] = {}
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = h2.connection.H2Connection(config)
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.INITIAL_WINDOW_SIZE: MAX_BODY,
                SettingCodes.MAX_HEADER_LIST_SIZE: 1 << 16,
            },
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._loop = asyncio.get_running_loop()
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Feed the frames that came; answer the requests that they complete."""
        if self._silent:
            return
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            if not self._silent:
                self._on_event(event)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was open."""
        self._streams.clear()
        self._unsent.clear()

    def pause_writing(self) -> None:
        """The client does not read: read nothing more from it, so that answers do not pile up."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _on_event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self._on_data(event)
        elif isinstance(event, h2.events.RequestReceived):
            assert event.stream_id is not None  # noqa: S101  h2 always sets it
            self._streams[event.stream_id] = _Stream(event.headers or [])
        elif isinstance(event, h2.events.StreamEnded):
            assert event.stream_id is not None  # noqa: S101  h2 always sets it
            self._on_end(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            assert event.stream_id is not None  # noqa: S101  h2 always sets it
            self._forget(event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for stream_id in list(self._unsent):
                self._send_body(stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._transport.close()

    def _on_data(self, event: h2.events.DataReceived) -> None:
        stream_id, data, size = event.stream_id, event.data or b"", event.flow_controlled_length or 0
        assert stream_id is not None  # noqa: S101  h2 always sets it
        if size:
            self._h2.acknowledge_received_data(size, stream_id)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.size += len(data)
        if stream.answered:
            if stream.size > MAX_DISCARDED:
                self._reset(stream_id, ErrorCodes.ENHANCE_YOUR_CALM)
        elif stream.size > MAX_BODY or self._buffered + len(data) > MAX_BUFFERED:
            self._drop_chunks(stream)
            stream.answered = True
            self._send(stream_id, too_large(), head=stream.method == "HEAD")
        else:
            stream.chunks.append(data)
            self._buffered += len(data)

    def _on_end(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.answered:
            self._forget(stream_id)
            return
        stream.answered = True
        body = b"".join(stream.chunks)
        self._drop_chunks(stream)
        reply = self._respond(stream.call(body, self._peer_cert_der))
        if reply.delay > 0:
            self._loop.call_later(reply.delay, self._carry_out_later, stream_id, stream, reply)
        else:
            self._carry_out(stream_id, stream, reply)

    def _carry_out_later(self, stream_id: int, stream: _Stream, reply: Reply) -> None:
        if self._streams.get(stream_id) is stream and not self._transport.is_closing():
            self._carry_out(stream_id, stream, reply)
            self._flush()

    def _carry_out(self, stream_id: int, stream: _Stream, reply: Reply) -> None:
        if reply.response is not None:
            del self._streams[stream_id]
            self._send(stream_id, reply.response, head=stream.method == "HEAD")
        elif reply.breakage is Breakage.RESET:
            self._reset(stream_id, ErrorCodes.INTERNAL_ERROR)
        elif reply.breakage is Breakage.DROP:
            self._transport.abort()
        elif reply.breakage is Breakage.HALF_OPEN:
            self._silent = True

    def _send(self, stream_id: int, response: Response, *, head: bool) -> None:
        body = b"" if head else response.body
        headers = [(":status", str(response.status))]
        headers += [(name.lower(), value.strip()) for name, value in response.headers.items()]
        if "content-length" not in response.headers:
            headers.append(("content-length", str(len(response.body))))
        try:
            self._h2.send_headers(stream_id, headers, end_stream=not body)
        except h2.exceptions.ProtocolError:  # the client has reset the stream or said goodbye meanwhile
            self._forget(stream_id)
            return
        if body:
            self._unsent[stream_id] = memoryview(body)
            self._send_body(stream_id)

    def _send_body(self, stream_id: int) -> None:
        rest = self._unsent.pop(stream_id)
        try:
            while rest:
                room = min(self._h2.local_flow_control_window(stream_id), self._h2.max_outbound_frame_size)
                if room <= 0:
                    self._unsent[stream_id] = rest
                    return
                chunk, rest = rest[:room], rest[room:]
                self._h2.send_data(stream_id, bytes(chunk), end_stream=not rest)
        except h2.exceptions.ProtocolError:  # as in _send
            self._forget(stream_id)

    def _reset(self, stream_id: int, code: ErrorCodes) -> None:
        self._forget(stream_id)
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it may be closed already
            self._h2.reset_stream(stream_id, code)

    def _forget(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            self._drop_chunks(stream)
        self._unsent.pop(stream_id, None)

    def _drop_chunks(self, stream: _Stream) -> None:
        self._buffered -= sum(map(len, stream.chunks))
        stream.chunks = []

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and not self._silent and not self._transport.is_closing():
            self._transport.write(data)


class _Stream:
    """A request that is arriving, or that waits for its answer."""

    __slots__ = ("answered", "chunks", "headers", "method", "path", "size")

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self.method = self.path = ""
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.size = 0
        self.answered = False
        headers = self.headers
        for raw_name, raw_value in raw:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            if name in headers:
                headers[name] += ("; " if name == "cookie" else ", ") + value
            elif name == ":method":
                self.method = value
            elif name == ":path":
                self.path = value
            elif name == ":authority":
                headers["host"] = value
            elif name != ":scheme":
                headers[name] = value

    def call(self, body: bytes, peer_cert_der: bytes | None) -> Call:
        return Call(
            method=self.method,
            path=self.path,
            headers=self.headers,
            body=body,
            peer_cert_der=peer_cert_der,
        )
