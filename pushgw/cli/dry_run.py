"""The exact request of one push, secrets masked."""

from __future__ import annotations

from typing import Any

from pushgw.cli.output import out
from pushgw.credentials import CredentialEntry
from pushgw.vendor.adapter import Auth, Refused
from pushgw.vendor.mask import mask_request
from pushgw.vendor.push import Notification, Push, Target

MASKED = "***"


def rendered(
    entry: CredentialEntry, notification: Notification, target: Target, now: float
) -> dict[str, Any]:
    """Method, URL, headers and body as they would be sent. Raises Refused (C6). No token server is asked."""
    adapter, account = entry.adapter, entry.account
    assert adapter is not None  # noqa: S101  callers checked `problem`
    assert account is not None  # noqa: S101  callers checked `problem`
    auth = adapter.local_auth(account, now)
    if auth is None and adapter.auth_request(account, now) is not None:
        auth = Auth(value=MASKED, made_at=now, expires_at=now + 3600)
    push = Push(notification=notification, targets=(target,), now=now)
    fault = adapter.token_fault(target.token)
    if fault:
        raise Refused(fault)
    request = adapter.render(push, account, auth)
    return mask_request(request, adapter.secrets(account, auth))


def show(request: dict[str, Any], indent: str = "") -> None:
    """The request for people: as it goes over the wire, a header a line, JSON indented."""
    lines = [f"{request['method']} {request['url']}"]
    lines += [f"{name}: {value}" for name, value in request["headers"].items()]
    lines += ["", *request["body"].splitlines()]
    for line in lines:
        out.print(indent + line, markup=False, soft_wrap=True)
