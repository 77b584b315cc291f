"""What Google's answers mean: one table. Source: Firebase's page on FCM error codes, Google's on OAuth errors."""

from __future__ import annotations

from pushgw.vendor.push import Action

BAD_TOKEN = "INVALID_ARGUMENT on message.token"  # noqa: S105  a code, not a secret
QUOTA_WAIT_S = 60.0
"""What Google asks for where a 429 has no Retry-After."""
UNAVAILABLE_WAIT_S = 10.0
"""Likewise for a 503."""

_BAD_REQUEST = "a part of the message is wrong, too large or unknown"
_NO_RIGHT = (
    "the account may not send; enable the FCM API in the project and give the account the role to send"
)
_WRONG_PROJECT = "no such project; look at project_id in the service-account file, and at endpoint"
_NEW_TOKEN = "the access token is not accepted"  # noqa: S105  words, not a secret
_TOO_FAST = "too many messages to the project, the device or the topic; where Google names a wait, the whole credential waits"
_NEW_KEY = "look at the clock, and in the Google Cloud console (Service accounts) whether the account or its key was deleted"

RESULTS: dict[str, tuple[Action, str]] = {
    "200": (Action.ACCEPTED, "accepted"),
    "UNREGISTERED": (Action.INVALID_TOKEN, "the app is no longer on the device"),
    "NOT_FOUND": (Action.CONFIG, _WRONG_PROJECT),
    BAD_TOKEN: (Action.INVALID_TOKEN, "this is no registration token"),
    "INVALID_ARGUMENT": (Action.BAD_MESSAGE, _BAD_REQUEST),
    "UNAUTHENTICATED": (Action.AUTH, _NEW_TOKEN),
    "THIRD_PARTY_AUTH_ERROR": (
        Action.CONFIG,
        "the project cannot reach Apple or the browser; upload the APNs key or VAPID key in the Firebase console",
    ),
    "APNS_AUTH_ERROR": (
        Action.CONFIG,
        "the project cannot reach Apple; upload the APNs key in the Firebase console",
    ),
    "SENDER_ID_MISMATCH": (
        Action.CONFIG,
        "the token is another project's; look in the Firebase console whether the app and this service account are of "
        "one project",
    ),
    "PERMISSION_DENIED": (Action.CONFIG, _NO_RIGHT),
    "QUOTA_EXCEEDED": (Action.RETRY, _TOO_FAST),
    "RESOURCE_EXHAUSTED": (Action.RETRY, _TOO_FAST),
    "INTERNAL": (Action.RETRY, "internal error at Google"),
    "UNAVAILABLE": (Action.RETRY, "Google cannot answer just now"),
    # Errors of the token server.
    "invalid_grant": (Action.CONFIG, f"the service account is not accepted; {_NEW_KEY}"),
    "invalid_client": (Action.CONFIG, "the service account is not known; download its key file again"),
    "unauthorized_client": (
        Action.CONFIG,
        "the service account may not do this; look at it in the Google console",
    ),
    "invalid_scope": (Action.CONFIG, "the scope is not known; look at auth_endpoint"),
    # Answers without a code that is listed, by their status.
    "HTTP 400": (Action.BAD_MESSAGE, _BAD_REQUEST),
    "HTTP 401": (Action.AUTH, _NEW_TOKEN),
    "HTTP 403": (Action.CONFIG, _NO_RIGHT),
    "HTTP 404": (Action.CONFIG, _WRONG_PROJECT),
    "HTTP 429": (Action.RETRY, _TOO_FAST),
    "HTTP 5xx": (Action.RETRY, "an error without Google's words"),
    "no answer of FCM": (
        Action.RETRY,
        "an answer that is not FCM's, such as a proxy's; look at what is in between",
    ),
}
"""Code -> (what to do, what it means; then, after a semicolon, what to look at)."""

TOKEN_SERVER_CODES = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope"})
"""The codes that only the token server says."""


def lookup(status: int, code: str) -> tuple[Action, str]:
    """Action and words of a push's answer that is no success. A code that is not listed counts by the status."""
    known = RESULTS.get(code) or RESULTS.get(f"HTTP {status}")
    if known:
        return known
    if status >= 500:
        return RESULTS["HTTP 5xx"]
    if status == 200:
        return RESULTS["no answer of FCM"]
    return Action.UNKNOWN, "a code and a status that Firebase's page does not list; report it"


def lookup_token_error(status: int, code: str) -> tuple[Action, str]:
    """Likewise for the token server: what is not temporary is for the operator."""
    if code in TOKEN_SERVER_CODES:
        return RESULTS[code]
    if status == 429 or status >= 500:
        return Action.RETRY, "the token server cannot answer just now"
    if status == 200:
        return (
            Action.RETRY,
            "the token server's answer holds no token; look at auth_endpoint and what is in between",
        )
    return Action.CONFIG, "the token server refuses; look at auth_endpoint and the service-account file"
