"""A real FCM lane over real transports, while Google's token server, the access token or the clock is at fault.

One request for a token serves however many pushes wait for it, and no push is lost while there is hope for one.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from math import floor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from pushgw.delivery import dispatcher
from pushgw.delivery.ending import End
from pushgw.vendor import token_cache

if TYPE_CHECKING:
    from .conftest import Arrival, Certificates, Lanes, ScriptedServer, Stream

Read = Callable[["Stream"], "Arrival"]
REFUSED = b'{"error":{"code":401,"status":"UNAUTHENTICATED","message":"Request had invalid authentication credentials."}}'
CARGO = ("bob 1", "bob 2", "carol 1", "dave 1")


class Google:
    """Gives an access token with the next number to whoever asks, and takes pushes under ``valid`` tokens only."""

    def __init__(self, server: ScriptedServer, token_server: ScriptedServer) -> None:
        self.given = 0
        self.valid: set[str] = set()
        self.refused: list[Stream] = []
        self.taken: list[Stream] = []
        self._server = server
        self._token_server = token_server
        server.script = self.push
        token_server.script = self.grant

    async def grant(self, stream: Stream) -> None:
        self.given += 1
        token = f"ya29.{self.given}"
        self.valid.add(token)
        answer = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        await stream.respond(200, json.dumps(answer).encode())

    async def push(self, stream: Stream) -> None:
        if _bearer(stream) not in self.valid:
            self.refused.append(stream)
            await stream.respond(401, REFUSED)
        else:
            self.taken.append(stream)
            await stream.respond(200, b'{"name":"projects/demo/messages/0:1"}')

    @property
    def asked(self) -> int:
        """How often a token was asked for."""
        return len(self._token_server.streams)

    @property
    def bearers(self) -> Counter[str]:
        """How many pushes came under which token."""
        return Counter(_bearer(stream) for stream in self._server.streams)


@pytest.fixture
def google(server: ScriptedServer, token_server: ScriptedServer) -> Google:
    return Google(server, token_server)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token server that failed is left alone for a tenth of a second instead of a whole one."""
    monkeypatch.setattr(token_cache, "FIRST_WAIT", 0.1)


def _bearer(stream: Stream) -> str:
    return stream.headers["authorization"].removeprefix("Bearer ")


def _ends(lanes: Lanes) -> dict[str, tuple[End, int]]:
    endings = lanes.of("fcm")
    assert max(Counter(e.parcel.work for e in endings).values()) == 1
    return {e.parcel.work: (e.end, e.attempt) for e in endings}


def _identities(server: ScriptedServer, read: Read) -> dict[str, set[tuple[str, ...]]]:
    """By what Google knew each push, over all its attempts."""
    seen: dict[str, set[tuple[str, ...]]] = {}
    for arrival in map(read, server.streams):
        seen.setdefault(arrival.text, set()).add(arrival.identity)
    return seen


async def _neighbour_is_served(lanes: Lanes) -> None:
    before = len(lanes.of("neighbour"))
    lanes.offer("neighbour", f"erin {before}")
    endings = await lanes.ended("neighbour", before + 1)
    assert (endings[-1].end, endings[-1].attempt) == (End.PUSHED, 1)


# --- the access token is refused ----------------------------------------------------------------------------


async def test_a_storm_of_refusals_costs_one_new_token(
    lanes: Lanes, server: ScriptedServer, google: Google, read: Read
) -> None:
    """Thirty pushes refused in flight are sent once more each, under the same identity, with one new token."""
    held: list[Stream] = []

    async def hold(stream: Stream) -> None:
        held.append(stream)

    server.script = hold
    cargo = [f"user{number} 1" for number in range(30)]
    lanes.offer("fcm", *cargo)
    await server.seen(30)
    await _neighbour_is_served(lanes)
    google.valid.clear()
    server.script = google.push
    for stream in held:
        await google.push(stream)
    await lanes.ended("fcm", 30)
    assert _ends(lanes) == dict.fromkeys(cargo, (End.PUSHED, 1))
    assert google.asked == 2
    assert google.bearers == {"ya29.1": 30, "ya29.2": 30}
    identities = _identities(server, read)
    assert set(identities) == set(cargo)
    assert all(len(known) == 1 for known in identities.values())


