"""What OPPO's answers mean: one table. Source: OPPO's page of return codes."""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = "0"
INVALID_REGID = "10000"
WRONG_SIGNATURE = "16"
CALLS_LIMITED = "13"

_OUR_FAULT = (Action.BAD_MESSAGE, "the request's method, version or encoding is wrong")
_FORBIDDEN = (Action.CONFIG, "the app may not push: see its state and rights in OPPO's push console")
_CLOCK = (Action.CONFIG, "OPPO refused the timestamp: check this machine's clock, ten minutes are allowed")
_KEY = (
    Action.CONFIG,
    "OPPO does not know the app: check that app_key is the AppKey, not AppID, and that endpoint is the app's region",
)

RESULTS: dict[str, tuple[Action, str]] = {
    ACCEPTED: (Action.ACCEPTED, "accepted"),
    "-1": (Action.RETRY, "OPPO's service is not available just now"),
    "-2": (Action.RETRY_AFTER, "flow control: too fast"),
    "11": (Action.AUTH, "the auth token was refused or has expired"),
    "12": _OUR_FAULT,
    CALLS_LIMITED: (
        Action.RETRY_AFTER,
        "calls are limited: slow down, and see the app's limits in OPPO's push console",
    ),
    "14": _KEY,
    "15": _KEY,
    WRONG_SIGNATURE: (
        Action.CONFIG,
        "OPPO refused the signature: check that MasterSecret, not AppSecret, is configured, then the clock",
    ),
    "17": (Action.CONFIG, "the signature is missing: check that MasterSecret, not AppSecret, is configured"),
    "18": _CLOCK,
    "19": _CLOCK,
    "20": _OUR_FAULT,
    "21": _OUR_FAULT,
    "22": _OUR_FAULT,
    "23": _OUR_FAULT,
    "24": _OUR_FAULT,
    "25": _OUR_FAULT,
    "26": (Action.CONFIG, "this IP address is blocked by OPPO"),
    "27": _FORBIDDEN,
    "28": _FORBIDDEN,
    "29": (Action.AUTH, "the auth token is missing"),
    "30": _FORBIDDEN,
    "31": (Action.BAD_MESSAGE, "the data does not exist"),
    "32": (Action.ACCEPTED, "a duplicate: OPPO has this app_message_id for this device already"),
    "33": (Action.QUOTA, "the daily number of messages is used up"),
    "34": (Action.QUOTA, "the number of picture uploads is used up"),
    "40": (Action.BAD_MESSAGE, "an argument is missing"),
    "41": (Action.BAD_MESSAGE, "an argument is not valid, OPPO's message says which"),
    "42": (Action.QUOTA, "the daily number of saved messages is used up"),
    "51": (Action.BAD_MESSAGE, "the picture is not valid"),
    "55": (Action.RETRY_AFTER, "the app calls too often"),
    "59": (Action.CONFIG, "no right to fallback links"),
    "67": (
        Action.CONFIG,
        "category or notify_level was refused: check OPPOCategory, OPPONotifyLevel and category in [defaults]",
    ),
    "69": (Action.QUOTA, "OPPO's global limit is reached"),
    INVALID_REGID: (Action.INVALID_TOKEN, "the registration id is not valid"),
    # Answers without a code.
    "HTTP 401": (Action.AUTH, "the auth token was refused"),
    "HTTP 403": (Action.CONFIG, "OPPO refuses this network or app"),
    "HTTP 404": (Action.CONFIG, "wrong URL: check endpoint"),
    "HTTP 413": (Action.BAD_MESSAGE, "the request is too large"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 5xx": (Action.RETRY, "OPPO cannot answer just now"),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "push_arrive": (Stage.ARRIVED, "reached the device"),
    "regid_invalid": (Stage.NOT_ARRIVED, "the app is uninstalled or unregistered, or 30 days offline"),
    "user_daily_limit": (Stage.NOT_ARRIVED, "over what one device may get in a day"),
}
"""``eventType`` of receipts. Source: OPPO's page of receipts."""


def report_lookup(event: str) -> tuple[Stage, str]:
    """How far the push came, and the words of an eventType. What is not listed has not arrived."""
    return REPORTS.get(event) or (Stage.NOT_ARRIVED, "an eventType that OPPO's page does not list")


def lookup(code: str) -> tuple[Action, str]:
    """Action and words of a code. Unlisted ones of 10001...20000 are business codes, about the message."""
    if known := RESULTS.get(code):
        return known
    if code.startswith("HTTP 5"):
        return RESULTS["HTTP 5xx"]
    if len(code) == 5 and code.isascii() and code.isdigit() and 10_001 <= int(code) <= 20_000:
        return Action.BAD_MESSAGE, "a business code that OPPO's page does not list"
    return Action.UNKNOWN, "a code that OPPO's page does not list"
