"""Huawei Push Kit (HMS): Android, EMUI, HarmonyOS 3 and 4."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.huawei.adapter import HuaweiAdapter
from vendors.huawei.emulator import HuaweiEmulator
from vendors.huawei.facts import FACTS, MAPPING
from vendors.huawei.results import REPORTS, RESULTS

vendor = Vendor(
    adapter=HuaweiAdapter(),
    emulator=HuaweiEmulator,
    results=dict(RESULTS),
    mapping=MAPPING,
    facts=FACTS,
    reports=dict(REPORTS),
)
