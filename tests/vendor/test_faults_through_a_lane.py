"""Real lanes with real adapters over real transports, while the vendor's server or the wire misbehaves.

What holds under every fault: each push ends once, a repeat carries what the vendor knows it again by, a device's pushes
arrive in their order, and the lane next door notices nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from structlog.testing import capture_logs

from pushgw.delivery.ending import End
from pushgw.vendor import pyreqwest_transport

if TYPE_CHECKING:
    from .conftest import Arrival, Lanes, ScriptedServer, Stream

Read = Callable[["Stream"], "Arrival"]
VENDORS = ("apns", "fcm")
WAVE = ("bob 1", "carol 1", "dave 1")
"""Under way together when a fault happens; ``bob 2`` waits behind ``bob 1``."""


async def _hold(_stream: Stream) -> None:
    """No answer for now."""


async def _take(stream: Stream) -> None:
    """What a vendor says that is well."""
    if "apns-id" in stream.headers:
        await stream.respond(200, headers=[("apns-id", stream.headers["apns-id"])])
    else:
        await stream.respond(200, b'{"name":"projects/demo/messages/0:1"}')


# --- faults of the wire -----------------------------------------------------------------------------------


async def _goodbye_that_answers(wave: list[Stream]) -> None:
    """GOAWAY: the first is still answered, the others were not looked at."""
    await wave[0].connection.say_goodbye(wave[0].id)
    await _take(wave[0])


async def _goodbye_and_gone(wave: list[Stream]) -> None:
    """GOAWAY: the first may have been taken, the others were not looked at."""
    await wave[0].goaway(wave[0].id)


async def _goodbye_to_all(wave: list[Stream]) -> None:
    """GOAWAY: any of them may have been taken."""
    await wave[0].goaway(wave[-1].id)


async def _goodbye_with_a_reason(wave: list[Stream]) -> None:
    """GOAWAY as Apple says it: any of them may have been taken."""
    await wave[0].goaway(wave[-1].id, b'{"reason":"Shutdown"}')


async def _refused_stream(wave: list[Stream]) -> None:
    for stream in wave:
        await stream.reset(ErrorCodes.REFUSED_STREAM)


async def _internal_error(wave: list[Stream]) -> None:
    for stream in wave:
        await stream.reset(ErrorCodes.INTERNAL_ERROR)


async def _cancel(wave: list[Stream]) -> None:
    for stream in wave:
        await stream.reset(ErrorCodes.CANCEL)


async def _cut_before_headers(wave: list[Stream]) -> None:
    wave[0].drop()


async def _cut_after_headers(wave: list[Stream]) -> None:
    """The vendor has taken them all and said so, save for the end of its answers."""
    for stream in wave:
        await stream.begin(200, b"{")
    wave[0].drop()


async def _one_unanswered(wave: list[Stream]) -> None:
    for stream in wave[1:]:
        await _take(stream)


async def _none_answered(_wave: list[Stream]) -> None:
    """The connection lives: a PING is answered, a push is not."""


async def _no_http2_any_more(wave: list[Stream]) -> None:
    """Something in between answers in text on the living connection."""
    wave[0].connection.writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


async def _longer_than_said(wave: list[Stream]) -> None:
    """Bodies that break HTTP/2's rules."""
    for stream in wave:
        await stream.respond(200, b"{}" * 10, headers=[("content-length", "2")])


async def _fewer_streams_than_open(wave: list[Stream]) -> None:
    """SETTINGS_MAX_CONCURRENT_STREAMS falls below what is open; all are answered."""
    await wave[0].connection.allow(1)
    for stream in wave:
        await _take(stream)


Times = frozenset[tuple[int, int]]
"""How often a push may be seen: (sent by the lane, come to the vendor). The library may repeat by itself in between."""


class Fault(NamedTuple):
    """A fault, and for each transport how often the first and the others of the wave are then sent."""

    happens: Callable[[list[Stream]], Awaitable[None]]
    pyreqwest: tuple[Times, Times]
    httpx: tuple[Times, Times]
    timeout: float = 5.0

    def expected(self, transport: str) -> tuple[Times, Times]:
        """Ours promises what pyreqwest does."""
        return self.httpx if transport == "httpx" else self.pyreqwest


