"""Huawei Push Kit v3: HarmonyOS 5 and later (NEXT)."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.harmony.adapter import HarmonyAdapter
from vendors.harmony.emulator import HarmonyEmulator
from vendors.harmony.facts import FACTS, MAPPING
from vendors.harmony.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=HarmonyAdapter(),
    emulator=HarmonyEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
