"""vivo Push: vivo and iQOO devices."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.vivo.adapter import VivoAdapter
from vendors.vivo.emulator import VivoEmulator
from vendors.vivo.facts import FACTS, MAPPING
from vendors.vivo.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=VivoAdapter(),
    emulator=VivoEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
