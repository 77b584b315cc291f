"""A message that passes every rule, and the ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushgw.messages.model import Element, Kind, OfflineMessage, ReceiverHint
from pushgw.policy.case import Case
from pushgw.policy.facts import Device, Login, Options, ReceiverFacts, User
from pushgw.settings import PolicySettings

NOW = 1_795_500_060
SENT = NOW - 60


class FakeCredential:
    """A CredentialFact."""

    ios = True

    def __init__(
        self,
        vendor: str = "apns",
        problem: str | None = None,
        platforms: frozenset[str] = frozenset({"ios"}),
        fault: str | None = None,
    ) -> None:
        self.vendor = vendor
        self.problem = problem
        self.platforms = platforms
        self.fault = fault

    def token_fault(self, token: str) -> str | None:
        return self.fault


class FakeBook:
    """A CredentialBook."""

    def __init__(self, entries: dict[int, FakeCredential]) -> None:
        self.entries = entries

    def find(self, business_id: int) -> FakeCredential | None:
        return self.entries.get(business_id)


def build_message(**changes: Any) -> OfflineMessage:
    """A text from alice to bob; with ``group_id`` a text to a group with bob in it."""
    fields: dict[str, Any] = {
        "kind": Kind.GROUP if "group_id" in changes else Kind.C2C,
        "app": 0,
        "sender": "alice",
        "receivers": ("bob",),
        "hints": {},
        "random": 55,
        "time": SENT,
        "time_in_body": True,
        "record_time_ms": SENT * 1000,
        "seq": 5,
        "msg_key": None if "group_id" in changes else f"5_55_{SENT}",
        "body": (Element("TIMTextElem", "hi"),),
    }
    return OfflineMessage(**(fields | changes))


def build_device(**changes: Any) -> Device:
    """An iPhone in the background, with a live token."""
    fields: dict[str, Any] = {
        "device_id": "iphone",
        "business_id": 6666,
        "token": "ab" * 32,
        "put_ms": SENT * 1000,
        "platform": "ios",
    }
    return Device(**(fields | changes))


def build_case(
    *,
    message: Any = None,
    user: dict[str, Any] | None = None,
    device: dict[str, Any] | None = None,
    hint: dict[str, Any] | None = None,
    stored: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    credential: dict[str, Any] | None = None,
    **case: Any,
) -> Case:
    """A question that is answered with push, save for what is said otherwise. ``device`` changes bob's only device."""
    known: dict[str, Any] = {
        "login": Login.IN,
        "login_ms": SENT * 1000,
        "online_ms": SENT * 1000,
        "devices": (build_device(**(device or {})),),
    }
    bob = User(**(known | (user or {})))
    if not hasattr(message, "app"):
        message = build_message(**(message or {}))
    fields: dict[str, Any] = {
        "message": message,
        "options": PolicySettings(**(options or {})),
        "book": FakeBook({6666: FakeCredential(**(credential or {}))}),
        "now": float(NOW),
        "receiver": "bob",
        "hint": ReceiverHint(user="bob", **hint) if hint is not None else None,
        "facts": ReceiverFacts(user=bob, options=Options(**(stored or {})), **(facts or {})),
        "device": bob.devices[0] if bob.devices else None,
    }
    return Case(**(fields | case))


@pytest.fixture
def make_message() -> Callable[..., OfflineMessage]:
    """`build_message`."""
    return build_message


@pytest.fixture
def make_device() -> Callable[..., Device]:
    """`build_device`."""
    return build_device


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """`build_case`."""
    return build_case
