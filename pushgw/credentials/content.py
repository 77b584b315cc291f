"""What stands in a file that should be a key, a certificate or a key file of JSON: tidied, or refused with the cause.

Nothing here knows a vendor: an HTML page, half a download or an empty file is no key to anyone.
"""

from __future__ import annotations

import codecs
import re

_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_HTML = re.compile(rb"\s*<(!doctype html|html|head|body|!--)", re.IGNORECASE)
_DOWNLOAD = "download it again"


class Unreadable(Exception):
    """Why a file of a credential cannot be used: cause and mend in one sentence, without the file's name."""


def tidied(content: bytes) -> bytes:
    """The content as libraries take it: text without a byte order mark, PEM with plain line ends.

    Raises Unreadable for what can be no key or certificate, whoever's.
    """
    if not content.strip():
        raise Unreadable("is empty: the copy or download failed; copy it again")
    content = _plain_text(content)
    if _HTML.match(content):
        raise Unreadable(
            f"is an HTML page, such as a login page saved in the file's place; sign in to the console and {_DOWNLOAD}"
        )
    if content[:1] == b"\x30":
        _check_whole(content)
    if begun := _PEM_BEGIN.findall(content):
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for label in begun:
            if content.count(b"-----END %s-----" % label) < begun.count(label):
                raise Unreadable(
                    f"is cut off: the line -----END {label.decode()}----- is missing; {_DOWNLOAD}"
                )
    return content


def utf8(content: bytes) -> str:
    """The text of a TOML file. Raises Unreadable, naming the place, for another encoding."""
    try:
        return _plain_text(content).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"is not UTF-8 (line {line}); save it again as UTF-8") from None


def _plain_text(content: bytes) -> bytes:
    """Without a byte order mark. Windows' Notepad also writes UTF-16, with one."""
    if content.startswith(codecs.BOM_UTF8):
        return content.removeprefix(codecs.BOM_UTF8)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16").encode()
        except UnicodeError:
            return content
    return content


def _check_whole(content: bytes) -> None:
    """DER says in its first bytes how long it is."""
    size = content[1] if len(content) > 1 else 0
    if size < 0x81 or len(content) < 2 + size - 0x80:
        return
    head = 2 + size - 0x80
    due = head + int.from_bytes(content[2:head])
    if len(content) < due <= 1 << 24:
        raise Unreadable(f"is cut off: it has {len(content)} of {due} bytes; {_DOWNLOAD}")
