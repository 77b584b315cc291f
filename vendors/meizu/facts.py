"""What the docs tell of Meizu. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.meizu.adapter import HOST, MAX_HOURS, MAX_TEXT, MAX_TITLE

MAPPING = {
    "Title": "messageJson.noticeBarInfo.title",
    "Desc": "messageJson.noticeBarInfo.content",
    "Ext": "messageJson.clickTypeInfo.parameters.ext",
    "MsgLifeTime": "messageJson.pushTimeInfo.validTime",
    "AndroidInfo.MeiZuNoticeMsgType": "messageJson.noticeBarInfo.noticeMsgType",
    "collapse_id": "messageJson.advanceInfo.notifyKey",
    "push_id": "messageJson.extra.callback.param",
    "defaults.notice_msg_type": "messageJson.noticeBarInfo.noticeMsgType",
    "defaults.callback": (
        "messageJson.extra.callback, messageJson.extra.callback.param, messageJson.extra.callback.type"
    ),
    "defaults.click_action": "messageJson.clickTypeInfo.clickType",
    "defaults.click_target": (
        "messageJson.clickTypeInfo.url, messageJson.clickTypeInfo.activity, messageJson.clickTypeInfo.clickType"
    ),
}

FACTS = Facts(
    hosts={"push": HOST},
    auth="a signature (MD5) over every field and the AppSecret in each request; there is no token",
    limits=Limits(title=MAX_TITLE, text=MAX_TEXT, shortest_ttl=3600, longest_ttl=MAX_HOURS * 3600),
    replaces_by=("messageJson.advanceInfo.notifyKey",),
)
