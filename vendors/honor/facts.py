"""What the docs tell of Honor. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.honor.adapter import (
    AUTH_HOST,
    MAX_BYTES,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TTL_S,
    PUSH_HOST,
    REFRESH_EARLY_S,
    TOKEN_LIFETIME_S,
)

_SHOWN = "android.notification"

MAPPING = {
    "Title": f"{_SHOWN}.title",
    "Desc": f"{_SHOWN}.body",
    "Ext": "data",
    "UnreadMsgNum": f"{_SHOWN}.badge.setNum",
    "MsgLifeTime": "android.ttl",
    "AndroidInfo.PushStyle": f"{_SHOWN}.style, {_SHOWN}.bigTitle, {_SHOWN}.bigBody",
    "AndroidInfo.HonorImportance": f"{_SHOWN}.importance",
    "AndroidInfo.HonorImage": f"{_SHOWN}.image",
    "notify_id": f"{_SHOWN}.notifyId",
    "push_id": "android.biTag",
    "defaults.importance": f"{_SHOWN}.importance",
    "defaults.badge_class": f"{_SHOWN}.badge.badgeClass",
    "defaults.click_action": f"{_SHOWN}.clickAction.type",
    "defaults.click_target": (
        f"{_SHOWN}.clickAction.url, {_SHOWN}.clickAction.action, {_SHOWN}.clickAction.intent"
    ),
}

FACTS = Facts(
    hosts={"push": PUSH_HOST, "token": AUTH_HOST},
    auth="an access token for client_id and client_secret (OAuth 2.0 client credentials), beside a timestamp header",
    renewed_after=TOKEN_LIFETIME_S - REFRESH_EARLY_S,
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
    replaces_by=(f"{_SHOWN}.notifyId",),
)
