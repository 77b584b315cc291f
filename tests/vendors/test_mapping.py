"""Where each key of a message goes: every entry of a vendor's ``mapping`` is proven by what it changes in the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import pytest

from pushgw.credentials import load_directory
from pushgw.messages.hints import ANDROID, APNS, Hints
from pushgw.sandbox import example_directory
from pushgw.vendor import Auth, Notification, Push, Request, Target, installed_vendors

VENDORS = installed_vendors()
ACCOUNTS = {a.vendor: a for a in reversed(load_directory(example_directory(), VENDORS).accounts)}
"""The first of each vendor."""
NOW = 1_767_225_600.0
AUTH = Auth(value="auth-1", made_at=NOW, expires_at=NOW + 3600)

Scene = Mapping[str, Any]
"""Key of a message, or ``defaults.<key>`` of the credential, or one of the identities -> its value."""

BASE: Scene = {
    "Title": "Alice",
    "Desc": "Lunch at noon?",
    "Ext": "ext-1",
    "UnreadMsgNum": 3,
    "MsgLifeTime": 3600,
    "conversation": "C2C_alice",
    "collapse_id": "a" * 32,
    "notify_id": 1,
    "vendor_id": "11111111-1111-4111-8111-111111111111",
    "push_id": "0" * 26,
}
NEEDED: Mapping[str, Scene] = {"harmony": {"defaults.category": "IM"}}
"""What a vendor takes no notification without."""

_URL = {"defaults.click_action": "url", "defaults.click_target": "https://a.example"}
_PAGE = {"defaults.click_action": "intent", "defaults.click_target": "com.example.OPEN"}
_CALLBACK = {"defaults.callback": "https://a.example/receipts"}
_TEMPLATE = {"defaults.template_id": "T1"}
_TEMPLATE_IN_CHANNEL = {**_TEMPLATE, "defaults.channel_id": "im"}

SAMPLES: Mapping[str, tuple[tuple[Scene, Any], ...]] = {
    "Title": (({}, "Bob"), (_TEMPLATE_IN_CHANNEL, "Bob")),
    "Desc": (({}, "Dinner at eight?"), (_TEMPLATE_IN_CHANNEL, "Dinner at eight?")),
    "Ext": (({}, "ext-2"),),
    "UnreadMsgNum": (({"defaults.badge_class": "com.example.Main"}, 7),),
    "MsgLifeTime": (({}, 7200),),
    "TIMCustomElem.Sound": (({}, "chime"),),
    "conversation": (({}, "C2C_bob"),),
    "collapse_id": ((_CALLBACK, "b" * 32),),
    "notify_id": (({}, 2),),
    "vendor_id": (({}, "22222222-2222-4222-8222-222222222222"),),
    "push_id": ((_CALLBACK, "1" * 26),),
    "AndroidInfo.Sound": (({}, "chime"),),
    "AndroidInfo.PushStyle": (({}, 1),),
    "AndroidInfo.HuaWeiChannelID": (({}, "sales"),),
    "AndroidInfo.HuaWeiCategory": (({}, "WORK"),),
    "AndroidInfo.HuaWeiImportance": (({}, "LOW"),),
    "AndroidInfo.HuaWeiImage": (({}, "https://a.example/1.png"),),
    "AndroidInfo.ExtAsHuaweiIntentParam": ((_PAGE, 1),),
    "AndroidInfo.HonorImportance": (({}, "LOW"),),
    "AndroidInfo.HonorImage": (({}, "https://a.example/1.png"),),
    "AndroidInfo.XiaoMiChannelID": (({}, "sales"),),
    "AndroidInfo.OPPOChannelID": (({}, "sales"),),
    "AndroidInfo.OPPOCategory": (({}, "ACCOUNT"),),
    "AndroidInfo.OPPONotifyLevel": (({"defaults.category": "IM"}, 16),),
    "AndroidInfo.OPPOPrivateMsgTemplateId": ((_TEMPLATE, "T2"),),
    "AndroidInfo.OPPOPrivateTitleParameters": ((_TEMPLATE, {"who": "Alice"}),),
    "AndroidInfo.OPPOPrivateContentParameters": ((_TEMPLATE, {"what": "Lunch"}),),
    "AndroidInfo.GoogleChannelID": (({}, "sales"),),
    "AndroidInfo.GoogleImage": (({}, "https://a.example/1.png"),),
    "AndroidInfo.GooglePriority": (({}, "normal"),),
    "AndroidInfo.VIVOClassification": (({}, 0),),
    "AndroidInfo.VIVOCategory": (({}, "IM"),),
    "AndroidInfo.VIVONotifyType": (({}, 1),),
    "AndroidInfo.MeiZuNoticeMsgType": (({}, 0),),
    "ApnsInfo.Sound": (({}, "chime.caf"),),
    "ApnsInfo.BadgeMode": (({}, 1),),
    "ApnsInfo.Title": (({}, "Bob"),),
    "ApnsInfo.SubTitle": (({}, "at work"),),
    "ApnsInfo.Image": (({}, "https://a.example/1.png"),),
    "ApnsInfo.MutableContent": (({}, 1),),
    "ApnsInfo.ContentAvailable": (({}, 1),),
    "ApnsInfo.InterruptionLevel": (({}, "time-sensitive"),),
    "ApnsInfo.IsVoipPush": (({}, 1),),
    "ApnsInfo.LiveActivity": (
        (
            {},
            {"LaId": "A1", "Event": "end", "ContentState": {"score": 3}, "DismissalDate": 1_767_226_000},
        ),
    ),
    "HarmonyInfo.Title": (({}, "Bob"),),
    "HarmonyInfo.Category": (({}, "WORK"),),
    "HarmonyInfo.Image": (({}, "https://a.example/1.png"),),
    "HarmonyInfo.Sound": (({}, "chime.mp3"),),
    "HarmonyInfo.SoundDuration": (({"HarmonyInfo.Sound": "chime.mp3"}, 7),),
    "defaults.channel_id": (({}, "sales"),),
    "defaults.category": (({}, "ACCOUNT"),),
    "defaults.importance": (({}, "LOW"),),
    "defaults.sound": (({}, "chime"),),
    "defaults.badge_class": (({}, "com.example.Main"),),
    "defaults.click_action": ((_PAGE, "open_app"), (_URL, "open_app")),
    "defaults.click_target": (
        (_URL, "https://b.example"),
        (_PAGE, "com.example.CHAT"),
        (_PAGE, "intent:#Intent;action=com.example.CHAT;end"),
    ),
    "defaults.template_id": ((_TEMPLATE_IN_CHANNEL, "T2"), ({"defaults.channel_id": "im"}, "T2")),
    "defaults.template_param": ((_TEMPLATE_IN_CHANNEL, '{"keywords1":"{body}"}'),),
    "defaults.callback": (({}, "https://a.example/receipts"),),
    "defaults.notify_type": (({}, "1"),),
    "defaults.classification": (({}, "0"),),
    "defaults.notice_msg_type": (({}, "0"),),
}
"""Key -> (what else is given, its value); the request is compared with the one where only the key is missing."""

JSON_IN_FORMS = ("messages", "messageJson")
"""Form fields that hold JSON which the vendor takes apart."""
SIGNATURES = frozenset({"sign"})
FREE_FORM = frozenset({"aps.content-state"})
"""Objects of the publisher's own making: they count as one value."""


