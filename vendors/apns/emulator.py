"""Apple's double: checks what Apple checks and refuses with Apple's reasons."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import jwt
import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.apns.credential import LISTED_SUFFIXES, ApnsCredential
from vendors.apns.push_type import ALERT, BACKGROUND, PUSH_TYPES, PushType, mismatch
from vendors.apns.results import RESULTS
from vendors.apns.wishes import LONGEST_COLLAPSE_ID

STATUS = {
    403: (
        "ExpiredProviderToken InvalidProviderToken MissingProviderToken UnrelatedKeyIdInToken BadEnvironmentKeyIdInToken "
        "BadEnvironmentKeyInToken BadCertificate BadCertificateEnvironment Forbidden"
    ),
    404: "BadPath",
    405: "MethodNotAllowed",
    410: "Unregistered ExpiredToken",
    413: "PayloadTooLarge",
    429: "TooManyProviderTokenUpdates TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable Shutdown",
}
"""The status of each reason; all others come with a 400."""

PATH = "/3/device/"
LONGEST_LIFE_S = 3600

_STATUS_OF = {reason: status for status, reasons in STATUS.items() for reason in reasons.split()}
_HEX = re.compile(r"([0-9A-Fa-f]{2})+")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Fault(Exception):
    """Apple's reason for a refusal."""

    @property
    def reason(self) -> str:
        """The word in the body."""
        return str(self.args[0])


class ApnsEmulator(Emulator):
    """Accepts the keys and certificates of its accounts.

    A token that begins with ``dead`` is unregistered, one that begins with ``bad0`` or is all zeros is a bad
    device token.
    """

    vendor = "apns"

    def claims(self, method: str, path: str) -> bool:
        """Everything below ``/3/``."""
        return path.startswith("/3/")

    def handle(self, call: Call, now: float) -> Answer:
        """Any request gets an answer; refusals come in the order of Apple's own checks."""
        if call.http_version.startswith("1"):
            return Answer(response=Response(status=505, body=b"APNs speaks HTTP/2 only"))
        try:
            return self._accepted(call, now)
        except Fault as fault:
            return _refusal(fault.reason, call, now)

    def _accepted(self, call: Call, now: float) -> Answer:
        token = _token(call)
        callers = self._callers(call, now)
        push_type = _check_headers(call.headers, callers)
        payload = _payload(call.body, push_type)
        self._check_device(token)
        apns_id = _apns_id(call, now)
        alert = payload.get("aps", {}).get("alert")
        if not isinstance(alert, dict):
            alert = {"body": alert or ""}
        accepted = Accepted(
            vendor=self.vendor,
            token=token,
            title=str(alert.get("title", "")),
            body=str(alert.get("body", "")),
            vendor_id=apns_id,
            payload={**_shown(call.headers), "payload": payload},
        )
        headers = {
            "apns-id": apns_id,
            "apns-unique-id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{apns_id} {now}")),
        }
        return Answer(response=Response(status=200, headers=headers), accepted=(accepted,))

    def _callers(self, call: Call, now: float) -> list[ApnsCredential]:
        """The accounts that whoever calls may speak for. A certificate beats a provider token."""
        if call.peer_cert_der is not None:
            return self._certified(call.peer_cert_der, now)
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Fault("MissingProviderToken")
        callers = [a.credential for a in self.accounts if _signed_by(a, token)]
        if not callers:
            raise Fault("InvalidProviderToken")
        issued = _claims(token).get("iat")
        if not isinstance(issued, int | float) or abs(now - issued) > LONGEST_LIFE_S:
            raise Fault("ExpiredProviderToken")
        return callers

    def _certified(self, der: bytes, now: float) -> list[ApnsCredential]:
        callers = []
        for account in self.accounts:
            shown = account.credential.certificate
            if shown is not None and shown.matches(der) and now < shown.expires_at:
                callers.append(account.credential)
        if not callers:
            raise Fault("BadCertificate")
        return callers

    def _check_device(self, token: str) -> None:
        """What Apple knows of this device, and the faults that a test asked for."""
        scripted = self.scripted.get(token)
        if scripted and (code := scripted.pop(0)) != "200":
            raise Fault(code)
        if token.lower().startswith("dead"):
            raise Fault("Unregistered")
        if token.lower().startswith("bad0") or not token.strip("0"):
            raise Fault("BadDeviceToken")


