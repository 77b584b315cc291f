"""What passes between a connection and the desk: a Call in, a Reply out."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Response

MAX_BODY = 1 << 20
"""Bytes of a request body that are kept; a longer one is answered with 413."""

MAX_DISCARDED = 64 << 20
"""Bytes of a too long body that are read and thrown away before the connection is given up."""


class Breakage(StrEnum):
    """Ways in which no answer comes."""

    HANG = "hang"
    """The request stays open until the client gives up."""
    HALF_OPEN = "half-open"
    """The whole connection falls silent and stays: nothing on it is answered any more, no PING either."""
    DROP = "drop"
    """The connection is closed in mid-request."""
    RESET = "reset"
    """RST_STREAM; over HTTP/1.1 the same as DROP."""
    LOST = "lost"
    """The vendor takes the push, and the connection is closed before it can say so."""


class Reply(msgspec.Struct, frozen=True):
    """What the connection does with a request: exactly one of ``response`` and ``breakage`` is set."""

    response: Response | None
    breakage: Breakage | None = None
    delay: float = 0.0
    """Seconds to wait first."""


Respond = Callable[[Call], Reply]
"""The desk, as a connection sees it. Never raises."""


def json_response(status: int, content: object) -> Response:
    """A response with this content as JSON."""
    return Response(
        status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(content)
    )


def sentence(status: int, text: str) -> Response:
    """A response that says one thing to a human: ``{"error": text}``."""
    return json_response(status, {"error": text})


def too_large() -> Response:
    """413 with its sentence."""
    return sentence(413, f"The request body is larger than {MAX_BODY} bytes.")
