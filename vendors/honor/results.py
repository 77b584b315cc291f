"""What Honor's answers mean: one table.

Honor's own pages could not be read; the codes are those of a push aggregator's handbook and of open-source clients that agree.
"""

from __future__ import annotations

from pushgw.vendor.push import Action
from pushgw.vendor.reports import Stage

ACCEPTED = frozenset({"200", "80000000"})
PARTLY_ACCEPTED = "80100000"
ALL_TOKENS_INVALID = "80300007"
EXPIRED_TOKEN = "expireTokens"  # noqa: S105  a word of Honor's answers, not a secret
FAILED_TOKEN = "failTokens"  # noqa: S105  likewise

_AUTH = (
    Action.AUTH,
    "the access token was refused: check that client_id, client_secret and app_id are one app's",
)
_CLOCK = (Action.CONFIG, "Honor refused the timestamp header: check this machine's clock")

RESULTS: dict[str, tuple[Action, str]] = {
    "200": (Action.ACCEPTED, "accepted, save for the tokens that it lists"),
    "80000000": (Action.ACCEPTED, "accepted, save for the tokens that it lists"),
    PARTLY_ACCEPTED: (Action.ACCEPTED, "some tokens failed, those that it lists; the rest is accepted"),
    # The lists of tokens.
    EXPIRED_TOKEN: (Action.INVALID_TOKEN, "the token has expired"),
    FAILED_TOKEN: (Action.RETRY, "Honor could not reach the token just now"),
    # Codes of Honor's gateway.
    "400": (Action.BAD_MESSAGE, "a parameter is wrong, Honor's message says which"),
    "401": _AUTH,
    "403": _AUTH,
    "404": (Action.CONFIG, "wrong path: check endpoint and app_id"),
    "500": (Action.RETRY, "internal error at Honor"),
    "502": (Action.RETRY, "Honor's gateway cannot answer just now"),
    "503": (Action.RETRY_AFTER, "flow control: too fast"),
    "10001": _CLOCK,
    "10205": (
        Action.CONFIG,
        "Honor does not know the app: check that app_id is the App ID, not the Client ID",
    ),
    "10207": _CLOCK,
    "10300": (Action.BAD_MESSAGE, "a token is empty"),
    # Codes of Honor's push service.
    "80100003": (Action.BAD_MESSAGE, "the message's structure is wrong"),
    "80200001": _AUTH,
    "80200003": (Action.AUTH, "the access token has expired"),
    "80200020": (Action.CONFIG, "the receipt id is not of this app"),
    "80200022": (
        Action.CONFIG,
        "no right to this kind of message: apply for self-classification in Honor's developer console",
    ),
    "80200047": (Action.QUOTA, "the daily number of test messages is used up"),
    "80200050": (Action.BAD_MESSAGE, "a marketing message (importance LOW) may not carry an image"),
    "80200056": (Action.BAD_MESSAGE, "the text holds forbidden words"),
    "80300006": (Action.BAD_MESSAGE, "a token is repeated in the request"),
    ALL_TOKENS_INVALID: (
        Action.INVALID_TOKEN,
        "all tokens invalid; believed only of a push to a single token or of tokens listed as expired, since a mix-up "
        "of apps has the same answer: check app_id, client_id and client_secret",
    ),
    "80300008": (Action.BAD_MESSAGE, "the body is over 4096 bytes without its tokens"),
    "80300010": (Action.BAD_MESSAGE, "more than 1000 tokens"),
    # Answers without a code.
    "HTTP 400": (Action.BAD_MESSAGE, "the request was refused without a code"),
    "HTTP 401": _AUTH,
    "HTTP 403": _AUTH,
    "HTTP 404": (Action.CONFIG, "wrong path: check endpoint and app_id"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 503": (Action.RETRY_AFTER, "flow control: too fast"),
    "HTTP 5xx": (Action.RETRY, "Honor cannot answer just now"),
}


REPORTS: dict[str, tuple[Stage, str]] = {
    "40000001": (Stage.ARRIVED, "the data arrived"),
    "40000002": (Stage.ARRIVED, "the notification arrived"),
    "40000003": (Stage.NOT_ARRIVED, "the app is not installed"),
    "40000004": (Stage.NOT_ARRIVED, "the token is not on this device"),
    "40000005": (Stage.NOT_ARRIVED, "it was not shown"),
    "40000006": (Stage.NOT_ARRIVED, "the app is disabled"),
    "40000008": (Stage.NOT_ARRIVED, "this kind of message is not supported"),
    "40000009": (Stage.NOT_ARRIVED, "a duplicate, or over the quota"),
    "40000013": (Stage.NOT_ARRIVED, "held back while the screen was off"),
    "40000014": (Stage.NOT_ARRIVED, "the device's user is another"),
    "40000015": (Stage.NOT_ARRIVED, "showing it failed"),
}
"""Statuses of receipts. 40000002 is as an open-source server reads it; the others are reckoned from an aggregator's numbers."""


def report_lookup(status: str) -> tuple[Stage, str]:
    """How far the push came, and the words of a receipt's status. What is not listed has not arrived."""
    return REPORTS.get(status) or (Stage.NOT_ARRIVED, "a status that is not known")


def lookup(code: str, status: int = 200) -> tuple[Action, str]:
    """Action and words of a code. One that is not listed goes by the HTTP status beside it."""
    if known := RESULTS.get(code):
        return known
    if status >= 500 or code.startswith("HTTP 5"):
        return RESULTS.get(f"HTTP {status}", RESULTS["HTTP 5xx"])
    return RESULTS.get(f"HTTP {status}", (Action.UNKNOWN, "a code that is not known of Honor"))
