"""What a lane carries: one Push with the parcels that it is made of."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.credentials import CredentialEntry
from pushgw.policy.facts import Device
from pushgw.vendor.push import Notification, Origin, Outcome, Target


class Parcel(msgspec.Struct, kw_only=True):
    """One device's share of a Push: where its Outcome goes."""

    work: Any
    """The record it belongs to; opaque to lanes, which log its ``names`` where it has any."""
    user: str
    device: Device
    target: Target
    unread: int | None
    counts: bool
    withdrawn: bool = False
    """A recall came while it waited."""

    @property
    def names(self) -> dict[str, str]:
        """What a log line about it is found by."""
        names: dict[str, str] = getattr(self.work, "names", {})
        return names


class Shipment(msgspec.Struct, kw_only=True):
    """One call to a vendor on its way through a lane. Mutable: lanes count attempts and blockers in it."""

    entry: CredentialEntry
    notification: Notification
    parcels: list[Parcel]
    """Those still open; a repeat carries only these."""
    tokens: tuple[str, ...]
    """The device tokens it started with: their next shipments wait for it, so that each device sees its order."""
    origin: Origin | None = None
    attempt: int = 1
    first_attempt: int = 1
    """The attempt that it came to the lane with: what comes back from the retry topics has some behind it."""
    auth_tried: bool = False
    """The credential's token was already refreshed for this shipment."""
    cancelled: bool = False
    """Some of its parcels are withdrawn; said here too, so that sending need not look at each."""
    blockers: int = 0
    """Earlier shipments to one of these devices that are still open."""
    followers: list[Shipment] | None = None
    first_sent: float = 0.0
    sent_at: float = 0.0
    """When the last attempt left."""
    why: Outcome | None = None
    """What the last attempt failed of, while it waits for its repeat."""
    push: Any = None
    """The Push as last rendered."""
    auth: Any = None
    """The Auth it was rendered with."""
    stage: Any = None
    """Of a push of several calls: how far it has come, over repeats too."""
    follow_ups: int = 0

    @property
    def names(self) -> dict[str, str]:
        """The same of its first parcel."""
        return self.parcels[0].names
