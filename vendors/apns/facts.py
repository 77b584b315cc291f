"""What the docs tell of APNs. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.apns.credential import HOSTS
from vendors.apns.provider_token import REFRESH_S
from vendors.apns.push_type import LIMIT

MAPPING = {
    "Title": "aps.alert.title",
    "Desc": "aps.alert.body",
    "Ext": "ext",
    "UnreadMsgNum": "aps.badge",
    "MsgLifeTime": "header apns-expiration",
    "TIMCustomElem.Sound": "aps.sound",
    "ApnsInfo.Sound": "aps.sound",
    "ApnsInfo.BadgeMode": "aps.badge",
    "ApnsInfo.Title": "aps.alert.title",
    "ApnsInfo.SubTitle": "aps.alert.subtitle",
    "ApnsInfo.Image": "image, aps.mutable-content",
    "ApnsInfo.MutableContent": "aps.mutable-content",
    "ApnsInfo.ContentAvailable": "aps.content-available, header apns-push-type, header apns-priority",
    "ApnsInfo.InterruptionLevel": "aps.interruption-level",
    "ApnsInfo.LiveActivity": (
        "aps.event, aps.content-state, aps.dismissal-date, aps.timestamp, header apns-push-type, header apns-topic"
    ),
    "conversation": "aps.thread-id",
    "collapse_id": "header apns-collapse-id",
    "vendor_id": "header apns-id",
    "defaults.sound": "aps.sound",
}

FACTS = Facts(
    hosts=HOSTS,
    auth="a provider token (JWT, ES256) signed with the team's .p8 key; or a .p12 certificate shown by the connection",
    renewed_after=REFRESH_S,
    limits=Limits(payload=LIMIT, payload_is="the whole JSON"),
    gives_way=(
        "ApnsInfo.Image",
        "ApnsInfo.SubTitle",
        "conversation",
        "ApnsInfo.InterruptionLevel",
        "Desc",
        "Title",
    ),
    replaces_by=("header apns-id", "header apns-collapse-id"),
)
