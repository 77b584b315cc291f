"""What a notification says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.messages.model import AndroidInfo, ApnsInfo, Element, Kind, OfflineMessage, OfflinePushInfo, Words
from pushgw.policy.content import (
    ELEMENT_LABELS,
    Text,
    compose,
    default_body,
    ext_of,
    has_body,
    sound_of,
)
from pushgw.settings import PolicySettings

MakeMessage = Callable[..., OfflineMessage]


def text(said: str) -> Element:
    return Element("TIMTextElem", said)


def custom(desc: str = "", ext: str = "", sound: str = "") -> Element:
    return Element("TIMCustomElem", "", desc, ext, sound)


FACE, IMAGE = Element("TIMFaceElem"), Element("TIMImageElem")


@pytest.mark.parametrize(
    ("body", "zh", "en"),
    [
        ((text("hi"),), "hi", "hi"),
        ((text("hello"), text("world")), "helloworld", "helloworld"),
        ((text("Test"), IMAGE), "Test[图片]", "Test[Image]"),
        ((text("hi"), FACE), "hi[表情]", "hi[Face]"),
        ((Element("TIMLocationElem"),), "[位置]", "[Location]"),
        ((Element("TIMSoundElem"),), "[语音]", "[Voice]"),
        ((Element("TIMFileElem"),), "[文件]", "[File]"),
        ((Element("TIMVideoFileElem"),), "[视频]", "[Video]"),
        ((Element("TIMRelayElem"),), "[聊天记录]", "[Chat History]"),
        ((custom("order 7"),), "order 7", "order 7"),
        ((custom(""), text("hi")), "hi", "hi"),
        ((custom(""),), "", ""),
        ((Element("TIMNewElem"),), "", ""),
        ((Element("TIMNewElem"), FACE), "[表情]", "[Face]"),
        ((text(""),), "", ""),
        ((), "", ""),
    ],
)
def test_elements_make_the_body(
    make_message: MakeMessage, body: tuple[Element, ...], zh: str, en: str
) -> None:
    """Each element's text in its order, nothing between them, in the language asked for."""
    message = make_message(body=body)
    assert default_body(message, "zh") == zh
    assert default_body(message, "en") == en
    assert has_body(message) == bool(zh)


def test_both_languages_name_the_same_elements() -> None:
    """No element has a label in one language only."""
    assert ELEMENT_LABELS["zh"].keys() == ELEMENT_LABELS["en"].keys()


C2C = {"sender_nick": "Alice"}
GROUP = {"group_id": "g", "group_name": "Team", "sender_nick": "Alice", "sender_card": "Ali"}
TITLE = OfflinePushInfo(title="News")
APNS_TITLE = OfflinePushInfo(title="News", apns=ApnsInfo(title="iOS news"))
DESC = OfflinePushInfo(desc="{all} there is")
BOTH = OfflinePushInfo(title="News", desc="All")


