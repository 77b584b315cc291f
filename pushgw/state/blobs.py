"""Sealed credentials in the state store: opaque envelopes by certificate id, written beside a running gateway."""

from __future__ import annotations

from typing import Protocol

from pushgw.state.protocol import StateUnavailable


class BlobsUnavailable(StateUnavailable, OSError):
    """The store did not answer. An OSError, too: that is what readers of credentials wait out."""


class Blobs(Protocol):
    """Envelopes by certificate id. Calls block, and each opens a connection of its own: threads need not agree.

    Each may raise BlobsUnavailable.
    """

    def all(self) -> dict[int, bytes]:
        """Every envelope by certificate id."""

    def swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
        """Put ``new`` in place of ``old``, None being nothing; False, and nothing changes, where something else is there.

        True where ``new`` is there already: a call may be repeated.
        """

    def version(self) -> int:
        """A number that rises with every change."""
