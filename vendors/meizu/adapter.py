"""Meizu Push: one notification for up to 100 pushIds, each request signed for itself.

Devices outside mainland China are served by ``https://server-api-push.in.meizu.com``: name it as ``endpoint``.
Source: Meizu's API document of 2025 and its Java SDK.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from math import ceil
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential, Refused
from pushgw.vendor.answers import json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, check_key, echo_of
from pushgw.vendor.texts import HALF_CHARACTER, cut_utf16
from vendors.meizu.credential import MeizuCredential
from vendors.meizu.results import DEAD_CODES, HANDLED, lookup, lookup_target, report_lookup

HOST = "https://server-api-push.meizu.com"
SEND_PATH = "/garcia/api/server/push/varnished/pushByPushId"

MAX_TITLE = 32
MAX_TEXT = 100
"""UTF-16 units. Meizu says "characters", which is never stricter."""
MAX_FIELDS = 20
"""Of a form of receipts; Meizu sends two."""
MAX_CALLBACK_BYTES = 128
MAX_HOURS = 72
PRIVATE = 1
"""noticeMsgType. Meizu's own default is 0, public, which counts against the daily quota."""
DEFAULT_TITLE = "a new message"

_SHARED: Headers = (("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),)
_NO_HINTS = AndroidInfo()
_NOTICE_TYPES = {"0": 0, "1": PRIVATE}


class MeizuAdapter(Adapter):
    """Meizu. No token and no token server: the AppSecret signs every request."""

    vendor: ClassVar[str] = "meizu"
    push_platform: ClassVar[int] = 5
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = MeizuCredential
    batch_limit: ClassVar[int] = 100
    http2: ClassVar[bool] = False

    def token_fault(self, token: str) -> str | None:
        """As everywhere; and a comma would make two pushIds of one."""
        if "," in token:
            return "the token holds a comma, which separates pushIds at Meizu"
        return super().token_fault(token)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The signed form. The JSON text that is signed is the very text that is sent."""
        credential = _credential(account)
        push_ids = ",".join(dict.fromkeys(target.token for target in push.targets))
        try:
            message = msgspec.json.encode(_message(push, account)).decode()
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        body = signed_form(credential.app_id, push_ids, message, credential.app_secret.get_secret_value())
        return Request(url=(account.endpoint or HOST) + SEND_PATH, shared=_SHARED, body=body)

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """Code 200 says only that the request was read; ``value`` lists the pushIds that failed, by code."""
        answer = json_object(response.body)
        code = _code(answer, response)
        if code == HANDLED:
            return _by_target(push, answer)
        action, words = lookup(code)
        if code in DEAD_CODES and len(push.targets) > 1:
            action, words = (
                Action.UNKNOWN,
                "some pushId of the batch is not valid, and the answer does not say which",
            )
        said = vendor_words(push, answer.get("message"))
        wait = retry_after(response, push.now)
        outcome = Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)
        return [outcome] * len(push.targets)

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push to a pushId that Meizu never gave out: there is no token server to ask."""
        return Probe(
            push=harmless_push(account.business_id, now), what="a push to a pushId that does not exist"
        )

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """What counts against the quota, and settings that Meizu does without."""
        lacks: list[str] = []
        defaults = account.defaults
        if _notice_type(notification, account) != PRIVATE:
            lacks.append("noticeMsgType is 0, public: such messages have a daily limit, chat messages need 1")
        if defaults.get("notice_msg_type", "1") not in _NOTICE_TYPES:
            lacks.append("notice_msg_type in [defaults] is neither 0 nor 1: it is taken as 1")
        if len(defaults.get("callback", "").encode()) > MAX_CALLBACK_BYTES:
            lacks.append(
                f"callback in [defaults] is left out: Meizu allows {MAX_CALLBACK_BYTES} bytes; no receipts come"
            )
        action = defaults.get("click_action", "open_app")
        if action != "open_app" and not defaults.get("click_target"):
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        return tuple(lacks)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts: a form with ``cb``, and the token that the operator has set in Meizu's console."""
        try:
            form = parse_qs(call.body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS)
        except ValueError:
            raise ReportRefused(400, f"the form has more than {MAX_FIELDS} fields") from None
        token = form.get("access_token", [""])[0]
        check_key(
            msgspec.structs.replace(call, key=token), _credential(account).receipt_key.get_secret_value()
        )
        messages = json_object(form.get("cb", [""])[0])
        if not messages:
            raise ReportRefused(400, "the form has no cb, or it is no JSON object of messages")
        return [r for name, told in messages.items() if isinstance(told, dict) for r in _reports(name, told)]

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """The AppSecret."""
        return (_credential(account).app_secret.get_secret_value(),)


def signed_form(app_id: str, push_ids: str, message_json: str, app_secret: str) -> bytes:
    """The body of a request: the three fields and their signature, percent-encoded after they were signed."""
    form = {"appId": app_id, "pushIds": push_ids, "messageJson": message_json}
    return urlencode({**form, "sign": sign(form, app_secret)}).encode()


def sign(form: Mapping[str, str], app_secret: str) -> str:
    """Meizu's signature: lower-case hex of MD5 over ``name=value`` of every field, sorted by name, and the AppSecret."""
    text = "".join(f"{name}={form[name]}" for name in sorted(form)) + app_secret
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> MeizuCredential:
    credential: MeizuCredential = account.credential
    return credential


def _message(push: Push, account: Account) -> dict[str, Any]:
    note = push.notification
    if not note.body.strip():
        raise Refused("Meizu takes no notification without text")
    message: dict[str, Any] = {
        "noticeBarInfo": {
            "noticeMsgType": _notice_type(note, account),
            "noticeBarType": 0,
            "title": cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE),
            "content": cut_utf16(note.body, MAX_TEXT),
        },
        "clickTypeInfo": _click(note, account),
        "pushTimeInfo": _life(note.expires_at - push.now),
        "advanceInfo": {"notifyKey": _notify_key(note.collapse_id)},
    }
    callback = account.defaults.get("callback", "")
    if 0 < len(callback.encode()) <= MAX_CALLBACK_BYTES:
        message["extra"] = {"callback": callback, "callback.param": echo_of(push), "callback.type": 3}
    return _merged(message, note.extra) if note.extra else message


def _notice_type(note: Notification, account: Account) -> int:
    own = (note.android or _NO_HINTS).meizu_notice_type
    return _NOTICE_TYPES.get(account.defaults.get("notice_msg_type", ""), PRIVATE) if own is None else own


def _click(note: Notification, account: Account) -> dict[str, Any]:
    """An activity is named ``package.Activity``; any URI, one with ``#Intent;`` too, is opened as such."""
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    fields: dict[str, Any] = {"clickType": 0}
    if target and action == "intent" and ":" not in target:
        fields = {"clickType": 1, "activity": target}
    elif target and action in ("url", "intent"):
        fields = {"clickType": 2, "url": target}
    return {**fields, "parameters": {"ext": note.ext}} if note.ext else fields


def _life(seconds: float) -> dict[str, int]:
    """Meizu counts in hours, 1...72; a message that must not wait is not kept for a device that is offline."""
    if seconds <= 0:
        return {"offLine": 0}
    return {"offLine": 1, "validTime": min(ceil(seconds / 3600), MAX_HOURS)}


def _notify_key(collapse_id: str) -> str:
    """The message's identity in the 8 characters that Meizu allows: of one key only the last notification stays."""
    return base64.urlsafe_b64encode(hashlib.sha256(collapse_id.encode()).digest()[:6]).decode()


def _merged(base: dict[str, Any], extra: dict[str, object]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in extra.items():
        held = merged.get(name)
        merged[name] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


# --- the answer -------------------------------------------------------------------------------------------


def _code(answer: dict[str, Any], response: Response) -> str:
    code = answer.get("code")
    if isinstance(code, int | str) and not isinstance(code, bool) and str(code):
        contradictory = str(code) == HANDLED and response.status != 200
        return f"HTTP {response.status}" if contradictory else str(code)
    return f"HTTP {response.status}"


def _by_target(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    """``value`` is an object of code -> pushIds, or an empty string; who is not listed was accepted."""
    message_id = answer.get("msgId")
    accepted = Outcome(
        action=Action.ACCEPTED, code=HANDLED, vendor_id=message_id if isinstance(message_id, str) else ""
    )
    listed = _listed(answer.get("value"))
    if not listed:
        return [accepted] * len(push.targets)
    return [_failed(listed[t.token]) if t.token in listed else accepted for t in push.targets]


def _listed(value: object) -> dict[str, str]:
    """pushId -> code. The ids of a code are a list; a comma-separated string is understood too."""
    found: dict[str, str] = {}
    for code, ids in value.items() if isinstance(value, dict) else ():
        for push_id in ids.split(",") if isinstance(ids, str) else ids if isinstance(ids, list) else ():
            if isinstance(push_id, str):
                found[push_id] = code
    return found


def _failed(code: str) -> Outcome:
    action, words = lookup_target(code)
    return Outcome(action=action, code=code, reason=words, hint=words)


def _reports(name: str, told: dict[str, Any]) -> list[Report]:
    """``name`` is the message's id, a hyphen and the type."""
    param, targets = told.get("param"), told.get("targets")
    code = str(told.get("type", ""))
    known = report_lookup(code)
    if known is None:
        return []
    return [
        Report(
            echo=param if isinstance(param, str) else "",
            token=target,
            stage=known[0],
            code=code,
            words=known[1],
            vendor_id=name.rpartition("-")[0],
        )
        for target in (targets if isinstance(targets, list) else ())
        if isinstance(target, str)
    ]