def rendered(vendor: str, scene: Scene) -> dict[str, Any]:
    """Field path -> value of the request, headers included and signatures left out."""
    full = {**BASE, **NEEDED.get(vendor, {}), **scene}
    account = msgspec.structs.replace(ACCOUNTS[vendor], defaults=_part(full, "defaults"), cache={})
    target = Target(
        token="token", user="u", device_id="d", push_id=full["push_id"], vendor_id=full["vendor_id"]
    )
    push = Push(notification=_notification(full), targets=(target,), now=NOW)
    return flat(VENDORS[vendor].adapter.render(push, account, AUTH))


def _notification(full: Scene) -> Notification:
    hints = Hints(lenient=False)
    android, apns, harmony = (_part(full, name) for name in ("AndroidInfo", "ApnsInfo", "HarmonyInfo"))
    notification = Notification(
        title=full["Title"],
        body=full["Desc"],
        ext=full["Ext"],
        sound=full.get("TIMCustomElem.Sound"),
        badge=full["UnreadMsgNum"],
        expires_at=int(NOW) + full["MsgLifeTime"],
        collapse_id=full["collapse_id"],
        notify_id=full["notify_id"],
        conversation=full["conversation"],
        android=hints.android(android) if android else None,
        apns=hints.apns(apns) if apns else None,
        harmony=hints.harmony(harmony) if harmony else None,
    )
    assert hints.warnings == []
    return notification


