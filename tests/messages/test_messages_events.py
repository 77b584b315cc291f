from __future__ import annotations

import json
from typing import Any

import pytest

from pushgw.messages.errors import DecodeError
from pushgw.messages.events import decode_user_event
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
)

AT = 1_796_000_000_250
WHO: dict[str, Any] = {"app": 7, "user": "piet", "time_ms": AT}


def decode(record: dict[str, Any], **options: Any) -> tuple[UserEvent, ...]:
    return decode_user_event(json.dumps(record).encode(), 5, default_app=7, **options)


def event(name: str, **keys: Any) -> dict[str, Any]:
    return {"Event": name, "To_Account": "piet", "EventTime": AT, **keys}


PUT = event("Device.Put", DeviceID="phone", BusinessID=31, Token="ab" * 32)
DAILY = {"StartHour": 22, "StartMinute": 30, "StartSecond": 5, "Duration": 28_800}

SOUND: list[tuple[dict[str, Any], UserEvent]] = [
    (PUT, DevicePut(**WHO, device_id="phone", business_id=31, token="ab" * 32)),
    (
        PUT | {"Platform": "ios", "Lang": "en", "TimeZone": "Europe/Lisbon", "AppVersion": "8.1"},
        DevicePut(
            **WHO,
            device_id="phone",
            business_id=31,
            token="ab" * 32,
            platform="ios",
            lang="en",
            time_zone="Europe/Lisbon",
            app_version="8.1",
        ),
    ),
    (PUT | {"Token": ""}, DevicePut(**WHO, device_id="phone", business_id=31, token="")),
    (event("Device.Delete", DeviceID="phone"), DeviceDelete(**WHO, device_id="phone")),
    (
        event("Device.Background", DeviceID="phone", UnreadMsgNum=4),
        DeviceGround(**WHO, device_id="phone", background=True, unread=4),
    ),
    (
        event("Device.Foreground", DeviceID="phone", UnreadMsgNum=4),
        DeviceGround(**WHO, device_id="phone", background=False),
    ),
    (event("User.Login"), UserLogin(**WHO)),
    (event("User.Login", DeviceID="phone"), UserLogin(**WHO, device_id="phone")),
    (event("User.Logout"), UserLogout(**WHO)),
    (event("User.Logout", DeviceID="phone"), UserLogout(**WHO, device_id="phone")),
    (event("User.PushSwitch", Enabled=False), PushSwitch(**WHO, enabled=False)),
    (event("User.PushSwitch", Enabled=True), PushSwitch(**WHO, enabled=True)),
    (event("Option.Global", Option=0, Daily=DAILY), GlobalOption(**WHO, window=None)),
    (event("Option.Global", Option=2), GlobalOption(**WHO, window=AlwaysWindow())),
    (
        event("Option.Global", Option=2, Daily=DAILY, TimeZone="Asia/Tokyo"),
        GlobalOption(
            **WHO, window=DailyWindow(hour=22, minute=30, second=5, duration=28_800), time_zone="Asia/Tokyo"
        ),
    ),
    (
        event("Option.Global", Option=2, Once={"StartTimeStamp": 1_796_000_000, "Duration": 60}),
        GlobalOption(**WHO, window=OnceWindow(start=1_796_000_000, duration=60)),
    ),
    (
        event("Option.Global", Option=2, Repeat={"StartTime": 100, "EndTime": 200}),
        GlobalOption(**WHO, window=RepeatWindow(start=100, end=200)),
    ),
    (event("Option.C2C", Peer="noor", Option=2), C2COption(**WHO, peer="noor", option=2)),
    (
        event("Option.Group", GroupId="g", Option=4, TopicId="t"),
        GroupOption(**WHO, group_id="g", topic_id="t", option=4),
    ),
    (event("Option.Group", GroupId="g", Option=3), GroupOption(**WHO, group_id="g", topic_id=None, option=3)),
    (event("Badge.Set", UnreadMsgNum=0), BadgeSet(**WHO, unread=0)),
]


@pytest.mark.parametrize(("record", "meant"), SOUND)
def test_our_own_events(record: dict[str, Any], meant: UserEvent) -> None:
    """Each event means exactly one change."""
    assert decode(record) == (meant,)


def test_absent_event_time_is_the_record_time() -> None:
    """An event without EventTime happened when its record was written."""
    assert decode({"Event": "User.Login", "To_Account": "piet"})[0].time_ms == 5


