"""What every state store can do. A batch in, a batch out: nothing is asked per message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from pushgw.messages.model import UserEvent
from pushgw.policy.dedup import Claim as Claim
from pushgw.policy.facts import ReceiverFacts, User


class StateUnavailable(Exception):
    """The store did not answer. ``retriable`` is True: intake pauses, nothing is guessed."""

    retriable = True


class StateMissing(StateUnavailable):
    """Opened for reading before any gateway made the store: nobody is known yet, or ``state.url`` is wrong."""


class Admit(msgspec.Struct, frozen=True, kw_only=True):
    """One record's questions to the store."""

    app: int
    source: str
    """topic/partition/offset of the first record: owner of its claims and done marks."""
    created_ms: int = 0
    """The first record's Kafka timestamp, epoch ms; 0: not known. Done marks that were written before it, with a minute's
    tolerance, are of an older record that had the same coordinate: they do not count."""
    event_key: str | None
    """Key of the EventId, or None."""
    receivers: tuple[str, ...]
    claims: tuple[Claim, ...]
    """One for all receivers (group), or one for each in their order (C2C, batch, task), or none (claims nothing)."""
    tombstones: tuple[str, ...]
    """Like claims: one for all, one each, or none."""
    peer: str | None
    """Sender, for the C2C option."""
    group_id: str | None
    topic_id: str | None


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The store's answer to one Admit."""

    settled: bool
    """This very record was settled before: nothing is left to do."""
    redelivered_of: str | None
    """Another record that owns the EventId."""
    receivers: tuple[ReceiverFacts, ...]
    """In the order asked; one with nobody's facts when the record names no receiver."""


class DeadToken(msgspec.Struct, frozen=True, kw_only=True):
    """A device whose token the vendor declared dead."""

    app: int
    user: str
    device_id: str
    token: str
    """As it was sent to; a changed token is left alone."""
    sent_ms: int
    dead_since_ms: int | None
    """The vendor's own timestamp, where it gives one."""


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A device whose token was called dead when so many were that nobody believed it: held for an operator to review."""

    business_id: int
    vendor: str
    app: int
    user: str
    device_id: str
    token: str
    sent_ms: int
    """When the push left that was answered so."""
    dead_since_ms: int | None
    """The vendor's own timestamp, where it gives one."""
    code: str
    """The vendor's answer."""
    held_ms: int


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """A pushed message counts on the user's icon: plus one, or set to the publisher's number."""

    app: int
    user: str
    to: int | None = None


class Shown(msgspec.Struct, frozen=True):
    """A notification that a device may be showing: remembered a day, so that a recall can overwrite it."""

    tombstone: str
    """The key that a recall of the message would write."""
    user: str
    device_id: str


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of (a part of) one record."""

    source: str
    done: tuple[tuple[str, str], ...] = ()
    """(user, device id or "") pairs that have their terminal receipt."""
    complete: bool
    """The whole record is settled."""
    raises: tuple[Raise, ...] = ()


class Owner(msgspec.Struct, frozen=True):
    """The device that a token belongs to."""

    user: str
    device_id: str
    put_ms: int
    """EventTime of the Put that brought the token there."""


class StateStore(Protocol):
    """Users, devices, options, claims, tombstones, badges, done marks. Every method may raise StateUnavailable."""

    async def apply(self, events: Sequence[UserEvent]) -> None:
        """Apply user events in order; stale ones change nothing. One transaction."""

    async def bury(self, tombstones: Sequence[str], now: float) -> None:
        """Write recall tombstones (kept seven days)."""

    async def admit(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """Claim, and answer everything that the rules will ask. One transaction."""

    async def peek(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """The same answers without claiming: for `explain`."""

    async def settle(self, batch: Sequence[Settlement], now: float) -> None:
        """Done marks and badges. One transaction."""

    async def show(self, shown: Sequence[Shown], now: float) -> None:
        """Remember what was pushed, for 24 hours. Only called when recalls overwrite."""

    async def shown(self, tombstones: Sequence[str], now: float) -> list[Shown]:
        """What devices may be showing of messages with these tombstones."""

    async def mark_dead(self, tokens: Sequence[DeadToken]) -> list[str]:
        """Mark tokens dead where `fate_of_token` lets it be; its word per token. Compares and marks in one transaction."""

    async def hold(self, suspects: Sequence[Suspect], now: float) -> None:
        """Remember devices for review, 30 days; the same (business_id, app, user, device_id) replaces."""

    async def suspects(self, business_id: int | None = None) -> list[Suspect]:
        """What is held, of one credential or of all: the oldest first."""

    async def release(self, suspects: Sequence[Suspect]) -> None:
        """Hold these devices no longer."""

    async def note_good_pushes(self, times: Mapping[int, float]) -> None:
        """Remember when a push of each of these credentials was last accepted, epoch s; a newer time stays."""

    async def good_pushes(self) -> dict[int, float]:
        """Credential id -> when a push of it was last accepted, epoch s (also for the CLI, beside a gateway)."""

    async def user(self, app: int, user: str) -> User | None:
        """What is stored of one user (CLI)."""

    async def owners(self, keys: Sequence[str]) -> dict[str, Owner]:
        """Who owns these tokens (`tokens.token_key`); a released one keeps its last owner for a week."""

    async def options(self, app: int, user: str) -> dict[str, int]:
        """Stored receive options of one user, key ``c2c:<peer>`` or ``group:<id>[:<topic>]`` (CLI)."""

    async def devices_of(self, business_id: int) -> int:
        """How many devices have this certificate id, under any SdkAppId, whatever their state (CLI)."""

    async def expire(self, now: float) -> int:
        """Delete what has expired; how many rows went."""

    async def claims_held(self) -> int | None:
        """How many dedup claims are held; asked once a minute. None where that cannot be told cheaply."""

    async def close(self) -> None:
        """Finish what is running and close."""
