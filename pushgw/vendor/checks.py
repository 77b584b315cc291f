"""What a credential says of itself without a network: findings of its checks, and what may be shown of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    """Looked at, and right."""
    WARNING = "warning"
    """Probably a mistake; the vendor may take it all the same."""
    ERROR = "error"
    """The vendor will surely refuse it."""


class Finding(msgspec.Struct, frozen=True):
    """One check of one credential. Never holds a secret."""

    level: Level
    check: str
    """What was looked at, a word or two: ``key``, ``certificate``, ``ids``."""
    sentence: str
    """What was found and, for a warning or an error, how to mend it."""
    field: str = ""
    """Field of ``[credential]`` that it is about, where it is one."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What of a credential may be shown to anyone: lists, pages, metrics. Never holds a secret."""

    app: str = ""
    """The vendor's name of the app or project: bundle id, package, app id."""
    environment: str = ""
    """Where the vendor has several: production or sandbox, a region."""
    expires_at: float | None = None
    """Epoch s; None for what never expires."""
    details: Mapping[str, str] = {}
    """More for ``pushgw certs show``: key id, subject, fingerprint of the certificate."""


class Recognized(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the vendor's console gave out, and which fields it fills."""

    kind: str
    """What it is, in words: ``a provider key of Apple's``."""
    fields: Mapping[str, str] = {}
    """Fields of ``[credential]`` that it knows of the app. On a rotation those that are configured stand, so that another
    app's file is noticed."""
    own: Mapping[str, str] = {}
    """Fields that change with the file, such as the id of a key."""
    file_field: str = ""
    """The field that takes the file itself; empty where it is only read."""


def same_text(values: Mapping[str, str]) -> Iterable[Finding]:
    """An error for each two fields that hold the same text: one was pasted into the other's place."""
    seen: dict[str, str] = {}
    for field, value in values.items():
        if value and (other := seen.setdefault(value, field)) != field:
            yield Finding(
                Level.ERROR,
                "ids",
                f"{other} and {field} hold the same text: one stands in the other's place; copy both again",
                field,
            )


def number_for_secret(field: str, value: str, where: str) -> Iterable[Finding]:
    """A warning where a secret has digits alone, as ids have and secrets have not."""
    if value.isascii() and value.isdecimal():
        yield Finding(
            Level.WARNING,
            "ids",
            f"holds digits alone, so it looks like an id and not like a secret; copy {where}",
            field,
        )


def text_for_number(field: str, value: str, where: str) -> Iterable[Finding]:
    """A warning where an id that is a number at this vendor holds something else."""
    if value and not (value.isascii() and value.isdecimal()):
        yield Finding(Level.WARNING, "ids", f"is no number, which this id always is; copy {where}", field)


def or_ok(found: Iterable[Finding], check: str, sentence: str) -> list[Finding]:
    """The findings, or the one that says that all is well."""
    return list(found) or [Finding(Level.OK, check, sentence)]
