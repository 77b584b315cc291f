"""Huawei Push Kit for Android and HarmonyOS up to 4: one message for up to 1,000 tokens.

Source: Huawei's reference page "downlink message" (v1 and v2 of messages:send).
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Credential, Refused
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.receipts_of_huawei import check_signature, read_statuses
from pushgw.vendor.reports import Report, ReportCall, echo_of
from pushgw.vendor.service_account import LIFETIME_S, REFRESH_EARLY_S
from pushgw.vendor.texts import HALF_CHARACTER, cut_bytes, cut_utf16
from vendors.huawei.credential import HuaweiCredential
from vendors.huawei.results import ALL_TOKENS_INVALID, PARTLY_ACCEPTED, lookup, report_lookup

PUSH_HOST = "https://push-api.cloud.huawei.com"
AUTH_HOST = "https://oauth-login.cloud.huawei.com"
TOKEN_PATH = "/oauth2/v3/token"  # noqa: S105  a path, not a secret

MAX_BYTES = 4096
"""The body without its tokens."""
MAX_TITLE = 60
MAX_TEXT = 600
"""UTF-16 units. Huawei names no figures; these are Tencent IM's."""
MAX_TTL_S = 1_296_000
MAX_BADGE = 99
LONGEST_LIFETIME_S = 86_400 * 30
"""More than any access token lives; a larger expires_in is no number of seconds."""
DEFAULT_TITLE = "a new message"
_SHORTEST_TEXT = 12
"""Bytes of text that must remain when a long ext takes the room."""

_NO_HINTS = AndroidInfo()
_encode = msgspec.json.Encoder().encode


class HuaweiAdapter(Adapter):
    """Huawei, v1 and v2."""

    vendor: ClassVar[str] = "huawei"
    push_platform: ClassVar[int] = 3
    overwrites = True
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = HuaweiCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = True
    sends_badge: ClassVar[bool] = True
    report_answer: ClassVar[bytes] = b'{"code":"0","message":"success"}'

    def uses_badge(self, account: Account) -> bool:
        """Huawei counts only for a configured launcher activity (``badge_class``); without it users may share a batch."""
        return "badge_class" in account.defaults

    def local_auth(self, account: Account, now: float) -> Auth | None:
        """The service account's own JWT, or None where app_id and app_secret must be exchanged first."""
        service = _credential(account).service
        if service is None:
            return None
        return Auth(value=service.token(now), expires_at=now + LIFETIME_S - REFRESH_EARLY_S, made_at=now)

    def auth_request(self, account: Account, now: float) -> Request | None:
        """OAuth 2.0 client credentials; the secret is percent-encoded, unlike in Huawei's samples."""
        credential = _credential(account)
        if credential.service is not None:
            return None
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.app_id,
            "client_secret": credential.app_secret.get_secret_value(),
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
        seconds = lifetime if isinstance(lifetime, int) and 0 < lifetime < LONGEST_LIFETIME_S else LIFETIME_S
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
            body=body,
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """Decided by the code in the body, then by the status: Huawei sends either with either."""
        answer = json_object(response.body)
        code = str(answer.get("code") or "")
        if code == PARTLY_ACCEPTED:
            return _partly(push, answer)
        if code == ALL_TOKENS_INVALID and len(push.targets) > 1:
            return [_not_believed(push, answer)] * len(push.targets)
        outcome = _outcome(push, answer, code or f"HTTP {response.status}", retry_after(response, push.now))
        return [outcome] * len(push.targets)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts, signed with the user name and secret of the console's receipt settings."""
        credential = _credential(account)
        secret = credential.receipt_secret.get_secret_value()
        check_signature(call, secret=secret, user=credential.receipt_user, now=now)
        return read_statuses(call.body, report_lookup)

    def probe(self, account: Account, now: float) -> Probe | None:
        """A message that Huawei is told to validate only, to a token that it never gave out."""
        return Probe(
            push=harmless_push(account.business_id, now),
            what="a push with validate_only to a token that does not exist",
        )

    def render_probe(self, probe: Probe, account: Account, auth: Auth | None) -> Request:
        """With ``validate_only``: checked, never delivered."""
        request = self.render(probe.push, account, auth)
        body = {"validate_only": True, **msgspec.json.decode(request.body)}
        return msgspec.structs.replace(request, body=_encode(body))

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What the operator left out of ``[defaults]`` and Huawei does without."""
        action, target = (
            account.defaults.get("click_action", "open_app"),
            account.defaults.get("click_target"),
        )
        if action != "open_app" and not target:
            return (
                f"click_action is {action} but click_target is missing: the notification only opens the app",
            )
        return ()

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """The bearer and the app's secret."""
        own = (_credential(account).app_secret.get_secret_value(), auth.value if auth else "")
        return tuple(secret for secret in own if secret)


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> HuaweiCredential:
    credential: HuaweiCredential = account.credential
    return credential


