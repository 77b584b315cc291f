"""APNs: one token a request, over HTTP/2. Source: Apple's page on sending notification requests to APNs.

What a push becomes (``push_type.py`` has the rules of each type):

* an **alert**, where nothing else is asked for;
* a **background** push for ``ApnsInfo.ContentAvailable`` 1;
* a **liveactivity** push for ``ApnsInfo.LiveActivity``, to the device's own token, since the store has no other: Apple takes
  it where the app reported the activity's push token as that of a device. A refusal costs no device its token;
* ``ApnsInfo.IsVoipPush`` 1 stays an alert, as at Tencent's where there is no PushKit token: the store has one token a device.

``pushgw send --extra`` may choose otherwise, key by key:

* ``push_type``: alert, background, voip, liveactivity, pushtotalk, location, complication, fileprovider, mdm, controls or
  widgets. ``--token`` must then be the token of that kind (PushKit's for voip, the activity's for liveactivity);
* ``priority``: 10, 5 or 1, as far as the type allows;
* ``collapse_id``: up to 64 bytes of printable ASCII; empty for none;
* ``expiration``: epoch seconds, 0 for now or never; in place of ``--ttl``;
* ``aps``, and any other key: laid over the payload, level by level;
* ``payload``: likewise, for keys that have a meaning above, or to keep all of it in one place.

For example ``--extra '{"push_type": "voip", "payload": {"call": 7}}'``. What Apple would refuse is refused beforehand (C6).

NotificationResult, the priorities and the provider token are aioapns'. Its connections are not used: they die on an empty DATA
frame, give up when an error's body comes in two frames, and wait for ever where no answer comes; requests leave through the
lane's transport.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from aioapns import PRIORITY_HIGH
from aioapns.common import NotificationResult

from pushgw.vendor.adapter import Account, Adapter, Auth, Refused
from pushgw.vendor.answers import json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response, TlsOptions
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from vendors.apns.advice import advice
from vendors.apns.credential import ApnsCredential
from vendors.apns.payload import alert_payload, encode, payload_of
from vendors.apns.provider_token import REFRESH_S, YOUNGEST_RENEWAL_S
from vendors.apns.push_type import ALERT, BACKGROUND, LIVE_ACTIVITY, PUSH_TYPES, PushType, mismatch
from vendors.apns.results import ON_ANOTHER_CONNECTION, lookup
from vendors.apns.wishes import LONGEST_COLLAPSE_ID, check_collapse_id, laid_over, read_wishes

NO_DEVICE_TOKEN = "0" * 64
"""Well formed, and of no device."""

_AT_ONCE = int(PRIORITY_HIGH)
_TEMPORARY = (Action.RETRY, Action.RETRY_AFTER)


class ApnsAdapter(Adapter):
    """Renders for Apple and reads Apple's answers."""

    vendor = "apns"
    push_platform = 1
    platforms = frozenset({"ios"})
    credential_model = ApnsCredential
    sends_badge = True
    ios = True

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """One POST to the device's path. Raises Refused where Apple would refuse it, or its size cannot be brought down."""
        way: _Way | None = account.cache.get("apns.way")
        if way is None or way.auth is not auth:
            way = _prepare(account, auth)
        target = push.targets[0]
        sending = _sending(push, account)
        push_type, collapse_id = sending.push_type, sending.collapse_id
        if not (collapse_id.isalnum() and collapse_id.isascii() and len(collapse_id) <= LONGEST_COLLAPSE_ID):
            check_collapse_id(collapse_id)
        ids = (("apns-id", target.vendor_id), ("apns-expiration", str(sending.expiration)))
        token = target.token
        return Request(
            url=way.device_url
            + (token if token.isalnum() and token.isascii() else quote(token, safe="", errors="replace")),
            shared=way.alert
            if push_type is ALERT and sending.priority == _AT_ONCE and way.alert
            else way.headers(account.credential, push_type, sending.priority),
            headers=(*ids, ("apns-collapse-id", collapse_id)) if collapse_id else ids,
            body=encode(sending.payload, push_type.limit),
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """The one Outcome. A 200 has no body; an error has Apple's reason as JSON, or is not Apple's."""
        if response.status == 200:
            return [Outcome(action=Action.ACCEPTED, code="200", vendor_id=_apns_id(push, response))]
        result = _result(push, response)
        reason = result.description or ""
        action, words = lookup(response.status, reason)
        if action is Action.INVALID_TOKEN and _asks_live_activity(push.notification):
            action = Action.BAD_MESSAGE  # Apple speaks of the activity's token; the device's may be sound
        code = reason or f"HTTP {result.status}"
        meaning, _, hint = words.partition("; ")
        more = advice(reason, push, account, _push_type(push.notification))
        return [
            Outcome(
                action=action,
                code=code,
                reason=f"{code}: {meaning}",
                hint="; ".join(filter(None, (hint, more))),
                vendor_id=result.notification_id,
                retry_after=retry_after(response, push.now) if action in _TEMPORARY else None,
                dead_since_ms=result.timestamp if action is Action.INVALID_TOKEN else None,
                renew=reason in ON_ANOTHER_CONNECTION,
            )
        ]

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What Tencent's fields ask for and one token a device cannot give."""
        info = notification.apns
        if info is None:
            return ()
        found = []
        if info.is_voip == 1:
            found.append("IsVoipPush is an alert here: a device has no PushKit token, only the app's own")
        if info.live_activity is not None:
            name = info.live_activity.la_id or "without LaId"
            found.append(
                f"LiveActivity {name} goes to the device's token: Apple takes it where that is the activity's own"
            )
        return tuple(found)

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

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push to a token of zeros, of the first type that the credential may send: Apple knows no such device."""
        fault = account.credential.push_type_fault
        push_type = next((kind for kind in PUSH_TYPES.values() if fault(kind) is None), ALERT)
        extra = None if push_type is ALERT else {"push_type": push_type.name, "payload": {"mdm": "check"}}
        return Probe(
            push=harmless_push(account.business_id, now, NO_DEVICE_TOKEN, extra=extra),
            what="a push to the all-zero token",
            codes=frozenset({"BadDeviceToken"}),
        )


# --- what is sent -----------------------------------------------------------------------------------------


class _Way(msgspec.Struct):
    """What requests of an account share while its authorization lasts."""

    auth: Auth | None
    device_url: str
    alert: Headers = ()
    """Of the plain alert; empty where the credential may send none."""
    others: dict[tuple[str, int], Headers] = {}

    def __repr__(self) -> str:
        return f"_Way({self.device_url!r})"  # the headers hold the bearer

    def headers(self, credential: ApnsCredential, push_type: PushType, priority: int) -> Headers:
        """One tuple for each type and priority. Raises Refused where the credential may not send the type."""
        key = (push_type.name, priority)
        if key not in self.others:
            if fault := credential.push_type_fault(push_type):
                raise Refused(fault)
            bearer = self.auth.value if self.auth else ""
            self.others[key] = (
                *((("authorization", f"bearer {bearer}"),) if bearer else ()),
                ("apns-topic", credential.topic(push_type)),
                ("apns-push-type", push_type.name),
                ("apns-priority", str(priority)),
            )
        return self.others[key]


def _prepare(account: Account, auth: Auth | None) -> _Way:
    credential: ApnsCredential = account.credential
    way = _Way(auth=auth, device_url=f"{account.endpoint or credential.host}/3/device/")
    if credential.push_type_fault(ALERT) is None:
        way.alert = way.headers(credential, ALERT, _AT_ONCE)
    account.cache["apns.way"] = way
    return way


class _Sending(msgspec.Struct, frozen=True):
    """One push as Apple will see it."""

    push_type: PushType
    priority: int
    collapse_id: str
    expiration: int
    payload: dict[str, Any]


def _sending(push: Push, account: Account) -> _Sending:
    notification = push.notification
    collapse_id = notification.collapse_id
    expiration = notification.expires_at if notification.expires_at > push.now else 0
    info = notification.apns
    if not notification.extra and (info is None or (info.content_available != 1 and not info.live_activity)):
        return _Sending(
            ALERT, _AT_ONCE, collapse_id, expiration, alert_payload(notification, account.defaults)
        )
    wishes = read_wishes(notification.extra or {})
    push_type = wishes.push_type or _asked_type(notification)
    payload = laid_over(payload_of(push_type, notification, account.defaults, push.now), wishes.payload)
    if not payload:
        raise Refused(f"a {push_type.name} push has no payload of its own; give it under payload in --extra")
    if fault := mismatch(push_type, payload):
        raise Refused(fault)
    return _Sending(
        push_type,
        _priority(push_type, wishes.priority),
        collapse_id if wishes.collapse_id is None else wishes.collapse_id,
        _expiration(push_type, wishes.expiration, expiration, push.now),
        payload,
    )


def _asked_type(notification: Notification) -> PushType:
    """The type that ApnsInfo asks for."""
    info = notification.apns
    if info is not None and info.live_activity is not None:
        return LIVE_ACTIVITY
    return BACKGROUND if info is not None and info.content_available == 1 else ALERT


def _priority(push_type: PushType, wished: int | None) -> int:
    if wished is None:
        return push_type.priorities[0]
    if wished not in push_type.priorities:
        allowed = " or ".join(map(str, push_type.priorities))
        raise Refused(f"a {push_type.name} push has priority {allowed} at Apple's, not {wished}")
    return wished


def _expiration(push_type: PushType, wished: int | None, given: int, now: float) -> int:
    if not push_type.stored:
        if wished:
            raise Refused(f"Apple stores no {push_type.name} push: its expiration is 0, not {wished}")
        return 0
    if wished and wished <= now:
        raise Refused(
            f"the expiration {wished} is past; it counts in epoch seconds, and 0 is for now or never"
        )
    return given if wished is None else wished


# --- what came back ---------------------------------------------------------------------------------------


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


def _push_type(notification: Notification) -> PushType:
    """The type of a push that was rendered."""
    return _named_type(notification) or _asked_type(notification)


def _named_type(notification: Notification) -> PushType | None:
    name = notification.extra.get("push_type") if notification.extra else None
    return PUSH_TYPES.get(name) if isinstance(name, str) else None


def _asks_live_activity(notification: Notification) -> bool:
    """Whether a message asked for it, rather than an operator who knows which token it goes to."""
    return _named_type(notification) is None and _asked_type(notification) is LIVE_ACTIVITY
