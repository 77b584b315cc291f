"""What the world throws at adapters: texts, tokens and answers that nobody expects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.vendor.http import Response

TEXTS: Mapping[str, str] = {
    "an emoji family": "Family: \U0001f468‍\U0001f469‍\U0001f467‍\U0001f466",
    "flags and skin tones": "\U0001f1e8\U0001f1f3\U0001f1ef\U0001f1f5 \U0001f44b\U0001f3fd",
    "right to left": "\u202eשלום\u202c و مرحبا \u200f",
    "stacked marks": "Z" + "\u0301\u0316\u0334" * 40 + "algo",
    "Chinese": "你好，世界。𠮷野家",
    "quotes and slashes": "\\\"'</script>&%00%0d%0a=?#",
    "line breaks": "first\r\nsecond\u2028third",
    "a tab and a NUL": "a\tb\x00c",
    "half a surrogate pair": "broken \ud83d text",
    "the halves in the wrong order": "\udc00\ud800",
    "something like a header": "x\r\nx-injected: 1\r\n\r\nGET /",
}

BAD_TOKENS: Mapping[str, str] = {
    "an empty token": "",
    "a blank": " ",
    "a tab": "\t",
    "a line break at the end": "token\n",
    "a header after it": "token\r\nx-injected: 1",
    "a request after it": "token HTTP/1.1\r\n\r\nGET /",
    "a NUL in it": "to\x00ken",
    "10 kB": "f" * 10_240,
    "an emoji": "token\U0001f468‍\U0001f469",
    "half a surrogate pair": "token\ud800",
    "letters beyond ASCII": "tökén",
}

OPTIONAL_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "no title": {"title": ""},
    "no ext": {"ext": ""},
    "no badge": {"badge": None},
    "badge 0": {"badge": 0},
    "a huge badge": {"badge": 2**31 - 1},
    "no conversation": {"conversation": ""},
    "a sound": {"sound": "bell.caf"},
    "hints without a value": {"android": AndroidInfo(), "apns": ApnsInfo(), "harmony": {}},
    "nothing extra": {"extra": {}},
    "nothing but a text": {"title": "", "ext": "", "badge": None, "conversation": ""},
    "an id of 64 characters": {"collapse_id": "m" * 64},
    "an id with punctuation": {"collapse_id": "c2c_alice:bob/42+=~"},
    "the smallest number": {"notify_id": 1},
    "the largest number": {"notify_id": 2**31 - 1},
}

LATE: Mapping[str, int] = {"at its last second": 1, "expired": 0, "long expired": -86_400}
"""Seconds from now to the end of the notification's life."""

FILLERS: Mapping[str, str] = {
    "letters": "x",
    "Chinese": "汉",
    "emoji families": "\U0001f468‍\U0001f469‍\U0001f467‍\U0001f466",
    "what JSON escapes": '"\\\n',
    "control characters": "\x01",
}

HUGE = 100_000
"""Characters of a text that no vendor takes."""

STATUSES = (
    200,
    201,
    202,
    204,
    299,
    301,
    302,
    307,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    408,
    409,
    410,
    411,
    413,
    418,
    421,
    422,
    425,
    429,
    431,
    451,
    500,
    501,
    502,
    503,
    504,
    505,
    507,
    520,
    522,
    599,
)

UNREADABLE: Mapping[str, bytes] = {
    "an empty body": b"",
    "HTML": b"<!DOCTYPE html><html><head><title>Sign in to this network</title></head></html>",
    "plain text": b"upstream connect error or disconnect/reset before headers",
    "a broken JSON object": b'{"code":',
    "a JSON list": b"[]",
    "JSON null": b"null",
    "a JSON number": b"0",
    "a JSON text": b'"200"',
    "an empty JSON object": b"{}",
    "no UTF-8": b"\xff\xfe\x00{",
    "NULs": b"\x00" * 64,
    "deep nesting": b'{"code":' * 5_000,
    "a list of lists": b"[" * 5_000,
}

RETRY_AFTERS = ("", "-5", "soon", "1e400", "nan", "9" * 400, "Wed, 99 Nov 2020 99:99:99 GMT", "７", "\x00")
"""Values of Retry-After that mean nothing."""

_ODD_VALUES: tuple[Any, ...] = (None, True, -1, 1.5, 10**30, "", "x", "\x00", [], [None], {}, {"a": {}}, [[]])


def altered(response: Response, replacement: Any = ...) -> Iterator[tuple[str, Response]]:
    """``response`` again and again, each time with one value of its JSON replaced: (where, the answer).

    By each of a dozen odd values; or, where a ``replacement`` is given, every *text* by that one.
    """
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return
    for path in _paths(document):
        odd = _ODD_VALUES if replacement is ... else (replacement,)
        if replacement is not ... and not isinstance(_at(document, path), str):
            continue
        for value in odd:
            body = json.dumps(_replaced(document, path, value)).encode()
            yield "/".join(map(str, path)), msgspec.structs.replace(response, body=body)


def cut_short(response: Response, cuts: int = 12) -> Iterator[Response]:
    """``response`` with its body ending early, at up to ``cuts`` places."""
    size = len(response.body)
    for end in sorted({size * n // (cuts + 1) for n in range(1, cuts + 1)} | {size - 1}):
        if 0 < end < size:
            yield msgspec.structs.replace(response, body=response.body[:end])


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy
