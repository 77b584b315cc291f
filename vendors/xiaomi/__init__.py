"""Xiaomi MiPush: Xiaomi, Redmi and POCO devices."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.xiaomi.adapter import XiaomiAdapter
from vendors.xiaomi.emulator import XiaomiEmulator
from vendors.xiaomi.facts import FACTS, MAPPING
from vendors.xiaomi.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=XiaomiAdapter(),
    emulator=XiaomiEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
