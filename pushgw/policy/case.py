"""What a rule is asked, and what a decision says."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pushgw.messages.model import NotAMessage, OfflineMessage, ReceiverHint
from pushgw.policy.facts import CredentialBook, Device, ReceiverFacts
from pushgw.policy.reasons import Reason
from pushgw.settings import PolicySettings


class Case(msgspec.Struct, kw_only=True):
    """One question: may this message be shown to this receiver (on this device), now?

    Mutable, so that one Case serves all receivers and devices of a message; rules only read it.
    """

    message: OfflineMessage | NotAMessage
    options: PolicySettings
    book: CredentialBook
    now: float
    """Dispatch time, epoch s."""
    redelivered_of: str | None = None
    """Another record that owns this message's EventId (A2)."""
    receiver: str | None = None
    hint: ReceiverHint | None = None
    facts: ReceiverFacts
    device: Device | None = None
    rate_limited: Callable[[str, str], str | None] | None = None
    """(user, conversation) -> which limit is reached, or None. Only asked; counting happens at dispatch."""


Rule = tuple[Reason, Callable[[Case], str | None]]
"""A reason, and the pure function that says in one English sentence why it holds (or None when it does not)."""


class Verdict(msgspec.Struct, frozen=True):
    """Push when ``reason`` is None, else suppressed for that reason."""

    reason: Reason | None
    detail: str = ""


class Check(msgspec.Struct, frozen=True):
    """One row of `explain`: ``result`` is ``pass``, ``fail`` or ``not reached``."""

    reason: Reason
    result: str
    detail: str = ""