async def test_a_late_refusal_of_the_old_token_costs_no_newer_one(
    lanes: Lanes, server: ScriptedServer, google: Google
) -> None:
    """Who is refused after the token was renewed is sent again with the one that is there by now."""
    held: list[Stream] = []

    async def hold(stream: Stream) -> None:
        held.append(stream)

    server.script = hold
    cargo = [f"user{number} 1" for number in range(20)]
    lanes.offer("fcm", *cargo)
    await server.seen(20)
    google.valid.clear()
    server.script = google.push
    for stream in held[:10]:
        await google.push(stream)
    await lanes.ended("fcm", 10)
    for stream in held[10:]:
        await google.push(stream)
    await lanes.ended("fcm", 20)
    assert _ends(lanes) == dict.fromkeys(cargo, (End.PUSHED, 1))
    assert google.asked == 2
    assert google.bearers == {"ya29.1": 20, "ya29.2": 20}


async def test_a_token_that_is_refused_again_stops_the_credential(
    lanes: Lanes, server: ScriptedServer, google: Google
) -> None:
    """Two refusals are enough for each push and for the credential; nobody asks for a third token."""

    async def refuse(stream: Stream) -> None:
        await stream.respond(401, REFUSED)

    server.script = refuse
    cargo = [f"user{number} 1" for number in range(20)]
    lanes.offer("fcm", *cargo)
    endings = await lanes.ended("fcm", 20)
    await _neighbour_is_served(lanes)
    assert {end for end, _ in _ends(lanes).values()} <= {End.CREDENTIAL, End.UNUSABLE}
    assert google.asked == 2
    assert google.bearers["ya29.1"] == 20
    assert google.bearers["ya29.2"] <= 20
    assert any("invalid authentication credentials" in e.detail for e in endings)
    assert "refused the credential" in (lanes.entries["fcm"].problem or "")


async def test_refused_while_the_token_server_is_down(
    lanes: Lanes, server: ScriptedServer, token_server: ScriptedServer, google: Google
) -> None:
    """Pushes whose token was refused wait for the token server, too."""
    lanes.offer("fcm", "warm up")
    await lanes.ended("fcm", 1)
    lanes.endings.clear()
    google.valid.clear()

    async def fail_once(stream: Stream) -> None:
        token_server.script = google.grant
        await stream.respond(500)

    token_server.script = fail_once
    lanes.offer("fcm", *CARGO)
    await lanes.ended("fcm", 4)
    assert _ends(lanes) == {
        **dict.fromkeys(CARGO, (End.PUSHED, 2)),
        "bob 2": (End.PUSHED, 1),
    }
    assert google.asked == 3
    assert google.bearers == {"ya29.1": 4, "ya29.2": 4}


# --- the token server -----------------------------------------------------------------------------------------


async def _drops(stream: Stream) -> None:
    stream.drop()


async def _error(stream: Stream) -> None:
    await stream.respond(500, b"Internal Server Error")


async def _html(stream: Stream) -> None:
    """What a captive portal says."""
    await stream.respond(200, b"<html>Please log in</html>", headers=[("content-type", "text/html")])


async def _no_token(stream: Stream) -> None:
    await stream.respond(200, b'{"access_token":"","expires_in":3599}')


async def _line_break(stream: Stream) -> None:
    await stream.respond(200, b'{"access_token":"ya29\\r\\nx-evil: 1","expires_in":3599}')


async def _odd_json(stream: Stream) -> None:
    await stream.respond(500, b'[{"error": null}, 1e999, "\\ud800"]')


async def _mute(_stream: Stream) -> None:
    """No answer."""


