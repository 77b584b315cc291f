"""FCM HTTP v1: one token a request. Source: Firebase's reference of ``projects.messages.send``.

Payloads, endpoint and service-account credentials are pyfcm's (google-auth's). Its blocking session is not used: it sleeps for
as long as Retry-After says, and repeats by itself; requests leave through the lane's transport.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from vendors.fcm.credential import FcmCredential
from vendors.fcm.payload import message_json
from vendors.fcm.results import BAD_TOKEN, QUOTA_WAIT_S, UNAVAILABLE_WAIT_S, lookup, lookup_token_error
from vendors.fcm.service_account import LIFETIME_S, ServiceAccount

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REFRESH_EARLY_S = 300

_FORM = (("content-type", "application/x-www-form-urlencoded"),)
_JSON = ("content-type", "application/json; charset=UTF-8")


class FcmAdapter(Adapter):
    """Renders for Firebase and reads its answers."""

    vendor = "fcm"
    push_platform = 4
    overwrites = True
    platforms = frozenset({"android", "ios", "web"})
    credential_model = FcmCredential
    sends_badge = True

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """One message for one token. Raises Refused where it cannot be brought under 4096 bytes."""
        way: _Way | None = account.cache.get("fcm.way")
        if way is None or way.auth is not auth:
            way = _prepare(account, auth)
        body = message_json(push, way.service.pyfcm, account.defaults)
        return Request(url=way.url, shared=way.shared, body=body)

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """The one Outcome, by Google's errorCode, else its status word, else the HTTP status."""
        answer = json_object(response.body)
        if response.status == 200 and answer:
            return [Outcome(action=Action.ACCEPTED, code="200", vendor_id=_message_id(answer))]
        error = _table(answer.get("error"))
        code = vendor_words(push, _code(error)) or f"HTTP {response.status}"
        action, words = lookup(response.status, _double_meaning(code, response.status, error))
        meaning, _, hint = words.partition("; ")
        said = vendor_words(push, error.get("message")) or meaning
        action, wait = _throttled(action, response, push.now)
        return [
            Outcome(action=action, code=code, reason=f"{code}: {said}", hint=hint, retry_after=wait),
        ]

    def auth_request(self, account: Account, now: float) -> Request:
        """The exchange of a signed assertion for an access token."""
        service = _service(account)
        form = {"grant_type": GRANT, "assertion": service.assertion(int(now))}
        url = f"{account.auth_endpoint}/token" if account.auth_endpoint else service.token_uri
        return Request(url=url, headers=_FORM, body=urlencode(form).encode())

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        """The access token, renewed five minutes before it ends. Raises AuthFailed."""
        answer = json_object(response.body)
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if response.status != 200 or not fits_a_header(token):
            raise AuthFailed(_token_error(answer, response, now))
        seconds = float(lifetime) if type(lifetime) is int and lifetime > 0 else float(LIFETIME_S)
        return Auth(value=token, made_at=now, expires_at=now + max(seconds - REFRESH_EARLY_S, seconds / 2))

    def probe(self, account: Account, now: float) -> Probe | None:
        """A message that Google is told to validate only; its token is none, and that is what Google must complain of."""
        push = harmless_push(account.business_id, now)
        return Probe(push=push, what="a push with validate_only")

    def render_probe(self, probe: Probe, account: Account, auth: Auth | None) -> Request:
        """With ``validate_only``: checked, never delivered."""
        request = self.render(probe.push, account, auth)
        body = {**msgspec.json.decode(request.body), "validate_only": True}
        return msgspec.structs.replace(request, body=msgspec.json.encode(body))

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What falls back to the app's own setting."""
        hints, defaults = notification.android, account.defaults
        if not ((hints and hints.google_channel_id) or defaults.get("channel_id")):
            return ("no channel_id is given: FCM shows it in the app's default channel",)
        return ()


class _Way(msgspec.Struct, frozen=True):
    """What all requests of an account share while its access token lasts."""

    auth: Auth | None
    service: ServiceAccount
    url: str
    shared: Headers


def _prepare(account: Account, auth: Auth | None) -> _Way:
    service = _service(account)
    url = service.pyfcm.fcm_end_point
    if account.endpoint:
        url = account.endpoint + urlsplit(url).path
    bearer = (("authorization", f"Bearer {auth.value}"),) if auth is not None and auth.value else ()
    way = _Way(auth=auth, service=service, url=url, shared=(*bearer, _JSON))
    account.cache["fcm.way"] = way
    return way


def _service(account: Account) -> ServiceAccount:
    credential: FcmCredential = account.credential
    return credential.service


def _code(error: dict[str, Any]) -> str:
    """Google's rule: the errorCode of a detail of type FcmError, else the status word."""
    for detail in _details(error, "google.firebase.fcm.v1.FcmError"):
        code = detail.get("errorCode")
        if isinstance(code, str) and code != "UNSPECIFIED_ERROR":
            return code
    status = error.get("status")
    return status if isinstance(status, str) else ""


def _double_meaning(code: str, status: int, error: dict[str, Any]) -> str:
    """The table's key. INVALID_ARGUMENT is about the token or about the message: the details tell."""
    if code != "INVALID_ARGUMENT" or status != 400:
        return code
    fields = [v.get("field") for d in _details(error, "google.rpc.BadRequest") for v in _violations(d)]
    if any(field in ("message.token", "message.fid") for field in fields):
        return BAD_TOKEN
    if "not a valid FCM registration token" in str(error.get("message")):
        return BAD_TOKEN
    blames_the_token = _details(error, "google.firebase.fcm.v1.FcmError") and not fields
    return BAD_TOKEN if blames_the_token else code


def _details(error: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    details = error.get("details")
    tables = [_table(detail) for detail in details] if isinstance(details, list) else []
    return [detail for detail in tables if str(detail.get("@type")).endswith(kind)]


def _violations(detail: dict[str, Any]) -> list[dict[str, Any]]:
    violations = detail.get("fieldViolations")
    return [_table(v) for v in violations] if isinstance(violations, list) else []


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _message_id(answer: dict[str, Any]) -> str:
    """``0:1700000000000000%abc`` of ``projects/demo/messages/0:1700000000000000%abc``."""
    return str(answer.get("name", "")).rpartition("/")[2]


def _throttled(action: Action, response: Response, now: float) -> tuple[Action, float | None]:
    """What to do and for how many s to wait. A 429 pauses the whole lane only where Google itself names the wait.

    Three quotas share the code, of which one is a single device's: that one must not hold up the project.
    """
    if action is not Action.RETRY:
        return action, None
    wait = retry_after(response, now)
    if wait is None:
        return action, {429: QUOTA_WAIT_S, 503: UNAVAILABLE_WAIT_S}.get(response.status)
    return Action.RETRY_AFTER if response.status == 429 else action, wait


def _token_error(answer: dict[str, Any], response: Response, now: float) -> Outcome:
    error = answer.get("error")
    code = error if isinstance(error, str) and error else f"HTTP {response.status}"
    action, words = lookup_token_error(response.status, code)
    meaning, _, hint = words.partition("; ")
    said = answer.get("error_description")
    return Outcome(
        action=action,
        code=code,
        reason=f"{code}: {said if isinstance(said, str) else meaning}",
        hint=hint,
        retry_after=retry_after(response, now) if action is Action.RETRY else None,
    )
