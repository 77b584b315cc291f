"""Xiaomi MiPush: one form for up to 1,000 regIds.

Source: Xiaomi's server API documentation and its Java SDK.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential, Refused
from pushgw.vendor.answers import json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.probe import Probe, harmless_push
from pushgw.vendor.push import Action, Notification, Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, check_key, echo_of, time_of
from pushgw.vendor.texts import HALF_CHARACTER, cut_bytes, cut_utf16
from vendors.xiaomi.credential import XiaomiCredential
from vendors.xiaomi.results import ACCEPTED, INVALID_REGID, SENDING_FAILED, lookup, report_lookup

SEND_PATH = "/v4/message/regid"

MAX_TITLE = 49
MAX_TEXT = 127
"""UTF-16 units. Xiaomi says "under 50" and "under 128 characters"."""
MAX_BYTES = 4096
"""Title, description and payload together, UTF-8."""
MAX_TTL_MS = 864_000_000
RECEIPTS = 1 + 2 + 16
"""Wanted of a message: delivered, clicked, regId invalid."""
MAX_FIELDS = 20
"""Of a form of receipts; Xiaomi sends one."""
DEFAULT_TITLE = "a new message"
_KEY_LIFETIME_S = 365 * 86_400
_SHORTEST_TEXT = 12
"""Bytes of text that must remain when a long ext takes the room."""

_NO_HINTS = AndroidInfo()


class XiaomiAdapter(Adapter):
    """Xiaomi, Redmi, POCO."""

    vendor: ClassVar[str] = "xiaomi"
    push_platform: ClassVar[int] = 2
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = XiaomiCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = True

    def token_fault(self, token: str) -> str | None:
        """As everywhere; and a comma would make two regIds of one."""
        if "," in token:
            return "the token holds a comma, which separates regIds at Xiaomi"
        return super().token_fault(token)

    def channel_fault(self, notification: Notification, account: Account) -> str | None:
        """A private template is only taken in a channel."""
        named = (notification.extra or {}).get("extra.channel_id") or _channel(notification, account)
        if account.defaults.get("template_id") and not named:
            return "template_id is configured but no channel: name one as XiaoMiChannelID or channel_id"
        return None

    def local_auth(self, account: Account, now: float) -> Auth | None:
        """The AppSecret itself: Xiaomi knows no token and no expiry."""
        return Auth(value=_secret(account), expires_at=now + _KEY_LIFETIME_S, made_at=now)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The form. A long ext takes room from the text; what then still is over 4,096 bytes is Refused."""
        tokens = dict.fromkeys(target.token for target in push.targets)
        try:
            fields = {"registration_id": ",".join(tokens), **_fields(push, account)}
            if extra := push.notification.extra:
                fields |= {name: _form_text(value) for name, value in extra.items()}
            body = urlencode(fields).encode()
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        return Request(
            url=(account.endpoint or _credential(account).host) + SEND_PATH,
            shared=_shared_headers(account),
            body=body,
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        """One code for the request; regIds listed as bad are the exception to a success."""
        answer = json_object(response.body)
        code = _code(answer, response)
        if code == ACCEPTED:
            return _accepted(push, answer)
        action, words = lookup(code)
        if code == SENDING_FAILED and len(push.targets) == 1:
            action = Action.BAD_MESSAGE
        said = vendor_words(push, answer.get("reason")) or vendor_words(push, answer.get("description"))
        wait = retry_after(response, push.now)
        outcome = Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)
        return [outcome] * len(push.targets)

    def probe(self, account: Account, now: float) -> Probe | None:
        """A push to a regId that Xiaomi never gave out: there is no token server to ask."""
        return Probe(
            push=harmless_push(account.business_id, now), what="a push to a regId that does not exist"
        )

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """Without a channel Xiaomi shows little of what it accepts."""
        lacks: list[str] = []
        if not _channel(notification, account):
            lacks.append(
                "no XiaoMiChannelID and no channel_id: Xiaomi shows such a device about one notification a day"
            )
        action, target = (
            account.defaults.get("click_action", "open_app"),
            account.defaults.get("click_target"),
        )
        if action != "open_app" and not target:
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        return tuple(lacks)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts, by message: JSON in the form field ``data``, or alone. Xiaomi signs nothing: the address is the proof."""
        check_key(call, _credential(account).receipt_key.get_secret_value())
        messages = json_object(call.body) or json_object(_data(call.body))
        if not messages:
            raise ReportRefused(400, "the body is no JSON object of messages, and has none in its field data")
        return [r for name, told in messages.items() if isinstance(told, dict) for r in _reports(name, told)]

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """The AppSecret, and the key that ends the callback's address."""
        key = _credential(account).receipt_key.get_secret_value()
        return (_secret(account), key) if key else (_secret(account),)


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> XiaomiCredential:
    credential: XiaomiCredential = account.credential
    return credential


def _secret(account: Account) -> str:
    return _credential(account).app_secret.get_secret_value()