SHORT = 0.6
"""s for a request where a test waits for its end."""
ONCE, BY_LANE, BY_LIBRARY = frozenset({(1, 1)}), frozenset({(2, 2)}), frozenset({(1, 2)})
BY_LANE_IF_AT_ALL = ONCE | BY_LANE
"""The library stands still until the first request's time is up; who waits a little longer gets its answer then."""
FAULTS = [
    Fault(_goodbye_that_answers, pyreqwest=(ONCE, BY_LIBRARY), httpx=(BY_LANE, BY_LIBRARY)),
    Fault(_goodbye_and_gone, pyreqwest=(BY_LANE, BY_LIBRARY), httpx=(BY_LANE, BY_LIBRARY)),
    Fault(_goodbye_to_all, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_goodbye_with_a_reason, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_refused_stream, pyreqwest=(BY_LIBRARY, BY_LIBRARY), httpx=(BY_LANE, BY_LANE)),
    Fault(_internal_error, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_cancel, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_cut_before_headers, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_cut_after_headers, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(_one_unanswered, pyreqwest=(BY_LANE, ONCE), httpx=(BY_LANE, ONCE), timeout=SHORT),
    Fault(_none_answered, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE), timeout=SHORT),
    Fault(_no_http2_any_more, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE), timeout=SHORT),
    Fault(_longer_than_said, pyreqwest=(BY_LANE, BY_LANE), httpx=(BY_LANE, BY_LANE)),
    Fault(
        _fewer_streams_than_open,
        pyreqwest=(ONCE, ONCE),
        httpx=(BY_LANE_IF_AT_ALL, BY_LANE_IF_AT_ALL),
        timeout=SHORT,
    ),
]


async def _wave(lanes: Lanes, server: ScriptedServer, vendor: str) -> list[Stream]:
    """Three pushes unanswered on a connection that has already carried one; a fourth waits for its device's turn.

    The neighbour's push, offered last, has come and gone by then.
    """
    server.script = _take
    lanes.offer(vendor, "warm up")
    lanes.offer("neighbour", "warm up")
    await lanes.ended(vendor, 1)
    await lanes.ended("neighbour", 1)
    lanes.endings.clear()
    server.streams.clear()
    server.script = _hold
    lanes.offer(vendor, "bob 1", "bob 2", "carol 1", "dave 1")
    await server.seen(3)
    lanes.offer("neighbour", "erin 1")
    (ending,) = await lanes.ended("neighbour", 1)
    assert (ending.end, ending.attempt) == (End.PUSHED, 1)
    assert lanes.of(vendor) == []
    return list(server.streams)


def _seen(server: ScriptedServer, read: Read) -> dict[str, list[Arrival]]:
    """What the vendor saw of each push. Its identity never changes, and a device's pushes do not overtake each other."""
    arrivals = [read(stream) for stream in server.streams]
    by_push: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        by_push.setdefault(arrival.text, []).append(arrival)
    assert all(len({a.identity for a in same}) == 1 for same in by_push.values())
    assert len({same[0].identity for same in by_push.values()}) == len(by_push)
    for device in {a.token for a in arrivals}:
        turns = [text for text, _ in groupby(a.text for a in arrivals if a.token == device)]
        assert turns == sorted(set(turns))
    return by_push


