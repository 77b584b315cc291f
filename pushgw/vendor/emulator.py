"""What an emulator of a vendor is: a double with opinions that the sandbox hosts.

An emulator is pure: a request and the time in, an answer out. It checks what the vendor checks, in the vendor's order, and
refuses with the vendor's codes. It knows the accounts it accepts from the throw-away credentials it is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.http import Response


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the sandbox received it. Header names are lower case."""

    method: str
    path: str
    """With the query string, if any."""
    headers: dict[str, str]
    body: bytes
    http_version: str = "2"
    peer_cert_der: bytes | None = None
    """The client's certificate, where it showed one."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that the vendor would show: one line of the journal per token."""

    vendor: str
    token: str
    title: str
    body: str
    vendor_id: str = ""
    """The id that makes a repeat replace itself: apns-id, notify_id, tag, app_message_id."""
    payload: dict[str, object] = {}
    """The parts of the request worth reading in the journal; no secret."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the vendor makes by itself: what became of pushes that it took. Its repr shows neither body nor key."""

    vendor: str
    business_id: int
    """The credential whose address it goes to."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    key: str = ""
    """What the operator put at the address's end, where the vendor signs nothing."""

    def __repr__(self) -> str:
        return f"Told({self.vendor}, {self.business_id}, {len(self.body)} bytes)"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The response and what was accepted by it."""

    response: Response
    accepted: tuple[Accepted, ...] = ()
    reports: tuple[Told, ...] = ()
    """Where ``Emulator.reporting`` is on: what the vendor tells later of what it accepted."""


class Emulator(ABC):
    """One vendor's double. Holds only what the vendor's cloud would hold: issued tokens, seen ids, dead tokens."""

    vendor: ClassVar[str]

    def __init__(self, accounts: Sequence[Account]) -> None:
        """``accounts``: the credentials it accepts, as loaded from a credential directory (only this vendor's)."""
        self.accounts = tuple(accounts)
        self.reporting = False
        """Whether anybody takes its reports."""
        self.scripted: dict[str, list[str]] = {}
        """token -> codes still to be answered for it, in order; see ``fail``."""

    def fail(self, token: str, *codes: str) -> None:
        """Answer the next requests for this token with these vendor codes (the words of results.py), in order."""
        self.scripted.setdefault(token, []).extend(codes)

    @abstractmethod
    def claims(self, method: str, path: str) -> bool:
        """Whether this request is for this vendor (paths of the vendors do not overlap)."""

    @abstractmethod
    def handle(self, call: Call, now: float) -> Answer:
        """Answer as the vendor does. Tokens may also ask for a fault by their name, where a sheet's code has one:
        a token that contains ``dead`` is answered as an unregistered one."""
