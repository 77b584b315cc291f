"""vivo Push: one regId in one call, a list of 2...1,000 in two.

Of the two the first stores the text and the second sends the task that the first returned to the regIds (list_push.py).
Source: vivo's API page and server SDK 3.3.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import msgspec

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Credential, Refused
from pushgw.vendor.answers import fits_a_header, json_object, retry_after, vendor_words
from pushgw.vendor.http import Headers, Request, Response
from pushgw.vendor.push import Action, FollowUp, Notification, Outcome, Push
from pushgw.vendor.reports import Report, ReportCall, ReportRefused, check_key, echo_of, time_of
from pushgw.vendor.texts import HALF_CHARACTER, cut_utf16
from vendors.vivo import list_push
from vendors.vivo.credential import VivoCredential
from vendors.vivo.list_push import Task
from vendors.vivo.results import ACCEPTED, CATEGORY_FAULTS, TASK_GONE, lookup, report_lookup

HOST = "https://api-push.vivo.com.cn"
AUTH_PATH = "/message/auth"
SEND_PATH = "/message/send"
SAVE_PATH = "/message/saveListPayload"
LIST_PATH = "/message/pushToList"

MAX_TITLE = 40
MAX_TEXT = 100
"""UTF-16 units (vivo itself counts characters, which is never stricter)."""
MAX_SKIP_CONTENT = 1024
MAX_CUSTOM = 1024
"""Names and values of ``clientCustomMap`` together."""
MAX_CALLBACK = 128
MIN_TTL_S = 60
MAX_TTL_S = 86_400
TOKEN_LIFETIME_S = 86_400
RENEW_EARLY_S = 3600
"""Late on purpose: vivo counts calls for tokens."""
AUTH_WAIT_S = 60.0
"""How long vivo's token server is left alone after it has answered without a token: 1,440 calls a day at the most."""
AUTH_PAUSE_S = 600.0
"""The same, where it says that a day's number is used up: soon is of no use."""
DEFAULT_TITLE = "a new message"

SYSTEM = 1
OPERATIONS = 0
"""``classification``. vivo's own default is 0, which counts against the daily quota and is held back at night."""
CLASS_OF = {
    **dict.fromkeys(["IM", "ACCOUNT", "TODO", "DEVICE_REMINDER", "ORDER", "SUBSCRIPTION"], SYSTEM),
    **dict.fromkeys(["NEWS", "CONTENT", "MARKETING", "SOCIAL"], OPERATIONS),
}
"""category -> the only classification that goes with it."""
DEFAULT_NOTIFY_TYPE = 4

_JSON = ("content-type", "application/json;charset=UTF-8")
_NO_HINTS = AndroidInfo()
_encode = msgspec.json.Encoder().encode


