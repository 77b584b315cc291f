"""Webhook: notifications as signed JSON to an HTTPS address of the operator's own."""

from __future__ import annotations

from pushgw.vendor import Vendor

from pushgw_vendor_webhook.webhook.adapter import WebhookAdapter
from pushgw_vendor_webhook.webhook.emulator import WebhookEmulator
from pushgw_vendor_webhook.webhook.results import RESULTS

vendor = Vendor(adapter=WebhookAdapter(), emulator=WebhookEmulator, results=RESULTS)