def _shared_headers(account: Account, auth: Auth | None) -> Headers:
    bearer = auth.value if auth else ""
    held: tuple[str, Headers] | None = account.cache.get("huawei_headers")
    if held is None or held[0] != bearer:
        authorization = (("authorization", f"Bearer {bearer}"),) if bearer else ()
        held = (bearer, (("content-type", "application/json;charset=UTF-8"), *authorization))
        account.cache["huawei_headers"] = held
    return held[1]


def _fitted_body(push: Push, account: Account) -> bytes:
    tokens = list(dict.fromkeys(target.token for target in push.targets))
    room = MAX_BYTES + sum(len(token) + 3 for token in tokens)
    text = cut_utf16(push.notification.body, MAX_TEXT)
    while True:
        body = _encode({"message": {**_message(push, account, text), "token": tokens}})
        if len(body) <= room:
            return body
        text = _shorter(push.notification, text, len(body) - room)


def _shorter(note: Notification, text: str, excess: int) -> str:
    copies = 2 if _hints(note).push_style == 1 else 1
    left = len(text.encode()) - -(-excess // copies)
    if left < _SHORTEST_TEXT:
        raise Refused(
            f"too large for Huawei: {MAX_BYTES + excess} bytes without tokens, {MAX_BYTES} are allowed, "
            f"and ext alone has {len(note.ext.encode())}"
        )
    return cut_bytes(text, left)


def _message(push: Push, account: Account, text: str) -> dict[str, Any]:
    note = push.notification
    if not text.strip():
        raise Refused("Huawei takes no notification without text")
    hints, defaults = _hints(note), account.defaults
    android = {
        "collapse_key": -1,
        "ttl": f"{min(max(int(note.expires_at - push.now), 1), MAX_TTL_S)}s",
        "category": hints.huawei_category or defaults.get("category"),
        "bi_tag": echo_of(push),
        "notification": _shown(note, account, text),
    }
    data = {"data": _encode({"ext": note.ext}).decode()} if note.ext else {}
    message = {**data, "android": _given(android)}
    return _merged(message, note.extra) if note.extra else message


def _shown(note: Notification, account: Account, text: str) -> dict[str, Any]:
    hints, defaults = _hints(note), account.defaults
    title = cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE)
    sound = hints.sound or note.sound or defaults.get("sound")
    return _given(
        {
            "title": title,
            "body": text,
            "click_action": _click_action(note, account),
            "channel_id": hints.huawei_channel_id or defaults.get("channel_id"),
            "importance": hints.huawei_importance or defaults.get("importance"),
            "image": _https_only(hints.huawei_image),
            "notify_id": note.notify_id,
            "tag": note.collapse_id,
            "badge": _badge(note, account),
            "sound": f"/raw/{_resource(sound)}" if sound else None,
            "default_sound": False if sound else None,
            **({"style": 1, "big_title": title, "big_body": text} if hints.push_style == 1 else {}),
        }
    )


def _badge(note: Notification, account: Account) -> dict[str, Any] | None:
    launcher = account.defaults.get("badge_class")
    if launcher is None or note.badge is None:
        return None
    return {"set_num": min(max(note.badge, 0), MAX_BADGE), "class": launcher}


def _click_action(note: Notification, account: Account) -> dict[str, Any]:
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    if action == "url" and target:
        return {"type": 2, "url": target}
    if action == "intent" and target:
        return {"type": 1, **_page(note, account, target)}
    return {"type": 3}


