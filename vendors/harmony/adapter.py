"""Huawei Push Kit v3 for HarmonyOS 5 and later: one message for up to 1,000 tokens, under a bearer of our own signing.

Source: Huawei's reference pages of the scenario-based message API (request structure, parameters, response) and its
guide to push tokens. Unlike v1 and v2 the names are camelCase and nothing stands in a ``message``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pushgw.vendor.adapter import Account, Adapter, Auth, Credential, Refused
from pushgw.vendor.answers import json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.receipts_of_huawei import check_signature, read_statuses
from pushgw.vendor.reports import Report, ReportCall, echo_of
from pushgw.vendor.service_account import LIFETIME_S, REFRESH_EARLY_S
from pushgw.vendor.texts import HALF_CHARACTER, cut_bytes
from vendors.harmony.credential import HarmonyCredential
from vendors.harmony.info import HarmonyInfo, read_info
from vendors.harmony.results import (
    ABOUT_PARAMETERS,
    ALL_TOKENS_FAILED,
    NO_RIGHT,
    PARTLY_ACCEPTED,
    lookup,
    report_lookup,
)

PUSH_HOST = "https://push-api.cloud.huawei.com"
NOTIFICATION = "0"
"""The ``push-type`` of what a user sees and hears."""

MAX_BYTES = 4096
"""The body without its tokens. Huawei names no limit for title and text alone."""
MAX_TTL_S = 1_296_000
MAX_BADGE = 99
DEFAULT_TITLE = "a new message"
_SHORTEST_TEXT = 32
"""Bytes that title and text each keep when a long ext takes the room."""

_encode = msgspec.json.Encoder().encode


class HarmonyAdapter(Adapter):
    """HarmonyOS 5 and later. Earlier devices have tokens of v1 and v2."""

    vendor: ClassVar[str] = "harmony"
    push_platform: ClassVar[int] = 9
    platforms: ClassVar[frozenset[str]] = frozenset({"harmony"})
    credential_model: ClassVar[type[Credential]] = HarmonyCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = True
    sends_badge: ClassVar[bool] = True
    report_answer: ClassVar[bytes] = b'{"code":"0","message":"success"}'

    def local_auth(self, account: Account, now: float) -> Auth | None:
        """The service account's JWT is the bearer; it serves for its hour, less five minutes."""
        token = _credential(account).service.token(now)
        return Auth(value=token, expires_at=now + LIFETIME_S - REFRESH_EARLY_S, made_at=now)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """One message for all targets. Refused without a category, and when ext alone leaves no room in 4,096 bytes."""
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
        code = _code(answer)
        if code == PARTLY_ACCEPTED:
            return _partly(push, answer)
        if code == ALL_TOKENS_FAILED:
            return _all_failed(push, answer)
        outcome = _outcome(push, answer, code, response)
        if code in ABOUT_PARAMETERS and "category" in outcome.reason.lower():
            outcome = _category_refused(push.notification, account, outcome)
        return [outcome] * len(push.targets)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts, signed with the user name and secret of the console's receipt settings."""
        credential = _credential(account)
        secret = credential.receipt_secret.get_secret_value()
        check_signature(call, secret=secret, user=credential.receipt_user, now=now)
        return read_statuses(call.body, report_lookup)

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push to a token that Huawei never gave out, in a category that every app may use."""
        info: dict[str, object] = {} if account.defaults.get("category") else {"Category": "MARKETING"}
        return Probe(
            push=harmless_push(account.business_id, now, harmony=info),
            what="a push to a token that does not exist",
        )

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """Hints that were ignored, and what the operator left out of ``[defaults]``."""
        info = read_info(notification.harmony)
        lacks = list(info.ignored)
        if info.sound_duration is not None and not _sound(notification, account, info):
            lacks.append("OfflinePushInfo.HarmonyInfo.SoundDuration was ignored: there is no Sound.")
        action = account.defaults.get("click_action", "open_app")
        if action != "open_app" and not account.defaults.get("click_target"):
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        return tuple(lacks)


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> HarmonyCredential:
    credential: HarmonyCredential = account.credential
    return credential


def _shared_headers(account: Account, auth: Auth | None) -> Headers:
    bearer = auth.value if auth else ""
    held: tuple[str, Headers] | None = account.cache.get("harmony_headers")
    if held is None or held[0] != bearer:
        authorization = (("authorization", f"Bearer {bearer}"),) if bearer else ()
        held = (bearer, (("content-type", "application/json"), ("push-type", NOTIFICATION), *authorization))
        account.cache["harmony_headers"] = held
    return held[1]


def _fitted_body(push: Push, account: Account) -> bytes:
    note, info = push.notification, read_info(push.notification.harmony)
    title, text = info.title or (note.title if note.title.strip() else DEFAULT_TITLE), note.body
    if not text.strip():
        raise Refused("HarmonyOS takes no notification without text")
    tokens = list(dict.fromkeys(target.token for target in push.targets))
    room = MAX_BYTES + sum(len(token) + 3 for token in tokens)
    while True:
        body = _encode({**_message(push, account, info, title, text), "target": {"token": tokens}})
        if len(body) <= room:
            return body
        title, text = _shorter(note, title, text, len(body) - room)


def _shorter(note: Notification, title: str, text: str, excess: int) -> tuple[str, str]:
    """The longer of the two gives way; ext never does."""
    title_size, text_size = len(title.encode()), len(text.encode())
    if max(title_size, text_size) <= _SHORTEST_TEXT:
        raise Refused(
            f"too large for HarmonyOS: {MAX_BYTES + excess} bytes without tokens, {MAX_BYTES} are allowed, "
            f"and ext alone has {len(note.ext.encode())}"
        )
    if title_size > text_size:
        return cut_bytes(title, max(title_size - excess, _SHORTEST_TEXT)), text
    return title, cut_bytes(text, max(text_size - excess, _SHORTEST_TEXT))


def _message(push: Push, account: Account, info: HarmonyInfo, title: str, text: str) -> dict[str, Any]:
    note = push.notification
    message = {
        "payload": {"notification": _shown(note, account, info, title, text)},
        "pushOptions": {
            "ttl": min(max(int(note.expires_at - push.now), 1), MAX_TTL_S),
            "collapseKey": -1,
            "biTag": echo_of(push),
        },
    }
    return _merged(message, note.extra) if note.extra else message


def _shown(note: Notification, account: Account, info: HarmonyInfo, title: str, text: str) -> dict[str, Any]:
    """No ``appMessageId``: of two with the same one only the first shows, so that a recall could not overwrite."""
    category = info.category or account.defaults.get("category", "")
    if not category and not note.extra:
        raise Refused(
            "HarmonyOS takes no notification without a category: give HarmonyInfo.Category, or category in [defaults] "
            "(IM, when the app has the right to it)"
        )
    sound = _sound(note, account, info)
    return _given(
        {
            "category": category,
            "title": title,
            "body": text,
            "clickAction": _click_action(note, account),
            "notifyId": note.notify_id,
            "badge": None if note.badge is None else {"setNum": min(max(note.badge, 0), MAX_BADGE)},
            "sound": sound,
            "soundDuration": info.sound_duration if sound else None,
            "image": info.image,
        }
    )


def _sound(note: Notification, account: Account, info: HarmonyInfo) -> str:
    return info.sound or note.sound or account.defaults.get("sound", "")


def _click_action(note: Notification, account: Account) -> dict[str, Any]:
    """The home page, or a page by URI or by action; ``data`` reaches the app either way."""
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    data = {"data": {"ext": note.ext}} if note.ext else {}
    if not target or action not in ("url", "intent"):
        return {"actionType": 0, **data}
    by_uri = action == "url" or "://" in target
    return {"actionType": 1, "uri" if by_uri else "action": target, **data}


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
    code = answer.get("code")
    return str(code) if isinstance(code, int | str) and not isinstance(code, bool) else ""


def _outcome(push: Push, answer: dict[str, Any], code: str, response: Response) -> Outcome:
    told = code or f"HTTP {response.status}"
    action, words = lookup(told, response.status)
    if action is Action.ACCEPTED:
        return Outcome(action=action, code=told, vendor_id=_text(answer.get("requestId")))
    return Outcome(
        action=action,
        code=told,
        reason=vendor_words(push, answer.get("msg")) or words,
        hint=words,
        retry_after=retry_after(response, push.now),
    )


def _category_refused(note: Notification, account: Account, outcome: Outcome) -> Outcome:
    """A category of ``[defaults]`` fails every message and is the operator's to mend; a message's own fails that one."""
    own, configured = read_info(note.harmony).category, account.defaults.get("category")
    if note.extra or not (own or configured):
        return outcome
    named = f"HarmonyInfo.Category {own}" if own else f"category {configured} of [defaults]"
    return msgspec.structs.replace(
        outcome,
        action=Action.BAD_MESSAGE if own else Action.CONFIG,
        hint=f"{named} was refused: see the names, and the app's rights, in AppGallery Connect",
    )


def _partly(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """Nothing is guessed of tokens when the answer does not say which ones failed."""
    reasons = _reasons(answer)
    if not any(target.token in reasons for target in push.targets):
        unclear = "some tokens failed, and the answer does not say which"
        return [_unclear(PARTLY_ACCEPTED, unclear)] * len(push.targets)
    accepted = Outcome(action=Action.ACCEPTED, code=PARTLY_ACCEPTED, vendor_id=_text(answer.get("requestId")))
    some_accepted = any(target.token not in reasons for target in push.targets)
    return [
        _refused(reasons[t.token], some_accepted=some_accepted) if t.token in reasons else accepted
        for t in push.targets
    ]


def _all_failed(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """With reasons each token has its own. Without, a wrong project may be the cause: a batch keeps its tokens."""
    reasons = {token: reason for token, reason in _reasons(answer).items() if reason}
    action, words = lookup(ALL_TOKENS_FAILED)
    if not reasons and len(push.targets) == 1:
        said = vendor_words(push, answer.get("msg")) or words
        return [Outcome(action=action, code=ALL_TOKENS_FAILED, reason=said, hint=words)]
    return [
        _refused(reasons[t.token], some_accepted=False)
        if t.token in reasons
        else _unclear(ALL_TOKENS_FAILED, words)
        for t in push.targets
    ]


def _reasons(answer: dict[str, Any]) -> dict[str, str]:
    """Token -> reason, out of ``msg``, which is JSON inside a string. Older servers spell it otherwise and list no reasons."""
    told = answer.get("msg")
    message = told if isinstance(told, dict) else json_object(_text(told))
    listed = message.get("illegalTokens", message.get("illegal_tokens"))
    by_reason = listed if isinstance(listed, dict) else {"": listed}
    return {
        token: reason
        for reason, tokens in by_reason.items()
        if isinstance(tokens, list)
        for token in tokens
        if isinstance(token, str)
    }


def _refused(reason: str, *, some_accepted: bool) -> Outcome:
    if not reason:
        words = "listed as an illegal token"
        return Outcome(action=Action.INVALID_TOKEN, code=PARTLY_ACCEPTED, reason=words)
    action, words = lookup(reason)
    if reason == NO_RIGHT and some_accepted:
        action = Action.INVALID_TOKEN  # the project is right, so it is the token that is not
    return Outcome(action=action, code=reason, reason=words, hint=words)


def _unclear(code: str, words: str) -> Outcome:
    return Outcome(action=Action.UNKNOWN, code=code, reason=words, hint=words)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
