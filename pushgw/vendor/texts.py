"""Cutting a text to a vendor's limit, at a border between graphemes, with an ellipsis inside the limit.

The borders are a careful reading of Unicode's rules for extended grapheme clusters (UAX #29) on the standard library
alone: what belongs together is never parted; a few pairs that might be parted are kept together too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

ELLIPSIS = "…"

HALF_CHARACTER = "the text holds half a surrogate pair, which is no character"
"""The sentence of Refused where encoding raises UnicodeEncodeError."""


def cut_chars(text: str, limit: int) -> str:
    """``text``, or its beginning and an ellipsis, in at most ``limit`` characters (code points)."""
    return _cut(text, limit, _one)


def cut_utf16(text: str, limit: int) -> str:
    """``text``, or its beginning and an ellipsis, in at most ``limit`` UTF-16 code units."""
    return _cut(text, limit, _utf16_units)


def cut_bytes(text: str, limit: int) -> str:
    """``text``, or its beginning and an ellipsis, in at most ``limit`` bytes of UTF-8."""
    return _cut(text, limit, _utf8_bytes)


def is_border(text: str, index: int) -> bool:
    """Whether ``text`` may be parted before the character at ``index``."""
    return _is_border(text, index, None)


def _is_border(text: str, index: int, flag_halves: int | None) -> bool:
    """``flag_halves``: how many stand just before ``index``, where that is known already."""
    if index <= 0 or index >= len(text):
        return True
    before, after = text[index - 1], text[index]
    if before < "\x7f" and after < "\x7f":
        return not (before == "\r" and after == "\n")
    if _extends(after) or _prepends(before) or _surrogate_pair(before, after):
        return False
    if unicodedata.category(before) in ("Cc", "Zl", "Zp"):
        return True
    if before == _ZWJ or unicodedata.combining(before) == _VIRAMA or _hangul_joined(before, after):
        return False
    if _is_flag_half(before) and _is_flag_half(after):
        return (_flag_halves_before(text, index) if flag_halves is None else flag_halves) % 2 == 0
    return True


def _cut(text: str, limit: int, size: Callable[[str], int]) -> str:
    """The longest beginning that fits. Where not even an ellipsis fits, there is none."""
    ellipsis = ELLIPSIS if limit >= size(ELLIPSIS) else ""
    room = limit - size(ellipsis)
    used = border = flag_halves = 0
    for index, character in enumerate(text):
        if used <= room and _is_border(text, index, flag_halves):
            border = index
        flag_halves = flag_halves + 1 if _is_flag_half(character) else 0
        used += size(character)
        if used > limit:
            return text[:border] + ellipsis
    return text


def _one(character: str) -> int:
    return 1


def _utf16_units(character: str) -> int:
    return 2 if character > "\uffff" else 1


def _utf8_bytes(character: str) -> int:
    return 1 if character < "\x80" else 2 if character < "\u0800" else 3 if character <= "\uffff" else 4


_ZWJ = "\u200d"
_VIRAMA = 9  # the combining class of the sign that joins consonants


def _extends(character: str) -> bool:
    """Marks, joiners, variation selectors, skin tones, tags: what clings to the character before it."""
    return (
        unicodedata.category(character) in ("Mn", "Me", "Mc")
        or character in "\u200c\u200d\uff9e\uff9f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _prepends(character: str) -> bool:
    """Signs that cling to the character after them (Arabic number signs and their like)."""
    return (
        "\u0600" <= character <= "\u0605"
        or character in "\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
        or character in "\U000110bd\U000110cd\U000111c2\U000111c3"
    )


def _surrogate_pair(before: str, after: str) -> bool:
    """Two halves that a careless decoder left apart."""
    return "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff"


def _hangul_joined(before: str, after: str) -> bool:
    if _between(before, "\u1100", "\u115f") or _between(before, "\ua960", "\ua97c"):  # leading consonant
        return _is_jamo(after) or _between(after, "\uac00", "\ud7a3")
    vowel_or_tail = _between(after, "\u1160", "\u11ff") or _between(after, "\ud7b0", "\ud7fb")
    return vowel_or_tail and (_is_jamo(before) or _between(before, "\uac00", "\ud7a3"))


def _is_jamo(character: str) -> bool:
    return (
        _between(character, "\u1100", "\u11ff")
        or _between(character, "\ua960", "\ua97c")
        or _between(character, "\ud7b0", "\ud7fb")
    )


def _between(character: str, first: str, last: str) -> bool:
    return first <= character <= last


def _is_flag_half(character: str) -> bool:
    """A regional indicator; two make a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, index: int) -> int:
    start = index
    while start > 0 and _is_flag_half(text[start - 1]):
        start -= 1
    return index - start
