"""A harmless push: one that no device can get, so that the vendor's answer speaks of the credential alone."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.messages.receipts import identify
from pushgw.vendor.push import Action, Notification, Push, Target

NO_DEVICE = "pushgw-check-no-device-dead"
"""A token that no vendor ever issued, for vendors whose tokens may be any text."""
LIFE_S = 60


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and which answers say that the credential is good."""

    push: Push
    what: str
    """In words: ``a push to the all-zero token``."""
    passes: frozenset[Action] = frozenset({Action.ACCEPTED, Action.INVALID_TOKEN})
    """The vendor looked at the token, or took a push that it was told not to deliver: it knows the credential."""
    codes: frozenset[str] = frozenset()
    """Where given, the vendor's codes that pass; any other answer than these is a refusal."""


def harmless_push(business_id: int, now: float, token: str = NO_DEVICE, **more: Any) -> Push:
    """A push to ``token`` at ``now`` (epoch s); ``more`` are fields of the Notification."""
    ids = identify(f"check/{business_id}/{now}", token, "")
    notification = Notification(
        title="pushgw",
        body="Is this credential accepted?",
        expires_at=int(now) + LIFE_S,
        collapse_id=f"check{business_id}",
        notify_id=1,
        **more,
    )
    target = Target(token=token, user="", device_id="", push_id=ids.push_id, vendor_id=ids.vendor_id)
    return Push(notification=notification, targets=(target,), now=now)
