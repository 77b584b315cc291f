"""Reading a vendor's answer without trusting it: any status, any bytes, nothing raised."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

import msgspec

from pushgw.vendor.http import Response
from pushgw.vendor.push import Push

MAX_WORDS = 200
"""Characters of a vendor's own words that are worth keeping."""

LONGEST_WAIT_S = 86_400.0
"""A longer Retry-After is a mistake."""


def json_object(text: bytes | str) -> dict[str, Any]:
    """The JSON object in ``text``; an empty one where there is none (HTML, nothing, a list, broken text)."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def fits_a_header(token: object) -> TypeGuard[str]:
    """Whether a token server's token is one that a header can carry: some printable ASCII, no blank at either end."""
    return (
        isinstance(token, str)
        and token.isascii()
        and token.isprintable()
        and token != ""
        and token.strip(" ") == token
    )


def retry_after(response: Response, now: float) -> float | None:
    """Seconds that the ``Retry-After`` header asks for, given as seconds or as an HTTP date; never negative."""
    given = response.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given), LONGEST_WAIT_S)
    try:
        return min(max(0.0, parsedate_to_datetime(given).timestamp() - now), LONGEST_WAIT_S)
    except (TypeError, ValueError, OverflowError):
        return None


def vendor_words(push: Push, text: object) -> str:
    """The vendor's own words for an Outcome: on one line, cut, and with every token of the push blotted out."""
    if not isinstance(text, str):
        return ""
    for target in push.targets:
        if target.token in text:
            text = text.replace(target.token, "***")
    return " ".join(text.split())[:MAX_WORDS]
