"""Firebase's double, with Google's token server: checks what they check and refuses with their codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qs

import jwt
import msgspec

from pushgw.vendor.adapter import Account
from pushgw.vendor.answers import json_object
from pushgw.vendor.emulator import Accepted, Answer, Call, Emulator
from pushgw.vendor.http import Response
from vendors.fcm.message_schema import SendRequest
from vendors.fcm.results import BAD_TOKEN, TOKEN_SERVER_CODES
from vendors.fcm.service_account import AUDIENCE, LIFETIME_S, SCOPE, ServiceAccount

TOKEN_PATH = "/token"  # noqa: S105  a path, not a secret
ACCESS_LIFETIME_S = 3599
CLOCK_SKEW_S = 300
"""Seconds by which an assertion's times may be off: Google takes 65 minutes for the hour."""
LIMIT = 4096

_SEND = re.compile(r"/v1/projects/([^/]+)/messages:send")
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPES = (SCOPE, "https://www.googleapis.com/auth/cloud-platform")
_TTL = re.compile(r"(\d+)(\.\d{1,9})?s")
_LONGEST_TTL_S = 2_419_200
_RESERVED = re.compile(r"(from|message_type|google\..*|gcm\.notification\..*)")
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

# code of the result table -> (HTTP status, status word, Google's words, whether FcmError names the code)
_ERRORS: dict[str, tuple[int, str, str, bool]] = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found.", True),
    "NOT_FOUND": (404, "NOT_FOUND", "Requested entity was not found.", False),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument.", False),
    "UNAUTHENTICATED": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", False),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", True),
    "APNS_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS", True),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch", True),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED", "The caller does not have permission", False),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded.", True),
    "RESOURCE_EXHAUSTED": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", False),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered.", True),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable.", True),
}
TOKEN_ERRORS = {
    "invalid_grant": 400,
    "invalid_scope": 400,
    "invalid_client": 401,
    "unauthorized_client": 401,
}


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class _Issued(msgspec.Struct, frozen=True):
    """An access token in the hands of a caller."""

    project_id: str
    expires_at: float


