"""What the gateway knows of users, devices and credentials when it decides. The state store keeps these; rules read them."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import msgspec

from pushgw.messages.model import Window


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One (user, device id) with its vendor token."""

    device_id: str
    business_id: int
    token: str
    put_ms: int
    """EventTime of the Put that brought this token."""
    platform: str | None = None
    lang: str | None = None
    time_zone: str | None = None
    app_version: str | None = None
    background: bool = True
    ground_ms: int = 0
    """EventTime of the last Background or Foreground."""
    dead_ms: int | None = None
    """The vendor declared the token dead at this time (C5 until a newer Put)."""
    lost: bool = False
    """A newer Put elsewhere owns this token (C1)."""


class Login(Enum):
    """A user's login as the user events tell it."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


class GlobalRule(msgspec.Struct, frozen=True, kw_only=True):
    """The user's global do-not-disturb."""

    window: Window
    set_ms: int
    """EventTime: a daily window's first start is reckoned from here."""
    time_zone: str | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """All that is stored of one user, save the options for single peers and groups."""

    login: Login = Login.UNKNOWN
    login_ms: int = 0
    """Newest login or Put or other sign of a live login."""
    logout_ms: int = 0
    online_ms: int = 0
    """EventTime of the newest sign of life; PushOnline ends `policy.login_ttl_days` after it."""
    push_enabled: bool = True
    switch_ms: int = 0
    global_rule: GlobalRule | None = None
    global_ms: int = 0
    badge: int = 0
    badge_ms: int = 0
    devices: tuple[Device, ...] = ()
    """Newest Put first."""
    gone: tuple[tuple[str, int], ...] = ()
    """Devices deleted or logged out, with the EventTime: an older Put of theirs is stale. The newest few."""
    kicked: tuple[tuple[str, int], ...] = ()
    """Platforms logged out ("" is the whole account), with the EventTime: older Puts are stale."""
    early: tuple[tuple[str, int, bool], ...] = ()
    """Foreground or background (True) of devices whose Put has not come yet, with the EventTime. The newest few."""


NOBODY = User()
"""A user of whom nothing is known."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The receive options that matter to one message and receiver; None where none is stored."""

    c2c: int | None = None
    group: int | None = None
    """Option of the group (a topic's community)."""
    topic: int | None = None


NO_OPTIONS = Options()


class ReceiverFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What `admit` found for one (message, receiver)."""

    user: User = NOBODY
    options: Options = NO_OPTIONS
    claimed_by: str | None = None
    """Another record that owns the dedup key (A5): its source, or None when this record owns it."""
    recalled: bool = False
    """A tombstone exists for the message (A6)."""
    done: frozenset[str] = frozenset()
    """Device ids already settled for this receiver by an earlier delivery of this record; "" = the receiver as a whole."""


class CredentialFact(Protocol):
    """What rules C2...C6 ask of a credential."""

    @property
    def vendor(self) -> str: ...

    @property
    def problem(self) -> str | None:
        """Why it cannot be used (C4), or None."""

    @property
    def platforms(self) -> frozenset[str]:
        """Device platforms that its vendor reaches (C3)."""

    @property
    def ios(self) -> bool:
        """Whether texts follow the iOS rules."""

    def token_fault(self, token: str) -> str | None:
        """Why the token has not the vendor's shape (C6), or None."""


class CredentialBook(Protocol):
    """The credentials by certificate id."""

    def find(self, business_id: int) -> CredentialFact | None: ...
