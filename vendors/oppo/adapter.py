"""OPPO Push: a batch of up to 1,000 messages in one form, each with an answer of its own.

The batch call serves single pushes too, so that one shape of answer has to be understood. Devices outside mainland China
are served by ``https://api-intl.push.oppomobile.com``: name it as ``endpoint``.
Source: OPPO's pages on authentication, message body, unicast and return codes, and its Java SDK.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar
from urllib.parse import urlencode

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Credential, Refused
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, check_key, echo_of
from pushgw.vendor.texts import HALF_CHARACTER, cut_utf16
from vendors.oppo.credential import OppoCredential
from vendors.oppo.results import ACCEPTED, CALLS_LIMITED, RESULTS, lookup, report_lookup

HOST = "https://api.push.oppomobile.com"
AUTH_PATH = "/server/v1/auth"
SEND_PATH = "/server/v1/message/notification/unicast_batch"

MAX_TITLE = 50
MAX_TEXT = {1: 50, 2: 128}
"""style -> UTF-16 units (OPPO itself counts characters, which is never stricter)."""
MAX_CALLBACK = 200
MAX_EVENT = 64
"""Characters of an eventType that are kept."""
MAX_PARAMETERS = 4000
MAX_ACTIVITY = 500
MAX_URL = 2000
MAX_TTL_S = 864_000
TOKEN_LIFETIME_S = 86_400
RENEW_EARLY_S = 3600
AUTH_WAIT_S = 60.0
"""How long OPPO's token server is left alone after it has said that it is called too often."""
AUTH_PAUSE_S = 600.0
"""The same, where a day's number is used up or the app's calls are limited: soon is of no use."""
DEFAULT_TITLE = "a new message"
UNTEMPLATED = frozenset({"MARKETING", "NEWS", "CONTENT"})
"""Categories of operations; private templates are not for them."""

_FORM = ("content-type", "application/x-www-form-urlencoded;charset=UTF-8")
_NO_HINTS = AndroidInfo()