class FcmEmulator(Emulator):
    """Accepts the service accounts of its accounts.

    A token that contains ``dead`` is unregistered, one that contains ``malformed`` is no registration token.
    ``fail("/token", "invalid_grant")`` scripts the token server.
    """

    vendor = "fcm"

    def __init__(self, accounts: Sequence[Account]) -> None:
        super().__init__(accounts)
        self._services: list[ServiceAccount] = [account.credential.service for account in accounts]
        self._issued: dict[str, _Issued] = {}

    def claims(self, method: str, path: str) -> bool:
        """The token server and the send method of any project."""
        path = path.partition("?")[0]
        return path == TOKEN_PATH or _SEND.fullmatch(path) is not None

    def handle(self, call: Call, now: float) -> Answer:
        """Any request gets an answer; refusals come in the order of Google's own checks."""
        path = call.path.partition("?")[0]
        send = _SEND.fullmatch(path)
        try:
            if call.method != "POST" or not (send or path == TOKEN_PATH):
                raise Refusal(
                    Response(status=404, headers=_HTML, body=b"<title>Error 404 (Not Found)!!1</title>")
                )
            return self._send(call, send.group(1), now) if send else self._issue(call, now)
        except Refusal as refusal:
            return Answer(response=refusal.response)

    # --- the token server --------------------------------------------------------------------------------

    def _issue(self, call: Call, now: float) -> Answer:
        # a fault that holds for every token must not leak from the token server to the pushes, nor back
        if (code := self._scripted(TOKEN_PATH)) in TOKEN_SERVER_CODES:
            raise _token_refusal(code, "Refused, because a test asked for it.")
        form = parse_qs(call.body.decode("utf-8", "replace"))
        if form.get("grant_type") != [_GRANT]:
            raise _token_refusal("unsupported_grant_type", "Invalid grant_type")
        assertion = form.get("assertion", [""])[0]
        service = self._signer(assertion)
        _check_times(jwt.decode(assertion, options={"verify_signature": False}), now)  # verified just before
        digest = blake2b(f"{assertion} {len(self._issued)}".encode(), digest_size=24).hexdigest()
        token = f"ya29.sandbox-{digest}"
        self._issued[token] = _Issued(service.project_id, now + ACCESS_LIFETIME_S)
        body = {"access_token": token, "expires_in": ACCESS_LIFETIME_S, "token_type": "Bearer"}
        return Answer(response=Response(status=200, headers=_JSON, body=msgspec.json.encode(body)))

    def _signer(self, assertion: str) -> ServiceAccount:
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError:
            raise _token_refusal("invalid_grant", "Invalid JWT: the assertion cannot be read.") from None
        known = [service for service in self._services if service.client_email == claims.get("iss")]
        if not known:
            raise _token_refusal("invalid_grant", "Invalid grant: account not found")
        for service in known:
            if _signed(assertion, service):
                _check_claims(claims)
                return service
        raise _token_refusal("invalid_grant", "Invalid JWT Signature.")

    # --- sending -----------------------------------------------------------------------------------------

    def _send(self, call: Call, project: str, now: float) -> Answer:
        self._check_bearer(call, project, now)
        message = _message(call.body)
        token = str(message.get("token") or message.get("fid") or "")
        self._check_device(token)
        android = message.get("android", {}).get("notification", {})
        shown = {
            **message.get("notification", {}),
            **{k: v for k, v in android.items() if k in ("title", "body")},
        }
        accepted = Accepted(
            vendor=self.vendor,
            token=token,
            title=shown.get("title", ""),
            body=shown.get("body", ""),
            vendor_id=_replaces_itself_by(message),
            payload={name: value for name, value in message.items() if name not in ("token", "fid")},
        )
        name = (
            f"projects/{project}/messages/0:{int(now * 1e6)}%{blake2b(call.body, digest_size=8).hexdigest()}"
        )
        response = Response(status=200, headers=_JSON, body=msgspec.json.encode({"name": name}))
        validate_only = json_object(call.body).get("validate_only") is True
        return Answer(response=response, accepted=() if validate_only else (accepted,))

    def _check_bearer(self, call: Call, project: str, now: float) -> None:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        issued = self._issued.get(token)
        if scheme.lower() != "bearer" or issued is None or now >= issued.expires_at:
            raise _refusal("UNAUTHENTICATED")
        if project not in {service.project_id for service in self._services}:
            raise _refusal("NOT_FOUND")
        if issued.project_id != project:
            raise _refusal("PERMISSION_DENIED")

    def _check_device(self, token: str) -> None:
        """What Google knows of this device, and the faults that a test asked for."""
        if (code := self._scripted(token)) and code not in TOKEN_SERVER_CODES:
            raise _refusal(code)
        if "malformed" in token:
            raise _refusal(BAD_TOKEN)
        if "dead" in token:
            raise _refusal("UNREGISTERED")

    def _scripted(self, token: str) -> str:
        scripted = self.scripted.get(token)
        code = scripted.pop(0) if scripted else "200"
        return "" if code == "200" else code


