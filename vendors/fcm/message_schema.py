"""The shape of a send request, so that the emulator knows every field that Google knows. Field names in snake case only.

Source: Google's discovery document of the API ``fcm`` v1.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

_Strings = list[str]
_Count = Annotated[int, msgspec.Meta(ge=0)]


class _Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A field that Google does not know is refused; null is the same as absent."""


class Notification(_Strict):
    """What every platform shows."""

    title: str | None = None
    body: str | None = None
    image: str | None = None


class AndroidNotification(_Strict):
    """What Android shows."""

    title: str | None = None
    body: str | None = None
    icon: str | None = None
    color: Annotated[str, msgspec.Meta(pattern="^#[0-9a-fA-F]{6}$")] | None = None
    sound: str | None = None
    tag: str | None = None
    click_action: str | None = None
    channel_id: str | None = None
    ticker: str | None = None
    sticky: bool | None = None
    event_time: str | None = None
    local_only: bool | None = None
    notification_priority: str | None = None
    default_sound: bool | None = None
    default_vibrate_timings: bool | None = None
    default_light_settings: bool | None = None
    vibrate_timings: _Strings | None = None
    visibility: Literal["VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"] | None = None
    notification_count: _Count | None = None
    image: str | None = None
    body_loc_key: str | None = None
    body_loc_args: _Strings | None = None
    title_loc_key: str | None = None
    title_loc_args: _Strings | None = None
    light_settings: dict[str, Any] | None = None
    bypass_proxy_notification: bool | None = None
    proxy: str | None = None


class Android(_Strict):
    """How Android gets it."""

    collapse_key: str | None = None
    priority: Literal["NORMAL", "HIGH", "normal", "high"] | None = None
    ttl: str | None = None
    restricted_package_name: str | None = None
    data: dict[str, str] | None = None
    notification: AndroidNotification | None = None
    fcm_options: dict[str, str] | None = None
    direct_boot_ok: bool | None = None
    bandwidth_constrained_ok: bool | None = None
    restricted_satellite_ok: bool | None = None


class Apns(_Strict):
    """What goes on to Apple."""

    headers: dict[str, str] | None = None
    payload: dict[str, Any] | None = None
    live_activity_token: str | None = None
    fcm_options: dict[str, str] | None = None


class Webpush(_Strict):
    """What goes on to the browser's push service."""

    headers: dict[str, str] | None = None
    data: dict[str, str] | None = None
    notification: dict[str, Any] | None = None
    fcm_options: dict[str, str] | None = None


class Message(_Strict):
    """One message for one target."""

    token: str | None = None
    fid: str | None = None
    topic: str | None = None
    condition: str | None = None
    data: dict[str, str] | None = None
    notification: Notification | None = None
    android: Android | None = None
    apns: Apns | None = None
    webpush: Webpush | None = None
    fcm_options: dict[str, str] | None = None


class SendRequest(_Strict):
    """The body of ``messages:send``."""

    message: Message
    validate_only: bool = False
