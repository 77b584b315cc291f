"""What the docs tell of Xiaomi. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.xiaomi.adapter import MAX_BYTES, MAX_TEXT, MAX_TITLE, MAX_TTL_MS
from vendors.xiaomi.credential import HOSTS

MAPPING = {
    "Title": "title, extra.template_param",
    "Desc": "description, extra.template_param",
    "Ext": "payload",
    "MsgLifeTime": "time_to_live",
    "AndroidInfo.XiaoMiChannelID": "extra.channel_id",
    "collapse_id": "extra.jobkey",
    "notify_id": "notify_id",
    "push_id": "extra.callback.param",
    "defaults.callback": "extra.callback, extra.callback.param, extra.callback.type",
    "defaults.channel_id": "extra.channel_id",
    "defaults.template_id": "extra.template_id, extra.template_param",
    "defaults.template_param": "extra.template_param",
    "defaults.click_action": "extra.notify_effect",
    "defaults.click_target": "extra.web_uri, extra.intent_uri",
}

FACTS = Facts(
    hosts={f"region {region}": host for region, host in HOSTS.items()},
    auth="the AppSecret itself in the authorization header; it does not expire",
    limits=Limits(
        title=MAX_TITLE,
        text=MAX_TEXT,
        payload=MAX_BYTES,
        payload_is="title, description and payload together",
        longest_ttl=MAX_TTL_MS // 1000,
    ),
    gives_way=("Desc",),
    replaces_by=("notify_id", "extra.jobkey"),
)
