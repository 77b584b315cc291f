"""What push services answer: one table, by HTTP status. Source: RFC 8030, and the error page of Mozilla's autopush."""

from __future__ import annotations

from pushgw.vendor import Action

_REFUSED = (
    Action.AUTH,
    "the VAPID authorization was refused: check the clock, and that browsers subscribed under this very key",
)
_GONE = (Action.INVALID_TOKEN, "the subscription has ended")

RESULTS: dict[str, tuple[Action, str]] = {
    "HTTP 200": (Action.ACCEPTED, "accepted"),
    "HTTP 201": (Action.ACCEPTED, "accepted"),
    "HTTP 202": (Action.ACCEPTED, "accepted"),
    "HTTP 400": (Action.BAD_MESSAGE, "the push service cannot read the request"),
    "HTTP 401": _REFUSED,
    "HTTP 403": _REFUSED,
    "HTTP 404": _GONE,
    "HTTP 410": _GONE,
    "HTTP 413": (Action.BAD_MESSAGE, "the push service takes no message of this size"),
    "HTTP 429": (Action.RETRY_AFTER, "too many messages"),
    "HTTP 5xx": (Action.RETRY, "the push service cannot answer just now"),
}


def lookup(status: int) -> tuple[Action, str]:
    """Action and words of a status."""
    return (
        RESULTS.get(f"HTTP {status}")
        or RESULTS.get(f"HTTP {status // 100}xx")
        or (Action.UNKNOWN, "a status that RFC 8030 has no use for")
    )
