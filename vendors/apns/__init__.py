"""Apple Push Notification service."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.apns.adapter import ApnsAdapter
from vendors.apns.emulator import ApnsEmulator
from vendors.apns.facts import FACTS, MAPPING
from vendors.apns.results import RESULTS

vendor = Vendor(
    adapter=ApnsAdapter(), emulator=ApnsEmulator, results={**RESULTS}, mapping=MAPPING, facts=FACTS
)
"""The entry point ``apns`` of the group ``pushgw.vendors``."""
