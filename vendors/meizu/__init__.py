"""Meizu (Flyme) Push: Meizu devices."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.meizu.adapter import MeizuAdapter
from vendors.meizu.emulator import MeizuEmulator
from vendors.meizu.facts import FACTS, MAPPING
from vendors.meizu.results import PER_TARGET, REPORTS, RESULTS, VALUE

vendor = Vendor(
    adapter=MeizuAdapter(),
    emulator=MeizuEmulator,
    results={**RESULTS, **{VALUE + code: meaning for code, meaning in PER_TARGET.items()}},
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