def _ends(lanes: Lanes, vendor: str, cargo: Sequence[str]) -> dict[str, tuple[End, int]]:
    """How each push of the cargo ended and at which attempt: once, and in its device's order."""
    endings = lanes.of(vendor)
    assert sorted(e.parcel.work for e in endings) == sorted(cargo)
    for user in {e.parcel.user for e in endings}:
        of_user = [e.parcel.work for e in endings if e.parcel.user == user]
        assert of_user == sorted(of_user)
    return {e.parcel.work: (e.end, e.attempt) for e in endings}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("fault", "lanes"),
    [(fault, {"timeout": fault.timeout}) for fault in FAULTS],
    ids=[fault.happens.__name__[1:] for fault in FAULTS],
    indirect=["lanes"],
)
async def test_no_push_is_lost_or_ends_twice(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str, fault: Fault, transport_name: str
) -> None:
    """Whatever befalls three pushes on one connection, they are taken in the end, and the table says by whose repeat."""
    wave = await _wave(lanes, server, vendor)
    server.script = _take
    await fault.happens(wave)
    await lanes.ended(vendor, 4)
    lanes.offer(vendor, "bob 3")
    await lanes.ended(vendor, 5)
    ends = _ends(lanes, vendor, [*WAVE, "bob 2", "bob 3"])
    seen = _seen(server, read)
    assert {end for end, _ in ends.values()} == {End.PUSHED}
    first, *others = (read(stream).text for stream in wave)
    times = {text: (ends[text][1], len(arrivals)) for text, arrivals in seen.items()}
    expected_first, expected_other = fault.expected(transport_name)
    assert times.keys() == ends.keys()
    assert times[first] in expected_first
    assert {times[other] for other in others} <= expected_other
    assert {times["bob 2"], times["bob 3"]} == ONCE
    assert lanes.dispatcher.open == 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_the_reason_of_a_goodbye_is_told(lanes: Lanes, server: ScriptedServer, vendor: str) -> None:
    """What the vendor writes into its GOAWAY is in the log of a repeat."""
    wave = await _wave(lanes, server, vendor)
    server.script = _take
    with capture_logs() as logs:
        await wave[0].goaway(wave[0].id, b'{"reason":"Shutdown"}', ErrorCodes.ENHANCE_YOUR_CALM)
        await lanes.ended(vendor, 4)
    reasons = [entry["reason"] for entry in logs if entry["event"] == "push_retry"]
    assert any("GOAWAY" in reason and "Shutdown" in reason for reason in reasons)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("lanes", [{"timeout": SHORT}], indirect=True, ids=["short"])