def _page(note: Notification, account: Account, target: str) -> dict[str, str]:
    """A page by action (ext travels in ``data``), or by intent URI, into which ExtAsHuaweiIntentParam 1 puts ext."""
    is_intent = "#Intent;" in target
    if not note.ext or _hints(note).ext_as_huawei_intent != 1:
        return {"intent" if is_intent else "action": target}
    if not is_intent:
        package = _credential(account).package
        target = f"intent:#Intent;action={target};{f'package={package};' if package else ''}end"
    return {"intent": f"{target.removesuffix('end')}S.ext={quote(note.ext, safe='')};end"}


def _hints(note: Notification) -> AndroidInfo:
    return note.android or _NO_HINTS


def _resource(sound: str) -> str:
    """Huawei wants ``/raw/name`` without a suffix, publishers write ``name``, ``name.mp3`` or the whole."""
    return sound.rpartition("/")[2].partition(".")[0]


def _https_only(url: str | None) -> str | None:
    """A hint never kills a message, and Huawei refuses any other scheme."""
    return url if url and url.startswith("https://") else None


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _merged(base: dict[str, Any], extra: dict[str, object]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in extra.items():
        held = merged.get(name)
        merged[name] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


# --- the answer -------------------------------------------------------------------------------------------


def _auth_outcome(answer: dict[str, Any], response: Response, now: float) -> Outcome:
    code = str(answer.get("sub_error") or answer.get("error") or f"HTTP {response.status}")
    action, words = lookup(code)
    temporary = response.status in (200, 408, 429) or response.status >= 500
    if code.startswith("HTTP ") or action not in (Action.RETRY, Action.CONFIG):
        action = Action.RETRY if temporary else Action.CONFIG
        words = "Huawei's token server gave no token" + ("" if temporary else ": check app_id and app_secret")
    wait = retry_after(response, now)
    return Outcome(action=action, code=code, reason=words, hint=words, retry_after=wait)


def _outcome(push: Push, answer: dict[str, Any], code: str, wait: float | None = None) -> Outcome:
    action, words = lookup(code)
    if action is Action.ACCEPTED:
        return Outcome(action=action, code=code, vendor_id=_text(answer.get("requestId")))
    said = vendor_words(push, answer.get("msg"))
    return Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)


def _partly(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """``msg`` is JSON inside a string. Nothing is guessed of tokens when it does not say which ones failed."""
    refused = _illegal_tokens(json_object(_text(answer.get("msg"))))
    if not refused:
        unclear = "some tokens failed, and the answer does not say which"
        return [Outcome(action=Action.UNKNOWN, code=PARTLY_ACCEPTED, reason=unclear, hint=unclear)] * len(
            push.targets
        )
    accepted = Outcome(action=Action.ACCEPTED, code=PARTLY_ACCEPTED, vendor_id=_text(answer.get("requestId")))
    return [_refused(refused[t.token]) if t.token in refused else accepted for t in push.targets]


def _illegal_tokens(told: dict[str, Any]) -> dict[str, str]:
    """Token -> reason. A flat list on v1 and v2; by reason, and spelled otherwise, on newer servers."""
    listed = told.get("illegal_tokens", told.get("illegalTokens"))
    by_reason = listed if isinstance(listed, dict) else {"": listed}
    return {
        token: reason
        for reason, tokens in by_reason.items()
        if isinstance(tokens, list)
        for token in tokens
        if isinstance(token, str)
    }


def _refused(reason: str) -> Outcome:
    if not reason:
        return Outcome(action=Action.INVALID_TOKEN, code=PARTLY_ACCEPTED, reason="listed as an illegal token")
    action, words = lookup(reason)
    return Outcome(action=action, code=reason, reason=words, hint=words)


def _not_believed(push: Push, answer: dict[str, Any]) -> Outcome:
    """A wrong app id gives the same answer: of a batch it must not cost every device its token."""
    words = lookup(ALL_TOKENS_INVALID)[1]
    said = vendor_words(push, answer.get("msg")) or words
    return Outcome(action=Action.UNKNOWN, code=ALL_TOKENS_INVALID, reason=said, hint=words)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
