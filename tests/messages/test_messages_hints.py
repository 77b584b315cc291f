from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.hints import ACTIVITY, ANDROID, APNS, OBJECT, TEXT
from pushgw.messages.model import AndroidInfo, ApnsInfo, LiveActivity, Words

EXAMPLES = Path(__file__).parent / "examples"


def decode(name: str, **changes: Any) -> Any:
    record = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")) | changes
    return MessageCodec().decode(json.dumps(record).encode(), 0)


def with_gateway(name: str, **changes: Any) -> Any:
    gateway = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))["PushGateway"] | changes
    return decode(name, PushGateway=gateway)


@pytest.mark.parametrize("wrong", [None, [], 99, -1, "never heard of", True, 1.5, {}])
def test_a_wrong_hint_is_left_out_and_named(wrong: Any) -> None:
    """No value of a vendor's hint kills a message; each that cannot be used has its sentence, with its path."""
    info = {"AndroidInfo": dict.fromkeys(ANDROID, wrong), "ApnsInfo": dict.fromkeys(APNS, wrong)}
    message = decode("c2c-rest", OfflinePushInfo=info)
    named = {warning.split(" ")[0] for warning in message.warnings}
    for part, rows, kept in (
        ("AndroidInfo", ANDROID, message.push_info.android),
        ("ApnsInfo", APNS, message.push_info.apns),
    ):
        empty = AndroidInfo() if part == "AndroidInfo" else ApnsInfo()
        for key, (field, _allowed) in rows.items():
            used = getattr(kept, field) != getattr(empty, field)
            assert used != (f"OfflinePushInfo.{part}.{key}" in named), key


def test_every_right_hint_is_kept() -> None:
    """Each documented key takes each of its values, and reaches the field that is its own."""
    for rows, part, name in ((ANDROID, "AndroidInfo", "android"), (APNS, "ApnsInfo", "apns")):
        for key, (field, allowed) in rows.items():
            if allowed is ACTIVITY:
                continue  # has tests of its own below
            for value in ["v"] if allowed is TEXT else [{"k": "v"}] if allowed is OBJECT else allowed:
                message = decode("c2c-rest", OfflinePushInfo={part: {key: value}})
                assert getattr(getattr(message.push_info, name), field) == value
                assert message.warnings == ()


def live_activity(given: Any) -> tuple[LiveActivity | None, tuple[str, ...]]:
    message = decode("c2c-rest", OfflinePushInfo={"ApnsInfo": {"LiveActivity": given, "Sound": "s.caf"}})
    assert message.push_info.apns.sound == "s.caf"
    return message.push_info.apns.live_activity, message.warnings


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (
            {"LaId": "match-7", "Event": "update", "ContentState": {"score": [2, 1]}},
            LiveActivity(la_id="match-7", event="update", content_state={"score": [2, 1]}),
        ),
        ({"Event": "end", "DismissalDate": 1790000000}, LiveActivity(event="end", dismissal_date=1790000000)),
        (
            {"Event": "end", "DismissalDate": 0, "ContentState": {}},
            LiveActivity(event="end", content_state={}, dismissal_date=0),
        ),
        ({"LaId": "", "Event": "end", "DismissalDate": ""}, LiveActivity(event="end")),
        ("", None),
    ],
)
def test_a_live_activity_is_read(given: Any, read: LiveActivity | None) -> None:
    """Each key reaches its field; blank keys are absent, and an end needs no state."""
    assert live_activity(given) == (read, ())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "it has no Event"),
        ({"ContentState": {}}, "it has no Event"),
        ({"Event": "update"}, "it has no ContentState"),
        ([], "it is no object"),
    ],
)
def test_a_live_activity_with_nothing_to_show_is_ignored(given: Any, why: str) -> None:
    """Without its event or its state there is nothing to push: the message goes out as an alert."""
    assert live_activity(given) == (
        None,
        (f"OfflinePushInfo.ApnsInfo.LiveActivity was ignored: {why}.",),
    )


