"""Apple's push types and what each demands. Source: Apple's pages on sending requests to APNs and on generating a notification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

LIMIT = 4096
"""Bytes of the whole JSON."""
VOIP_LIMIT = 5120

SHOWN = frozenset({"alert", "badge", "sound"})
"""The keys of ``aps`` that a user notices."""


class PushType(msgspec.Struct, frozen=True, kw_only=True):
    """One value of the header ``apns-push-type``. aioapns names seven of them, and none of their rules."""

    name: str
    suffix: str = ""
    """Follows the bundle id in ``apns-topic``."""
    priorities: tuple[int, ...] = (10, 5, 1)
    """What Apple takes as ``apns-priority``; the first is ours where nobody chooses."""
    limit: int = LIMIT
    """Bytes of the payload."""
    stored: bool = True
    """Whether Apple may keep it for later; where not, ``apns-expiration`` must be 0."""
    by_key: bool = True
    """Whether a provider key may send it."""
    by_certificate: bool = True
    """Whether a client certificate may send it."""


ALERT = PushType(name="alert")
BACKGROUND = PushType(name="background", priorities=(5,))
VOIP = PushType(name="voip", suffix=".voip", priorities=(10,), limit=VOIP_LIMIT)
LIVE_ACTIVITY = PushType(
    name="liveactivity", suffix=".push-type.liveactivity", priorities=(10, 5), by_certificate=False
)
PUSH_TO_TALK = PushType(name="pushtotalk", suffix=".voip-ptt", priorities=(10,), stored=False)
LOCATION = PushType(name="location", suffix=".location-query", priorities=(10, 5), by_certificate=False)
COMPLICATION = PushType(name="complication", suffix=".complication")
FILE_PROVIDER = PushType(name="fileprovider", suffix=".pushkit.fileprovider")
MDM = PushType(name="mdm", by_key=False)
"""Its topic is the UID of the MDM certificate, which stands in ``bundle_id``."""
CONTROLS = PushType(name="controls", suffix=".push-type.controls")
WIDGETS = PushType(name="widgets", suffix=".push-type.widgets")

PUSH_TYPES: Mapping[str, PushType] = {
    kind.name: kind
    for kind in (
        ALERT,
        BACKGROUND,
        VOIP,
        LIVE_ACTIVITY,
        PUSH_TO_TALK,
        LOCATION,
        COMPLICATION,
        FILE_PROVIDER,
        MDM,
        CONTROLS,
        WIDGETS,
    )
}


def mismatch(push_type: PushType, payload: Mapping[str, Any]) -> str | None:
    """Why the payload does not go with the push type, in one sentence, or None."""
    aps = payload.get("aps", {})
    if not isinstance(aps, dict):
        return "aps is no object"
    if push_type is ALERT and not SHOWN & aps.keys():
        return "an alert needs one of alert, badge and sound in aps"
    if push_type is BACKGROUND:
        return _background_mismatch(aps)
    if push_type is LIVE_ACTIVITY:
        return _live_activity_mismatch(aps)
    if push_type is MDM and not isinstance(payload.get("mdm"), str):
        return "an mdm push needs mdm, the PushMagic that the device reported"
    return None


def _background_mismatch(aps: Mapping[str, Any]) -> str | None:
    if SHOWN & aps.keys():
        return "a background push shows nothing: take alert, badge and sound out of aps"
    wakes = aps.get("content-available")
    if type(wakes) is not int or wakes != 1:  # Apple overlooks true, which Python calls equal to 1
        return "a background push needs content-available, and that the number 1"
    return None


def _live_activity_mismatch(aps: Mapping[str, Any]) -> str | None:
    event = aps.get("event")
    if event not in ("start", "update", "end"):
        return "a liveactivity push needs event in aps: start, update or end"
    if type(aps.get("timestamp")) is not int:
        return "a liveactivity push needs timestamp in aps, in epoch seconds"
    if event != "end" and not isinstance(aps.get("content-state"), dict):
        return f"a liveactivity push that says {event} needs content-state in aps, an object"
    begins = isinstance(aps.get("attributes"), dict) and isinstance(aps.get("attributes-type"), str)
    if event == "start" and not begins:
        return "a liveactivity push that says start needs attributes-type and attributes in aps"
    return None
