"""What is wrong with a credential, said to the operator."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a credential file. Never holds a secret."""

    file: str
    field: str
    sentence: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.field}: {self.sentence}" if self.field else f"{self.file}: {self.sentence}"
        )


def nearest(name: str, known: Iterable[str], phrase: str = "; did you mean {}?") -> str:
    """The phrase with the known name that is most like this one; empty where none is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return phrase.format(near[0]) if near else ""
