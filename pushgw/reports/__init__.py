"""Vendors' later reports: an HTTP door to the internet, and the desk that makes receipts of what comes in."""

from __future__ import annotations

from pushgw.reports.desk import ReportDesk
from pushgw.reports.door import Door, Posted

__all__ = ["Door", "Posted", "ReportDesk"]
