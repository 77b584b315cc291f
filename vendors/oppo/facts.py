"""What the docs tell of OPPO. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.oppo.adapter import (
    HOST,
    MAX_PARAMETERS,
    MAX_TEXT,
    MAX_TITLE,
    MAX_TTL_S,
    RENEW_EARLY_S,
    TOKEN_LIFETIME_S,
)

_SHOWN = "messages[].notification"

MAPPING = {
    "Title": f"{_SHOWN}.title, {_SHOWN}.private_title_parameters",
    "Desc": f"{_SHOWN}.content, {_SHOWN}.private_content_parameters",
    "Ext": f"{_SHOWN}.action_parameters",
    "MsgLifeTime": f"{_SHOWN}.off_line_ttl",
    "AndroidInfo.PushStyle": f"{_SHOWN}.style",
    "AndroidInfo.OPPOChannelID": f"{_SHOWN}.channel_id",
    "AndroidInfo.OPPOCategory": f"{_SHOWN}.category",
    "AndroidInfo.OPPONotifyLevel": f"{_SHOWN}.notify_level",
    "AndroidInfo.OPPOPrivateMsgTemplateId": f"{_SHOWN}.private_msg_template_id",
    "AndroidInfo.OPPOPrivateTitleParameters": f"{_SHOWN}.private_title_parameters",
    "AndroidInfo.OPPOPrivateContentParameters": f"{_SHOWN}.private_content_parameters",
    "collapse_id": f"{_SHOWN}.app_message_id",
    "notify_id": f"{_SHOWN}.notify_id",
    "push_id": f"{_SHOWN}.call_back_parameter",
    "defaults.callback": f"{_SHOWN}.call_back_url, {_SHOWN}.call_back_parameter",
    "defaults.channel_id": f"{_SHOWN}.channel_id",
    "defaults.category": f"{_SHOWN}.category",
    "defaults.template_id": (
        f"{_SHOWN}.private_msg_template_id, {_SHOWN}.private_title_parameters, {_SHOWN}.private_content_parameters"
    ),
    "defaults.click_action": f"{_SHOWN}.click_action_type",
    "defaults.click_target": (
        f"{_SHOWN}.click_action_url, {_SHOWN}.click_action_activity, {_SHOWN}.click_action_type"
    ),
}

FACTS = Facts(
    hosts={"push and token": HOST},
    auth="an auth token for a signature (SHA-256) over AppKey, time and MasterSecret; sent in the form and as a header",
    renewed_after=TOKEN_LIFETIME_S - RENEW_EARLY_S,
    limits=Limits(
        title=MAX_TITLE,
        text=MAX_TEXT[1],
        big_text=MAX_TEXT[2],
        ext=MAX_PARAMETERS - len('{"ext":""}'),
        shortest_ttl=1,
        longest_ttl=MAX_TTL_S,
    ),
    replaces_by=(f"{_SHOWN}.app_message_id", f"{_SHOWN}.notify_id"),
)
