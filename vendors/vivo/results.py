"""What vivo's answers mean: one table. Source: vivo's server SDK and API page, and Getui's table of vivo's codes."""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = "0"
REFUSED_TOKEN = "10000"  # noqa: S105  a result code, not a secret
INVALID_REGID = "10302"
CATEGORY_FAULTS = frozenset({"10096", "10097"})
"""Codes that are about the category: the operator must be told which."""
TASK_GONE = frozenset({"10152", "10155"})
"""Codes that are about the stored text of a list: it is stored anew, once, before the table's action holds."""

_FIELD = (Action.BAD_MESSAGE, "a field is missing, too long or not valid, vivo's words say which")
_EXTRA = (Action.BAD_MESSAGE, "alias or callback is too long, or extra has an unknown key")
_LIST = (Action.BAD_MESSAGE, "the list was refused: its regIds, their number (2 to 1,000) or its task")
_TASK = (Action.BAD_MESSAGE, "vivo knows the task no more, also not after the text was stored once more")
_CONTENT = (
    Action.BAD_MESSAGE,
    "vivo refused the text: only digits or signs, the word test, or sensitive words",
)
_APP = (
    Action.CONFIG,
    "vivo does not know the app: check that app_id is the AppID and app_key the AppKey, not AppSecret",
)
_SIGN = (
    Action.CONFIG,
    "vivo refused the signature: check that app_secret is the AppSecret, not AppKey, of this app_id",
)
_CLOCK = (Action.CONFIG, "vivo refused the timestamp: check this machine's clock, ten minutes are allowed")
_CLOSED = (Action.CONFIG, "the app may not push now: see its state in vivo's push console")
_CLASS = (Action.CONFIG, "classification was refused: check VIVOClassification, and the app's rights at vivo")
_CATEGORY = (Action.CONFIG, "vivo does not know the category: check VIVOCategory and category in [defaults]")
_DEAD = (Action.INVALID_TOKEN, "the regId is not valid: unknown, uninstalled or its data cleared")


def _rows(meaning: tuple[Action, str], *codes: int) -> dict[str, tuple[Action, str]]:
    return {str(code): meaning for code in codes}


RESULTS: dict[str, tuple[Action, str]] = {
    ACCEPTED: (Action.ACCEPTED, "accepted"),
    REFUSED_TOKEN: (Action.AUTH, "the auth token is missing, wrong or has expired"),
    "10003": (Action.AUTH, "vivo refused the authorization"),
    "10040": (Action.RETRY, "vivo is busy just now"),
    **_rows(_CLOSED, 10043, 10045),
    "10050": _FIELD,
    "10051": _CLASS,
    **_rows(_FIELD, *range(10054, 10070)),
    "10070": (
        Action.QUOTA,
        "the day's quota of operations messages is used up; chat messages need classification 1",
    ),
    "10071": (
        Action.QUOTA,
        "operations messages are only taken from 7:00 to 23:00; chat messages need classification 1",
    ),
    "10072": (Action.RETRY_AFTER, "too fast: slow down"),
    "10073": (Action.QUOTA, "the day's quota of system messages is used up"),
    "10082": (Action.CONFIG, "system messages are switched off for the app: see vivo's push console"),
    **_rows(_CONTENT, 10085, 10103, 10104),
    "10094": (Action.CONFIG, "auth token and app_id belong to different apps: check app_id"),
    "10095": _FIELD,
    "10096": _CATEGORY,
    "10097": (
        Action.CONFIG,
        "category and classification do not belong together: check VIVOCategory, VIVOClassification and [defaults]",
    ),
    **_rows(_LIST, 10150, 10151, 10153, 10154),
    **_rows(_TASK, 10152, 10155),
    **_rows(_APP, 10200, 10201, 10202),
    **_rows(_SIGN, 10203, 10204),
    "10205": _APP,
    "10206": _SIGN,
    "10207": _CLOCK,
    "10252": (Action.RETRY_AFTER, "too fast, or (of a list) too large: slow down"),
    "10301": _EXTRA,
    INVALID_REGID: _DEAD,
    **_rows(_EXTRA, 10304, 10305, 10306),
    "10311": (Action.BAD_MESSAGE, "the device takes no notifications just now: the token stays"),
    **_rows(_FIELD, 10352, 10353),
    "11000": _CLASS,
    # What ``invalidUser`` says of the device beside result 0.
    "status 1": _DEAD,
    "status 2": (Action.INVALID_TOKEN, "the device was unsubscribed: uninstalled or its data cleared"),
    "status 4": (Action.CONFIG, "not a test device, and the push was a test: set pushMode to 0"),
    # Answers without a result.
    "HTTP 404": (Action.RETRY, "no such place at this address: check endpoint"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 5xx": (Action.RETRY, "vivo cannot answer just now"),
    "HTTP other": (Action.RETRY, "vivo, or something on the way to it, refused the request"),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "0": (Stage.ARRIVED, "arrived"),
    "1001": (Stage.NOT_ARRIVED, "over the app's daily volume"),
    "2183": (Stage.NOT_ARRIVED, "the regId is invalid, the app must fetch a new one"),
    "12000": (Stage.NOT_ARRIVED, "over what one user may get in a day"),
    "20001": (Stage.NOT_ARRIVED, "the user has unsubscribed"),
    "20002": (Stage.NOT_ARRIVED, "the user does not exist"),
    "20006": (Stage.NOT_ARRIVED, "the device was offline for 14 days"),
}
"""``ackType`` of receipts. 0 is as an open-source server reads it; the others are an aggregator's, where they should stand here."""


def report_lookup(ack_type: str) -> tuple[Stage, str]:
    """How far the push came, and the words of an ackType. What is not listed has not arrived."""
    return REPORTS.get(ack_type) or (Stage.NOT_ARRIVED, "an ackType that is not known")


def lookup(code: str) -> tuple[Action, str]:
    """Action and words of a code. Any HTTP status but 200 is worth a repeat."""
    if known := RESULTS.get(code):
        return known
    if code.startswith("HTTP ") and code != "HTTP 200":
        return RESULTS["HTTP 5xx" if code.startswith("HTTP 5") else "HTTP other"]
    return Action.UNKNOWN, "an answer that vivo's pages do not list"