@pytest.mark.parametrize(
    ("key", "wrong", "left"),
    [
        ("LaId", 7, LiveActivity(event="end", content_state={"a": 1}, dismissal_date=5)),
        ("ContentState", "{}", LiveActivity(la_id="x", event="end", dismissal_date=5)),
        ("DismissalDate", -1, LiveActivity(la_id="x", event="end", content_state={"a": 1})),
        ("DismissalDate", "soon", LiveActivity(la_id="x", event="end", content_state={"a": 1})),
        ("DismissalDate", 2**60, LiveActivity(la_id="x", event="end", content_state={"a": 1})),
    ],
)
def test_a_wrong_key_of_a_live_activity_is_left_out_alone(key: str, wrong: Any, left: LiveActivity) -> None:
    """The rest of it is kept, and the key is named."""
    given = {"LaId": "x", "Event": "end", "ContentState": {"a": 1}, "DismissalDate": 5, key: wrong}
    read, warnings = live_activity(given)
    assert read == left
    [warning] = warnings
    assert warning.startswith(f"OfflinePushInfo.ApnsInfo.LiveActivity.{key} was ignored: ")


def test_an_unheard_of_event_ends_a_live_activity_hint() -> None:
    """Tencent knows update and end; with another word both the key and the object are named."""
    read, warnings = live_activity({"Event": "explode", "ContentState": {}})
    assert read is None
    assert [w.split(" ")[0] for w in warnings] == [
        "OfflinePushInfo.ApnsInfo.LiveActivity.Event",
        "OfflinePushInfo.ApnsInfo.LiveActivity",
    ]


def test_blank_strings_are_absent() -> None:
    """A publisher that sends every key, most of them blank, means the console's values and gets no warning."""
    message = decode("c2c-rest", OfflinePushInfo={"AndroidInfo": dict.fromkeys(ANDROID, "")})
    kept = message.push_info.android
    assert all(getattr(kept, field) is None for field, _ in ANDROID.values())
    assert not any("Channel" in warning for warning in message.warnings)


@pytest.mark.parametrize("part", ["AndroidInfo", "ApnsInfo", "HarmonyInfo"])
def test_a_vendor_part_that_is_no_object(part: str) -> None:
    """The whole part is a hint too."""
    message = decode("c2c-rest", OfflinePushInfo={part: "x"})
    assert message.warnings == (f"OfflinePushInfo.{part} was ignored: it is no object.",)


@pytest.mark.parametrize("given", [-1, "4", None, 2**31, 1.5, True])
def test_unread_number(given: Any) -> None:
    """An UnreadMsgNum that is no number of messages is ignored, at the top and at a receiver."""
    message = decode("c2c-webhook", UnreadMsgNum=given)
    assert message.unread is None
    assert message.warnings == ("UnreadMsgNum was ignored: it is no number of messages.",)
    receivers = [{"To_Account": "omar", "UnreadMsgNum": given, "RecvOpt": 5}]
    message = with_gateway("group-rest", Receivers=receivers)
    assert (message.hints["omar"].unread, message.hints["omar"].recv_opt) == (None, None)
    assert [warning.split(" ")[0] for warning in message.warnings] == [
        "PushGateway.Receivers[0].UnreadMsgNum",
        "PushGateway.Receivers[0].RecvOpt",
    ]


def test_a_recall_ignores_a_wrong_unread_number() -> None:
    """Hints kill no recall either."""
    assert decode("c2c-recall-webhook", UnreadMsgNum="many").unread is None


def test_group_type() -> None:
    """Tencent's own Type comes first; where it is unheard of, the publisher's counts; else the type is unknown."""
    group = {"Name": "Harbour", "Type": "Meeting"}
    gateway = {"SchemaVersion": 1, "EventId": "e", "Group": group}
    assert decode("group-webhook", PushGateway=gateway).group_type == "Community"
    message = decode("group-webhook", PushGateway=gateway, Type="Clan")
    assert message.group_type == "Meeting"
    assert message.warnings == ("Type was ignored: it is no group type of Tencent's.",)
    message = with_gateway("group-rest", Group={"Type": 5})
    assert message.group_type is None
    assert message.warnings == ("PushGateway.Group.Type was ignored: it is no group type of Tencent's.",)


