"""bytes of the user-events topic -> what changed about a user, a device or a receive option.

Three families: our own events (key ``Event``), two of Tencent's webhooks (key ``CallbackCommand``), and the body of
``admin_set_do_not_disturb`` (recognised by StartTime, EndTime and Level).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, UnsetType

from pushgw.messages.errors import DecodeError
from pushgw.messages.model import (
    AlwaysWindow,
    BadgeSet,
    C2COption,
    DailyWindow,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GlobalOption,
    GroupOption,
    OnceWindow,
    PushSwitch,
    RepeatWindow,
    UserDisconnect,
    UserEvent,
    UserLogin,
    UserLogout,
    Window,
)
from pushgw.messages.reader import (
    LARGEST_ID,
    LAST_SECOND,
    NOT_JSON,
    ObjectReader,
    as_integer,
    parse_object,
    record_bytes,
)
from pushgw.messages.wire import EVENT_ID_LENGTH, USER_ID_LENGTH

DEVICE_ID_LENGTH = 256
PLATFORMS = frozenset({"ios", "android", "harmony", "web"})
LANGUAGES = frozenset({"zh", "en"})
LARGEST_BADGE = 2**31 - 1

_KICKED = {
    "ios": "ios",
    "iphone": "ios",
    "ipad": "ios",
    "android": "android",
    "harmony": "harmony",
    "web": "web",
}
"""Tencent's platform words, lower case, to ours. Windows, Mac and others have no device of ours."""


class _Common(msgspec.Struct, frozen=True):
    """What every event has."""

    app: int
    time_ms: int


def decode_user_event(
    value: bytes | None, record_time_ms: int, *, default_app: int = 0, lenient: bool = False
) -> tuple[UserEvent, ...]:
    """The changes that the record tells, in the order in which they apply.

    ``record_time_ms`` (epoch ms) is the time of an event that has none; ``lenient`` takes digit strings where integers
    are due. Raises DecodeError: 90001 where the record is no JSON object or no event at all, 93000 over 64 KiB,
    else 20001 with the path of what is wrong.
    """
    record = parse_object(record_bytes(value))
    reader = ObjectReader(record, lenient=lenient)
    read = _reader_of(reader)
    common = _Common(_app(reader, default_app), _time_ms(reader, record_time_ms))
    reader.text("EventId", longest=EVENT_ID_LENGTH)
    return read(reader, common)


_Read = Callable[[ObjectReader, _Common], tuple[UserEvent, ...]]


def _reader_of(reader: ObjectReader) -> _Read:
    if "Event" in reader:
        return _EVENTS[_word(reader, "Event", _EVENTS)]
    if "CallbackCommand" in reader:
        return _WEBHOOKS[_word(reader, "CallbackCommand", _WEBHOOKS)]
    if all(key in reader for key in ("StartTime", "EndTime", "Level")):
        return _admin_do_not_disturb
    raise DecodeError(NOT_JSON, "the record has the keys of no user event")


def _word(reader: ObjectReader, key: str, known: dict[str, _Read]) -> str:
    word = reader.required_text(key, shortest=0)
    if word not in known:
        raise reader.fault(key, f"must be one of {', '.join(known)}")
    return word


def _app(reader: ObjectReader, default_app: int) -> int:
    app = reader.integer("SdkAppId", least=0, most=LARGEST_ID)
    if app is not UNSET:
        return app
    gateway = reader.raw("PushGateway")
    inner = as_integer(gateway.get("SdkAppId")) if isinstance(gateway, dict) else None
    return inner if inner is not None and 0 <= inner <= LARGEST_ID else default_app


def _time_ms(reader: ObjectReader, record_time_ms: int) -> int:
    time_ms = reader.integer("EventTime", least=0, most=LAST_SECOND * 1000)
    return record_time_ms if time_ms is UNSET else time_ms


# --- our own events -----------------------------------------------------------------------------------------


