"""OPPO Push: OPPO, realme and OnePlus devices."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.oppo.adapter import OppoAdapter
from vendors.oppo.emulator import OppoEmulator
from vendors.oppo.facts import FACTS, MAPPING
from vendors.oppo.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=OppoAdapter(),
    emulator=OppoEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