async def test_a_half_open_connection_is_left(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that is gone without a word, so that not even a PING comes back, costs repeats, and no push."""
    monkeypatch.setattr(pyreqwest_transport, "_PING_AFTER", pyreqwest_transport._PING_AFTER / 100)
    wave = await _wave(lanes, server, vendor)
    server.script = _take
    wave[0].connection.deaf = True
    await lanes.ended(vendor, 4)
    ends = _ends(lanes, vendor, [*WAVE, "bob 2"])
    assert {end for end, _ in ends.values()} == {End.PUSHED}
    assert {text: len(arrivals) for text, arrivals in _seen(server, read).items()} == {
        **dict.fromkeys(WAVE, 2),
        "bob 2": 1,
    }
    assert len(server.connections) == 2


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("lanes", [{"timeout": SHORT}], indirect=True, ids=["short"])
async def test_a_connection_that_never_speaks_is_left(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that shakes hands and is silent from then on loses no push to the next connection."""
    monkeypatch.setattr(pyreqwest_transport, "_PING_AFTER", pyreqwest_transport._PING_AFTER / 100)
    server.deaf = 1
    server.script = _take
    lanes.offer(vendor, "bob 1", "bob 2", "carol 1")
    lanes.offer("neighbour", "erin 1")
    await lanes.ended("neighbour", 1)
    assert lanes.of(vendor) == []
    await lanes.ended(vendor, 3)
    ends = _ends(lanes, vendor, ["bob 1", "bob 2", "carol 1"])
    assert {end for end, _ in ends.values()} == {End.PUSHED}
    assert {text: len(arrivals) for text, arrivals in _seen(server, read).items()} == dict.fromkeys(ends, 1)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("lanes", [{"retries": 1, "timeout": SHORT}], indirect=True, ids=["short"])
async def test_silence_to_the_end_is_deferred(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str
) -> None:
    """A vendor that never answers gets every attempt under the same identity; then it is deferred, with what was missing."""
    await _wave(lanes, server, vendor)

    async def take_others(stream: Stream) -> None:
        if read(stream).text not in WAVE:
            await _take(stream)

    server.script = take_others
    endings = await lanes.ended(vendor, 4)
    assert _ends(lanes, vendor, [*WAVE, "bob 2"]) == {
        **dict.fromkeys(WAVE, (End.DEFERRED, 2)),
        "bob 2": (End.PUSHED, 1),
    }
    told = [e.detail for e in endings if e.end is End.DEFERRED]
    assert all(f"no complete answer within {SHORT} s" in detail for detail in told)
    seen = _seen(server, read)
    assert [len(seen[text]) for text in WAVE] == [2, 2, 2]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("lanes", [{"timeout": SHORT}], indirect=True, ids=["short"])
async def test_an_answer_that_comes_too_late_ends_nothing(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str
) -> None:
    """The first attempt's answer, come after its time was up, is not taken for the repeat's."""
    late = {read(stream).text: stream for stream in await _wave(lanes, server, vendor)}

    async def answer(stream: Stream) -> None:
        first = late.pop(read(stream).text, None)
        if first is not None:
            with contextlib.suppress(ProtocolError):  # where the client has reset it
                await first.respond(410, b'{"reason":"Unregistered","timestamp":1795500001000}')
        await _take(stream)

    server.script = answer
    await lanes.ended(vendor, 4)
    assert _ends(lanes, vendor, [*WAVE, "bob 2"]) == {
        **dict.fromkeys(WAVE, (End.PUSHED, 2)),
        "bob 2": (End.PUSHED, 1),
    }
    assert {text: len(arrivals) for text, arrivals in _seen(server, read).items()} == {
        **dict.fromkeys(WAVE, 2),
        "bob 2": 1,
    }


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("lanes", [{"timeout": SHORT}], indirect=True, ids=["short"])
async def test_what_was_abandoned_takes_no_room(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str
) -> None:
    """Requests whose time was up on a busy connection do not count against the server's limit for ever."""
    wave = await _wave(lanes, server, vendor)
    await wave[0].connection.allow(4)
    server.script = _take
    cargo = [*WAVE, "bob 2"]
    while not set(WAVE) <= {e.parcel.work for e in lanes.of(vendor)}:
        cargo.append(f"erin {len(cargo):04}")
        lanes.offer(vendor, cargo[-1])
        await lanes.ended(vendor, len(lanes.of(vendor)) + 1)
    await lanes.ended(vendor, len(cargo))
    ends = _ends(lanes, vendor, cargo)
    assert {end for end, _ in ends.values()} == {End.PUSHED}
    assert [len(_seen(server, read)[text]) for text in WAVE] == [2, 2, 2]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_closing_under_way_ends_nothing_and_repeats_nothing(
    lanes: Lanes, server: ScriptedServer, vendor: str
) -> None:
    """What a closed lane abandons has no ending and no repeat planned: its record is delivered again."""
    await _wave(lanes, server, vendor)
    with capture_logs() as logs:
        await lanes.dispatcher.close()
    assert lanes.of(vendor) == []
    assert [entry for entry in logs if entry["event"] == "push_retry"] == []
    assert lanes.dispatcher._lanes[lanes.entries[vendor].business_id]._repeats._waiting == {}
    assert len(server.streams) == 3


# --- answers in odd pieces ----------------------------------------------------------------------------------

DEAD_TOKEN = {
    "apns": (410, b'{"reason":"Unregistered","timestamp":1795500001000}'),
    "fcm": (
        404,
        b'{"error":{"code":404,"status":"NOT_FOUND","message":"gone","details":[{"@type":'
        b'"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}',
    ),
}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("cuts", [(0,), (7,), (0, 7, 7, 20)], ids=["empty first", "two", "empty between"])
async def test_an_error_is_read_however_it_is_framed(
    lanes: Lanes, server: ScriptedServer, vendor: str, cuts: tuple[int, ...]
) -> None:
    """A dead token is known from a body in pieces, an empty DATA frame before or amid them; nothing is repeated."""
    status, body = DEAD_TOKEN[vendor]
    ends = [*cuts, len(body)]
    frames = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    async def answer(stream: Stream) -> None:
        await stream.respond(status, *frames)

    server.script = answer
    lanes.offer(vendor, "bob 1")
    (ending,) = await lanes.ended(vendor, 1)
    assert (ending.end, ending.attempt) == (End.DEAD, 1)
    assert "Unregistered" in ending.detail or "UNREGISTERED" in ending.detail
    assert len(server.streams) == 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_empty_frame_before_a_good_answer(lanes: Lanes, server: ScriptedServer, vendor: str) -> None:
    """It is a good answer, and the connection carries the next push."""

    async def answer(stream: Stream) -> None:
        await stream.respond(200, b"", b'{"name":"projects/demo/messages/0:1"}')

    server.script = answer
    lanes.offer(vendor, "bob 1", "bob 2")
    await lanes.ended(vendor, 2)
    assert _ends(lanes, vendor, ["bob 1", "bob 2"]) == dict.fromkeys(("bob 1", "bob 2"), (End.PUSHED, 1))
    assert (len(server.streams), len(server.connections)) == (2, 1)


# --- the vendor slows us down ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", VENDORS)
async def test_one_stream_until_the_vendor_allows_more(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str
) -> None:
    """Apple allows one stream until it knows the token: what is beyond waits or is refused, and none is lost by it."""
    server.concurrent_streams = 1
    held: list[Stream] = []
    most = 0

    async def answer(stream: Stream) -> None:
        nonlocal most
        if server.concurrent_streams == 1 and held:
            await stream.reset(ErrorCodes.REFUSED_STREAM)
            return
        held.append(stream)
        most = max(most, len(held))
        if most == 3:
            while held:
                await _take(held.pop())

    server.script = answer
    cargo = ["bob 1", "bob 2", "carol 1", "dave 1"]
    lanes.offer(vendor, *cargo)
    await server.seen(1)
    lanes.offer("neighbour", "erin 1")
    await lanes.ended("neighbour", 1)
    assert most == 1
    assert lanes.of(vendor) == []
    server.concurrent_streams = 100
    await held[0].connection.allow(100)
    await lanes.ended(vendor, 3)
    server.script = _take
    await lanes.ended(vendor, 4)
    assert {end for end, _ in _ends(lanes, vendor, cargo).values()} == {End.PUSHED}
    assert set(_seen(server, read)) == set(cargo)
    assert most == 3
    assert len(server.connections) == 1


BUSY = {
    ("apns", 503): b'{"reason":"ServiceUnavailable"}',
    ("apns", 429): b'{"reason":"TooManyRequests"}',
    ("fcm", 503): b'{"error":{"code":503,"status":"UNAVAILABLE"}}',
    ("fcm", 429): b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}',
}


