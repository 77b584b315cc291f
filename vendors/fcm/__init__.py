"""Firebase Cloud Messaging, HTTP v1."""

from __future__ import annotations

from pushgw.vendor.plugin import Vendor
from vendors.fcm.adapter import FcmAdapter
from vendors.fcm.emulator import FcmEmulator
from vendors.fcm.facts import FACTS, MAPPING
from vendors.fcm.results import RESULTS

vendor = Vendor(adapter=FcmAdapter(), emulator=FcmEmulator, results={**RESULTS}, mapping=MAPPING, facts=FACTS)
"""The entry point ``fcm`` of the group ``pushgw.vendors``."""
