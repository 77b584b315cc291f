"""How adapters are found: the entry-point group ``pushgw.vendors``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import msgspec

from pushgw.vendor.adapter import Adapter
from pushgw.vendor.emulator import Emulator
from pushgw.vendor.facts import Facts

GROUP = "pushgw.vendors"


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What the entry point of a vendor's package points to."""

    adapter: Adapter
    emulator: type[Emulator]
    results: Mapping[str, tuple[str, str]]
    """Result table for the docs and the sandbox: code -> (action, the vendor's words)."""
    mapping: Mapping[str, str] = {}
    """Where things go: key of a message (``Desc``, ``AndroidInfo.Sound``), ``defaults.<key>`` of a credential or identity of
    the push (``notify_id``) -> the vendor's fields, separated by ", ". A key that is missing has no counterpart."""
    reports: Mapping[str, tuple[str, str]] = {}
    """The same for what it reports later: status -> (`Stage`, words). Empty where it reports nothing, or nothing is read."""
    facts: Facts = Facts()
    """The rest of what the docs tell."""


@cache
def installed_vendors() -> dict[str, Vendor]:
    """Every vendor that is installed, by name. A package that cannot be imported stops the start with its own error.

    Raises TypeError for an entry point that is no Vendor, ValueError for one under another name than its adapter's
    and where two packages bring the same vendor.
    """
    found: dict[str, Vendor] = {}
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        other = points.setdefault(point.name, point)
        if other.value != point.value:
            raise ValueError(
                f"two packages bring the vendor {point.name!r}: {other.value} and {point.value}; remove one"
            )
        if other is point:
            found[point.name] = _loaded(point)
    return found


def _loaded(point: EntryPoint) -> Vendor:
    vendor = point.load()
    if not isinstance(vendor, Vendor):
        raise TypeError(f"{GROUP}: {point.name} = {point.value} is no pushgw.vendor.Vendor")
    if vendor.adapter.vendor != point.name:
        raise ValueError(
            f"{GROUP}: {point.name} = {point.value} has an adapter for {vendor.adapter.vendor!r}; name both alike"
        )
    return vendor