def test_app_of_the_event() -> None:
    """SdkAppId scopes the event; a webhook may carry it in PushGateway, as messages do."""
    assert decode(event("User.Login", SdkAppId=9))[0].app == 9
    assert decode(event("User.Login", PushGateway={"SdkAppId": 10}))[0].app == 10


BROKEN: list[tuple[dict[str, Any], str]] = [
    (event("Device.Move"), "Event"),
    (event("User.Login") | {"Event": 5}, "Event"),
    (event("User.Login") | {"To_Account": ""}, "To_Account"),
    (event("User.Login") | {"To_Account": ["piet"]}, "To_Account"),
    ({"Event": "User.Login"}, "To_Account"),
    (event("User.Login") | {"EventTime": "now"}, "EventTime"),
    (event("User.Login", EventId=5), "EventId"),
    (event("User.Login", SdkAppId="7"), "SdkAppId"),
    (event("User.Logout", DeviceID=""), "DeviceID"),
    (event("Device.Delete"), "DeviceID"),
    (event("Device.Background", DeviceID="d", UnreadMsgNum=-1), "UnreadMsgNum"),
    (PUT | {"BusinessID": "31"}, "BusinessID"),
    (PUT | {"BusinessID": -1}, "BusinessID"),
    (PUT | {"Token": None}, "Token"),
    (PUT | {"Platform": "iOS"}, "Platform"),
    (PUT | {"Lang": "tlh"}, "Lang"),
    (PUT | {"TimeZone": "Europe/Atlantis"}, "TimeZone"),
    (PUT | {"TimeZone": "../passwd"}, "TimeZone"),
    (PUT | {"TimeZone": "Europe"}, "TimeZone"),
    (PUT | {"TimeZone": "a\0b"}, "TimeZone"),
    (PUT | {"TimeZone": ""}, "TimeZone"),
    (event("User.PushSwitch"), "Enabled"),
    (event("User.PushSwitch", Enabled=1), "Enabled"),
    (event("Option.Global"), "Option"),
    (event("Option.Global", Option=1), "Option"),
    (event("Option.Global", Option=2, Daily=[]), "Daily"),
    (event("Option.Global", Option=2, Daily=DAILY | {"StartHour": 24}), "Daily.StartHour"),
    (event("Option.Global", Option=2, Daily=DAILY | {"StartMinute": 60}), "Daily.StartMinute"),
    (event("Option.Global", Option=2, Daily=DAILY | {"StartSecond": -1}), "Daily.StartSecond"),
    (event("Option.Global", Option=2, Daily=DAILY | {"Duration": -1}), "Daily.Duration"),
    (event("Option.Global", Option=2, Once={"StartTimeStamp": 1}), "Once.Duration"),
    (event("Option.Global", Option=2, Repeat={"StartTime": 200, "EndTime": 200}), "Repeat.EndTime"),
    (event("Option.Global", Option=2, Daily=DAILY, Repeat={}), "Repeat"),
    (event("Option.C2C", Peer="noor", Option=3), "Option"),
    (event("Option.C2C", Peer="", Option=1), "Peer"),
    (event("Option.Group", GroupId="g", Option=5), "Option"),
    (event("Option.Group", Option=1), "GroupId"),
    (event("Badge.Set"), "UnreadMsgNum"),
    (event("Badge.Set", UnreadMsgNum=-1), "UnreadMsgNum"),
    ({"CallbackCommand": "C2C.CallbackAfterSendMsg"}, "CallbackCommand"),
    ({"CallbackCommand": "State.StateChange"}, "Info"),
    ({"CallbackCommand": "State.StateChange", "Info": {"Action": "Login"}}, "Info.To_Account"),
    (
        {"CallbackCommand": "State.StateChange", "Info": {"To_Account": "piet", "Action": "Nap"}},
        "Info.Action",
    ),
    (
        {
            "CallbackCommand": "State.StateChange",
            "Info": {"To_Account": "piet", "Action": "Login"},
            "KickedDevice": ["iOS"],
        },
        "KickedDevice[0]",
    ),
    ({"CallbackCommand": "C2C.CallbackAfterMsgReport", "UnreadMsgNum": 1}, "Report_Account"),
    ({"To_Account": "piet", "StartTime": 20, "EndTime": 20, "Level": 1}, "EndTime"),
    ({"To_Account": [], "StartTime": 10, "EndTime": 20, "Level": 1}, "To_Account"),
    ({"To_Account": ["piet", 5], "StartTime": 10, "EndTime": 20, "Level": 1}, "To_Account[1]"),
    ({"To_Account": "piet", "StartTime": 10, "EndTime": 20, "Level": "1"}, "Level"),
    ({"To_Account": "piet", "StartTime": 10, "EndTime": 20, "Level": 1, "IsRepeated": 2}, "IsRepeated"),
]


