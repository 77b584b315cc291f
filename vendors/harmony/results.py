"""What the answers of Push Kit v3 mean: one table. Source: Huawei's reference page of v3's responses."""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = "80000000"
PARTLY_ACCEPTED = "80100000"
ALL_TOKENS_FAILED = "80300007"
NO_RIGHT = "noRight"
ABOUT_PARAMETERS = frozenset({"80100001", "80100003"})
"""Codes whose words name the field that was refused."""

_MISSING_RIGHT = "apply for the right in AppGallery Connect (Push Kit)"

RESULTS: dict[str, tuple[Action, str]] = {
    ACCEPTED: (Action.ACCEPTED, "accepted"),
    PARTLY_ACCEPTED: (
        Action.ACCEPTED,
        "some tokens failed, each with a reason of its own; the rest is accepted",
    ),
    "80000001": (Action.RETRY, "internal error at Huawei"),
    "80100001": (Action.BAD_MESSAGE, "a parameter is wrong, Huawei's message says which"),
    "80100003": (Action.BAD_MESSAGE, "the message's structure is wrong, Huawei's message says where"),
    "80100004": (Action.BAD_MESSAGE, "the time to live is wrong: check the clock"),
    "80100020": (Action.BAD_MESSAGE, "a part of the message's structure is wrong"),
    "80100022": (Action.BAD_MESSAGE, "the image was not verified"),
    "80200001": (
        Action.AUTH,
        "the authorization was refused: check in Huawei's API Console that the service account belongs to the app's project, "
        "then the clock",
    ),
    "80200003": (Action.AUTH, "the access token has expired"),
    "80200005": (Action.AUTH, "the JWT has expired: check the clock"),
    "80300002": (
        Action.CONFIG,
        "no right to push to these tokens: Push Kit is not enabled, or project_id is that of another project",
    ),
    ALL_TOKENS_FAILED: (
        Action.INVALID_TOKEN,
        "all tokens failed; where no reasons are given, believed only of a push to a single token: "
        "check that the service account belongs to the app's project",
    ),
    "80300008": (Action.BAD_MESSAGE, "the body is over 4096 bytes without its tokens"),
    "80300010": (Action.BAD_MESSAGE, "not 1...1000 tokens"),
    "80300017": (Action.CONFIG, "the tokens are of several apps"),
    "80300028": (Action.CONFIG, "the tokens are not of this app"),
    "80300029": (Action.RETRY, "too many test messages just now"),
    "80300030": (Action.BAD_MESSAGE, "a test message goes to 10 tokens at most"),
    "80300036": (Action.CONFIG, "the JWT is valid for over a day"),
    "80300037": (Action.CONFIG, "the app is under a penalty of Huawei's: see AppGallery Connect"),
    "81000001": (Action.RETRY, "internal error at Huawei"),
    # Reasons of single tokens.
    "tokenFormatError": (Action.INVALID_TOKEN, "the token is malformed"),
    "tokenPlatformNotSupport": (
        Action.INVALID_TOKEN,
        "the token's platform is not supported, the app must fetch a new one",
    ),
    NO_RIGHT: (
        Action.UNKNOWN,
        "the token is of an app outside this project, or older than the device's move to HarmonyOS 5: check project_id; "
        "the token is given up only when others of the same request are accepted",
    ),
    "noPushTypeRight": (Action.CONFIG, f"no right to this kind of push: {_MISSING_RIGHT}"),
    "noRightToSendThisLiveNotificationEvent": (
        Action.CONFIG,
        f"no right to this live view: {_MISSING_RIGHT}",
    ),
    "notSupportPlayVoice": (Action.CONFIG, f"no right to voice playback: {_MISSING_RIGHT}"),
    "appinfoError": (Action.CONFIG, "Huawei does not know the app: create it in AppGallery Connect"),
    "countryNotSupport": (Action.BAD_MESSAGE, "Huawei does not push in the device's region"),
    "disableSendHuaweiMsgBecauseOfPenalty": (
        Action.CONFIG,
        "the app is under a penalty of Huawei's: see AppGallery Connect",
    ),
    "differentImgVerifyPolicy": (Action.BAD_MESSAGE, "the image may not be shown on this device"),
    "atomicUnableSendUnsubscribedMsg": (Action.BAD_MESSAGE, "the user has not subscribed to such messages"),
    # Answers without a code.
    "HTTP 400": (Action.BAD_MESSAGE, "the request was refused without a code"),
    "HTTP 401": (Action.AUTH, "the authorization was refused"),
    "HTTP 403": (Action.CONFIG, "Huawei refuses this network or project"),
    "HTTP 404": (Action.CONFIG, "wrong URL: check endpoint and project_id"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 503": (Action.RETRY_AFTER, "flow control: too many devices a second"),
    "HTTP 5xx": (Action.RETRY, "Huawei cannot answer just now"),
}


_INTERNAL = (Stage.NOT_ARRIVED, "internal error at Huawei")
_TOO_MANY = (Stage.NOT_ARRIVED, "too many messages for this app on this device")
_WIDGET = (Stage.NOT_ARRIVED, "about a widget or a live view")

REPORTS: dict[str, tuple[Stage, str]] = {
    "0": (Stage.ARRIVED, "delivered"),
    "2": (Stage.NOT_ARRIVED, "the app is uninstalled"),
    "5": (Stage.NOT_ARRIVED, "the token does not belong to this app or user any more"),
    "6": (Stage.NOT_ARRIVED, "notifications are switched off for the app, or the device is in minors' mode"),
    "10": (Stage.NOT_ARRIVED, "the device was inactive for 30 days"),
    "14": _INTERNAL,
    "15": (Stage.NOT_ARRIVED, "a newer message took its place, or more than 120 waited for the device"),
    "22": (Stage.NOT_ARRIVED, "another user of the device is active"),
    "27": (Stage.NOT_ARRIVED, "the app does not run: the background message is kept until it does"),
    "31": (Stage.NOT_ARRIVED, "the app has no page as clickAction names it"),
    "51": (Stage.NOT_ARRIVED, "the device was not unlocked since it started"),
    "102": _TOO_MANY,
    "144": (Stage.NOT_ARRIVED, "profileId is unknown on the device"),
    **dict.fromkeys(("151", "155", "156", "158"), _WIDGET),
    "188": _INTERNAL,
    "191": _INTERNAL,
    "256": _TOO_MANY,
    "259": (Stage.NOT_ARRIVED, "the content was refused"),
    **dict.fromkeys(("261", "262"), _WIDGET),
    "264": (Stage.NOT_ARRIVED, "the user has not subscribed"),
    **dict.fromkeys(("265", "268", "269"), _WIDGET),
}
"""Results of receipts. Source: Huawei's reference page of message receipts (HarmonyOS)."""


def report_lookup(result: str) -> tuple[Stage, str]:
    """How far the push came, and the words of a receipt's result. What is not listed has not arrived."""
    return REPORTS.get(result) or (Stage.NOT_ARRIVED, "a result that Huawei's page does not list")


def lookup(code: str, status: int = 200) -> tuple[Action, str]:
    """Action and words of a code or reason. One that is not listed goes by its family, else by the HTTP status beside it."""
    if known := RESULTS.get(code):
        return known
    if code.startswith(("801", "803")):
        return Action.BAD_MESSAGE, "a code that Huawei's page does not list, of the family about messages"
    if code.startswith("81"):
        return Action.RETRY, "a code that Huawei's page does not list, of the family of internal errors"
    if status >= 500 or code.startswith("HTTP 5"):
        return RESULTS.get(f"HTTP {status}", RESULTS["HTTP 5xx"])
    return RESULTS.get(f"HTTP {status}", (Action.UNKNOWN, "a code that Huawei's page does not list"))
