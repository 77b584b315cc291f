"""How a parcel ended: what lanes tell the settler, and what receipts are made of."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from pushgw.credentials import CredentialEntry
from pushgw.delivery.shipment import Parcel
from pushgw.vendor.push import Action, Outcome


class End(StrEnum):
    """How a parcel ended."""

    PUSHED = "pushed"
    DEAD = "dead"
    """The vendor declared the token dead."""
    GIVEN_UP = "given_up"
    DEFERRED = "deferred"
    """Not now: to be handed to the retry topics. No end for the receiver."""
    EXPIRED = "expired"
    CREDENTIAL = "credential_unusable"
    """This very push was refused for the credential's sake."""
    UNUSABLE = "unusable"
    """Never sent: the credential had been refused before (C4)."""
    REFUSED = "refused"
    """Never sent: it cannot be rendered for the vendor (C6)."""
    RECALLED = "recalled"
    """Never sent: withdrawn while it waited (A6)."""


END_OF = {
    Action.ACCEPTED: End.PUSHED,
    Action.INVALID_TOKEN: End.DEAD,
    Action.BAD_MESSAGE: End.GIVEN_UP,
    Action.QUOTA: End.GIVEN_UP,
    Action.UNKNOWN: End.GIVEN_UP,
}
"""Where an Outcome of that Action is the end at once."""


class Ending(msgspec.Struct, frozen=True):
    """How one parcel ended, for its receipt."""

    parcel: Parcel
    entry: CredentialEntry
    end: End
    attempt: int
    outcome: Outcome | None
    detail: str
    latency_ms: int
    sent_at: float
    wait: float = 0.0
    """How long the vendor wants to be left alone, s (DEFERRED)."""


OnEndings = Callable[[list[Ending]], None]


def words(outcome: Outcome) -> str:
    """An Outcome's reason, with the mend where there is one."""
    if not outcome.hint or outcome.hint == outcome.reason:
        return outcome.reason
    return f"{outcome.reason} ({outcome.hint})"
