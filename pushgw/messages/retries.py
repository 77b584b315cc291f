"""Headers of records that come back: durable retries, and dead letters that an operator replays.

::

    pushgw-source       topic/partition/offset of the first record: it owns claims, done marks and ids
    pushgw-first-seen   the first record's time, epoch ms: what the message's lifetime is reckoned from
    pushgw-attempt      which attempt comes next, from 1
    pushgw-not-before   epoch ms (retries)
    pushgw-targets      JSON [[user, device], ...] still open (retries)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from pushgw.messages.errors import DecodeError

SOURCE = "pushgw-source"
FIRST_SEEN = "pushgw-first-seen"
ATTEMPT = "pushgw-attempt"
NOT_BEFORE = "pushgw-not-before"
TARGETS = "pushgw-targets"
ERROR_CODE = "pushgw-error-code"
ERROR = "pushgw-error"
JSON_PATH = "pushgw-json-path"
OURS = "pushgw-"

BROKEN_HEADERS = 20001
_COORDINATE = re.compile(r"[A-Za-z0-9._-]{1,249}/\d{1,9}/\d{1,19}\Z")
_NUMBER = re.compile(r"\d{1,15}\Z")
_targets = msgspec.json.Decoder(tuple[tuple[str, str], ...])

Headers = Sequence[tuple[str, bytes | None]]


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers of a record that comes back say."""

    source: str
    first_seen_ms: int
    """The first record's time; where the header is missing, that of the record itself."""
    created_ms: int = 0
    """The first record's time; 0 where the header is missing."""
    attempt: int = 1
    targets: tuple[tuple[str, str], ...] | None = None
    """(user, device id) pairs that are still open; None: the whole record."""


def read_return(headers: Headers, timestamp_ms: int) -> Return | None:
    """What the headers say; None when the record comes for the first time. ``timestamp_ms``: of the record itself.

    Raises DecodeError when the headers are not ours to read.
    """
    found = {name: value for name, value in headers if name.startswith(OURS)}
    if SOURCE not in found:
        if TARGETS in found or NOT_BEFORE in found:
            raise DecodeError(BROKEN_HEADERS, f"header {SOURCE} is missing", f"headers.{SOURCE}")
        return None
    return Return(
        source=_text(found, SOURCE, _COORDINATE, "topic/partition/offset"),
        first_seen_ms=_number(found, FIRST_SEEN, timestamp_ms),
        created_ms=_number(found, FIRST_SEEN, 0),
        attempt=max(_number(found, ATTEMPT, 1), 1),
        targets=_read_targets(found.get(TARGETS)) if TARGETS in found else None,
    )


def not_before_ms(headers: Headers) -> int:
    """When a retry is due, epoch ms; 0 (at once) where the header is missing or broken: it is judged when it is decoded."""
    for name, value in headers:
        if name == NOT_BEFORE and value is not None:
            text = value.decode("ascii", "replace")
            return int(text) if _NUMBER.match(text) else 0
    return 0


def retry_headers(
    returning: Return, not_before: int, error_code: str, error: str
) -> list[tuple[str, bytes | None]]:
    """Headers of a retry. ``not_before`` in epoch ms; ``error``: why it comes back, in one sentence."""
    return [
        (SOURCE, returning.source.encode()),
        (FIRST_SEEN, b"%d" % returning.first_seen_ms),
        (ATTEMPT, b"%d" % returning.attempt),
        (NOT_BEFORE, b"%d" % not_before),
        (TARGETS, msgspec.json.encode(returning.targets or ())),
        (ERROR_CODE, error_code.encode("utf-8", "replace")),
        (ERROR, error.encode("utf-8", "replace")),
    ]


def _text(found: dict[str, bytes | None], name: str, shape: re.Pattern[str], what: str) -> str:
    text = (found[name] or b"").decode("utf-8", "replace")
    if not shape.match(text):
        raise DecodeError(BROKEN_HEADERS, f"header {name} is no {what}", f"headers.{name}")
    return text


def _number(found: dict[str, bytes | None], name: str, default: int) -> int:
    if name not in found:
        return default
    return int(_text(found, name, _NUMBER, "whole number"))


def _read_targets(value: bytes | None) -> tuple[tuple[str, str], ...]:
    try:
        targets = _targets.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(
            BROKEN_HEADERS, f"header {TARGETS} is no JSON list of [user, device] pairs", f"headers.{TARGETS}"
        ) from error
    if not targets:
        raise DecodeError(BROKEN_HEADERS, f"header {TARGETS} names nobody", f"headers.{TARGETS}")
    return targets
