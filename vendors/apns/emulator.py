"""Apple's double: checks what Apple checks and refuses with Apple's reasons."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import jwt
import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.apns.credential import ApnsCredential
from vendors.apns.results import RESULTS

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

TOPIC_SUFFIX = {
    "alert": "",
    "background": "",
    "voip": ".voip",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "location": ".location-query",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "controls": ".push-type.controls",
    "widgets": ".push-type.widgets",
}
"""Push type -> what follows the bundle id in the topic."""

PATH = "/3/device/"
LONGEST_LIFE_S = 3600
LONGEST_COLLAPSE_ID = 64

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

    A token that begins with ``dead`` is unregistered, one that begins with ``bad0`` is a bad device token.
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
        topics = self._authorized_topics(call, now)
        push_type = _check_headers(call.headers, topics)
        payload = _payload(call.body, push_type)
        self._check_device(token)
        apns_id = _apns_id(call, now)
        alert = payload["aps"].get("alert")
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

    def _authorized_topics(self, call: Call, now: float) -> set[str]:
        """The bundle ids that whoever calls may push to. A certificate beats a provider token."""
        if call.peer_cert_der is not None:
            return self._certified(call.peer_cert_der, now)
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Fault("MissingProviderToken")
        topics = {a.credential.bundle_id for a in self.accounts if _signed_by(a, token)}
        if not topics:
            raise Fault("InvalidProviderToken")
        issued = _claims(token).get("iat")
        if not isinstance(issued, int | float) or abs(now - issued) > LONGEST_LIFE_S:
            raise Fault("ExpiredProviderToken")
        return topics

    def _certified(self, der: bytes, now: float) -> set[str]:
        topics: set[str] = set()
        for account in self.accounts:
            shown = account.credential.certificate
            if shown is not None and shown.matches(der) and now < shown.expires_at:
                topics.add(account.credential.bundle_id)
        if not topics:
            raise Fault("BadCertificate")
        return topics

    def _check_device(self, token: str) -> None:
        """What Apple knows of this device, and the faults that a test asked for."""
        scripted = self.scripted.get(token)
        if scripted and (code := scripted.pop(0)) != "200":
            raise Fault(code)
        if token.lower().startswith("dead"):
            raise Fault("Unregistered")
        if token.lower().startswith("bad0"):
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


def _check_headers(headers: Mapping[str, str], topics: set[str]) -> str:
    """The push type. Refuses the first header that Apple would refuse."""
    push_type = headers.get("apns-push-type", "alert")
    if push_type not in TOPIC_SUFFIX:
        raise Fault("InvalidPushType")
    if "apns-topic" not in headers:
        raise Fault("MissingTopic")
    if headers["apns-topic"] not in {topic + TOPIC_SUFFIX[push_type] for topic in topics}:
        raise Fault("TopicDisallowed")
    if not _UUID.fullmatch(headers.get("apns-id", _NO_ID)):
        raise Fault("BadMessageId")
    expiration = headers.get("apns-expiration", "0")
    if not (expiration.isascii() and expiration.isdigit()):
        raise Fault("BadExpirationDate")
    priority = headers.get("apns-priority", "10" if push_type != "background" else "5")
    if priority not in ("1", "5", "10") or (push_type == "background" and priority == "10"):
        raise Fault("BadPriority")
    if len(headers.get("apns-collapse-id", "").encode()) > LONGEST_COLLAPSE_ID:
        raise Fault("BadCollapseId")
    return push_type


def _payload(body: bytes, push_type: str) -> dict[str, Any]:
    """The payload, where it is an object that goes with the push type and is small enough."""
    if not body:
        raise Fault("PayloadEmpty")
    if len(body) > (5120 if push_type == "voip" else 4096):
        raise Fault("PayloadTooLarge")
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        raise Fault("PayloadEmpty") from None
    if not isinstance(payload, dict) or not isinstance(payload.get("aps"), dict) or not payload["aps"]:
        raise Fault("PayloadEmpty")
    shown = {"alert", "badge", "sound"} & payload["aps"].keys()
    silent = push_type == "background"
    if (silent and (shown or payload["aps"].get("content-available") != 1)) or (
        push_type == "alert" and not shown
    ):
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