def _signed(assertion: str, service: ServiceAccount) -> bool:
    try:
        jwt.decode(
            assertion,
            key=service.public_key,
            algorithms=["RS256"],
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        return False
    return bool(jwt.get_unverified_header(assertion).get("kid") == service.key_id)


def _check_claims(claims: Mapping[str, Any]) -> None:
    if claims.get("aud") != AUDIENCE:
        raise _token_refusal("invalid_grant", "Invalid JWT: Failed audience check.")
    if not set(str(claims.get("scope", "")).split()) & set(_SCOPES):
        raise _token_refusal("invalid_scope", "Invalid OAuth scope or ID token audience provided.")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    issued, ends = claims.get("iat"), claims.get("exp")
    if (
        not isinstance(issued, int | float)
        or not isinstance(ends, int | float)
        or ends - issued > LIFETIME_S + CLOCK_SKEW_S
        or not issued - CLOCK_SKEW_S <= now <= ends + CLOCK_SKEW_S
    ):
        raise _token_refusal(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        )


def _message(body: bytes) -> dict[str, Any]:
    """The message, where every field is known and every value allowed."""
    try:
        request = msgspec.json.decode(body, type=SendRequest)
        message: dict[str, Any] = msgspec.to_builtins(request.message)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$.")
        raise _refusal(
            "INVALID_ARGUMENT", path.rstrip("`"), f"Invalid JSON payload received. {words}"
        ) from None
    except (msgspec.DecodeError, UnicodeError):
        raise _refusal("INVALID_ARGUMENT", "", "Invalid JSON payload received.") from None
    if len([name for name in ("token", "fid", "topic", "condition") if message.get(name)]) != 1:
        raise _refusal("INVALID_ARGUMENT", "message", "Recipient of the message is not set.")
    for name in request.message.data or {}:
        if _RESERVED.fullmatch(name):
            raise _refusal("INVALID_ARGUMENT", f"message.data[{name}]", "Invalid data payload key")
    _check_ttl(message.get("android", {}).get("ttl", "0s"))
    untargeted = {
        name: value for name, value in message.items() if name not in ("token", "fid", "topic", "condition")
    }
    if len(msgspec.json.encode(untargeted)) > LIMIT:
        raise _refusal("INVALID_ARGUMENT", "message", "Android message is too big")
    return message


def _replaces_itself_by(message: Mapping[str, Any]) -> str:
    """The tag on Android and in browsers, the collapse id on iPhones."""
    tag = message.get("android", {}).get("notification", {}).get("tag")
    collapse_id = message.get("apns", {}).get("headers", {}).get("apns-collapse-id")
    return str(tag or collapse_id or message.get("webpush", {}).get("notification", {}).get("tag", ""))


def _check_ttl(ttl: str) -> None:
    spelled = _TTL.fullmatch(ttl)
    if spelled is None or float(ttl[:-1]) > _LONGEST_TTL_S:
        raise _refusal("INVALID_ARGUMENT", "message.android.ttl", "Invalid value (duration)")


_JSON = {"content-type": "application/json; charset=UTF-8"}
_HTML = {"content-type": "text/html; charset=UTF-8"}


def _refusal(code: str, field: str | None = None, words: str = "") -> Refusal:
    """Google's answer for a code of the result table; ``field`` is what BadRequest complains of."""
    if code == "no answer of FCM" or code.startswith("HTTP "):
        status = {"no answer of FCM": 200, "HTTP 5xx": 502}.get(code) or int(code.removeprefix("HTTP "))
        return Refusal(Response(status=status, headers=_HTML, body=b"<html>not FCM</html>"))
    if code == BAD_TOKEN:
        code, field, words = "INVALID_ARGUMENT", "message.token", _NO_TOKEN
    status, word, said, named = _ERRORS.get(code, (400, code, code, False))
    details: list[dict[str, Any]] = []
    if named or field == "message.token":
        details.append({"@type": _FCM_ERROR, "errorCode": code})
    if field is not None:
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [{"field": field, "description": words}]})
    error = {"code": status, "message": words or said, "status": word, "details": details}
    return Refusal(Response(status=status, headers=_JSON, body=msgspec.json.encode({"error": error})))


_NO_TOKEN = "The registration token is not a valid FCM registration token"  # noqa: S105  words, not a secret


def _token_refusal(code: str, words: str) -> Refusal:
    body = {"error": code, "error_description": words}
    status = 401 if code.endswith("_client") else 400
    return Refusal(Response(status=status, headers=_JSON, body=msgspec.json.encode(body)))
