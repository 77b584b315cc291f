"""APNs: one token a request, over HTTP/2. Source: Apple's page on sending notification requests to APNs.

The vocabulary is aioapns' (NotificationRequest, PushType, NotificationResult) and so is the provider token. Its connections are
not used: they die on an empty DATA frame, give up when an error's body comes in two frames, and wait for ever where no answer
comes; requests leave through the lane's transport.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from aioapns import PRIORITY_HIGH, PRIORITY_NORMAL, NotificationRequest, PushType
from aioapns.common import NotificationResult

from pushgw.vendor.adapter import Account, Adapter, Auth
from pushgw.vendor.answers import json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response, TlsOptions
from pushgw.vendor.push import Action, Outcome, Push
from vendors.apns.credential import ApnsCredential
from vendors.apns.payload import alert_payload, encode, silent_payload
from vendors.apns.provider_token import REFRESH_S, YOUNGEST_RENEWAL_S
from vendors.apns.results import lookup

_ALERT, _BACKGROUND = PushType.ALERT, PushType.BACKGROUND
_AT_ONCE, _WHEN_CONVENIENT = int(PRIORITY_HIGH), int(PRIORITY_NORMAL)


class ApnsAdapter(Adapter):
    """Renders for Apple and reads Apple's answers."""

    vendor = "apns"
    push_platform = 1
    overwrites = True
    platforms = frozenset({"ios"})
    credential_model = ApnsCredential
    sends_badge = True
    ios = True

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """One POST to the device's path. Raises Refused where the payload cannot be brought under 4096 bytes."""
        request = _notification(push, account)
        way: _Way | None = account.cache.get("apns.way")
        if way is None or way.auth is not auth:
            way = _prepare(account, auth)
        token, ttl = request.device_token, request.time_to_live
        return Request(
            url=way.device_url + (token if token.isalnum() else quote(token, safe="")),
            shared=way.alert if request.push_type is _ALERT else way.background,
            headers=(
                ("apns-id", request.notification_id),
                ("apns-expiration", str(int(push.now) + ttl) if ttl else "0"),
                ("apns-collapse-id", push.notification.collapse_id),
            ),
            body=encode(request.message),
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """The one Outcome. A 200 has no body; an error has Apple's reason as JSON, or is not Apple's."""
        if response.status == 200:
            return [Outcome(action=Action.ACCEPTED, code="200", vendor_id=_apns_id(push, response))]
        result = _result(push, response)
        reason = result.description or ""
        action, words = lookup(response.status, reason)
        code = reason or f"HTTP {result.status}"
        meaning, _, hint = words.partition("; ")
        return [
            Outcome(
                action=action,
                code=code,
                reason=f"{code}: {meaning}",
                hint=hint,
                vendor_id=result.notification_id,
                retry_after=retry_after(response, push.now) if action is Action.RETRY else None,
                dead_since_ms=result.timestamp if action is Action.INVALID_TOKEN else None,
            )
        ]

    def tls(self, account: Account) -> TlsOptions:
        """With a ``.p12``: the certificate that the connection shows."""
        certificate = account.credential.certificate
        return TlsOptions(
            ca_pem=account.ca_pem, identity_pem=certificate.identity_pem if certificate else None
        )

    def local_auth(self, account: Account, now: float) -> Auth | None:
        """A provider token issued at ``now``, good for 47 minutes; None with a certificate.

        Not pure: a token younger than 20 minutes is given again, since Apple punishes a quicker renewal. Should Apple call
        such a token expired, the clock is wrong, and the second refusal says so.
        """
        provider = account.credential.provider_token
        if provider is None:
            return None
        last: Auth | None = account.cache.get("apns.auth")
        if last is not None and 0 <= now - last.made_at < YOUNGEST_RENEWAL_S:
            return last
        issued = int(now)
        auth = Auth(value=provider.sign(issued), made_at=issued, expires_at=issued + REFRESH_S)
        account.cache["apns.auth"] = auth
        return auth


class _Way(msgspec.Struct, frozen=True):
    """What all requests of an account share while its authorization lasts."""

    auth: Auth | None
    device_url: str
    alert: Headers
    background: Headers


def _prepare(account: Account, auth: Auth | None) -> _Way:
    credential: ApnsCredential = account.credential
    fixed: Headers = (("apns-topic", credential.bundle_id),)
    if auth is not None and auth.value:
        fixed = (("authorization", f"bearer {auth.value}"), *fixed)
    way = _Way(
        auth=auth,
        device_url=f"{account.endpoint or credential.host}/3/device/",
        alert=(*fixed, ("apns-push-type", _ALERT.value), ("apns-priority", PRIORITY_HIGH)),
        background=(*fixed, ("apns-push-type", _BACKGROUND.value), ("apns-priority", PRIORITY_NORMAL)),
    )
    account.cache["apns.way"] = way
    return way


def _notification(push: Push, account: Account) -> NotificationRequest:
    notification, target = push.notification, push.targets[0]
    info = notification.apns
    silent = info is not None and info.content_available == 1
    return NotificationRequest(
        target.token,
        silent_payload(notification) if silent else alert_payload(notification, account.defaults),
        notification_id=target.vendor_id,
        time_to_live=max(0, notification.expires_at - int(push.now)),
        priority=_WHEN_CONVENIENT if silent else _AT_ONCE,
        collapse_key=notification.collapse_id,
        push_type=_BACKGROUND if silent else _ALERT,
    )


def _result(push: Push, response: Response) -> NotificationResult:
    answer = json_object(response.body)
    timestamp = answer.get("timestamp")
    return NotificationResult(
        notification_id=_apns_id(push, response),
        status=str(response.status),
        description=vendor_words(push, answer.get("reason")),
        timestamp=timestamp if type(timestamp) is int and timestamp > 0 else None,
    )


def _apns_id(push: Push, response: Response) -> Any:
    return response.headers.get("apns-id") or push.targets[0].vendor_id
