"""What a receiver's answers mean: one table, by HTTP status."""

from __future__ import annotations

from pushgw.vendor import Action

GONE = "gone"

RESULTS: dict[str, tuple[Action, str]] = {
    "HTTP 200": (Action.ACCEPTED, "accepted, save for the tokens that it lists as gone"),
    "HTTP 202": (Action.ACCEPTED, "accepted"),
    "HTTP 204": (Action.ACCEPTED, "accepted"),
    GONE: (Action.INVALID_TOKEN, "the receiver lists the token as gone"),
    "HTTP 3xx": (
        Action.CONFIG,
        "the receiver redirects, and redirects are not followed: write the new address as url",
    ),
    "HTTP 400": (Action.BAD_MESSAGE, "the receiver cannot read the request"),
    "HTTP 401": (
        Action.CONFIG,
        "the receiver refuses the signature: check secret on both sides, then the clocks",
    ),
    "HTTP 403": (Action.CONFIG, "the receiver refuses this network or sender"),
    "HTTP 404": (Action.CONFIG, "there is nothing at this address: check url"),
    "HTTP 405": (Action.CONFIG, "the address takes no POST: check url"),
    "HTTP 408": (Action.RETRY, "the receiver waited too long for the request"),
    "HTTP 410": (Action.INVALID_TOKEN, "the token is gone; believed only of a push to a single token"),
    "HTTP 413": (Action.BAD_MESSAGE, "the receiver takes no request of this size"),
    "HTTP 422": (Action.BAD_MESSAGE, "the receiver does not take this notification"),
    "HTTP 429": (Action.RETRY_AFTER, "too many requests"),
    "HTTP 5xx": (Action.RETRY, "the receiver cannot answer just now"),
}


def lookup(status: int) -> tuple[Action, str]:
    """Action and words of a status."""
    return (
        RESULTS.get(f"HTTP {status}")
        or RESULTS.get(f"HTTP {status // 100}xx")
        or (Action.UNKNOWN, "a status that has no meaning here")
    )
