"""Honor Push (MagicOS)."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.honor.adapter import HonorAdapter
from vendors.honor.emulator import HonorEmulator
from vendors.honor.facts import FACTS, MAPPING
from vendors.honor.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=HonorAdapter(),
    emulator=HonorEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
