"""Who owns a device token, and how a dead one is marked. Pure.

A token belongs to the device whose Put for it is the newest by EventTime, whatever the order of arrival. Stores keep
an index from `token_key` to `Owner`; the loser's device stays, marked `lost`.
"""

from __future__ import annotations

from msgspec.structs import replace

from pushgw.messages.model import DevicePut
from pushgw.policy.facts import User
from pushgw.policy.token_fate import TokenFate, fate_of_token
from pushgw.state.events import device_of, replace_device
from pushgw.state.protocol import DeadToken
from pushgw.state.protocol import Owner as Owner
from pushgw.vendor.push import Action


def token_key(app: int, business_id: int, token: str) -> str | None:
    """The token's name in the index; None for a blank token, which nobody owns."""
    return f"{app} {business_id} {token}" if token.strip() else None


def takes_token(owner: Owner | None, event: DevicePut) -> bool:
    """Whether the token now belongs to the Put's device; False when a newer Put elsewhere owns it."""
    if owner is None or (owner.user == event.user and owner.device_id == event.device_id):
        return True
    return event.time_ms >= owner.put_ms


def lose_token(user: User, device_id: str, token: str) -> User:
    """The user after a newer Put elsewhere took this token; unchanged when the device has another by now."""
    device = device_of(user, device_id)
    if device is None or device.token != token or device.lost:
        return user
    return replace_device(user, replace(device, lost=True))


def mark_dead(user: User, dead: DeadToken) -> tuple[User, TokenFate]:
    """The user with the device marked, where `fate_of_token` lets it be, and what it said."""
    device = device_of(user, dead.device_id)
    fate = fate_of_token(
        device,
        said=Action.INVALID_TOKEN,
        token=dead.token,
        sent_ms=dead.sent_ms,
        dead_since_ms=dead.dead_since_ms,
        guarded=False,
    )
    if device is None or fate is not TokenFate.REMOVED:
        return user, fate
    moment = dead.sent_ms if dead.dead_since_ms is None else dead.dead_since_ms
    return replace_device(user, replace(device, dead_ms=moment)), fate
