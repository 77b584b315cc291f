"""The SDK that adapters are written against, and the lanes stand on.

An adapter's author needs Adapter, Credential, Request, Response, Push, Outcome, an Emulator and, for the tests, MockTransport
and the conformance kit of ``pushgw.vendor.testing``; docs/adding-a-vendor.md is the tour.
Transports are named, so that a library is imported only where it is used.
"""

from __future__ import annotations

from pushgw.messages.model import AndroidInfo, ApnsInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Credential, Refused
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.checks import Finding, Level, Recognized, Summary
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import (
    Completion,
    Headers,
    OnComplete,
    Request,
    Response,
    TlsOptions,
    Transport,
    TransportError,
    TransportFactory,
)
from pushgw.vendor.mask import mask_request
from pushgw.vendor.mock_transport import MockTransport, mock_transport
from pushgw.vendor.plugin import Vendor, installed_vendors
from pushgw.vendor.probe import NO_DEVICE, Probe, harmless_push
from pushgw.vendor.push import Action, FollowUp, Notification, Origin, Outcome, Push, Target
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, Stage, echo_of
from pushgw.vendor.send import AsyncSender, deliver
from pushgw.vendor.texts import ELLIPSIS, HALF_CHARACTER, cut_bytes, cut_chars, cut_utf16
from pushgw.vendor.token_cache import NO_AUTH, TokenCache

__all__ = [
    "ELLIPSIS",
    "HALF_CHARACTER",
    "NO_AUTH",
    "NO_DEVICE",
    "Accepted",
    "Account",
    "Action",
    "Adapter",
    "AndroidInfo",
    "Answer",
    "ApnsInfo",
    "AsyncSender",
    "Auth",
    "AuthFailed",
    "Call",
    "Completion",
    "Credential",
    "Emulator",
    "Finding",
    "FollowUp",
    "Headers",
    "Level",
    "MockTransport",
    "Notification",
    "OnComplete",
    "Origin",
    "Outcome",
    "Probe",
    "Push",
    "Recognized",
    "Refused",
    "Report",
    "ReportCall",
    "ReportRefused",
    "Request",
    "Response",
    "Stage",
    "Summary",
    "Target",
    "TlsOptions",
    "TokenCache",
    "Transport",
    "TransportError",
    "TransportFactory",
    "Vendor",
    "cut_bytes",
    "cut_chars",
    "cut_utf16",
    "deliver",
    "echo_of",
    "fits_a_header",
    "harmless_push",
    "installed_vendors",
    "json_object",
    "mask_request",
    "mock_transport",
    "retry_after",
    "transport_named",
    "vendor_words",
]


def transport_named(name: str) -> TransportFactory:
    """The factory of a built-in transport: ``pyreqwest``, ``httpx``, or ``native`` where its wheel is installed.

    Raises ValueError for any other name, ImportError without the wheel.
    """
    match name:
        case "pyreqwest":
            from pushgw.vendor.pyreqwest_transport import pyreqwest_transport

            return pyreqwest_transport
        case "httpx":
            from pushgw.vendor.httpx_transport import httpx_transport

            return httpx_transport
        case "native":
            from pushgw.vendor.native_transport import native_transport

            return native_transport
    raise ValueError(f"no transport is named {name!r}; there are pyreqwest, httpx and native")
