"""What Meizu's answers mean: a table for the request and one for single pushIds. Source: Meizu's API document and Java SDK.

The two must not be mixed: 110010 is a rate limit of the request, and of a pushId it says that the user has switched off.
"""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

HANDLED = "200"
DEAD_CODES = frozenset({"110002", "110003"})
VALUE = "value "
"""How a code of ``PER_TARGET`` is spelled where both tables are meant."""

_BUSY = (Action.RETRY, "Meizu is busy or has an internal error")
_PARAMETER = (Action.BAD_MESSAGE, "a parameter is missing or not valid")
_APP = (
    Action.CONFIG,
    "Meizu does not know the app: check that app_id is the AppID, and app_secret the same app's AppSecret",
)
_QUOTA = (Action.QUOTA, "the app's quota of pushes is used up")
_UNSUBSCRIBED = (Action.INVALID_TOKEN, "the pushId is not subscribed any more")
_ILLEGAL = (Action.INVALID_TOKEN, "the pushId is not valid")

RESULTS: dict[str, tuple[Action, str]] = {
    HANDLED: (Action.ACCEPTED, "accepted"),
    "500": _BUSY,
    "1001": _BUSY,
    "1003": _BUSY,
    "1005": _PARAMETER,
    "1006": (
        Action.CONFIG,
        "Meizu refused the signature: check that app_secret is the AppSecret, not AppKey",
    ),
    "110000": _APP,
    "110001": _APP,
    "110002": _UNSUBSCRIBED,
    "110003": _ILLEGAL,
    "110004": _PARAMETER,
    "110009": (Action.CONFIG, "the app is on Meizu's blacklist"),
    "110010": (Action.RETRY_AFTER, "the app pushes too fast: slow down"),
    "110019": _QUOTA,
    "110031": (Action.CONFIG, "Meizu refused the package name: see the app in Meizu's push console"),
    "110032": (Action.BAD_MESSAGE, "about stored tasks, which are not used here"),
    "110033": (
        Action.CONFIG,
        "Meizu refused the AppSecret: check that app_secret is the AppSecret, not AppKey",
    ),
    "110051": _QUOTA,
    "110053": (Action.CONFIG, "data messages are restricted at Meizu, and not used here"),
    # Answers without a code.
    "HTTP 401": (Action.CONFIG, "Meizu refused the authorization"),
    "HTTP 403": (Action.CONFIG, "Meizu refuses this network or app"),
    "HTTP 404": (Action.CONFIG, "wrong URL: check endpoint"),
    "HTTP 413": (Action.BAD_MESSAGE, "the request is too large"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 5xx": (Action.RETRY, "Meizu cannot answer just now"),
}

PER_TARGET: dict[str, tuple[Action, str]] = {
    "201": (Action.CONFIG, "Meizu refuses the app the right to push: see Meizu's push console"),
    "501": _BUSY,
    "513": _BUSY,
    "518": (Action.RETRY, "over the configured rate: slow down"),
    "519": (Action.RETRY, "Meizu is overloaded"),
    "520": (Action.QUOTA, "folded away: too many messages to one device within a minute"),
    "110002": _UNSUBSCRIBED,
    "110003": _ILLEGAL,
    "110005": (Action.BAD_MESSAGE, "about aliases, which are not used here"),
    "110010": (Action.BAD_MESSAGE, "the user has switched notifications off: the pushId stays"),
    "110011": (
        Action.QUOTA,
        "the day's limit of public messages is reached; chat messages need MeiZuNoticeMsgType 1",
    ),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "1": (Stage.ARRIVED, "arrived"),
    "2": (Stage.CLICKED, "clicked"),
}
"""Types of receipts. Source: Meizu's API document."""


def report_lookup(kind: str) -> tuple[Stage, str] | None:
    """What a receipt of this type says; None for one that Meizu's document does not have."""
    return REPORTS.get(kind)


def lookup(code: str) -> tuple[Action, str]:
    """Action and words of a code for the whole request."""
    if code.startswith("HTTP 5"):
        return RESULTS["HTTP 5xx"]
    return RESULTS.get(code, (Action.UNKNOWN, "an answer that Meizu's document does not list"))


def lookup_target(code: str) -> tuple[Action, str]:
    """Action and words of a code beside which pushIds are listed."""
    return PER_TARGET.get(code, (Action.UNKNOWN, "a code for pushIds that Meizu's document does not list"))
