"""The HTTP/2 connection against hostile frames, without sockets."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushgw.sandbox.h1_protocol import H1Protocol
from pushgw.sandbox.h2_protocol import H2Protocol
from pushgw.sandbox.reply import Reply
from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Response


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def _answer(call: Call) -> Reply:
    return Reply(Response(status=200, body=call.body))


def _conversation() -> bytes:
    """A valid preface, two requests with bodies, a ping and a reset, as one client would send them."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    headers = [
        (":method", "POST"),
        (":path", "/3/device/a"),
        (":scheme", "https"),
        (":authority", "localhost"),
    ]
    for stream_id in (1, 3):
        client.send_headers(stream_id, [*headers, ("apns-topic", "com.example.chat")])
        client.send_data(stream_id, b'{"aps":{}}', end_stream=True)
    client.ping(b"12345678")
    client.send_headers(5, headers)
    client.reset_stream(5)
    return client.data_to_send()


VALID = _conversation()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(24, len(VALID) - 1), st.integers(0, 255)), max_size=6),
    st.integers(1, len(VALID)),
)
async def test_bent_frames_never_raise(bends: list[tuple[int, int]], cut: int) -> None:
    """Whatever bytes of a valid conversation are changed and wherever it is cut: an answer or a closed connection."""
    data = bytearray(VALID)
    for place, value in bends:
        data[place] = value
    wire = Wire()
    protocol = H2Protocol(_answer, None)
    protocol.connection_made(wire)
    for part in (bytes(data[:cut]), bytes(data[cut:])):
        if part and not wire.closed:
            protocol.data_received(part)
    protocol.connection_lost(None)
    assert wire.closed or b'{"aps":{}}' in wire.written or bends


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"POST / HTTP/1.1\r\nhost: x\r\n", b"PUT /a HTTP/1.0\r\n"])
)
async def test_any_bytes_to_http_1_never_raise(rubbish: bytes, before: bytes) -> None:
    """Whatever comes is answered, refused or waited for."""
    wire = Wire()
    protocol = H1Protocol(_answer, None)
    protocol.connection_made(wire)
    protocol.data_received(before + rubbish)
    protocol.connection_lost(None)
    assert wire.closed or wire.written == b"" or wire.written.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("kind", [H1Protocol, H2Protocol])
async def test_a_client_that_does_not_read_is_not_read_from(
    kind: type[H1Protocol] | type[H2Protocol],
) -> None:
    """Answers do not pile up: reading stops while writing is held up, and starts again with it."""
    wire = Wire()
    protocol = kind(_answer, None)
    protocol.connection_made(wire)
    protocol.pause_writing()
    assert not wire.reading
    protocol.resume_writing()
    assert wire.reading
