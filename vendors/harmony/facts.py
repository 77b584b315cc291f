"""What the docs tell of HarmonyOS. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from pushgw.vendor.service_account import LIFETIME_S, REFRESH_EARLY_S
from vendors.harmony.adapter import MAX_BYTES, MAX_TTL_S, PUSH_HOST

_SHOWN = "payload.notification"

MAPPING = {
    "Title": f"{_SHOWN}.title",
    "Desc": f"{_SHOWN}.body",
    "Ext": f"{_SHOWN}.clickAction.data.ext",
    "UnreadMsgNum": f"{_SHOWN}.badge.setNum",
    "MsgLifeTime": "pushOptions.ttl",
    "TIMCustomElem.Sound": f"{_SHOWN}.sound",
    "HarmonyInfo.Title": f"{_SHOWN}.title",
    "HarmonyInfo.Category": f"{_SHOWN}.category",
    "HarmonyInfo.Image": f"{_SHOWN}.image",
    "HarmonyInfo.Sound": f"{_SHOWN}.sound",
    "HarmonyInfo.SoundDuration": f"{_SHOWN}.soundDuration",
    "push_id": "pushOptions.biTag",
    "notify_id": f"{_SHOWN}.notifyId",
    "defaults.category": f"{_SHOWN}.category",
    "defaults.sound": f"{_SHOWN}.sound",
    "defaults.click_action": f"{_SHOWN}.clickAction.actionType",
    "defaults.click_target": f"{_SHOWN}.clickAction.uri, {_SHOWN}.clickAction.action",
}

FACTS = Facts(
    hosts={"push": PUSH_HOST},
    auth="a JWT (PS256) of the service account, itself the bearer: there is no token server",
    renewed_after=LIFETIME_S - REFRESH_EARLY_S,
    limits=Limits(
        payload=MAX_BYTES, payload_is="the body without its tokens", shortest_ttl=1, longest_ttl=MAX_TTL_S
    ),
    gives_way=("Desc", "Title"),
    replaces_by=(f"{_SHOWN}.notifyId",),
)