@pytest.mark.parametrize(("record", "path"), BROKEN)
def test_broken_events(record: dict[str, Any], path: str) -> None:
    """A user event with a wrong value is a dead letter of code 20001 that names the key."""
    with pytest.raises(DecodeError) as caught:
        decode(record)
    assert (caught.value.code, caught.value.path) == (20001, path)


@pytest.mark.parametrize("value", [None, b"", b"[]", b"null", b"{", b"{}", b'{"To_Account":"piet"}', b"\xff"])
def test_what_is_no_event(value: bytes | None) -> None:
    """No JSON object, or none of the three families: 90001 at the root."""
    with pytest.raises(DecodeError) as caught:
        decode_user_event(value, 0)
    assert (caught.value.code, caught.value.path) == (90001, "$")


def test_an_event_over_64_kib() -> None:
    """Size has its own code here too."""
    with pytest.raises(DecodeError, match="93000"):
        decode_user_event(json.dumps(PUT).encode().ljust(65_537), 0)


def test_lenient_mode() -> None:
    """Digit strings pass for integers where the operator asked for it."""
    assert decode(PUT | {"BusinessID": "31"}, lenient=True) == decode(PUT)


def state_change(action: str, *kicked: str) -> tuple[UserEvent, ...]:
    return decode(
        {
            "CallbackCommand": "State.StateChange",
            "EventTime": AT,
            "Info": {"To_Account": "piet", "Action": action, "Reason": "LinkClose"},
            "KickedDevice": [{"Platform": platform} for platform in kicked],
        }
    )


def test_state_changes() -> None:
    """Tencent's presence webhook logs in, logs out, or tells of a lost link."""
    assert state_change("Login") == (UserLogin(**WHO),)
    assert state_change("Logout") == (UserLogout(**WHO),)
    assert state_change("Disconnect") == (UserDisconnect(**WHO),)


def test_kicked_devices() -> None:
    """A kick unbinds the platforms that have devices, after the login that caused it; desktops have none."""
    assert state_change("Login", "Android", "iPad", "Windows") == (
        UserLogin(**WHO),
        UserLogout(**WHO, platforms=frozenset({"android", "ios"})),
    )
    assert state_change("Login", "Web", "Harmony", "iOS")[1:] == (
        UserLogout(**WHO, platforms=frozenset({"web", "harmony", "ios"})),
    )
    assert state_change("Login", "Windows", "Mac", "Linux") == (UserLogin(**WHO),)


def test_read_report() -> None:
    """What is unread after reading becomes the reader's badge; Tencent's -1 (unknown) changes nothing."""
    report = {
        "CallbackCommand": "C2C.CallbackAfterMsgReport",
        "Report_Account": "piet",
        "Peer_Account": "noor",
        "EventTime": AT,
        "UnreadMsgNum": 6,
    }
    assert decode(report) == (BadgeSet(**WHO, unread=6),)
    assert decode(report | {"UnreadMsgNum": -1}) == ()


def test_admin_do_not_disturb() -> None:
    """The admin body blocks once, or daily where IsRepeated is 1, for each account named."""
    body = {
        "To_Account": ["piet", "noor", "piet"],
        "StartTime": 100,
        "EndTime": 400,
        "Level": 1,
        "EventTime": AT,
    }
    once = OnceWindow(start=100, duration=300)
    assert decode(body) == (
        GlobalOption(**WHO, window=once),
        GlobalOption(app=7, user="noor", time_ms=AT, window=once),
    )
    assert decode(body | {"To_Account": "piet", "IsRepeated": 1}) == (
        GlobalOption(**WHO, window=RepeatWindow(start=100, end=400)),
    )
    assert decode(body | {"To_Account": "piet", "IsRepeated": 0, "Level": 2}) == (
        GlobalOption(**WHO, window=once),
    )


def test_admin_level_zero_clears() -> None:
    """Level 0 clears, and asks for no sensible times."""
    body = {"To_Account": "piet", "StartTime": 0, "EndTime": 0, "Level": 0, "EventTime": AT}
    assert decode(body) == (GlobalOption(**WHO, window=None),)