def _shared_headers(account: Account) -> Headers:
    headers: Headers | None = account.cache.get("xiaomi_headers")
    if headers is None:
        headers = (
            ("authorization", f"key={_secret(account)}"),
            ("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),
        )
        account.cache["xiaomi_headers"] = headers
    return headers


def _fields(push: Push, account: Account) -> dict[str, str]:
    note = push.notification
    title, text = _texts(note)
    fields = {
        "restricted_package_name": _credential(account).package,
        "pass_through": "0",
        "title": title,
        "description": text,
        "payload": note.ext,
        "notify_type": "-1",
        "notify_id": str(note.notify_id),
        "time_to_live": str(min(max(int((note.expires_at - push.now) * 1000), 1), MAX_TTL_MS)),
        "extra.channel_id": _channel(note, account),
        **_template(account, title, text),
        **_click(account),
        "extra.jobkey": _job_key(note.collapse_id),
        **_callback(push, account),
    }
    return {name: value for name, value in fields.items() if value}


def _callback(push: Push, account: Account) -> dict[str, str]:
    """Where receipts are to go, where the operator names it."""
    url = account.defaults.get("callback", "")
    if not url:
        return {}
    return {
        "extra.callback": url,
        "extra.callback.param": echo_of(push),
        "extra.callback.type": str(RECEIPTS),
    }


def _texts(note: Notification) -> tuple[str, str]:
    if not note.body.strip():
        raise Refused("Xiaomi takes no notification without text")
    title = cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE)
    text = cut_utf16(note.body, MAX_TEXT)
    taken = len(title.encode()) + len(note.ext.encode())
    whole = len(text.encode())
    if taken + whole <= MAX_BYTES:
        return title, text
    if MAX_BYTES - taken < _SHORTEST_TEXT:
        raise Refused(
            f"too large for Xiaomi: title, text and ext are {taken + whole} bytes, {MAX_BYTES} are allowed, "
            f"and ext alone has {len(note.ext.encode())}"
        )
    return title, cut_bytes(text, MAX_BYTES - taken)


def _channel(note: Notification, account: Account) -> str:
    return (note.android or _NO_HINTS).xiaomi_channel_id or account.defaults.get("channel_id", "")


def _template(account: Account, title: str, text: str) -> dict[str, str]:
    """A private template where the operator names one; ``{title}`` and ``{body}`` in ``template_param`` are filled."""
    template = account.defaults.get("template_id", "")
    if not template:
        return {}
    pattern = json_object(account.defaults.get("template_param", "")) or {
        "keywords1": "{title}",
        "keywords2": "{body}",
    }
    filled = {name: _filled(str(value), title, text) for name, value in pattern.items()}
    return {"extra.template_id": template, "extra.template_param": msgspec.json.encode(filled).decode()}


def _filled(pattern: str, title: str, text: str) -> str:
    """In one pass over the pattern, so that a title that holds ``{body}`` stays as it is."""
    return title.join(part.replace("{body}", text) for part in pattern.split("{title}"))


def _click(account: Account) -> dict[str, str]:
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    if action == "url" and target:
        return {"extra.notify_effect": "3", "extra.web_uri": target}
    if action == "intent" and target:
        intent = target if "#Intent;" in target else f"intent:#Intent;action={target};end"
        return {"extra.notify_effect": "2", "extra.intent_uri": intent}
    return {"extra.notify_effect": "1"}


def _job_key(collapse_id: str) -> str:
    """The message's identity in the 20 characters of ``jobkey``: a repeat is shown once."""
    return hashlib.sha256(collapse_id.encode()).hexdigest()[:20]


def _form_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# --- the answer -------------------------------------------------------------------------------------------


def _code(answer: dict[str, Any], response: Response) -> str:
    code = answer.get("code")
    if isinstance(code, int | str) and not isinstance(code, bool) and str(code):
        failed = str(code) == ACCEPTED and (answer.get("result") == "error" or response.status != 200)
        return f"HTTP {response.status}" if failed else str(code)
    return f"HTTP {response.status}"


def _accepted(push: Push, answer: dict[str, Any]) -> list[Outcome]:
    told = answer.get("data")
    data = told if isinstance(told, dict) else {}
    accepted = Outcome(
        action=Action.ACCEPTED, code=ACCEPTED, vendor_id=str(data.get("id") or answer.get("trace_id") or "")
    )
    bad = _bad_regids(data)
    if not bad:
        return [accepted] * len(push.targets)
    dead = Outcome(action=Action.INVALID_TOKEN, code=INVALID_REGID, reason="listed among the bad regIds")
    return [dead if target.token in bad else accepted for target in push.targets]


def _bad_regids(data: dict[str, Any]) -> frozenset[str]:
    """A list or a comma-separated string, both are seen."""
    listed = data.get("bad_regids")
    if isinstance(listed, str):
        listed = listed.split(",")
    return (
        frozenset(t.strip() for t in listed if isinstance(t, str))
        if isinstance(listed, list)
        else frozenset()
    )


def _data(body: bytes) -> str:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS).get("data", [""])[0]
    except ValueError:
        return ""


def _reports(message: str, told: dict[str, Any]) -> list[Report]:
    """regIds are joined by commas."""
    kind, at, param, targets = (told.get(name) for name in ("type", "timestamp", "param", "targets"))
    code = str(kind) if isinstance(kind, int | str) else "?"
    stage, words = report_lookup(code)
    return [
        Report(
            echo=param if isinstance(param, str) else "",
            token=token.strip(),
            stage=stage,
            code=code,
            words=words,
            at_ms=time_of(at),
            vendor_id=message,
        )
        for token in (targets.split(",") if isinstance(targets, str) else ())
        if token.strip()
    ]