@pytest.mark.parametrize(
    "fault",
    [_drops, _error, _html, _no_token, _line_break, _odd_json, _mute],
    ids=lambda f: f.__name__[1:],
)
async def test_a_token_server_that_fails_once(
    lanes: Lanes,
    token_server: ScriptedServer,
    google: Google,
    fault: Callable[[Stream], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that wait share the failure and the next attempt: two requests for a token, and no push is lost or sent twice."""
    monkeypatch.setattr(dispatcher, "AUTH_TIMEOUT_S", 2.0)  # for whom no answer comes; others are quicker

    async def fail_once(stream: Stream) -> None:
        token_server.script = google.grant
        await fault(stream)

    token_server.script = fail_once
    lanes.offer("fcm", *CARGO)
    await token_server.seen(1)
    await _neighbour_is_served(lanes)
    await lanes.ended("fcm", 4)
    assert _ends(lanes) == {
        **dict.fromkeys(CARGO, (End.PUSHED, 2)),
        "bob 2": (End.PUSHED, 1),
    }
    assert google.asked == 2
    assert google.bearers == {"ya29.1": 4}


async def test_a_token_server_that_is_down_comes_back(
    lanes: Lanes, token_server: ScriptedServer, google: Google, certificates: Certificates
) -> None:
    """Nobody listens at first: the pushes wait, and go out when somebody does."""
    port = int(token_server.url.rpartition(":")[2])
    await token_server.stop()
    lanes.offer("fcm", *CARGO)
    await _neighbour_is_served(lanes)
    assert lanes.of("fcm") == []
    await token_server.start(certificates.server_context(), port)
    await lanes.ended("fcm", 4)
    assert _ends(lanes) == {
        **dict.fromkeys(CARGO, (End.PUSHED, 2)),
        "bob 2": (End.PUSHED, 1),
    }
    assert google.asked == 1
    assert google.bearers == {"ya29.1": 4}


async def test_a_slow_token_server_is_asked_once(
    lanes: Lanes, server: ScriptedServer, token_server: ScriptedServer, google: Google
) -> None:
    """However many pushes come while the token is on its way, one request is under way; the neighbour goes on."""
    asking: list[Stream] = []

    async def think(stream: Stream) -> None:
        asking.append(stream)

    token_server.script = think
    lanes.offer("fcm", "bob 1", "bob 2")
    await token_server.seen(1)
    for number in range(20):
        lanes.offer("fcm", f"user{number} 1")
        await _neighbour_is_served(lanes)
    assert (lanes.of("fcm"), server.streams) == ([], [])
    await google.grant(asking[0])
    await lanes.ended("fcm", 22)
    assert set(_ends(lanes).values()) == {(End.PUSHED, 1)}
    assert google.asked == 1


async def test_a_busy_token_server_is_left_alone_for_as_long_as_it_asks(
    lanes: Lanes, token_server: ScriptedServer, google: Google
) -> None:
    """Retry-After of the token server holds for all that wait, and costs each of them one attempt."""
    lanes.skew = 0.4
    due: list[float] = []
    asked_at: list[float] = []

    async def busy_once(stream: Stream) -> None:
        asked_at.append(lanes.clock())
        if due:
            await google.grant(stream)
            return
        due.append(floor(lanes.clock()) + 1)
        await stream.respond(503, headers=[("retry-after", formatdate(due[0], usegmt=True))])

    token_server.script = busy_once
    lanes.offer("fcm", *CARGO)
    await token_server.seen(1)
    lanes.offer("fcm", "frank 1")
    await _neighbour_is_served(lanes)
    await lanes.ended("fcm", 5)
    assert {end for end, _ in _ends(lanes).values()} == {End.PUSHED}
    assert max(attempt for _, attempt in _ends(lanes).values()) == 2
    assert asked_at[1] >= due[0]
    assert google.asked == 2


# --- the clock ------------------------------------------------------------------------------------------------


def _issued_at(stream: Stream) -> Any:
    assertion = parse_qs(stream.body.decode())["assertion"][0]
    claims = assertion.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iat"]


@pytest.mark.parametrize("skew", [300.0, -3900.0], ids=["five minutes ahead", "over an hour behind"])
async def test_a_wrong_clock_is_said_as_such(
    lanes: Lanes, server: ScriptedServer, token_server: ScriptedServer, google: Google, skew: float
) -> None:
    """invalid_grant for an assertion out of its time: every receipt and the credential's state tell to look at the clock.

    Nothing is sent, nobody asks again; once the clock is right the next probe opens the lane.
    """
    lanes.skew = skew

    async def check(stream: Stream) -> None:
        age = lanes.clock() - lanes.skew - _issued_at(stream)
        if -60 <= age <= 3600:
            await google.grant(stream)
            return
        answer = {
            "error": "invalid_grant",
            "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
        }
        await stream.respond(400, json.dumps(answer).encode())

    token_server.script = check
    lanes.offer("fcm", *CARGO)
    endings = await lanes.ended("fcm", 4)
    assert _ends(lanes) == {
        **dict.fromkeys(CARGO, (End.CREDENTIAL, 1)),
        "bob 2": (End.UNUSABLE, 1),
    }
    assert all("invalid_grant" in e.detail and "clock" in e.detail for e in endings)
    assert "clock" in (lanes.entries["fcm"].problem or "")
    assert (google.asked, server.streams) == (1, [])
    await _neighbour_is_served(lanes)
    lanes.skew = 0.0
    lanes.dispatcher._lanes[lanes.entries["fcm"].business_id].health.probe()
    lanes.offer("fcm", "bob 3", "carol 2")
    await lanes.ended("fcm", 6)
    assert {_ends(lanes)[text] for text in ("bob 3", "carol 2")} == {(End.PUSHED, 1)}
    assert lanes.entries["fcm"].problem is None


async def test_closing_while_a_token_is_on_its_way(
    lanes: Lanes, token_server: ScriptedServer, google: Google
) -> None:
    """The lane closes at once; what waited has no ending, so that its record is delivered again."""
    token_server.script = _mute
    lanes.offer("fcm", *CARGO)
    await token_server.seen(1)
    async with asyncio.timeout(1):
        await lanes.dispatcher.close()
    assert lanes.of("fcm") == []