def _token(call: Call) -> str:
    path = call.path.partition("?")[0]
    if call.method != "POST":
        raise Fault("MethodNotAllowed")
    if not path.startswith(PATH):
        raise Fault("BadPath")
    token = unquote(path.removeprefix(PATH))
    if not token:
        raise Fault("MissingDeviceToken")
    if "/" in token:
        raise Fault("BadPath")
    if not _HEX.fullmatch(token):
        raise Fault("BadDeviceToken")
    return token


def _signed_by(account: Account, token: str) -> bool:
    """Whether the account's key signed this token, under its key id, for its team."""
    credential: ApnsCredential = account.credential
    provider = credential.provider_token
    if provider is None:
        return False
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(
            token, key=provider.key.public_key(), algorithms=["ES256"], options={"verify_iat": False}
        )
    except jwt.PyJWTError:
        return False
    return header.get("kid") == credential.key_id and claims.get("iss") == credential.team_id


def _claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})  # verified just before


def _check_headers(headers: Mapping[str, str], callers: Sequence[ApnsCredential]) -> PushType:
    """The push type. Refuses the first header that Apple would refuse."""
    push_type = PUSH_TYPES.get(headers.get("apns-push-type", ALERT.name))
    if push_type is None:
        raise Fault("InvalidPushType")
    if not headers.get("apns-topic"):
        raise Fault("MissingTopic")
    if not any(_may_push(caller, push_type, headers["apns-topic"]) for caller in callers):
        raise Fault("TopicDisallowed")
    if not _UUID.fullmatch(headers.get("apns-id", _NO_ID)):
        raise Fault("BadMessageId")
    expiration = headers.get("apns-expiration")
    if not (expiration is None or (expiration.isascii() and expiration.isdigit())):
        raise Fault("BadExpirationDate")
    if not push_type.stored and (expiration is None or int(expiration) != 0):
        raise Fault("BadExpirationDate")
    if headers.get("apns-priority", str(push_type.priorities[0])) not in map(str, push_type.priorities):
        raise Fault("BadPriority")
    if len(headers.get("apns-collapse-id", "").encode()) > LONGEST_COLLAPSE_ID:
        raise Fault("BadCollapseId")
    return push_type


def _may_push(caller: ApnsCredential, push_type: PushType, topic: str) -> bool:
    """Whether the topic goes with the push type, and the caller's kind of authorization with both."""
    if topic != caller.topic(push_type):
        return False
    certificate = caller.certificate
    if certificate is None:
        return push_type.by_key
    return push_type.by_certificate and (push_type.suffix not in LISTED_SUFFIXES or certificate.covers(topic))


def _payload(body: bytes, push_type: PushType) -> dict[str, Any]:
    """The payload, where it is an object that goes with the push type and is small enough."""
    if not body:
        raise Fault("PayloadEmpty")
    if len(body) > push_type.limit:
        raise Fault("PayloadTooLarge")
    payload = json_object(body)
    if not payload or (push_type in (ALERT, BACKGROUND) and not payload.get("aps")):
        raise Fault("PayloadEmpty")
    if mismatch(push_type, payload):
        raise Fault("InvalidPushType")
    return payload


def _refusal(reason: str, call: Call, now: float) -> Answer:
    """Apple's answer for a reason of the result table; for ``HTTP 4xx``, ``HTTP 5xx`` and ``no reason`` one of that kind."""
    headers = {"apns-id": _apns_id(call, now)}
    status = _STATUS_OF.get(reason, 400)
    if reason == "no reason":
        return Answer(response=Response(status=502, headers={}, body=b"<html>Bad Gateway</html>"))
    if reason not in RESULTS or reason.startswith("HTTP "):
        status, reason = (500 if reason == "HTTP 5xx" else 400), "SomethingNew"
    body: dict[str, object] = {"reason": reason}
    if status == 410:
        body["timestamp"] = int(now * 1000)
    return Answer(response=Response(status=status, headers=headers, body=msgspec.json.encode(body)))


_NO_ID = "00000000-0000-0000-0000-000000000000"


def _apns_id(call: Call, now: float) -> str:
    """The caller's id, or one of Apple's own."""
    given = call.headers.get("apns-id", "")
    return given if _UUID.fullmatch(given) else str(uuid.uuid5(uuid.NAMESPACE_URL, f"{call.path} {now}"))


def _shown(headers: Mapping[str, str]) -> dict[str, object]:
    return {name: value for name, value in headers.items() if name.startswith("apns-")}
