"""What Xiaomi's answers mean: one table. Source: MiPush error codes of Xiaomi's developer documentation."""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = "0"
SENDING_FAILED = "20301"
INVALID_REGID = "10029"

_INTERNAL = (Action.RETRY, "Xiaomi is busy or has an internal error")
_TOO_FAST = (Action.RETRY_AFTER, "the app sends too fast: slow down, or apply for a higher limit")
_OTHER_JOB = (
    Action.RETRY,
    "too frequent: about broadcasts and lists of invalid regIds, which are not used here",
)
_PARAMETER = (Action.BAD_MESSAGE, "a parameter is missing, illegal or too long")
_FORBIDDEN = (Action.CONFIG, "the app may not push: it is not authorised, blocked or its push service is off")
_AUTH = (
    Action.CONFIG,
    "the AppSecret was refused: check that app_secret is the AppSecret, not AppKey or AppID, of this package and region",
)
_APP = (
    Action.CONFIG,
    "app, key and package do not belong together: check in Xiaomi's console that package is the AppSecret's app",
)
_TOPIC = (Action.BAD_MESSAGE, "about topics and aliases, which are not used here")
_DEAD = (Action.INVALID_TOKEN, "the regId is not valid")


def _rows(meaning: tuple[Action, str], *codes: int) -> dict[str, tuple[Action, str]]:
    return {str(code): meaning for code in codes}


RESULTS: dict[str, tuple[Action, str]] = {
    ACCEPTED: (Action.ACCEPTED, "accepted"),
    **_rows(_INTERNAL, -1, 1, 10001, 10002, 10003, 20607, 22102, 26003),
    SENDING_FAILED: (
        Action.RETRY,
        "sending failed; of a single regId it may mean a dead one, but that is not certain: the token stays",
    ),
    **_rows(_TOO_FAST, 10004, 10022, 10023, 10024, 10027, 10028, 200002),
    **_rows(_OTHER_JOB, 10030, 10032, 26004, 26005),
    **_rows((Action.QUOTA, "the daily quota of the app is used up"), 10034, 200001),
    **_rows(_FORBIDDEN, 10005, 10026, 10031, 10036),
    **_rows(_PARAMETER, 10008, 10012, 10013, 10014, 10016, 10017, 10018, 10020, 10021, 10025, 10037),
    "10041": (Action.BAD_MESSAGE, "title or description is blank, too long or breaks a rule of Xiaomi's"),
    **_rows(_PARAMETER, 65036, 65037, 65038),
    **_rows(_DEAD, 10029, 66007),
    "65003": (Action.BAD_MESSAGE, "the device was not found just now, it may be offline: the token stays"),
    **_rows(_AUTH, 21301, 21302, 21303, 21305),
    **_rows(_APP, *range(22000, 22009), 22020, 22021, 22022, 22100, 22101, 22103, 66108),
    "26006": (Action.CONFIG, "the message must be audited first: see the console"),
    "27001": (
        Action.CONFIG,
        "the channel is missing or unknown: check XiaoMiChannelID and channel_id against the console's channels",
    ),
    **_rows(
        _TOPIC, 20209, 20215, 20216, 20315, 65006, 65007, 65008, 65010, 65011, 65012, 65013, 65016, 65017
    ),
    **_rows(_PARAMETER, 65009, 65014, 65015),
    # Answers without a code.
    "HTTP 401": (Action.CONFIG, "the AppSecret was refused"),
    "HTTP 403": (Action.CONFIG, "Xiaomi refuses this network or app"),
    "HTTP 404": (Action.CONFIG, "wrong URL: check region and endpoint"),
    "HTTP 413": (Action.BAD_MESSAGE, "the request is too large"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 5xx": (Action.RETRY, "Xiaomi cannot answer just now"),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "1": (Stage.ARRIVED, "delivered"),
    "2": (Stage.CLICKED, "clicked"),
    "16": (Stage.NOT_ARRIVED, "the regId is invalid"),
    "32": (Stage.NOT_ARRIVED, "the user has switched notifications off"),
    "64": (Stage.NOT_ARRIVED, "the device does not match the filter"),
    "128": (Stage.NOT_ARRIVED, "the daily quota is reached"),
    "1024": (Stage.NOT_ARRIVED, "its time to live ended"),
}
"""Types of receipts. 128 is of Xiaomi's page; the others are as open-source servers and an aggregator read them."""


def report_lookup(kind: str) -> tuple[Stage, str]:
    """How far the push came, and the words of a type. What is not listed has not arrived."""
    return REPORTS.get(kind) or (Stage.NOT_ARRIVED, "a type that is not known")


def lookup(code: str) -> tuple[Action, str]:
    """Action and words of a code."""
    if code.startswith("HTTP 5"):
        return RESULTS["HTTP 5xx"]
    return RESULTS.get(code, (Action.UNKNOWN, "a code that Xiaomi's page does not list"))