class VivoAdapter(Adapter):
    """vivo, iQOO."""

    vendor: ClassVar[str] = "vivo"
    push_platform: ClassVar[int] = 7
    platforms: ClassVar[frozenset[str]] = frozenset({"android"})
    credential_model: ClassVar[type[Credential]] = VivoCredential
    batch_limit: ClassVar[int] = 1000
    http2: ClassVar[bool] = False

    def auth_request(self, account: Account, now: float) -> Request:
        """MD5 over AppID, AppKey, time in ms and AppSecret, good for ten minutes."""
        credential = _credential(account)
        timestamp = int(now * 1000)
        secret = credential.app_secret.get_secret_value()
        fields = {
            "appId": int(credential.app_id),
            "appKey": credential.app_key,
            "timestamp": timestamp,
            "sign": sign(credential.app_id, credential.app_key, str(timestamp), secret),
        }
        url = (account.auth_endpoint or account.endpoint or HOST) + AUTH_PATH
        return Request(url=url, headers=(_JSON,), body=_encode(fields))

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        """The auth token: 24 hours, used for 23 of them."""
        answer = json_object(response.body)
        code, token = _code(answer, response), answer.get("authToken")
        if code != ACCEPTED or not fits_a_header(token):
            raise AuthFailed(_auth_outcome(code, response, now))
        return Auth(value=token, expires_at=now + TOKEN_LIFETIME_S - RENEW_EARLY_S, made_at=now)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        """The message to the one target; for several the text to store, or the stored task to their list.

        An ext too long for ``clientCustomMap`` is Refused.
        """
        path = SEND_PATH
        if len(push.targets) > 1:
            path = LIST_PATH if list_push.task_of(push).id else SAVE_PATH
        try:
            message = _message(push, account)
            body = _encode(message if path == SEND_PATH else list_push.fields(push, message))
        except UnicodeEncodeError:
            raise Refused(HALF_CHARACTER) from None
        return Request(
            url=(account.endpoint or HOST) + path, shared=_shared_headers(account, auth), body=body
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:
        """Decided by ``result``; beside result 0 ``invalidUser`` or ``invalidUsers`` may still say that a regId is dead."""
        answer = json_object(response.body)
        code, several = _code(answer, response), len(push.targets) > 1
        if several and not list_push.task_of(push).id and code == ACCEPTED:
            return list_push.saved(push, answer)
        if code == ACCEPTED:
            return list_push.taken(push, answer)
        if several and code in TASK_GONE and (fresh := list_push.anew(push)):
            return fresh
        wait = retry_after(response, push.now)
        whole = _outcome(push, account, code, answer.get("desc"), wait)
        if several and whole.action is Action.INVALID_TOKEN:
            return list_push.of_whom_it_is_said(push, answer)
        return [whole] * len(push.targets)

    def sample_stages(self, push: Push) -> tuple[object, ...]:
        """Of a list: the second call, with a made-up task."""
        return (Task(id="<taskId>"),) if len(push.targets) > 1 else ()

    def warnings(self, notification: Notification, account: Account) -> tuple[str, ...]:
        """Hints and settings that contradict each other or that vivo would refuse: they are left out."""
        lacks = list(_class(notification, account)[2])
        defaults = account.defaults
        for name, allowed in (("classification", tuple(_SWITCH)), ("notify_type", _NOTIFY_TYPES)):
            if name in defaults and defaults[name] not in allowed:
                lacks.append(
                    f"{name} in [defaults] is none of {', '.join(allowed)}: it is taken as {allowed[-1]}"
                )
        if len(defaults.get("callback", "")) > MAX_CALLBACK:
            lacks.append(
                f"callback in [defaults] is left out: vivo allows {MAX_CALLBACK} characters; no receipts come"
            )
        action = defaults.get("click_action", "open_app")
        if action != "open_app" and not defaults.get("click_target"):
            lacks.append(
                f"click_action is {action} but click_target is missing: the notification only opens the app"
            )
        return tuple(lacks)

    def read_reports(self, call: ReportCall, account: Account, now: float) -> list[Report]:
        """Receipts, by task; regIds of one task are joined by commas. vivo signs nothing: the address is the proof."""
        check_key(call, _credential(account).receipt_key.get_secret_value())
        tasks = json_object(call.body)
        if not tasks:
            raise ReportRefused(400, "the body is no JSON object of tasks")
        return [
            report
            for task, told in tasks.items()
            if isinstance(told, dict)
            for report in _reports(task, told)
        ]

    def secrets(self, account: Account, auth: Auth | None) -> tuple[str, ...]:
        """AppSecret, auth token, and the key that ends the callback's address."""
        credential = _credential(account)
        own = (
            credential.app_secret.get_secret_value(),
            auth.value if auth else "",
            credential.receipt_key.get_secret_value(),
        )
        return tuple(secret for secret in own if secret)


def sign(app_id: str, app_key: str, timestamp: str, app_secret: str) -> str:
    """vivo's signature: lower-case hex of MD5 over the plain concatenation, without blanks around it."""
    text = f"{app_id}{app_key}{timestamp}{app_secret}".strip()
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# --- the request ------------------------------------------------------------------------------------------


def _credential(account: Account) -> VivoCredential:
    credential: VivoCredential = account.credential
    return credential


def _shared_headers(account: Account, auth: Auth | None) -> Headers:
    token = auth.value if auth else ""
    held: tuple[str, Headers] | None = account.cache.get("vivo_headers")
    if held is None or held[0] != token:
        held = (token, (_JSON, ("authtoken", token)) if token else (_JSON,))
        account.cache["vivo_headers"] = held
    return held[1]


def _message(push: Push, account: Account) -> dict[str, Any]:
    """The whole message to the first target."""
    note, target = push.notification, push.targets[0]
    if not note.body.strip():
        raise Refused("vivo takes no notification without text")
    classification, category, _ = _class(note, account)
    fields: dict[str, Any] = {
        "appId": int(_credential(account).app_id),
        "regId": target.token,
        "notifyType": _notify_type(note, account),
        "title": cut_utf16(note.title if note.title.strip() else DEFAULT_TITLE, MAX_TITLE),
        "content": cut_utf16(note.body, MAX_TEXT),
        "timeToLive": min(max(int(note.expires_at - push.now), MIN_TTL_S), MAX_TTL_S),
        **_click(account),
        "networkType": -1,
        "classification": classification,
    }
    if category:
        fields["category"] = category
    fields["requestId"] = target.vendor_id
    fields["notifyId"] = note.notify_id
    fields["pushMode"] = 0
    fields["foregroundShow"] = False
    if note.ext:
        fields["clientCustomMap"] = _custom(note.ext)
    callback = account.defaults.get("callback", "")
    if 0 < len(callback) <= MAX_CALLBACK:
        fields["extra"] = {"callback": callback, "callback.param": echo_of(push)}
    return _merged(fields, note.extra) if note.extra else fields


def _class(note: Notification, account: Account) -> tuple[int, str, tuple[str, ...]]:
    """classification, category, and what was left out because vivo refuses a pair that does not belong together.

    The message's own values win over the configured ones, and a category wins over a classification.
    """
    hints, defaults = note.android or _NO_HINTS, account.defaults
    own, category = hints.vivo_classification, hints.vivo_category or defaults.get("category", "")
    given = own if own is not None else _SWITCH.get(defaults.get("classification", ""))
    due = CLASS_OF.get(category)
    if given is None:
        return SYSTEM if due is None else due, category, ()
    if due is None or due == given:
        return given, category, ()
    if own is not None and not hints.vivo_category:
        return own, "", (f"category {category} of [defaults] is left out: VIVOClassification is {own}",)
    return due, category, (f"classification {given} is ignored: category is {category}",)


_SWITCH = {"0": OPERATIONS, "1": SYSTEM}
_NOTIFY_TYPES = ("1", "2", "3", "4")


def _notify_type(note: Notification, account: Account) -> int:
    own = (note.android or _NO_HINTS).vivo_notify_type
    if own is not None:
        return own
    configured = account.defaults.get("notify_type")
    return int(configured) if configured in _NOTIFY_TYPES else DEFAULT_NOTIFY_TYPE


def _click(account: Account) -> dict[str, Any]:
    action, target = account.defaults.get("click_action"), account.defaults.get("click_target", "")
    if not target or action not in ("url", "intent"):
        return {"skipType": 1}
    if len(target) > MAX_SKIP_CONTENT:
        raise Refused(
            f"click_target has {len(target)} characters, vivo allows {MAX_SKIP_CONTENT}: shorten it in [defaults]"
        )
    return {"skipType": 2 if action == "url" else 4, "skipContent": target}


def _custom(ext: str) -> dict[str, str]:
    """What the app is handed when the notification is tapped."""
    if (size := len("ext") + len(ext.encode("utf-16-le")) // 2) > MAX_CUSTOM:
        raise Refused(
            f"too large for vivo: ext makes clientCustomMap {size} characters, {MAX_CUSTOM} are allowed"
        )
    return {"ext": ext}


def _merged(base: dict[str, Any], extra: dict[str, object]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in extra.items():
        held = merged.get(name)
        merged[name] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


# --- the answer -------------------------------------------------------------------------------------------


def _code(answer: dict[str, Any], response: Response) -> str:
    code = answer.get("result")
    if isinstance(code, int | str) and not isinstance(code, bool) and str(code):
        contradictory = str(code) == ACCEPTED and response.status != 200
        return f"HTTP {response.status}" if contradictory else str(code)
    return f"HTTP {response.status}"


def _auth_outcome(code: str, response: Response, now: float) -> Outcome:
    """What vivo answers without a token. Calls for tokens are counted, so that the next one waits."""
    action, words = lookup(code)
    if action in (Action.UNKNOWN, Action.ACCEPTED):
        action, words = Action.RETRY, "vivo gave no auth token"
    if action is Action.AUTH:
        words = "vivo refused the app: check app_key and app_secret"
    temporary = action in (Action.RETRY, Action.RETRY_AFTER, Action.QUOTA)
    wait = retry_after(response, now)
    if temporary and response.status == 200:
        wait = max(wait or 0.0, AUTH_PAUSE_S if action is Action.QUOTA else AUTH_WAIT_S)
    return Outcome(
        action=Action.RETRY if temporary else Action.CONFIG,
        code=code,
        reason=words,
        hint=words,
        retry_after=wait,
    )


def _outcome(push: Push, account: Account, code: str, desc: object, wait: float | None) -> Outcome:
    action, words = lookup(code)
    if code in CATEGORY_FAULTS:
        category = (push.notification.extra or {}).get("category") or _class(push.notification, account)[1]
        words = f"category {category or '(none)'}: {words}"
    said = vendor_words(push, desc)
    return Outcome(action=action, code=code, reason=said or words, hint=words, retry_after=wait)


def _reports(task: str, told: dict[str, Any]) -> list[Report]:
    """Older receipts have no ackType: they only came for what had arrived."""
    param, at = told.get("param"), told.get("ackTime")
    code = str(kind) if isinstance(kind := told.get("ackType", "0"), int | str) else "?"
    stage, words = report_lookup(code)
    targets = told.get("targets")
    return [
        Report(
            echo=param if isinstance(param, str) else "",
            token=token.strip(),
            stage=stage,
            code=code,
            words=words,
            at_ms=time_of(at),
            vendor_id=task,
        )
        for token in (targets.split(",") if isinstance(targets, str) else ())
        if token.strip()
    ]