@pytest.mark.parametrize(("vendor", "status"), BUSY, ids=lambda value: str(value))
async def test_retry_after_is_obeyed(
    lanes: Lanes, server: ScriptedServer, read: Read, vendor: str, status: int
) -> None:
    """The repeat comes no earlier than the vendor asked; a neighbour's push, offered meanwhile, does not wait for it."""
    lanes.skew = 0.7  # a date counts whole seconds: most of this one is over
    due = math.inf

    async def answer(stream: Stream) -> None:
        nonlocal due
        if due is not math.inf:
            repeated.append(lanes.clock())
            await _take(stream)
            return
        due = math.floor(lanes.clock()) + 1
        when = formatdate(due, usegmt=True)
        await stream.respond(status, BUSY[vendor, status], headers=[("retry-after", when)])

    repeated: list[float] = []
    server.script = answer
    lanes.offer(vendor, "bob 1", "bob 2")
    await server.seen(1)
    lanes.offer("neighbour", "erin 1")
    await lanes.ended("neighbour", 1)
    assert repeated == []
    await lanes.ended(vendor, 2)
    assert _ends(lanes, vendor, ["bob 1", "bob 2"]) == {
        "bob 1": (End.PUSHED, 2),
        "bob 2": (End.PUSHED, 1),
    }
    assert [len(arrivals) for arrivals in _seen(server, read).values()] == [2, 1]
    assert min(repeated) >= due