@pytest.mark.parametrize(
    ("changes", "ios", "elsewhere"),
    [
        (C2C, ("", "Alice:hi"), ("a new message", "Alice:hi")),
        ({}, ("", "hi"), ("a new message", "hi")),
        ({"sender_card": "Ali"}, ("", "hi"), ("a new message", "hi")),
        (GROUP, ("", "Ali(Team):hi"), ("a new message", "Ali(Team):hi")),
        (GROUP | {"sender_card": None}, ("", "Alice(Team):hi"), ("a new message", "Alice(Team):hi")),
        (
            GROUP | {"sender_card": None, "sender_nick": None},
            ("", "(Team):hi"),
            ("a new message", "(Team):hi"),
        ),
        (GROUP | {"group_name": None}, ("", "Ali:hi"), ("a new message", "Ali:hi")),
        ({"group_id": "g"}, ("", "hi"), ("a new message", "hi")),
        (C2C | {"push_info": OfflinePushInfo()}, ("", "Alice:hi"), ("a new message", "Alice:hi")),
        (C2C | {"push_info": TITLE}, ("News", "Alice:hi"), ("News", "hi")),
        (GROUP | {"push_info": TITLE}, ("News", "Ali(Team):hi"), ("News", "hi")),
        (C2C | {"push_info": APNS_TITLE}, ("iOS news", "Alice:hi"), ("News", "hi")),
        (
            C2C | {"push_info": OfflinePushInfo(apns=ApnsInfo(title="iOS news"))},
            ("iOS news", "Alice:hi"),
            ("a new message", "Alice:hi"),
        ),
        (C2C | {"push_info": DESC}, ("", "{all} there is"), ("a new message", "{all} there is")),
        (GROUP | {"push_info": BOTH}, ("News", "All"), ("News", "All")),
        (
            C2C | {"push_info": OfflinePushInfo(), "body": (custom("order 7"),)},
            ("", "Alice:order 7"),
            ("a new message", "Alice:order 7"),
        ),
        (
            {"kind": Kind.TASK, "body": (), "push_info": BOTH} | C2C,
            ("News", "All"),
            ("News", "All"),
        ),
        (C2C | {"body": (custom(),)}, ("", ""), ("a new message", "")),
    ],
)
def test_title_and_body(
    make_message: MakeMessage, changes: dict[str, Any], ios: tuple[str, str], elsewhere: tuple[str, str]
) -> None:
    """Desc is shown as it is; a default body has the sender's name before it, save where a title was given off iOS."""
    message = make_message(**changes)
    options = PolicySettings()
    assert compose(message, ios=True, lang="zh", options=options) == Text(*ios)
    assert compose(message, ios=False, lang="zh", options=options) == Text(*elsewhere)


