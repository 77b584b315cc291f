"""What a check raises, and how it says it."""

from __future__ import annotations


class NotConformant(AssertionError):
    """An adapter or an emulator breaks a promise of the SDK; the sentence says which, and in what case."""


def promise(kept: bool, broken: str) -> None:
    """Raise NotConformant with ``broken`` unless the promise was kept."""
    if not kept:
        raise NotConformant(broken)


def shown(text: str, length: int = 80) -> str:
    """A beginning of ``text`` that is fit for a sentence: escaped, on one line."""
    return ascii(text if len(text) <= length else text[:length] + "...")
