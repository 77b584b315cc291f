"""A dead letter as its headers tell of it, and the questions that an operator picks by. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from pushgw.messages.retries import ATTEMPT, ERROR, ERROR_CODE, FIRST_SEEN, JSON_PATH, SOURCE, TARGETS


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the dead-letter topic: the original bytes and key, and what was said about them."""

    partition: int
    offset: int
    time_ms: int
    """When it became a dead letter."""
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def coordinate(self) -> str:
        """partition/offset on the dead-letter topic: what `pushgw dlq show` is given."""
        return f"{self.partition}/{self.offset}"

    @property
    def source(self) -> str:
        """topic/partition/offset of the first record; empty where nobody said."""
        return self.text(SOURCE)

    @property
    def topic(self) -> str:
        """The topic of the first record."""
        return self.source.partition("/")[0]

    @property
    def code(self) -> str:
        """Error code."""
        return self.text(ERROR_CODE)

    @property
    def error(self) -> str:
        """One sentence."""
        return self.text(ERROR)

    @property
    def path(self) -> str:
        """Where in the JSON, if anywhere."""
        return self.text(JSON_PATH)

    @property
    def attempt(self) -> int:
        """How often this record was tried before it came here, this time included."""
        return self._number(ATTEMPT, 1)

    @property
    def first_seen_ms(self) -> int:
        """The first record's time."""
        return self._number(FIRST_SEEN, self.time_ms)

    def text(self, name: str) -> str:
        """A header as text; empty where it is missing."""
        for found, value in self.headers:
            if found == name:
                return (value or b"").decode("utf-8", "replace")
        return ""

    def body(self) -> dict[str, Any]:
        """The JSON object in it; an empty one where it is none."""
        try:
            value = msgspec.json.decode(self.value or b"")
        except (ValueError, RecursionError):  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors
            return {}
        return value if isinstance(value, dict) else {}

    def _number(self, name: str, default: int) -> int:
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else default


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant: those for which all that is given holds."""

    codes: frozenset[str] = frozenset()
    since_ms: int | None = None
    """When it became a dead letter, this moment included."""
    until_ms: int | None = None
    """This moment not included."""
    topic: str | None = None
    """Of the first record."""
    user: str | None = None
    """Someone whom the record is for, or whose user event it is."""
    credential: int | None = None
    """Certificate id that the record names (``BusinessID`` of a ``Device.Put``)."""

    def matches(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        return (
            (not self.codes or letter.code in self.codes)
            and (self.since_ms is None or letter.time_ms >= self.since_ms)
            and (self.until_ms is None or letter.time_ms < self.until_ms)
            and (self.topic is None or letter.topic == self.topic)
            and (self.user is None or self.user in users_of(letter))
            and (self.credential is None or letter.body().get("BusinessID") == self.credential)
        )


def users_of(letter: Letter) -> set[str]:
    """Users whom the letter is for, as far as its bytes can be read, its key and the targets of a retry tell."""
    body = letter.body()
    named = [body.get("To_Account"), body.get("Report_Account")]
    gateway, info = body.get("PushGateway"), body.get("Info")
    if isinstance(info, dict):
        named.append(info.get("To_Account"))
    if isinstance(gateway, dict) and isinstance(gateway.get("Receivers"), list):
        named += [one.get("To_Account") for one in gateway["Receivers"] if isinstance(one, dict)]
    users = {
        name for one in named for name in (one if isinstance(one, list) else [one]) if isinstance(name, str)
    }
    users |= _targets(letter.text(TARGETS))
    if not users and letter.key is not None:
        key = letter.key.decode("utf-8", "replace")
        users = {key, key.rpartition("_")[2]}
    return users


def _targets(text: str) -> set[str]:
    try:
        return {user for user, _ in msgspec.json.decode(text, type=list[tuple[str, str]])}
    except msgspec.MsgspecError:
        return set()