def test_older_names_of_group_types() -> None:
    """ChatRoom is Meeting and Private is Work, whoever still says so."""
    assert decode("group-webhook", Type="ChatRoom").group_type == "Meeting"
    assert decode("group-webhook", Type="Private").group_type == "Work"


def test_priority_and_source() -> None:
    """MsgPriority and PushGateway.Source are hints like others."""
    message = decode("group-rest", MsgPriority="Urgent")
    assert message.warnings == ("MsgPriority was ignored: it is none of High, Normal, Low, Lowest.",)
    message = with_gateway("c2c-rest", Source="Toaster")
    assert (message.origin, len(message.warnings)) == (None, 1)


def info_of(**given: Any) -> tuple[Any, tuple[str, ...]]:
    message = decode("c2c-rest", OfflinePushInfo=given)
    return message.push_info, message.warnings


def test_languages_are_kept_by_their_primary_name() -> None:
    """In their order; the plain language beats its variants, of these the first counts, whatever the spelling."""
    given = [
        {"Language": "zh-TW", "Title": "1", "Desc": "2"},
        {"Language": "EN_us", "Title": "3", "Desc": "4"},
        {"Language": "en-GB", "Title": "x", "Desc": "x"},
        {"Language": "zh", "Desc": "6", "Other": 1},
        {"Language": "zh", "Desc": "x"},
    ]
    info, warnings = info_of(MultiLanguageContent=given)
    assert list(info.languages.items()) == [("zh", Words("", "6")), ("en", Words("3", "4"))]
    assert warnings == ()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("zh", ""),
        ({}, ""),
        ([5], "[0]"),
        ([{"Title": "t", "Desc": "d"}], "[0]"),
        ([{"Language": "zh"}], "[0]"),
        ([{"Language": 7, "Desc": "d"}], "[0].Language"),
        ([{"Language": "-", "Desc": "d"}], "[0]"),
    ],
)
def test_languages_that_cannot_be_used_are_named(given: Any, path: str) -> None:
    """No MultiLanguageContent kills a message; what cannot be used is left out with a sentence."""
    info, warnings = info_of(MultiLanguageContent=given, Desc="kept")
    assert (info.languages, info.desc) == (None, "kept")
    assert any(w.startswith(f"OfflinePushInfo.MultiLanguageContent{path} was ignored: ") for w in warnings)


@pytest.mark.parametrize(
    ("key", "field", "good", "bad"),
    [
        ("BadgeSetNum", "badge_set", (0, 999, 7.0), (-1, 1000, "7", True, None, 1.5, [])),
        ("BadgeAddNum", "badge_add", (1, 99), (0, 100, -3, "x", {})),
    ],
)
def test_badge_numbers_have_bounds(key: str, field: str, good: tuple[Any, ...], bad: tuple[Any, ...]) -> None:
    """Within them they are kept; without, left out and named; a blank one is none."""
    for value in good:
        info, warnings = info_of(**{key: value})
        assert (getattr(info, field), warnings) == (int(value), ())
    for value in bad:
        info, warnings = info_of(**{key: value})
        assert getattr(info, field) is None
        assert [w.split(" ")[0] for w in warnings] == [f"OfflinePushInfo.{key}"]
    assert info_of(**{key: ""}) == (info_of()[0], ())


def test_a_badge_of_the_messages_own_beats_its_badge_mode() -> None:
    """BadgeMode 1 is about the counting that there is without one."""
    silent = {"BadgeMode": 1, "Sound": "s.caf"}
    for more, mode in (({}, 1), ({"BadgeSetNum": 3}, 0), ({"BadgeAddNum": 3}, 0), ({"BadgeSetNum": -1}, 1)):
        info, _ = info_of(ApnsInfo=silent, **more)
        assert (info.apns.badge_mode, info.apns.sound) == (mode, "s.caf")
