"""Dead letters read by their headers, and picked by an operator's questions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushgw.messages.letters import Letter, LetterFilter, users_of

T = 1_795_500_000_000


def letter(body: Any = None, *, key: bytes | None = b"C2C_alice_bob", **headers: str) -> Letter:
    value = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    named = {"source": "im.offline-messages/3/1042", "error-code": "90005"} | {
        name.replace("_", "-"): text for name, text in headers.items()
    }
    return Letter(
        partition=1,
        offset=7,
        time_ms=T,
        key=key,
        value=value,
        headers=tuple((f"pushgw-{name}", text.encode()) for name, text in named.items()),
    )


def test_what_the_headers_say() -> None:
    """Each header has its name; attempt and first-seen are numbers."""
    found = letter(error="MsgRandom is missing", json_path="MsgRandom", attempt="3", first_seen="17")
    assert (found.coordinate, found.source, found.topic) == (
        "1/7",
        "im.offline-messages/3/1042",
        "im.offline-messages",
    )
    assert (found.code, found.error, found.path) == ("90005", "MsgRandom is missing", "MsgRandom")
    assert (found.attempt, found.first_seen_ms) == (3, 17)


@pytest.mark.parametrize("broken", ["", "x", "-1", "1e3", "٣", "9" * 30])
def test_broken_headers_are_no_stumbling_block(broken: str) -> None:
    """A header that is no number counts as not there: first attempt, and seen when it was buried."""
    found = letter(attempt=broken, first_seen=broken)
    assert (found.attempt, found.first_seen_ms) == (1, T)


@pytest.mark.parametrize(
    ("body", "key", "users"),
    [
        ({"To_Account": "bob"}, b"k", {"bob"}),
        ({"To_Account": ["bob", "eve"]}, b"k", {"bob", "eve"}),
        ({"GroupId": "g", "PushGateway": {"Receivers": [{"To_Account": "eve"}]}}, b"k", {"eve"}),
        ({"Event": "Device.Put", "To_Account": "bob"}, b"bob", {"bob"}),
        ({"Info": {"To_Account": "bob"}}, b"bob", {"bob"}),
        (b"no json", b"C2C_alice_bob", {"C2C_alice_bob", "bob"}),
        (b"no json", b"bob", {"bob"}),
        (b"\xff", None, set()),
        ({"To_Account": 5, "PushGateway": {"Receivers": ["x"]}}, None, set()),
    ],
)
def test_whom_a_letter_is_for(body: Any, key: bytes | None, users: set[str]) -> None:
    """Receivers by the body, whatever its shape; by the key where the bytes cannot be read."""
    assert users_of(letter(body, key=key)) == users


def test_the_open_targets_of_a_retry_count_as_users() -> None:
    """A retry is for those who are still open."""
    found = letter({"To_Account": ["bob"]}, targets='[["zoe","d1"]]')
    assert users_of(found) == {"bob", "zoe"}


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ({}, True),
        ({"codes": frozenset({"90005", "1"})}, True),
        ({"codes": frozenset({"20001"})}, False),
        ({"since_ms": T}, True),
        ({"since_ms": T + 1}, False),
        ({"until_ms": T + 1}, True),
        ({"until_ms": T}, False),
        ({"topic": "im.offline-messages"}, True),
        ({"topic": "im.user-events"}, False),
        ({"user": "bob"}, True),
        ({"user": "alice"}, False),
        ({"credential": 6666}, True),
        ({"credential": 6667}, False),
        ({"user": "bob", "credential": 6667}, False),
    ],
)
def test_all_that_is_asked_must_hold(question: dict[str, Any], meant: bool) -> None:
    """Code, time (half-open), topic, user and certificate id, alone and together."""
    found = letter({"To_Account": "bob", "BusinessID": 6666})
    assert LetterFilter(**question).matches(found) is meant
