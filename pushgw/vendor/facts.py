"""What the docs tell of a vendor beside its mapping and its results: data, so that a test can prove each line."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Within what an adapter keeps a push; None where the vendor names no figure."""

    title: int | None = None
    """UTF-16 units; a longer one is cut between two graphemes and gets an ellipsis."""
    text: int | None = None
    """Likewise."""
    big_text: int | None = None
    """Likewise, with ``PushStyle`` 1."""
    payload: int | None = None
    """Bytes of UTF-8."""
    payload_is: str = ""
    """What counts towards ``payload``."""
    ext: int | None = None
    """Characters of the longest plain ``Ext``, where the field that carries it has a limit of its own."""
    shortest_ttl: int = 0
    """s; a shorter lifetime is sent as this one."""
    longest_ttl: int | None = None
    """s; a longer one is sent as this one."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vendor is reached, who it lets in, and what it does with too much and with twice the same."""

    hosts: dict[str, str] = {}
    """Use -> base URL."""
    auth: str = ""
    """How a request is authorized, in one sentence."""
    renewed_after: int | None = None
    """s after which an authorization is replaced; None where there is none, or one for ever."""
    limits: Limits = Limits()
    gives_way: tuple[str, ...] = ()
    """Keys of the mapping that are cut or left out, in this order, when ``Ext`` takes their room. ``Ext`` is never cut."""
    replaces_by: tuple[str, ...] = ()
    """Fields that are equal on every attempt, by which vendor or device take a repeat for the same notification."""
