"""For any message, to any number of devices: what a vendor is sent passes that vendor's own double, or was refused beforehand.

A message is generated as its record on the topic, with any keys of OfflinePushInfo, and takes the gateway's own way from
there: codec, content, adapter, double, adapter.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pushgw.credentials import load_directory
from pushgw.delivery.decide import compose_notification
from pushgw.messages.codec import MessageCodec
from pushgw.messages.model import OfflineMessage
from pushgw.sandbox import example_directory
from pushgw.settings import PolicySettings
from pushgw.vendor import (
    Accepted,
    Account,
    Action,
    Call,
    Emulator,
    FollowUp,
    Notification,
    Outcome,
    Push,
    Refused,
    Request,
    Target,
    installed_vendors,
)

VENDORS = installed_vendors()
ACCOUNTS = load_directory(example_directory(), VENDORS).accounts
NOW = 1_795_500_000
CODEC = MessageCodec()
MOST_EXT = 12_000

# --- messages ---------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\x00",
        "👨‍👩‍👧‍👦" * 40,
        "漢字" * 400,
        "e" + "\u0301" * 900,
        '"\\' * 700,
        "<b>&amp;%00</b>" * 90,
        "\u202eabc",
    ]
)
LIMITS = (32, 40, 49, 50, 60, 100, 127, 128, 400, 600, 1000, 4096)
"""Of one vendor or another, in its own unit."""
LONG = (
    st.sampled_from(LIMITS)
    .flatmap(lambda limit: st.integers(limit - 4, limit + 4))
    .map(lambda n: ("ab " * 1400)[:n])
)
WORDS = (TEXT | LONG).map(lambda text: f"Hi {text}")
"""With a word in it: a text of digits and signs alone is taken for a trial by vivo, which nobody can mend."""
EXT = st.sampled_from([0, 1, 100, 900, 1000, 1020, 1024, 2000, 3000, 3900, 4096, 5000, MOST_EXT]).flatmap(
    lambda size: st.sampled_from(["x", "é", "漢", "😀", '"', "\x01", "\\"]).map(
        lambda filler: (filler * size)[:size]
    )
)
NAME = st.text(st.sampled_from("abcXYZ019_-."), min_size=1, max_size=30)
IMAGE = NAME.map(lambda name: f"https://a.example/{name}.png")
PARAMETERS = st.dictionaries(NAME, st.text(st.characters(codec="utf-8"), max_size=20), max_size=3)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


ANDROID = some(
    Sound=NAME,
    PushStyle=st.sampled_from([0, 1]),
    HuaWeiChannelID=NAME,
    HuaWeiCategory=st.sampled_from(["IM", "MARKETING", "WORK"]),
    HuaWeiImportance=st.sampled_from(["LOW", "NORMAL"]),
    HuaWeiImage=IMAGE,
    ExtAsHuaweiIntentParam=st.sampled_from([0, 1]),
    HonorImportance=st.sampled_from(["LOW", "NORMAL"]),
    HonorImage=IMAGE,
    XiaoMiChannelID=NAME,
    OPPOChannelID=NAME,
    OPPOCategory=st.sampled_from(["IM", "ACCOUNT", "MARKETING", "NEWS"]),
    OPPONotifyLevel=st.sampled_from([1, 2, 16]),
    OPPOPrivateMsgTemplateId=NAME,
    OPPOPrivateTitleParameters=PARAMETERS,
    OPPOPrivateContentParameters=PARAMETERS,
    GoogleChannelID=NAME,
    GoogleImage=IMAGE,
    GooglePriority=st.sampled_from(["normal", "high"]),
    VIVOClassification=st.sampled_from([0, 1]),
    VIVOCategory=st.sampled_from(["IM", "MARKETING", "ORDER", "NEWS"]),
    VIVONotifyType=st.sampled_from([1, 2, 3, 4]),
    MeiZuNoticeMsgType=st.sampled_from([0, 1]),
)
ACTIVITY = st.fixed_dictionaries(
    {"Event": st.sampled_from(["update", "end"]), "ContentState": PARAMETERS},
    optional={"LaId": NAME, "DismissalDate": st.integers(NOW, NOW + 9999)},
)
APNS = some(
    Sound=NAME,
    BadgeMode=st.sampled_from([0, 1]),
    Title=TEXT,
    SubTitle=TEXT,
    Image=IMAGE,
    MutableContent=st.sampled_from([0, 1]),
    ContentAvailable=st.sampled_from([0, 1]),
    InterruptionLevel=st.sampled_from(["passive", "active", "time-sensitive", "critical"]),
    IsVoipPush=st.sampled_from([0, 1]),
    LiveActivity=ACTIVITY,
)
HARMONY = some(
    Title=WORDS,
    Category=st.sampled_from(["IM", "WORK"]),
    Image=IMAGE,
    Sound=NAME,
    SoundDuration=st.integers(-1, 61),
)
LANGUAGE = some(Title=WORDS, Desc=WORDS).flatmap(
    lambda words: st.sampled_from(["zh", "en", "ja", "zh-TW"]).map(lambda name: {"Language": name, **words})
)
INFO = some(
    Title=WORDS,
    Desc=WORDS,
    Ext=EXT,
    AndroidInfo=ANDROID,
    ApnsInfo=APNS,
    HarmonyInfo=HARMONY,
    MultiLanguageContent=st.lists(LANGUAGE, max_size=3),
    BadgeSetNum=st.integers(-1, 1001),
    BadgeAddNum=st.integers(-1, 101),
)
BODY = st.lists(
    WORDS.map(lambda text: {"MsgType": "TIMTextElem", "MsgContent": {"Text": text}})
    | st.just({"MsgType": "TIMImageElem", "MsgContent": {}})
    | WORDS.map(
        lambda text: {"MsgType": "TIMCustomElem", "MsgContent": {"Desc": text, "Sound": "s", "Ext": "e"}}
    ),
    min_size=1,
    max_size=3,
)
RECORD = st.fixed_dictionaries(
    {"MsgBody": BODY, "MsgLifeTime": st.sampled_from([1, 59, 3600, 604_800])},
    optional={
        "OfflinePushInfo": INFO,
        "PushGateway": st.fixed_dictionaries(
            {"SchemaVersion": st.just(1), "EventId": st.just("e1"), "Sender": st.just({"Nick": "Alice"})}
        ),
    },
)


def decoded(record: dict[str, Any]) -> OfflineMessage:
    whole = {
        "From_Account": "alice",
        "To_Account": "bob",
        "MsgSeq": 1,
        "MsgRandom": 2,
        "MsgTimeStamp": NOW,
        **record,
    }
    message = CODEC.decode(json.dumps(whole, ensure_ascii=False).encode("utf-8"), NOW * 1000)
    assert isinstance(message, OfflineMessage)
    return message


# --- the vendor's end -------------------------------------------------------------------------------------


class Cloud:
    """A vendor's double under one credential of certs.example, and the adapter before it."""

    def __init__(self, account: Account) -> None:
        self.account = msgspec.structs.replace(account, cache={})
        self.adapter = VENDORS[account.vendor].adapter
        self.double: Emulator = VENDORS[account.vendor].emulator([account])
        self.auth = self.adapter.local_auth(self.account, NOW)
        asked = self.adapter.auth_request(self.account, NOW)
        if self.auth is None and asked is not None:
            self.auth = self.adapter.read_auth(self.account, self.ask(asked)[0], NOW)

    def ask(self, request: Request) -> tuple[Any, tuple[Accepted, ...]]:
        parts = urlsplit(request.url)
        call = Call(
            method=request.method,
            path=f"{parts.path}?{parts.query}" if parts.query else parts.path,
            headers=dict((*request.shared, *request.headers)),
            body=request.body,
        )
        assert self.double.claims(call.method, call.path)
        answer = self.double.handle(call, NOW)
        return answer.response, answer.accepted

    def send(self, push: Push) -> tuple[list[Request], list[Outcome], tuple[Accepted, ...]]:
        """Every call of the push. Raises Refused, and that before the first call only."""
        requests: list[Request] = []
        while True:
            try:
                requests.append(self.adapter.render(push, self.account, self.auth))
            except Refused:
                assert not requests
                raise
            response, accepted = self.ask(requests[-1])
            read = self.adapter.interpret(push, self.account, response)
            if not isinstance(read, FollowUp):
                return requests, read, accepted
            push = msgspec.structs.replace(push, stage=read.stage)