@pytest.mark.parametrize(
    ("template", "changes", "expected"),
    [
        ("{name}", C2C, ("Alice", "hi")),
        ("From {name}!", C2C, ("From Alice!", "hi")),
        ("{name}", {}, ("a new message", "hi")),
        ("From {name}", {"sender_card": "Ali"}, ("a new message", "hi")),
        ("{name}", GROUP, ("Team", "Ali(Team):hi")),
        ("{name}", GROUP | {"group_name": None}, ("a new message", "Ali:hi")),
        ("New", C2C, ("New", "Alice:hi")),
        ("{name}", {"sender_nick": "{name}"}, ("{name}", "hi")),
        ("{name} {0}", C2C, ("Alice {0}", "hi")),
        ("{name}", C2C | {"push_info": TITLE}, ("News", "hi")),
        ("{name}", C2C | {"push_info": DESC}, ("Alice", "{all} there is")),
    ],
)
def test_the_title_elsewhere_is_the_operators(
    make_message: MakeMessage, template: str, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    """`policy.android_title` stands in for a title; when it names the sender, a one-to-one body does not again."""
    options = PolicySettings(android_title=template)
    message = make_message(**changes)
    assert compose(message, ios=False, lang="zh", options=options) == Text(*expected)
    assert compose(message, ios=True, lang="zh", options=options).title in ("", "News")


def test_labels_follow_the_devices_language(make_message: MakeMessage) -> None:
    """The same message in two languages; the name before it is in none."""
    message = make_message(body=(FACE,), sender_nick="艾丽")
    options = PolicySettings()
    assert compose(message, ios=True, lang="en", options=options).body == "艾丽:[Face]"
    assert compose(message, ios=True, lang="zh", options=options).body == "艾丽:[表情]"


@pytest.mark.parametrize(
    ("body", "info", "ext", "sound"),
    [
        ((text("hi"),), None, "", None),
        ((custom("d", "e", "s.caf"),), None, "e", "s.caf"),
        ((text("hi"), custom("d", "e", "s.caf")), None, "e", "s.caf"),
        ((custom("d"),), None, "", None),
        ((custom("d", "e", "s.caf"),), OfflinePushInfo(), "", None),
        ((custom("d", "e", "s.caf"),), OfflinePushInfo(ext="x", android=AndroidInfo(sound="a")), "x", None),
    ],
)
def test_ext_and_sound_come_from_one_place(
    make_message: MakeMessage,
    body: tuple[Element, ...],
    info: OfflinePushInfo | None,
    ext: str,
    sound: str | None,
) -> None:
    """From OfflinePushInfo when the record has one, even an empty one; else from the custom element."""
    message = make_message(body=body, push_info=info)
    assert (ext_of(message), sound_of(message)) == (ext, sound)


ELEMENTS = st.lists(
    st.builds(
        Element,
        st.sampled_from(["TIMTextElem", "TIMCustomElem", "TIMFaceElem", "TIMNewElem"]),
        st.text(max_size=2),
        st.text(max_size=2),
    ),
    max_size=3,
)
WORDS = st.builds(Words, title=st.text(max_size=2), desc=st.text(max_size=2))
LANGUAGES = st.none() | st.dictionaries(st.sampled_from(["zh", "en", "ja"]), WORDS, min_size=1)
INFOS = st.none() | st.builds(
    OfflinePushInfo, title=st.text(max_size=2), desc=st.text(max_size=2), languages=LANGUAGES
)


@given(body=ELEMENTS, info=INFOS, ios=st.booleans(), lang=st.sampled_from(["zh", "en"]))
def test_emptiness_is_the_same_everywhere(
    body: list[Element], info: OfflinePushInfo | None, ios: bool, lang: str
) -> None:
    """A12 judges once for all devices: a body is empty on every platform and in every language, or on none."""
    message = OfflineMessage(
        kind=Kind.C2C,
        app=0,
        sender="alice",
        receivers=("bob",),
        hints={},
        random=1,
        time=0,
        time_in_body=True,
        record_time_ms=0,
        sender_nick="Alice",
        body=tuple(body),
        push_info=info,
    )
    assert has_body(message) == bool(compose(message, ios=ios, lang=lang, options=PolicySettings()).body)


@pytest.mark.parametrize(
    ("languages", "own", "lang", "expected"),
    [
        ({"en": Words("T", "D"), "zh": Words("标", "题")}, ("t", "d"), "en", ("T", "D")),
        ({"en": Words("T", "D"), "zh": Words("标", "题")}, ("t", "d"), "zh", ("标", "题")),
        ({"ja": Words("T", "D")}, ("t", "d"), "en", ("t", "d")),
        ({"en": Words(desc="D")}, ("t", "d"), "en", ("t", "D")),
        ({"en": Words("T")}, ("t", "d"), "en", ("T", "d")),
        ({"en": Words("T")}, ("", ""), "en", ("T", "hi")),
        ({"ja": Words("T", "D")}, ("t", ""), "en", ("t", "hi")),
    ],
)
def test_the_devices_language_is_picked(
    make_message: MakeMessage,
    languages: dict[str, Words],
    own: tuple[str, str],
    lang: str,
    expected: tuple[str, str],
) -> None:
    """Its entry of MultiLanguageContent; what that lacks comes from Title and Desc, then from the message's body."""
    info = OfflinePushInfo(title=own[0], desc=own[1], languages=languages)
    message = make_message(body=(text("hi"),), push_info=info, sender_nick=None)
    options = PolicySettings()
    assert compose(message, ios=False, lang=lang, options=options) == expected
    assert compose(message, ios=True, lang=lang, options=options) == expected


def test_a_strange_language_is_better_than_nothing(make_message: MakeMessage) -> None:
    """Where neither Desc nor the body has a text, the first entry's is shown; the platform's own title still wins."""
    languages = {"ja": Words("T"), "ko": Words("T2", "D2"), "fr": Words("T3", "D3")}
    info = OfflinePushInfo(languages=languages, apns=ApnsInfo(title="A"))
    message = make_message(body=(), push_info=info)
    assert has_body(message)
    assert compose(message, ios=True, lang="zh", options=PolicySettings()) == ("A", "D2")
