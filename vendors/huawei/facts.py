"""What the docs tell of Huawei. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from pushgw.vendor.service_account import LIFETIME_S, REFRESH_EARLY_S
from vendors.huawei.adapter import AUTH_HOST, MAX_BYTES, MAX_TEXT, MAX_TITLE, MAX_TTL_S, PUSH_HOST

_ANDROID = "message.android"
_SHOWN = "message.android.notification"
_SOUND = f"{_SHOWN}.sound, {_SHOWN}.default_sound"

MAPPING = {
    "Title": f"{_SHOWN}.title",
    "Desc": f"{_SHOWN}.body",
    "Ext": "message.data",
    "UnreadMsgNum": f"{_SHOWN}.badge.set_num",
    "MsgLifeTime": f"{_ANDROID}.ttl",
    "TIMCustomElem.Sound": _SOUND,
    "AndroidInfo.Sound": _SOUND,
    "AndroidInfo.PushStyle": f"{_SHOWN}.style, {_SHOWN}.big_title, {_SHOWN}.big_body",
    "AndroidInfo.HuaWeiChannelID": f"{_SHOWN}.channel_id",
    "AndroidInfo.HuaWeiCategory": f"{_ANDROID}.category",
    "AndroidInfo.HuaWeiImportance": f"{_SHOWN}.importance",
    "AndroidInfo.HuaWeiImage": f"{_SHOWN}.image",
    "AndroidInfo.ExtAsHuaweiIntentParam": f"{_SHOWN}.click_action.intent",
    "collapse_id": f"{_SHOWN}.tag",
    "notify_id": f"{_SHOWN}.notify_id",
    "push_id": f"{_ANDROID}.bi_tag",
    "defaults.channel_id": f"{_SHOWN}.channel_id",
    "defaults.category": f"{_ANDROID}.category",
    "defaults.importance": f"{_SHOWN}.importance",
    "defaults.sound": _SOUND,
    "defaults.badge_class": f"{_SHOWN}.badge.class, {_SHOWN}.badge.set_num",
    "defaults.click_action": f"{_SHOWN}.click_action.type",
    "defaults.click_target": (
        f"{_SHOWN}.click_action.url, {_SHOWN}.click_action.action, {_SHOWN}.click_action.intent"
    ),
}

FACTS = Facts(
    hosts={"push": PUSH_HOST, "token": AUTH_HOST},
    auth="an access token for app_id and app_secret (OAuth 2.0 client credentials); or a JWT (PS256) of the service account",
    renewed_after=LIFETIME_S - REFRESH_EARLY_S,
    limits=Limits(
        title=MAX_TITLE,
        text=MAX_TEXT,
        big_text=MAX_TEXT,
        payload=MAX_BYTES,
        payload_is="the body without its tokens",
        shortest_ttl=1,
        longest_ttl=MAX_TTL_S,
    ),
    gives_way=("Desc",),
    replaces_by=(f"{_SHOWN}.notify_id", f"{_SHOWN}.tag"),
)