def push_of(notification: Notification, count: int) -> Push:
    targets = tuple(
        Target(
            token=f"{n:064x}",
            user=f"u{n}",
            device_id="d",
            push_id=f"{n:026d}",
            vendor_id=f"00000000-0000-4000-8000-{n:012x}",
        )
        for n in range(1, count + 1)
    )
    return Push(notification=notification, targets=targets, now=float(NOW))


def holds(value: Any, ext: str) -> bool:
    """Whether the ext stands somewhere in there, whole: in JSON, in JSON in text, in a form."""
    if isinstance(value, dict):
        return any(holds(inner, ext) for inner in value.values())
    if isinstance(value, list):
        return any(holds(inner, ext) for inner in value)
    if not isinstance(value, str):
        return False
    if value == ext or (ext and ext in value):
        return True
    try:
        return value[:1] in ("{", "[") and holds(json.loads(value, strict=False), ext)
    except ValueError:
        return False


def contents(request: Request) -> Any:
    text = request.body.decode()
    return json.loads(text) if text.startswith("{") else dict(parse_qsl(text, keep_blank_values=True))


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda a: f"{a.vendor}-{a.business_id}")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    record=RECORD,
    lang=st.sampled_from(["zh", "en"]),
    badge=st.none() | st.sampled_from([0, 1, 99, 100, 2**31 - 1]),
    data=st.data(),
)
def test_any_message_passes_its_vendors_own_double(
    account: Account, record: dict[str, Any], lang: str, badge: int | None, data: st.DataObject
) -> None:
    """Each token is accepted and has its outcome, ext arrives whole; what is refused beforehand has an ext too large for it."""
    cloud = Cloud(account)
    limit = cloud.adapter.batch_limit
    count = data.draw(st.sampled_from(sorted({1, min(2, limit), min(7, limit), limit})))
    message = decoded(record)
    notification = compose_notification(message, PolicySettings(), cloud.adapter.ios, lang, badge)
    push = push_of(notification, count)
    refused = ""
    try:
        requests, outcomes, accepted = cloud.send(push)
    except Refused as reason:
        refused = str(reason)
    event("refused" if refused else "accepted")
    if refused:
        assert any(c.isdigit() for c in refused), refused
        assert len(json.dumps(notification.ext).encode()) > 800, refused
        return
    told = {(o.action, o.code, o.reason) for o in outcomes}
    assert {action for action, _, _ in told} == {Action.ACCEPTED}, told
    assert [one.token for one in accepted] == [target.token for target in push.targets]
    assert any(holds(contents(request), notification.ext) for request in requests) or not notification.ext