class OppoAdapter(Adapter):
    """OPPO, realme, OnePlus."""

    vendor: ClassVar[str] = "oppo"
    push_platform: ClassVar[int] = 6
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = OppoCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = False

    def auth_request(self, account: Account, now: float) -> Request:
        """SHA-256 over AppKey, time in ms and MasterSecret, good for ten minutes."""
        credential = _credential(account)
        timestamp = str(int(now * 1000))
        form = {
            "app_key": credential.app_key,
            "timestamp": timestamp,
            "sign": sign(credential.app_key, timestamp, credential.master_secret.get_secret_value()),
        }
        url = (account.auth_endpoint or account.endpoint or HOST) + AUTH_PATH
        return Request(url=url, headers=(_FORM,), body=urlencode(form).encode())

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        """The auth token: 24 hours from its ``create_time`` (ms), renewed an hour early."""
        answer = json_object(response.body)
        told = answer.get("data")
        data = told if isinstance(told, dict) else {}
        token, created = data.get("auth_token"), data.get("create_time")
        if _code(answer, response) != ACCEPTED or not fits_a_header(token):
            raise AuthFailed(_auth_outcome(_code(answer, response), response, now))
        since = created / 1000 if isinstance(created, int) and 0 < created < now * 1000 else now
        renew = since + TOKEN_LIFETIME_S - RENEW_EARLY_S
        return Auth(value=token, expires_at=max(renew, now + 60), made_at=now)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The form; the auth token stands in it and in a header, since OPPO's clients differ. An ext too long is Refused."""
        try:
            notification = msgspec.Raw(msgspec.json.encode(_notification(push, account)))
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        messages = [
            {
                "target_type": 2,
                "target_value": token,
                "verify_registration_id": False,
                "notification": notification,
            }
            for token in dict.fromkeys(target.token for target in push.targets)
        ]
        form = {"auth_token": auth.value if auth else "", "messages": msgspec.json.encode(messages)}
        return Request(
            url=(account.endpoint or HOST) + SEND_PATH,
            shared=_shared_headers(account, auth),
            body=urlencode(form).encode(),
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """Code 0 says only that the batch was read; each message's own answer stands in ``data``."""
        answer = json_object(response.body)
        code = _code(answer, response)
        if code == ACCEPTED:
            return _by_item(push, answer.get("data"))
        outcome = _outcome(push, code, answer.get("message"), retry_after(response, push.now))
        if outcome.action is Action.INVALID_TOKEN and len(push.targets) > 1:
            unclear = "some registration id of the batch is not valid, and the answer does not say which"
            outcome = msgspec.structs.replace(outcome, action=Action.UNKNOWN, hint=unclear)
        return [outcome] * len(push.targets)

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What OPPO accepts and then does not show, or shows otherwise."""
        hints, defaults = notification.android or _NO_HINTS, account.defaults
        lacks: list[str] = []
        if not (hints.oppo_channel_id or defaults.get("channel_id")):
            lacks.append(
                "no OPPOChannelID and no channel_id: Android 8 and later do not show such a notification"
            )
        if hints.oppo_notify_level is not None and not (hints.oppo_category or defaults.get("category")):
            lacks.append("OPPONotifyLevel is left out: it needs OPPOCategory, or category in [defaults]")
        action = defaults.get("click_action", "open_app")
        if action != "open_app" and not defaults.get("click_target"):
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        if len(defaults.get("callback", "")) > MAX_CALLBACK:
            lacks.append(
                f"callback in [defaults] is left out: OPPO allows {MAX_CALLBACK} characters; no receipts come"
            )
        return tuple(lacks)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts, a list of events. OPPO signs nothing: the address is the proof."""
        check_key(call, _credential(account).receipt_key.get_secret_value())
        events = json_object(b'{"events":' + call.body + b"}").get("events")
        if not isinstance(events, list):
            raise ReportRefused(400, "the body is no JSON list of events")
        return [report for event in events if isinstance(event, dict) for report in _reports(event)]

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """MasterSecret, auth token, and the key that ends the callback's address."""
        credential = _credential(account)
        own = (
            credential.master_secret.get_secret_value(),
            auth.value if auth else "",
            credential.receipt_key.get_secret_value(),
        )
        return tuple(secret for secret in own if secret)


def sign(app_key: str, timestamp: str, master_secret: str) -> str:
    """OPPO's signature: lower-case hex of SHA-256 over the plain concatenation."""
    return hashlib.sha256(f"{app_key}{timestamp}{master_secret}".encode()).hexdigest()


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> OppoCredential:
    credential: OppoCredential = account.credential
    return credential


def _shared_headers(account: Account, auth: Auth | None) -> Headers:
    token = auth.value if auth else ""
    held: tuple[str, Headers] | None = account.cache.get("oppo_headers")
    if held is None or held[0] != token:
        held = (token, (_FORM, ("auth_token", token)) if token else (_FORM,))
        account.cache["oppo_headers"] = held
    return held[1]


def _notification(push: Push, account: Account) -> dict[str, Any]:
    note = push.notification
    if not note.body.strip():
        raise Refused("OPPO takes no notification without text")
    style = 2 if (note.android or _NO_HINTS).push_style == 1 else 1
    title = cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE)
    text = cut_utf16(note.body, MAX_TEXT[style])
    fields = {
        "app_message_id": note.collapse_id,
        "title": title,
        "content": text,
        "style": style,
        **_click(account),
        "action_parameters": _parameters(note),
        "off_line": True,
        "off_line_ttl": min(max(int(note.expires_at - push.now), 1), MAX_TTL_S),
        **_class(note, account, title, text),
        "notify_id": note.notify_id,
        **_callback(push, account),
        **(note.extra or {}),
    }
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _callback(push: Push, account: Account) -> dict[str, Any]:
    """Where receipts are to go, where the operator names it."""
    url = account.defaults.get("callback", "")
    if not 0 < len(url) <= MAX_CALLBACK:
        return {}
    return {"call_back_url": url, "call_back_parameter": echo_of(push)}


def _class(note: Notification, account: Account, title: str, text: str) -> dict[str, Any]:
    """Channel, category, level and template: the message's own values, else the configured ones, never a guess."""
    hints, defaults = note.android or _NO_HINTS, account.defaults
    category = hints.oppo_category or defaults.get("category")
    fields: dict[str, Any] = {
        "channel_id": hints.oppo_channel_id or defaults.get("channel_id"),
        "category": category,
        "notify_level": hints.oppo_notify_level if category else None,
    }
    template = hints.oppo_template_id or defaults.get("template_id")
    if template and category not in UNTEMPLATED:
        fields["private_msg_template_id"] = template
        fields["private_title_parameters"] = _json_text(hints.oppo_title_parameters or {"title": title})
        fields["private_content_parameters"] = _json_text(hints.oppo_content_parameters or {"desc": text})
    return fields


