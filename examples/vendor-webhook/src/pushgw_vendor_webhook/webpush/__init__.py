"""Web Push: notifications to browsers, through the push service that each browser has chosen (RFC 8030, 8291, 8292)."""

from __future__ import annotations

from pushgw.vendor import Vendor

from pushgw_vendor_webhook.webpush.adapter import WebpushAdapter
from pushgw_vendor_webhook.webpush.emulator import WebpushEmulator
from pushgw_vendor_webhook.webpush.results import RESULTS

vendor = Vendor(adapter=WebpushAdapter(), emulator=WebpushEmulator, results=RESULTS)
