"""What must not stand in a log: tokens are shortened, secrets starred, and defects told without words that may quote a message."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from typing import Any

from structlog.typing import EventDict

from pushgw.messages.receipts import mask_token

STARS = "***"
_TOKEN = re.compile(r"(^|_)(tokens?|regid|registration_id)$", re.IGNORECASE)
"""Names of fields with a device's token."""
_SECRET = re.compile(
    r"secret|password|passwd|authorization|private_key|api_key|app_key|credential_value", re.IGNORECASE
)
"""Names of fields with a secret."""
_LONG = re.compile(r"[A-Za-z0-9_+=-]{40,}")
"""No word, id or name of ours is so long; tokens, keys and parts of signed tokens are."""
_BEARER = re.compile(r"\b(bearer|basic|key=)\s*\S+", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/\s@]+@")
"""Name and password in a URL."""
_AS_THEY_ARE = frozenset(
    {"event", "level", "timestamp", "file", "topic", "topics", "logger", "source", "first_source"}
)
"""Fields that we fill, with names of the operator's."""
_QUOTING = frozenset({"adapter_defect", "poison_record"})
"""Events whose exception may quote a message or a token."""


def mask_secrets(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A structlog processor: every field by its name and by the look of what is in it."""
    for name, value in line.items():
        if name not in _AS_THEY_ARE:
            line[name] = _masked(name, value)
    return line


def without_words(_logger: object, method: str, line: EventDict) -> EventDict:
    """A structlog processor: where a defect was raised and its class, not what it says: that may be a message's text."""
    error = line.get("exc_info")
    if isinstance(error, BaseException) and line.get("event") in _QUOTING and method != "debug":
        del line["exc_info"]
        line["exception"] = "".join([*traceback.format_tb(error.__traceback__), type(error).__name__])
    return line


def _masked(name: str, value: Any) -> Any:
    match value:
        case str():
            return _text(name, value)
        case bytes():
            return f"({len(value)} bytes)"
        case Mapping():
            return {key: _masked(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(name, inner) for inner in value]
    return STARS if _SECRET.search(name) and value is not None and not isinstance(value, bool) else value


def _text(name: str, text: str) -> str:
    if _SECRET.search(name):
        return STARS
    if _TOKEN.search(name):
        return text if "…#" in text else mask_token(text)
    text = _LOGIN.sub(f"://{STARS}@", text)
    text = _BEARER.sub(lambda found: f"{found[1]} {STARS}", text)
    return _LONG.sub(lambda found: mask_token(found[0]), text)
