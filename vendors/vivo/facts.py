"""What the docs tell of vivo. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.vivo.adapter import (
    HOST,
    MAX_CUSTOM,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TTL_S,
    MIN_TTL_S,
    RENEW_EARLY_S,
    TOKEN_LIFETIME_S,
)

MAPPING = {
    "Title": "title",
    "Desc": "content",
    "Ext": "clientCustomMap.ext",
    "MsgLifeTime": "timeToLive",
    "AndroidInfo.VIVOClassification": "classification",
    "AndroidInfo.VIVOCategory": "category",
    "AndroidInfo.VIVONotifyType": "notifyType",
    "notify_id": "notifyId",
    "vendor_id": "requestId",
    "push_id": "extra.callback.param",
    "defaults.category": "category",
    "defaults.classification": "classification",
    "defaults.notify_type": "notifyType",
    "defaults.callback": "extra.callback, extra.callback.param",
    "defaults.click_action": "skipType",
    "defaults.click_target": "skipContent",
}

FACTS = Facts(
    hosts={"push and token": HOST},
    auth="an authToken for a signature (MD5) over AppID, AppKey, time and AppSecret; sent as a header",
    renewed_after=TOKEN_LIFETIME_S - RENEW_EARLY_S,
    limits=Limits(
        title=MAX_TITLE,
        text=MAX_TEXT,
        ext=MAX_CUSTOM - len("ext"),
        shortest_ttl=MIN_TTL_S,
        longest_ttl=MAX_TTL_S,
    ),
    replaces_by=("requestId", "notifyId"),
)
