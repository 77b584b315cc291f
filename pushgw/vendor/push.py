"""The values that cross the adapter's border: Notification and Push in, Outcome out."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pushgw.messages.model import AndroidInfo, ApnsInfo


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Vendor-neutral content. The same object for every target of a Push."""

    title: str = ""
    """Empty: the platform's own default (on iOS: no title)."""
    body: str
    ext: str = ""
    """The publisher's pass-through string; never cut."""
    sound: str | None = None
    """Sound of a TIMCustomElem; ``android.sound`` and ``apns.sound`` win."""
    badge: int | None = None
    """The number to show on the icon; ``None`` leaves it alone."""
    expires_at: int
    """Epoch s after which the vendor must not show it."""
    collapse_id: str
    """Stable id of the message for this user, 1...64 ASCII bytes: APNs collapse id, FCM tag, OPPO app_message_id."""
    notify_id: int
    """The same identity as a positive 31-bit integer: Xiaomi, Huawei, OPPO notify_id."""
    conversation: str = ""
    """Groups notifications on the device: ``C2C_<sender>`` or ``GROUP_<id>``."""
    android: AndroidInfo | None = None
    apns: ApnsInfo | None = None
    harmony: dict[str, object] | None = None
    extra: dict[str, object] | None = None
    """Vendor fields of ``pushgw send --extra``, merged by the adapter as they are."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One device token of a Push."""

    token: str
    user: str
    device_id: str
    push_id: str
    """PushID of the receipt, also the seed of the vendor-side id (26 characters of Crockford base 32)."""
    vendor_id: str
    """The same identity as a lower-case UUID (apns-id): equal on every attempt."""
    platform: str | None = None
    """The device's platform where it is known (``android``, ``ios``, ``web`` ...): FCM renders only that one's part."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The record that a Push comes from: with reports, what a vendor gives back must lead there."""

    source: str
    """``topic/partition/offset``, as PushIDs are made of it."""
    app: int
    """SdkAppId."""
    group: bool


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One Notification for 1...N tokens under one credential: the unit of dispatch."""

    notification: Notification
    targets: tuple[Target, ...]
    now: float
    """When it is being sent, epoch s: TTLs are counted from here."""
    stage: object = None
    """How far a push of several calls has come: what the last FollowUp of its adapter said. None before the first answer."""
    origin: Origin | None = None
    """None where it comes from no record (``pushgw send``, a probe)."""


class Action(StrEnum):
    """What an answer of a vendor asks us to do next."""

    ACCEPTED = "accepted"
    """The vendor has taken it."""
    INVALID_TOKEN = "invalid_token"  # noqa: S105  a word of the vocabulary, not a secret
    """This token is dead; the device should be marked (guarded)."""
    RETRY = "retry"
    """Temporary; the same push may be sent again with back-off."""
    RETRY_AFTER = "retry_after"
    """The vendor throttles this credential: as RETRY, and the whole lane waits (``Outcome.retry_after``, or longer each time)."""
    AUTH = "auth"
    """The token of the credential was refused: refresh once, send once more, then it is CONFIG."""
    CONFIG = "config"
    """The credential or its set-up is wrong: stop this credential, touch no device."""
    BAD_MESSAGE = "bad_message"
    """This message can never be taken; report it."""
    QUOTA = "quota"
    """A quota is used up; report it, no repeat before the window ends."""
    UNKNOWN = "unknown"
    """A code that the table does not know: loud, never repeated, no token touched."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor said about one token."""

    action: Action
    code: str = ""
    """The vendor's own code or reason, as it came: ``200``, ``Unregistered``, ``80300007``."""
    reason: str = ""
    """The vendor's words, with no token and no secret in them."""
    vendor_id: str = ""
    """The vendor's id of the message, where it gives one."""
    retry_after: float | None = None
    """Seconds the vendor asks us to wait."""
    dead_since_ms: int | None = None
    """When the vendor knows the token dead from (APNs 410), epoch ms."""
    hint: str = ""
    """For the operator: what to look at in the vendor's console."""
    renew: bool = False
    """The connection itself is spoilt: what comes next should go on another one."""


class FollowUp(msgspec.Struct, frozen=True, kw_only=True):
    """The call was answered, and only another one says what becomes of the tokens.

    The same push is rendered again with this ``stage``, and its answer interpreted with it. Where that call fails for the
    moment it is repeated at the same stage: what the first call brought is not asked for twice.
    """

    stage: object
    """The adapter's own; a frozen value, since a repeat must be the same request."""


MOST_FOLLOW_UPS = 8
"""Of one push, repeats included; an adapter that wants more goes round in circles."""
