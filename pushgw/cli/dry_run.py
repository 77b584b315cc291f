"""The exact requests of one push, secrets masked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pushgw.cli.output import out
from pushgw.credentials import CredentialEntry
from pushgw.vendor.adapter import Auth, Refused
from pushgw.vendor.mask import mask_request
from pushgw.vendor.push import Notification, Push, Target

MASKED = "***"


def rendered(
    entry: CredentialEntry, notification: Notification, target: Target, now: float
) -> dict[str, Any]:
    """Method, URL, headers and body as they would be sent to this one device. Raises Refused (C6). No token server is asked."""
    return calls(entry, notification, [target], now)[0]


def calls(
    entry: CredentialEntry, notification: Notification, targets: Sequence[Target], now: float
) -> list[dict[str, Any]]:
    """All requests of one push to these devices in their order, with made-up answers between them. Raises Refused (C6)."""
    adapter, account = entry.adapter, entry.account
    assert adapter is not None  # noqa: S101  callers checked `problem`
    assert account is not None  # noqa: S101  callers checked `problem`
    auth = adapter.local_auth(account, now)
    if auth is None and adapter.auth_request(account, now) is not None:
        auth = Auth(value=MASKED, made_at=now, expires_at=now + 3600)
    push = Push(notification=notification, targets=tuple(targets), now=now)
    for target in targets:
        fault = adapter.token_fault(target.token)
        if fault:
            raise Refused(fault)
    stages = (None, *adapter.sample_stages(push))
    requests = [adapter.render(msgspec.structs.replace(push, stage=s), account, auth) for s in stages]
    return [mask_request(request, adapter.secrets(account, auth)) for request in requests]


def show(request: dict[str, Any], indent: str = "") -> None:
    """The request for people: as it goes over the wire, a header a line, JSON indented."""
    lines = [f"{request['method']} {request['url']}"]
    lines += [f"{name}: {value}" for name, value in request["headers"].items()]
    lines += ["", *request["body"].splitlines()]
    for line in lines:
        out.print(indent + line, markup=False, soft_wrap=True)