def _device_put(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    return (
        DevicePut(
            app=common.app,
            time_ms=common.time_ms,
            user=_user(reader),
            device_id=_device(reader),
            business_id=reader.required_integer("BusinessID", least=0, most=LARGEST_ID),
            token=reader.required_text("Token", shortest=0),
            platform=_given(reader.choice("Platform", PLATFORMS, "ios, android, harmony or web")),
            lang=_given(reader.choice("Lang", LANGUAGES, "zh or en")),
            time_zone=_zone(reader),
            app_version=_given(reader.text("AppVersion")),
        ),
    )


def _device_delete(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    return (DeviceDelete(app=common.app, user=user, time_ms=common.time_ms, device_id=_device(reader)),)


def _device_background(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    return (
        DeviceGround(
            app=common.app,
            user=_user(reader),
            time_ms=common.time_ms,
            device_id=_device(reader),
            background=True,
            unread=_given_number(reader.integer("UnreadMsgNum", least=0, most=LARGEST_BADGE)),
        ),
    )


def _device_foreground(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user, device = _user(reader), _device(reader)
    return (
        DeviceGround(app=common.app, user=user, time_ms=common.time_ms, device_id=device, background=False),
    )


def _user_login(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    return (UserLogin(app=common.app, user=user, time_ms=common.time_ms, device_id=_optional_device(reader)),)


def _user_logout(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    return (
        UserLogout(app=common.app, user=user, time_ms=common.time_ms, device_id=_optional_device(reader)),
    )


def _push_switch(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    reader.require("Enabled")
    enabled = reader.boolean("Enabled") is True
    return (PushSwitch(app=common.app, user=user, time_ms=common.time_ms, enabled=enabled),)


def _option_global(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    option = reader.required_integer("Option", least=0, most=2)
    if option == 1:
        raise reader.fault("Option", "must be 0 or 2")
    zone = _zone(reader)
    window = _window(reader) if option else None
    return (GlobalOption(app=common.app, user=user, time_ms=common.time_ms, window=window, time_zone=zone),)


def _option_c2c(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    return (
        C2COption(
            app=common.app,
            user=_user(reader),
            time_ms=common.time_ms,
            peer=reader.required_text("Peer", longest=USER_ID_LENGTH),
            option=reader.required_integer("Option", least=0, most=2),
        ),
    )


def _option_group(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    return (
        GroupOption(
            app=common.app,
            user=_user(reader),
            time_ms=common.time_ms,
            group_id=reader.required_text("GroupId"),
            topic_id=_given(reader.text("TopicId")),
            option=reader.required_integer("Option", least=0, most=4),
        ),
    )


def _badge_set(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    user = _user(reader)
    unread = reader.required_integer("UnreadMsgNum", least=0, most=LARGEST_BADGE)
    return (BadgeSet(app=common.app, user=user, time_ms=common.time_ms, unread=unread),)


_EVENTS: dict[str, _Read] = {
    "Device.Put": _device_put,
    "Device.Delete": _device_delete,
    "Device.Background": _device_background,
    "Device.Foreground": _device_foreground,
    "User.Login": _user_login,
    "User.Logout": _user_logout,
    "User.PushSwitch": _push_switch,
    "Option.Global": _option_global,
    "Option.C2C": _option_c2c,
    "Option.Group": _option_group,
    "Badge.Set": _badge_set,
}


# --- Tencent's ----------------------------------------------------------------------------------------------


def _state_change(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    """State.StateChange. A login that kicks others: the login first, so that the kick of the last device has the last word."""
    reader.require("Info")
    info = reader.inner("Info")
    assert info is not None  # noqa: S101  for the type checker: the key is there
    user = _user(info)
    info.require("Action")
    action = info.choice("Action", ("Login", "Logout", "Disconnect"), "Login, Logout or Disconnect")
    info.text("Reason")
    kicked = _kicked_platforms(reader)
    app, time_ms = common.app, common.time_ms
    events: list[UserEvent] = []
    if action == "Login":
        events.append(UserLogin(app=app, user=user, time_ms=time_ms))
    elif action == "Logout":
        events.append(UserLogout(app=app, user=user, time_ms=time_ms))
    else:
        events.append(UserDisconnect(app=app, user=user, time_ms=time_ms))
    if kicked:
        events.append(UserLogout(app=app, user=user, time_ms=time_ms, platforms=kicked))
    return tuple(events)


def _kicked_platforms(reader: ObjectReader) -> frozenset[str]:
    words = [entry.required_text("Platform").lower() for entry in reader.objects("KickedDevice")]
    return frozenset(_KICKED[word] for word in words if word in _KICKED)


def _message_report(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    """C2C.CallbackAfterMsgReport: the user has read; what is still unread becomes the badge. A negative number: unknown."""
    user = reader.required_text("Report_Account", longest=USER_ID_LENGTH)
    unread = reader.required_integer("UnreadMsgNum", most=LARGEST_BADGE)
    if unread < 0:
        return ()
    return (BadgeSet(app=common.app, user=user, time_ms=common.time_ms, unread=unread),)


def _admin_do_not_disturb(reader: ObjectReader, common: _Common) -> tuple[UserEvent, ...]:
    """The body of admin_set_do_not_disturb: Level 0 clears, whatever the times; any other blocks."""
    users = _users(reader)
    start = reader.required_integer("StartTime", least=0, most=LAST_SECOND)
    end = reader.required_integer("EndTime", least=0, most=LAST_SECOND)
    level = reader.required_integer("Level")
    repeated = reader.integer("IsRepeated", least=0, most=1)
    window: Window | None = None
    if level:
        if end <= start:
            raise reader.fault("EndTime", "must be later than StartTime")
        window = RepeatWindow(start=start, end=end) if repeated == 1 else _once(start, end)
    return tuple(GlobalOption(app=common.app, user=u, time_ms=common.time_ms, window=window) for u in users)


def _once(start: int, end: int) -> OnceWindow:
    return OnceWindow(start=start, duration=end - start)


_WEBHOOKS: dict[str, _Read] = {
    "State.StateChange": _state_change,
    "C2C.CallbackAfterMsgReport": _message_report,
}


# --- parts --------------------------------------------------------------------------------------------------


def _window(reader: ObjectReader) -> Window:
    """The window of an Option.Global with option 2; none at all means always."""
    given = [key for key in ("Daily", "Once", "Repeat") if key in reader]
    if not given:
        return AlwaysWindow()
    if len(given) > 1:
        raise reader.fault(given[1], f"cannot stand beside {given[0]}")
    window = reader.inner(given[0])
    assert window is not None  # noqa: S101  for the type checker: the key is there
    return _WINDOWS[given[0]](window)


def _daily(window: ObjectReader) -> Window:
    return DailyWindow(
        hour=window.required_integer("StartHour", least=0, most=23),
        minute=_number_or_zero(window.integer("StartMinute", least=0, most=59)),
        second=_number_or_zero(window.integer("StartSecond", least=0, most=59)),
        duration=window.required_integer("Duration", least=0, most=LAST_SECOND),
    )


def _single(window: ObjectReader) -> Window:
    return OnceWindow(
        start=window.required_integer("StartTimeStamp", least=0, most=LAST_SECOND),
        duration=window.required_integer("Duration", least=0, most=LAST_SECOND),
    )


def _repeat(window: ObjectReader) -> Window:
    start = window.required_integer("StartTime", least=0, most=LAST_SECOND)
    end = window.required_integer("EndTime", least=0, most=LAST_SECOND)
    if end <= start:
        raise window.fault("EndTime", "must be later than StartTime")
    return RepeatWindow(start=start, end=end)


_WINDOWS = {"Daily": _daily, "Once": _single, "Repeat": _repeat}


def _user(reader: ObjectReader) -> str:
    return reader.required_text("To_Account", longest=USER_ID_LENGTH)


def _users(reader: ObjectReader) -> list[str]:
    reader.require("To_Account")
    if not isinstance(reader.raw("To_Account"), list):
        return [_user(reader)]
    users = reader.texts("To_Account", shortest=1, longest=USER_ID_LENGTH)
    if users is UNSET or not users:
        raise reader.fault("To_Account", "must not be empty")
    return list(dict.fromkeys(users))


def _device(reader: ObjectReader) -> str:
    return reader.required_text("DeviceID", longest=DEVICE_ID_LENGTH)


def _optional_device(reader: ObjectReader) -> str | None:
    return _given(reader.text("DeviceID", shortest=1, longest=DEVICE_ID_LENGTH))


def _zone(reader: ObjectReader) -> str | None:
    zone = reader.text("TimeZone")
    if zone is UNSET:
        return None
    if not _is_zone(zone):
        raise reader.fault("TimeZone", "must be an IANA time zone, such as Asia/Shanghai")
    return zone


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no path of the database; a directory of it
        return False
    return True


def _given(text: str | UnsetType) -> str | None:
    """The string, or None where it is absent or blank."""
    return None if text is UNSET else text or None


def _given_number(number: int | UnsetType) -> int | None:
    return None if number is UNSET else number


def _number_or_zero(number: int | UnsetType) -> int:
    return 0 if number is UNSET else number