@pytest.mark.parametrize(("vendor", "status"), BUSY, ids=lambda value: str(value))
async def test_a_wait_that_is_too_long_is_not_waited_for(
    lanes: Lanes, server: ScriptedServer, vendor: str, status: int
) -> None:
    """Who asks for two minutes gets no repeat in place: the push is deferred with the vendor's words."""

    async def answer(stream: Stream) -> None:
        await stream.respond(status, BUSY[vendor, status], headers=[("retry-after", "120")])

    server.script = answer
    lanes.offer(vendor, "bob 1")
    (ending,) = await lanes.ended(vendor, 1)
    assert (ending.end, ending.attempt) == (End.DEFERRED, 1)
    word = msgspec.json.decode(BUSY[vendor, status])
    assert (word.get("reason") or word["error"]["status"]) in ending.detail
    assert len(server.streams) == 1


# --- the vendor holds something against the connection ----------------------------------------------------------


@pytest.mark.parametrize("reason", ["ExpiredProviderToken", "UnrelatedKeyIdInToken"])
async def test_a_token_that_is_held_against_the_connection_is_tried_once_on_another(
    lanes: Lanes, server: ScriptedServer, read: Read, reason: str
) -> None:
    """Apple's connection stays spoilt: the repeat goes on a new one with the same identity, what is open ends on the old."""
    held: list[Stream] = []

    async def spoilt(stream: Stream) -> None:
        if stream.connection is not server.connections[0]:
            await _take(stream)
        elif read(stream).text == "carol 1":
            held.append(stream)
        else:
            await stream.respond(403, f'{{"reason":"{reason}"}}'.encode())

    server.script = spoilt
    lanes.offer("apns", "carol 1", "bob 1", "dave 1")
    await lanes.ended("apns", 2)
    assert len(server.connections) == 2
    await _take(held[0])
    endings = await lanes.ended("apns", 3)
    assert {(e.parcel.work, e.end) for e in endings} == {(text, End.PUSHED) for text in WAVE}
    for text in ("bob 1", "dave 1"):
        first, again = [a for a in map(read, server.streams) if a.text == text]
        assert first.identity == again.identity
        assert (first.stream.connection, again.stream.connection) == tuple(server.connections)


async def test_a_token_that_is_refused_on_the_new_connection_too_stops_the_credential(
    lanes: Lanes, server: ScriptedServer
) -> None:
    """Once more, and no more: then it is the operator's to mend. The lane takes no third connection for it."""

    async def refuse(stream: Stream) -> None:
        await stream.respond(403, b'{"reason":"UnrelatedKeyIdInToken"}')

    server.script = refuse
    lanes.offer("apns", "bob 1")
    (ending,) = await lanes.ended("apns", 1)
    assert ending.end is End.CREDENTIAL
    assert "key_id and team_id" in ending.detail
    assert (len(server.streams), len(server.connections)) == (2, 2)


async def test_too_many_new_provider_tokens_make_the_lane_wait_with_the_token_it_has(
    lanes: Lanes, server: ScriptedServer
) -> None:
    """429 TooManyProviderTokenUpdates: all of the lane pauses, and what comes then carries the same token."""
    first: list[Stream] = []

    async def complain(stream: Stream) -> None:
        if first:
            await _take(stream)
            return
        first.append(stream)
        body = b'{"reason":"TooManyProviderTokenUpdates"}'
        await stream.respond(429, body, headers=[("retry-after", "0.2")])

    server.script = complain
    lanes.offer("apns", "bob 1")
    await server.seen(1)
    endings = await lanes.ended("apns", 1)
    assert [(e.end, e.attempt) for e in endings] == [(End.PUSHED, 2)]
    bearers = {stream.headers["authorization"] for stream in server.streams}
    assert (len(server.streams), len(bearers), len(server.connections)) == (2, 1, 1)