def _part(full: Scene, name: str) -> dict[str, Any]:
    return {key.partition(".")[2]: value for key, value in full.items() if key.startswith(f"{name}.")}


def flat(request: Request) -> dict[str, Any]:
    found = {f"header {name}": value for name, value in (*request.shared, *request.headers)}
    if "x-www-form-urlencoded" in found.get("header content-type", ""):
        form = dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True, keep_blank_values=True))
        for name, value in form.items():
            _flatten(msgspec.json.decode(value) if name in JSON_IN_FORMS else value, name, found)
    else:
        _flatten(msgspec.json.decode(request.body), "", found)
    return {path: value for path, value in found.items() if path not in SIGNATURES}


def _flatten(value: Any, path: str, found: dict[str, Any]) -> None:
    if isinstance(value, dict) and path not in FREE_FORM:
        for name, inner in value.items():
            _flatten(inner, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list):
        for inner in value:
            _flatten(inner, f"{path}[]", found)
    else:
        found[path] = value


def changed(vendor: str, key: str) -> tuple[set[str], set[str]]:
    """Paths that got another value or came to be, and paths that went, when the key was given."""
    new: set[str] = set()
    gone: set[str] = set()
    for given, value in SAMPLES[key]:
        without, withit = rendered(vendor, given), rendered(vendor, {**given, key: value})
        new |= {path for path, held in withit.items() if without.get(path, _NOTHING) != held}
        gone |= without.keys() - withit.keys()
    return new, gone


_NOTHING = object()


ENTRIES = [(name, key) for name, vendor in VENDORS.items() for key in vendor.mapping]
BLANKS = [(name, key) for name, vendor in VENDORS.items() for key in SAMPLES if key not in vendor.mapping]


@pytest.mark.parametrize(("vendor", "key"), ENTRIES)
def test_a_key_becomes_the_fields_that_its_entry_names(vendor: str, key: str) -> None:
    """Given the key, every field of the entry differs, and no other field is new or has another value."""
    entry = set(VENDORS[vendor].mapping[key].split(", "))
    new, gone = changed(vendor, key)
    assert new <= entry, "a field that the entry does not name was changed"
    assert entry <= new | gone, "a field of the entry was not changed"


@pytest.mark.parametrize(("vendor", "key"), BLANKS)
def test_a_key_without_an_entry_has_no_counterpart(vendor: str, key: str) -> None:
    """Given the key, the request is the same, byte for byte."""
    assert changed(vendor, key) == (set(), set())


def test_every_key_that_is_read_has_a_sample() -> None:
    """A new hint of the messages, or a new entry of a vendor, is proven as well."""
    hints = {f"AndroidInfo.{key}" for key in ANDROID} | {f"ApnsInfo.{key}" for key in APNS}
    assert hints <= SAMPLES.keys()
    assert {key for vendor in VENDORS.values() for key in vendor.mapping} <= SAMPLES.keys()


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_default_that_is_read_is_mapped(vendor: str) -> None:
    """What the vendor's code takes out of ``[defaults]`` is what its mapping offers to the operator."""
    folder = Path(__file__).parents[2] / "vendors" / vendor
    code = "\n".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    read = set(re.findall(r"""defaults(?:\.get\(|\[)"([a-z_]+)\"""", code))
    assert {f"defaults.{key}" for key in read} == {k for k in VENDORS[vendor].mapping if k.startswith("def")}
