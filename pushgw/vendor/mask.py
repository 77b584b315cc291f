"""A request as it may be shown: everything in it but its secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from pushgw.vendor.http import Request

MASK = "***"
_LOGIN = re.compile(r"//[^/]*@")


def mask_request(request: Request, secrets: Iterable[str]) -> dict[str, Any]:
    """Method, url, headers and body of ``request`` with every secret as ``***``, also percent-encoded or escaped in JSON.

    ``headers`` is a dict, a repeated name's values joined by a comma. ``body`` is text, JSON indented; a body that is no
    UTF-8 is told by its length alone.
    """
    pattern = _pattern(secrets)
    headers: dict[str, str] = {}
    for name, value in (*request.shared, *request.headers):
        masked = _mask(value, pattern)
        headers[name] = f"{headers[name]}, {masked}" if name in headers else masked
    return {
        "method": request.method,
        "url": _mask(request.url, pattern),
        "headers": headers,
        "body": _body(request.body, pattern),
    }


def without_login(url: str) -> str:
    """The URL with stars for a user and password in it."""
    return _LOGIN.sub(f"//{MASK}@", url)


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Each secret in every spelling, longest first: one may be a part of another. None where there is no secret."""
    forms: set[str] = set()
    for secret in secrets:
        forms |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
        forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    longest_first = sorted((form for form in forms if form), key=len, reverse=True)
    return re.compile("|".join(map(_any_case, longest_first))) if longest_first else None


def _any_case(form: str) -> str:
    """Hexadecimal escapes may be written in either case, each for itself; all else as it is."""
    pieces = re.split(r"(%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})", form)
    return "".join(
        f"(?i:{re.escape(piece)})" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)
    )


def _body(body: bytes, pattern: re.Pattern[str] | None) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return f"({len(body)} bytes that are no text)"
    try:
        value = json.loads(text)
    except ValueError:
        return _mask(text, pattern)
    if not isinstance(value, dict | list):
        return _mask(text, pattern)
    return _mask(json.dumps(_mask_values(value, pattern), ensure_ascii=False, indent=2), pattern)


def _mask_values(value: Any, pattern: re.Pattern[str] | None) -> Any:
    """Inside the JSON too, where an escape of another spelling (``\\/``) would hide a secret from a plain search."""
    match value:
        case str():
            return _mask(value, pattern)
        case list():
            return [_mask_values(item, pattern) for item in value]
        case dict():
            return {_mask(key, pattern): _mask_values(item, pattern) for key, item in value.items()}
    return value


def _mask(text: str, pattern: re.Pattern[str] | None) -> str:
    return pattern.sub(MASK, text) if pattern else text
