"""What ``pushgw send --extra`` chooses for one push, beside what it lays over the payload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pushgw.vendor.adapter import Refused
from vendors.apns.push_type import PUSH_TYPES, PushType

LONGEST_COLLAPSE_ID = 64
"""Bytes."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of ``--extra`` that are no payload; ``None`` is left to the adapter."""

    push_type: PushType | None = None
    priority: int | None = None
    collapse_id: str | None = None
    expiration: int | None = None
    """Epoch s; 0 is for now or never."""
    payload: Mapping[str, Any]
    """Laid over the payload: every other key, and over them what stands under ``payload``."""


def read_wishes(extra: Mapping[str, Any]) -> Wishes:
    """The wishes in ``--extra``. Raises Refused with the operator's sentence where one of them makes no sense."""
    rest = dict(extra)
    push_type = _push_type(rest.pop("push_type", None))
    priority = _whole(rest.pop("priority", None), "priority", "10, 5 or 1")
    expiration = _whole(rest.pop("expiration", None), "expiration", "epoch seconds, or 0 for now or never")
    collapse_id = rest.pop("collapse_id", None)
    if collapse_id is not None and not isinstance(collapse_id, str):
        raise Refused("collapse_id is no text")
    payload = rest.pop("payload", {})
    if not isinstance(payload, dict):
        raise Refused('payload is no object; write what Apple is to get, such as {"payload": {"aps": {}}}')
    return Wishes(
        push_type=push_type,
        priority=priority,
        collapse_id=collapse_id,
        expiration=expiration,
        payload=laid_over(rest, payload),
    )


def laid_over(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``extra`` laid over it, level by level."""
    result = dict(base)
    for key, value in extra.items():
        below = result.get(key)
        result[key] = (
            laid_over(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
        )
    return result


def check_collapse_id(collapse_id: str) -> None:
    """Raises Refused where Apple, or HTTP, does not take it."""
    size = len(collapse_id.encode("utf-8", "surrogatepass"))
    if size > LONGEST_COLLAPSE_ID:
        raise Refused(f"the collapse id has {size} bytes, Apple takes {LONGEST_COLLAPSE_ID}")
    if not (collapse_id.isascii() and collapse_id.isprintable() and collapse_id == collapse_id.strip()):
        raise Refused("the collapse id holds characters that a header cannot carry; keep to printable ASCII")


def _push_type(given: Any) -> PushType | None:
    if given is None:
        return None
    found = PUSH_TYPES.get(given) if isinstance(given, str) else None
    if found is None:
        raise Refused(f"push_type is none of Apple's: {', '.join(PUSH_TYPES)}")
    return found


def _whole(given: Any, name: str, what: str) -> int | None:
    """A number that may come as a number or as digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        given = int(given)
    if given is not None and (type(given) is not int or given < 0):
        raise Refused(f"{name} must be {what}")
    return given
