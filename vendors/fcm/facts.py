"""What the docs tell of FCM. Each line of it is proven by a test that renders a push."""

from __future__ import annotations

from pushgw.vendor.facts import Facts, Limits
from vendors.fcm.payload import LIMIT, LONGEST_TTL_S

_ANDROID = "message.android.notification"
_APS = "message.apns.payload.aps"
_SOUND = f"{_ANDROID}.sound, {_APS}.sound"

MAPPING = {
    "Title": "message.notification.title",
    "Desc": "message.notification.body",
    "Ext": "message.data.ext",
    "UnreadMsgNum": f"{_ANDROID}.notification_count, {_APS}.badge",
    "MsgLifeTime": "message.android.ttl, message.apns.headers.apns-expiration, message.webpush.headers.TTL",
    "TIMCustomElem.Sound": _SOUND,
    "AndroidInfo.Sound": f"{_ANDROID}.sound",
    "AndroidInfo.GoogleChannelID": f"{_ANDROID}.channel_id",
    "AndroidInfo.GoogleImage": f"{_ANDROID}.image",
    "AndroidInfo.GooglePriority": "message.android.priority",
    "ApnsInfo.Sound": f"{_APS}.sound",
    "ApnsInfo.BadgeMode": f"{_APS}.badge",
    "ApnsInfo.Image": f"message.apns.fcm_options.image, {_APS}.mutable-content",
    "ApnsInfo.InterruptionLevel": f"{_APS}.interruption-level",
    "conversation": f"{_APS}.thread-id",
    "collapse_id": (
        f"message.android.collapse_key, {_ANDROID}.tag, message.apns.headers.apns-collapse-id, "
        "message.webpush.notification.tag"
    ),
    "defaults.channel_id": f"{_ANDROID}.channel_id",
    "defaults.sound": _SOUND,
    "defaults.click_action": f"{_ANDROID}.click_action, message.webpush.fcm_options.link",
    "defaults.click_target": f"{_ANDROID}.click_action, message.webpush.fcm_options.link",
}

FACTS = Facts(
    hosts={
        "push": "https://fcm.googleapis.com",
        "token (token_uri of the key file)": "https://oauth2.googleapis.com",
    },
    auth="an access token of Google's, for an assertion (JWT, RS256) signed with the service account's key",
    renewed_after=3599 - 300,
    limits=Limits(
        payload=LIMIT, payload_is="the message's JSON without its target", longest_ttl=LONGEST_TTL_S
    ),
    gives_way=("AndroidInfo.GoogleImage", "ApnsInfo.Image", "Desc", "Title"),
    replaces_by=(
        "message.android.collapse_key",
        f"{_ANDROID}.tag",
        "message.apns.headers.apns-collapse-id",
        "message.webpush.notification.tag",
    ),
)
