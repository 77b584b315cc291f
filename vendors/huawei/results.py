"""What Huawei's answers mean: one table. Source: Huawei's reference pages "downlink message" and "server error codes"."""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = "80000000"
PARTLY_ACCEPTED = "80100000"
ALL_TOKENS_INVALID = "80300007"

_WHERE = "again from AppGallery Connect (Project settings)"

RESULTS: dict[str, tuple[Action, str]] = {
    ACCEPTED: (Action.ACCEPTED, "accepted"),
    PARTLY_ACCEPTED: (
        Action.ACCEPTED,
        "some tokens failed: those listed as illegal are invalid, the rest accepted",
    ),
    "80100001": (Action.BAD_MESSAGE, "a parameter is wrong, Huawei's message says which"),
    "80100003": (Action.BAD_MESSAGE, "the message's structure is wrong"),
    "80100004": (Action.BAD_MESSAGE, "the message expires before now: check the clock"),
    "80100013": (Action.BAD_MESSAGE, "collapse_key is outside -1...100"),
    "80100016": (Action.BAD_MESSAGE, "the text holds forbidden words"),
    "80100017": (Action.RETRY, "more than 100 topic jobs at once"),
    "80100018": (Action.BAD_MESSAGE, "the signature of the content review does not match"),
    "80200001": (
        Action.AUTH,
        "the authorization was refused: check in AppGallery Connect that app_id, app_secret, project_id and service account "
        "are of one project",
    ),
    "80200003": (Action.AUTH, "the access token has expired"),
    "80200005": (Action.AUTH, "the service account's JWT has expired: check the clock"),
    "80300002": (
        Action.CONFIG,
        "no right to push to these tokens: Push Kit is not enabled, or they belong to another app or project",
    ),
    ALL_TOKENS_INVALID: (
        Action.INVALID_TOKEN,
        "all tokens invalid; believed only of a push to a single token, since Huawei also answers this "
        "for another app's tokens: check app_id and package in AppGallery Connect",
    ),
    "80300008": (Action.BAD_MESSAGE, "the body is over 4096 bytes without its tokens"),
    "80300010": (Action.BAD_MESSAGE, "not 1...1000 tokens, or no message"),
    "80300011": (Action.CONFIG, "no right to urgency HIGH: apply for it, or leave the urgency out"),
    "80300013": (Action.CONFIG, "the receipt address does not work or its certificate has expired"),
    "80600003": (Action.AUTH, "Huawei's OAuth check failed: check app_id and app_secret"),
    "81000001": (Action.RETRY, "internal error at Huawei"),
    # Reasons of single tokens, where Huawei lists them by reason.
    "tokenFormatError": (Action.INVALID_TOKEN, "the token is malformed"),
    "tokenPlatformNotSupport": (
        Action.INVALID_TOKEN,
        "the token's platform is not supported, the app must fetch a new one",
    ),
    "noRight": (Action.UNKNOWN, "the token is of another project, or its device moved to HarmonyOS 5"),
    # Errors of the token server, by its sub_error.
    "12304": (
        Action.CONFIG,
        f"app_secret is wrong: copy the OAuth 2.0 client secret, not the API key, {_WHERE}",
    ),
    "20002": (
        Action.CONFIG,
        f"app_id is malformed: copy the OAuth 2.0 client ID, not the project ID, {_WHERE}",
    ),
    "20003": (
        Action.CONFIG,
        f"app_id is unknown: copy the OAuth 2.0 client ID, not the project ID, {_WHERE}",
    ),
    "20171": (Action.CONFIG, "app_secret is empty"),
    # Answers without a code.
    "HTTP 400": (Action.BAD_MESSAGE, "the request was refused without a code"),
    "HTTP 401": (Action.AUTH, "the authorization was refused"),
    "HTTP 403": (Action.CONFIG, "Huawei refuses this network or account"),
    "HTTP 404": (Action.CONFIG, "wrong URL: check endpoint, app_id and project_id"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 503": (Action.RETRY_AFTER, "flow control: too fast"),
    "HTTP 5xx": (Action.RETRY, "Huawei cannot answer just now"),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "0": (Stage.ARRIVED, "delivered"),
    "2": (Stage.NOT_ARRIVED, "the app is uninstalled"),
    "5": (Stage.NOT_ARRIVED, "the token does not belong to this app or user any more"),
    "6": (Stage.NOT_ARRIVED, "notifications are switched off for the app"),
    "10": (Stage.NOT_ARRIVED, "the device was inactive for 30 days"),
    "15": (Stage.NOT_ARRIVED, "a newer message with the same collapse_key took its place"),
    "27": (Stage.NOT_ARRIVED, "the app does not run: the data message is kept until it does"),
    "102": (Stage.NOT_ARRIVED, "too many messages for this app on this device"),
    "144": (Stage.NOT_ARRIVED, "profile_id is unknown on the device"),
    "201": (Stage.NOT_ARRIVED, "held back by Huawei"),
}
"""Statuses of receipts. Source: Huawei's guide to message receipts."""


def report_lookup(status: str) -> tuple[Stage, str]:
    """How far the push came, and the words of a receipt's status. What is not listed has not arrived."""
    return REPORTS.get(status) or (Stage.NOT_ARRIVED, "a status that Huawei's page does not list")


def lookup(code: str) -> tuple[Action, str]:
    """Action and words of a code. Unlisted ``801*`` and ``803*`` are about the message, ``81*`` about Huawei."""
    if known := RESULTS.get(code):
        return known
    if code.startswith("HTTP 5"):
        return RESULTS["HTTP 5xx"]
    if code.startswith(("801", "803")):
        return Action.BAD_MESSAGE, "a code that Huawei's page does not list, of the family about messages"
    if code.startswith("81"):
        return Action.RETRY, "a code that Huawei's page does not list, of the family of internal errors"
    return Action.UNKNOWN, "a code that Huawei's page does not list"
