"""Honor Push: one message for up to 1,000 tokens, camelCase, with the time in a header.

Honor's own pages could not be read. Sources: posts of Honor's developer account, open-source clients that agree with
each other, and Tencent IM's limits for title and text.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Credential, Refused
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.receipts_of_huawei import read_statuses
from pushgw.vendor.reports import Report, ReportCall, check_key, echo_of
from pushgw.vendor.texts import HALF_CHARACTER, cut_bytes, cut_utf16
from vendors.honor.credential import HonorCredential
from vendors.honor.results import (
    ACCEPTED,
    ALL_TOKENS_INVALID,
    EXPIRED_TOKEN,
    FAILED_TOKEN,
    PARTLY_ACCEPTED,
    lookup,
    report_lookup,
)

PUSH_HOST = "https://push-api.cloud.honor.com"
AUTH_HOST = "https://iam.developer.honor.com"
TOKEN_PATH = "/auth/token"  # noqa: S105  a path, not a secret

MAX_BYTES = 4096
"""The body without its tokens."""
MAX_TITLE = 50
MAX_TEXT = 400
"""UTF-16 units."""
MAX_TTL_S = 1_296_000
MAX_BADGE = 99
TOKEN_LIFETIME_S = 3600
REFRESH_EARLY_S = 300
LONGEST_LIFETIME_S = 86_400 * 30
"""More than any access token lives; a larger expires_in is no number of seconds."""
DEFAULT_TITLE = "a new message"
DEFAULT_IMPORTANCE = "NORMAL"
"""Tencent's default: service and communication. Without the right to it Honor silently takes LOW."""
_SHORTEST_TEXT = 32
"""Bytes of text that must remain when a long ext takes the room."""

_NO_HINTS = AndroidInfo()
_encode = msgspec.json.Encoder().encode