def _parameters(note: Notification) -> str:
    """What the app is handed: JSON as a string, at most 4,000 characters."""
    if not note.ext:
        return ""
    text = _json_text({"ext": note.ext})
    if (size := len(text.encode("utf-16-le")) // 2) > MAX_PARAMETERS:
        raise Refused(
            f"too large for OPPO: ext makes action_parameters {size} characters, {MAX_PARAMETERS} are allowed"
        )
    return text


def _click(account: Account) -> dict[str, Any]:
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    if not target or action not in ("url", "intent"):
        return {"click_action_type": 0}
    if action == "intent" and "#Intent;" not in target:
        _check_length("click_target", target, MAX_ACTIVITY)
        return {"click_action_type": 1, "click_action_activity": target}
    _check_length("click_target", target, MAX_URL)
    return {"click_action_type": 2 if action == "url" else 5, "click_action_url": target}


def _check_length(name: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise Refused(f"{name} has {len(value)} characters, OPPO allows {limit}: shorten it in [defaults]")


def _json_text(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


# --- the answer -------------------------------------------------------------------------------------------


def _code(answer: dict[str, Any], response: Response) -> str:
    code = answer.get("code")
    if isinstance(code, int | str) and not isinstance(code, bool) and str(code):
        return str(code)
    return f"HTTP {response.status}"


def _auth_outcome(code: str, response: Response, now: float) -> Outcome:
    action, words = lookup(code)
    known = code in RESULTS
    temporary = action in (Action.RETRY, Action.RETRY_AFTER, Action.QUOTA)
    temporary = temporary or (not known and response.status in (200, 408))
    if not known:
        words = "OPPO gave no auth token" + ("" if temporary else ": check app_key and master_secret")
    wait = retry_after(response, now)
    if action is Action.QUOTA or code == CALLS_LIMITED:
        wait = max(wait or 0.0, AUTH_PAUSE_S)
    elif action is Action.RETRY_AFTER:
        wait = max(wait or 0.0, AUTH_WAIT_S)
    return Outcome(
        action=Action.RETRY if temporary else Action.CONFIG,
        code=code,
        reason=words,
        hint=words,
        retry_after=wait,
    )


def _by_item(push: Push, data: object) -> list[Outcome]:
    """Items are found by their registrationId; those without one stand in the order of the batch."""
    if isinstance(data, dict):
        data = [data]
    if not isinstance(data, list) or not data:
        return [Outcome(action=Action.ACCEPTED, code=ACCEPTED)] * len(push.targets)
    items = [item for item in data if isinstance(item, dict)]
    named = {item["registrationId"]: item for item in items if isinstance(item.get("registrationId"), str)}
    order = list(dict.fromkeys(target.token for target in push.targets))
    unnamed = {} if named or len(items) != len(order) else dict(zip(order, items, strict=True))
    return [_item(push, named.get(t.token, unnamed.get(t.token))) for t in push.targets]


def _item(push: Push, item: dict[str, Any] | None) -> Outcome:
    if item is None:
        unclear = "the answer says nothing of this token"
        return Outcome(action=Action.UNKNOWN, code="no_item", reason=unclear, hint=unclear)
    error = item.get("errorCode")
    code = (
        str(error)
        if isinstance(error, int | str) and not isinstance(error, bool) and error != ""
        else ACCEPTED
    )
    message_id = item.get("messageId")
    outcome = _outcome(push, code, item.get("errorMessage"), None)
    return msgspec.structs.replace(outcome, vendor_id=message_id) if isinstance(message_id, str) else outcome


def _outcome(push: Push, code: str, message: object, wait: float | None) -> Outcome:
    action, words = lookup(code)
    if code == ACCEPTED:
        return Outcome(action=action, code=code)
    return Outcome(
        action=action, code=code, reason=vendor_words(push, message) or words, hint=words, retry_after=wait
    )


def _reports(event: dict[str, Any]) -> list[Report]:
    """registrationIds are joined by commas, the time is a text."""
    code, at, ids, param = (
        str(event.get(name) or "") for name in ("eventType", "eventTime", "registrationIds", "param")
    )
    stage, words = report_lookup(code)
    at_ms = int(at) if at.isascii() and at.isdigit() and len(at) < 19 else 0
    return [
        Report(
            echo=param,
            token=token.strip(),
            stage=stage,
            code=code[:MAX_EVENT],
            words=words,
            at_ms=at_ms or None,
            vendor_id=str(event.get("messageId") or ""),
        )
        for token in ids.split(",")
        if token.strip()
    ]
