"""What becomes of a device token that a vendor's answer may have declared dead: the one rule, for every store. Pure."""

from __future__ import annotations

from enum import StrEnum

from pushgw.policy.facts import Device
from pushgw.vendor.push import Action


class TokenFate(StrEnum):
    """``PushGateway.Action`` of the receipt."""

    REMOVED = "token_removed"
    """The device is marked: C5 until a newer Put."""
    KEPT_NEWER = "token_kept_newer"
    """The device has reported since what the vendor speaks of."""
    KEPT_GUARD = "token_kept_guard"
    """Too many tokens of the credential died at once: it waits for `pushgw tokens review`, and is pushed to meanwhile."""
    UNTOUCHED = "given_up"
    """The answer was not about this token."""


def fate_of_token(
    device: Device | None,
    *,
    said: Action,
    token: str,
    sent_ms: int,
    dead_since_ms: int | None,
    guarded: bool,
) -> TokenFate:
    """The fate of ``token``, which was sent to at ``sent_ms``, by the device as it is stored now (None: gone).

    A token is removed only when the answer is about this very token, when the device has no other one by now and has
    not reported it again since the push left, when the vendor's own timestamp is not of an earlier installation, and
    when the credential's guard has not tripped (``guarded``).
    """
    if said is not Action.INVALID_TOKEN:
        return TokenFate.UNTOUCHED
    if device is None or device.lost or device.token != token:
        return TokenFate.KEPT_NEWER
    if device.put_ms >= sent_ms:
        return TokenFate.KEPT_NEWER
    if dead_since_ms is not None and device.put_ms >= dead_since_ms:
        return TokenFate.KEPT_NEWER
    return TokenFate.KEPT_GUARD if guarded else TokenFate.REMOVED