class HonorAdapter(Adapter):
    """Honor phones since the split. Older ones have HMS tokens and are Huawei's."""

    vendor: ClassVar[str] = "honor"
    push_platform: ClassVar[int] = 8
    overwrites = True
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = HonorCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = True
    sends_badge: ClassVar[bool] = True
    report_answer: ClassVar[bytes] = b'{"code":"0","message":"success"}'

    def auth_request(self, account: Account, now: float) -> Request | None:
        """OAuth 2.0 client credentials; the secret is percent-encoded."""
        credential = _credential(account)
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": credential.client_secret.get_secret_value(),
        }
        return Request(
            url=(account.auth_endpoint or AUTH_HOST) + TOKEN_PATH,
            headers=(("content-type", "application/x-www-form-urlencoded"),),
            body=urlencode(form).encode(),
        )

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        """The access token. ``expires_in`` is in s; it is renewed five minutes early."""
        answer = json_object(response.body)
        token = answer.get("access_token")
        if response.status != 200 or not fits_a_header(token):
            raise AuthFailed(_auth_outcome(answer, response, now))
        lifetime = answer.get("expires_in")
        seconds = (
            lifetime if isinstance(lifetime, int) and 0 < lifetime < LONGEST_LIFETIME_S else TOKEN_LIFETIME_S
        )
        return Auth(value=token, expires_at=now + max(seconds - REFRESH_EARLY_S, seconds / 2), made_at=now)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """One message for all targets. A long ext takes room from the text; ext alone over 4,096 bytes is Refused."""
        try:
            body = _fitted_body(push, account)
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        return Request(
            url=(account.endpoint or PUSH_HOST) + _credential(account).path,
            shared=_shared_headers(account, auth),
            headers=(("timestamp", str(int(push.now * 1000))),),
            body=body,
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """Decided by the code in the body, then by the status. Also a success may list tokens that failed."""
        answer = json_object(response.body)
        code = _code(answer)
        if code in ACCEPTED or code in (PARTLY_ACCEPTED, ALL_TOKENS_INVALID):
            return _by_token(push, code, answer)
        outcome = _outcome(push, answer, code or f"HTTP {response.status}", response)
        return [outcome] * len(push.targets)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts of the shape that Huawei's have. Nobody knows of a signature: the address is the proof."""
        check_key(call, _credential(account).receipt_key.get_secret_value())
        return read_statuses(call.body, report_lookup)

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push to a token that Honor never gave out: the token server does not look at app_id, sending does."""
        return Probe(
            push=harmless_push(account.business_id, now), what="a push to a token that does not exist"
        )

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What is left out, and what the operator left out of ``[defaults]``."""
        lacks: list[str] = []
        if _hints(notification).honor_image and not _image(notification, account):
            lacks.append("HonorImage is left out: it must be an https URL, and importance LOW allows none")
        action = account.defaults.get("click_action", "open_app")
        if action != "open_app" and not account.defaults.get("click_target"):
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        return tuple(lacks)

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """Client Secret and access token."""
        secret = _credential(account).client_secret.get_secret_value()
        return (secret, auth.value) if auth and auth.value else (secret,)


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> HonorCredential:
    credential: HonorCredential = account.credential
    return credential


def _shared_headers(account: Account, auth: Auth | None) -> Headers:
    bearer = auth.value if auth else ""
    held: tuple[str, Headers] | None = account.cache.get("honor_headers")
    if held is None or held[0] != bearer:
        authorization = (("authorization", f"Bearer {bearer}"),) if bearer else ()
        held = (bearer, (("content-type", "application/json; charset=UTF-8"), *authorization))
        account.cache["honor_headers"] = held
    return held[1]


def _fitted_body(push: Push, account: Account) -> bytes:
    tokens = list(dict.fromkeys(target.token for target in push.targets))
    room = MAX_BYTES + sum(len(token) + 3 for token in tokens)
    text = cut_utf16(push.notification.body, MAX_TEXT)
    while True:
        body = _encode({**_message(push, account, text), "token": tokens})
        if len(body) <= room:
            return body
        text = _shorter(push.notification, text, len(body) - room)


def _shorter(note: Notification, text: str, excess: int) -> str:
    """What is escaped takes more room in JSON than in the text, so that a cut may be too deep but never too shallow."""
    size = len(text.encode())
    if size <= _SHORTEST_TEXT:
        raise Refused(
            f"too large for Honor: {MAX_BYTES + excess} bytes without tokens, {MAX_BYTES} are allowed, "
            f"and ext alone has {len(note.ext.encode())}"
        )
    copies = 2 if _hints(note).push_style == 1 else 1
    return cut_bytes(text, max(size - -(-excess // copies), _SHORTEST_TEXT))


def _message(push: Push, account: Account, text: str) -> dict[str, Any]:
    note = push.notification
    if not text.strip():
        raise Refused("Honor takes no notification without text")
    android = {
        "ttl": f"{min(max(int(note.expires_at - push.now), 1), MAX_TTL_S)}s",
        "biTag": echo_of(push),
        "targetUserType": 0,
        "notification": _shown(note, account, text),
    }
    data = {"data": _encode({"ext": note.ext}).decode()} if note.ext else {}
    message = {**data, "android": android}
    return _merged(message, note.extra) if note.extra else message


def _shown(note: Notification, account: Account, text: str) -> dict[str, Any]:
    title = cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE)
    return _given(
        {
            "title": title,
            "body": text,
            "importance": _importance(note, account),
            "clickAction": _click_action(account),
            "image": _image(note, account),
            "notifyId": note.notify_id,
            "badge": _badge(note, account),
            **({"style": 1, "bigTitle": title, "bigBody": text} if _hints(note).push_style == 1 else {}),
        }
    )


def _importance(note: Notification, account: Account) -> str:
    return _hints(note).honor_importance or account.defaults.get("importance") or DEFAULT_IMPORTANCE


def _image(note: Notification, account: Account) -> str | None:
    """A hint never kills a message: Honor refuses other schemes, and any image of a LOW (marketing) message."""
    url = _hints(note).honor_image
    usable = url and url.startswith("https://") and _importance(note, account) != "LOW"
    return url if usable else None


def _badge(note: Notification, account: Account) -> dict[str, Any] | None:
    """``badge``, not ``badgeNotification`` as some clients spell it; the launcher class where the operator names one."""
    if note.badge is None:
        return None
    return _given(
        {"setNum": min(max(note.badge, 0), MAX_BADGE), "badgeClass": account.defaults.get("badge_class")}
    )


def _click_action(account: Account) -> dict[str, Any]:
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    if action == "url" and target:
        return {"type": 2, "url": target}
    if action == "intent" and target:
        return {"type": 1, "intent" if "#Intent;" in target else "action": target}
    return {"type": 3}


def _hints(note: Notification) -> AndroidInfo:
    return note.android or _NO_HINTS


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _merged(base: dict[str, Any], extra: dict[str, object]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in extra.items():
        held = merged.get(name)
        merged[name] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


# --- the answer -------------------------------------------------------------------------------------------


def _code(answer: dict[str, Any]) -> str:
    return _word(answer.get("code"))


def _word(value: object) -> str:
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _auth_outcome(answer: dict[str, Any], response: Response, now: float) -> Outcome:
    """No token: temporary where the server says so of itself, else something is wrong with what was asked for."""
    code = _word(answer.get("error")) or _code(answer)
    temporary = response.status in (408, 429) or response.status >= 500
    if response.status == 200:
        temporary = code in ("", *ACCEPTED) or lookup(code)[0] in (Action.RETRY, Action.RETRY_AFTER)
    advice = "" if temporary else ": check client_id and client_secret (they are not App ID and App Secret)"
    words = f"Honor's token server gave no token{advice}"
    return Outcome(
        action=Action.RETRY if temporary else Action.CONFIG,
        code=code or f"HTTP {response.status}",
        reason=words,
        hint=words,
        retry_after=retry_after(response, now),
    )


def _outcome(push: Push, answer: dict[str, Any], code: str, response: Response) -> Outcome:
    action, words = lookup(code, response.status)
    said = vendor_words(push, answer.get("message", answer.get("msg")))
    wait = retry_after(response, push.now)
    return Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)


def _by_token(push: Push, code: str, answer: dict[str, Any]) -> list[Outcome]:
    """``expireTokens`` are dead and ``failTokens`` failed for another reason; what the rest is, the code says."""
    told = answer.get("data")
    data: dict[str, Any] = told if isinstance(told, dict) else {}
    expired, failed = _tokens(data, EXPIRED_TOKEN), _tokens(data, FAILED_TOKEN)
    named = any(t.token in expired or t.token in failed for t in push.targets)
    rest = _rest(push, code, answer, data, named=named)
    if code == ALL_TOKENS_INVALID:
        failed = frozenset()  # no other reason now: they are as invalid as the rest
    return [
        _listed(EXPIRED_TOKEN) if t.token in expired else _listed(FAILED_TOKEN) if t.token in failed else rest
        for t in push.targets
    ]


def _rest(push: Push, code: str, answer: dict[str, Any], data: dict[str, Any], *, named: bool) -> Outcome:
    action, words = lookup(code)
    if code == ALL_TOKENS_INVALID:
        single = len(push.targets) == 1  # a mix-up of apps must not cost every device of a batch its token
        said = vendor_words(push, answer.get("message", answer.get("msg"))) or words
        return Outcome(action=action if single else Action.UNKNOWN, code=code, reason=said, hint=words)
    if not named and (code == PARTLY_ACCEPTED or data.get("sendResult") is False):
        unclear = "some tokens failed, and the answer does not say which"
        return Outcome(action=Action.UNKNOWN, code=code, reason=unclear, hint=unclear)
    request_id = data.get("requestId")
    return Outcome(action=action, code=code, vendor_id=request_id if isinstance(request_id, str) else "")


def _tokens(data: dict[str, Any], name: str) -> frozenset[str]:
    listed = data.get(name)
    return frozenset(t for t in listed if isinstance(t, str)) if isinstance(listed, list) else frozenset()


def _listed(name: str) -> Outcome:
    action, words = lookup(name)
    return Outcome(action=action, code=name, reason=words, hint=words)
