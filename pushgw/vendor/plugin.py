"""How adapters are found: the entry-point group ``pushgw.vendors``."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

import msgspec

from pushgw.vendor.adapter import Adapter
from pushgw.vendor.emulator import Emulator

GROUP = "pushgw.vendors"


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """What the entry point of a vendor's package points to."""

    adapter: Adapter
    emulator: type[Emulator]
    results: dict[str, tuple[str, str]]
    """Result table for the docs: code -> (action, the vendor's words)."""


@cache
def installed_vendors() -> dict[str, Vendor]:
    """Every vendor that is installed, by name. A package that cannot be imported stops the start with its own error."""
    found: dict[str, Vendor] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        found[point.name] = point.load()
    return found
