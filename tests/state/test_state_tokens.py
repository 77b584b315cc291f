"""Tokens: who owns one, and how a dead one is marked."""

from __future__ import annotations

import pytest

from pushgw.messages.model import DevicePut
from pushgw.policy.facts import NOBODY, Device, User
from pushgw.state.protocol import DeadToken
from pushgw.state.tokens import Owner, lose_token, mark_dead, takes_token, token_key

PUT_MS = 1_000_000


def device(**changes: object) -> Device:
    fields: dict[str, object] = {"device_id": "d1", "business_id": 6666, "token": "t1", "put_ms": PUT_MS}
    return Device(**(fields | changes))  # type: ignore[arg-type]  # a table of single changes


def dead(
    token: str = "t1",  # noqa: S107  a device's, no password
    sent_ms: int = PUT_MS + 500,
    since: int | None = None,
) -> DeadToken:
    return DeadToken(app=0, user="bob", device_id="d1", token=token, sent_ms=sent_ms, dead_since_ms=since)


@pytest.mark.parametrize(("since", "marked"), [(None, PUT_MS + 500), (PUT_MS + 7, PUT_MS + 7)])
def test_the_device_stays_with_the_moment_of_death(since: int | None, marked: int) -> None:
    """A removed token leaves its device stored, marked with the vendor's time or else the time of sending."""
    user, action = mark_dead(User(devices=(device(),)), dead(since=since))
    assert (action, user.devices) == ("token_removed", (device(dead_ms=marked),))


def test_a_kept_token_changes_nothing() -> None:
    """Where the guard holds a token back the user is the same as before."""
    user = User(devices=(device(),))
    assert mark_dead(user, dead(token="old")) == (user, "token_kept_newer")
    assert mark_dead(NOBODY, dead()) == (NOBODY, "token_kept_newer")


@pytest.mark.parametrize(
    ("owner", "takes"),
    [
        (None, True),
        (Owner("alice", "d9", PUT_MS - 1), True),
        (Owner("alice", "d9", PUT_MS), True),
        (Owner("alice", "d9", PUT_MS + 1), False),
        (Owner("bob", "d1", PUT_MS + 1), True),
        (Owner("bob", "d2", PUT_MS + 1), False),
    ],
)
def test_a_token_goes_to_the_newest_put(owner: Owner | None, takes: bool) -> None:
    """Ownership follows EventTime; of equals the later arrival wins; a device keeps its own."""
    put = DevicePut(app=0, user="bob", time_ms=PUT_MS, device_id="d1", business_id=6666, token="t1")
    assert takes_token(owner, put) is takes


def test_only_the_token_that_moved_is_lost() -> None:
    """A device that has another token by now loses nothing, nor do the user's other devices."""
    user = User(devices=(device(), device(device_id="d2", token="t2")))
    assert [d.lost for d in lose_token(user, "d1", "t1").devices] == [True, False]
    assert lose_token(user, "d1", "older") is user
    assert lose_token(user, "nobody's", "t1") is user


def test_blank_tokens_belong_to_nobody() -> None:
    """Two devices that report an empty token do not take it from each other."""
    assert token_key(0, 6666, "") is None
    assert token_key(0, 6666, "  ") is None
    assert token_key(0, 6666, "t") != token_key(0, 66666, "t")
