"""Bad input at every vendor's door: odd tokens, odd and long texts, and credentials with fields mixed up."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from pydantic import SecretBytes, ValidationError

from pushgw.cli.dry_run import rendered as dry_run
from pushgw.credentials import load_directory
from pushgw.sandbox import example_directory
from pushgw.vendor import (
    Accepted,
    Account,
    Action,
    AuthFailed,
    Call,
    Emulator,
    Notification,
    Outcome,
    Push,
    Refused,
    Request,
    Response,
    Target,
    installed_vendors,
)
from pushgw.vendor.texts import ELLIPSIS, is_border

VENDORS = installed_vendors()
BOOK = load_directory(example_directory(), VENDORS)
ACCOUNTS = {account.business_id: account for account in BOOK.accounts}
NOW = 1_767_225_600.0
TOKEN = "0a1b2c3d" * 8

each_account = pytest.mark.parametrize(
    "account", ACCOUNTS.values(), ids=lambda a: f"{a.vendor}-{a.business_id}"
)


def push(token: str = TOKEN, **fields: Any) -> Push:
    content = {
        "title": "Alice",
        "body": "Lunch at noon?",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "a" * 32,
        "notify_id": 1,
        **fields,
    }
    target = Target(
        token=token,
        user="u",
        device_id="d",
        push_id="P",
        vendor_id="11111111-1111-4111-8111-111111111111",
    )
    return Push(notification=Notification(**content), targets=(target,), now=NOW)


def emulator_of(vendor: str) -> Emulator:
    """One that knows the credentials of certs.example as they are."""
    return VENDORS[vendor].emulator([a for a in ACCOUNTS.values() if a.vendor == vendor])


def call(request: Request) -> Call:
    parts = urlsplit(request.url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    headers = dict((*request.shared, *request.headers))
    return Call(method=request.method, path=path, headers=headers, body=request.body)


def sent(account: Account, emulator: Emulator, what: Push) -> tuple[Response, tuple[Accepted, ...]]:
    """The emulator's answer to the push under this account. Raises AuthFailed and Refused."""
    account = msgspec.structs.replace(account, cache={})
    adapter = VENDORS[account.vendor].adapter
    auth = adapter.local_auth(account, NOW)
    asked = adapter.auth_request(account, NOW)
    if auth is None and asked is not None:
        auth = adapter.read_auth(account, emulator.handle(call(asked), NOW).response, NOW)
    answer = emulator.handle(call(adapter.render(what, account, auth)), NOW)
    return answer.response, answer.accepted


# --- tokens -----------------------------------------------------------------------------------------------

BAD_TOKENS = {
    "empty": "",
    "blank": "   ",
    "a blank inside": "0a1b 2c3d",
    "a blank before": " 0a1b2c3d",
    "a line break": "0a1b2c3d\n",
    "header injection": "0a1b2c3d\r\nx-injected: 1",
    "request injection": "0a1b2c3d\r\n\r\nPOST /other HTTP/1.1",
    "10 kB": "0a1b2c3d" * 1280,
    "emoji": "0a1b👨‍👩‍👧2c3d",
    "a NUL": "0a1b\x002c3d",
    "an exotic line break": "0a1b\u20282c3d",
    "a letter beyond ASCII": "0a1bé",
}


@each_account
@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=list(BAD_TOKENS))
def test_bad_tokens_are_refused_before_the_wire(account: Account, token: str) -> None:
    """The policy and the dry run get one sentence that does not quote the token, and nothing is rendered."""
    entry = BOOK.entries[account.business_id]
    fault = entry.token_fault(token)
    assert fault
    assert fault.isascii()
    assert fault.isprintable()
    assert len(token) < 5 or token not in fault
    given = push(token)
    with pytest.raises(Refused, match=re.escape(fault)):
        dry_run(entry, given.notification, given.targets[0], NOW)


@each_account
@pytest.mark.parametrize("token", BAD_TOKENS.values(), ids=list(BAD_TOKENS))
def test_no_token_gets_into_a_header(account: Account, token: str) -> None:
    """Even where nobody asked for the fault, no header and no URL holds what would begin a new line."""
    account = msgspec.structs.replace(account, cache={})
    adapter = VENDORS[account.vendor].adapter
    request = adapter.render(push(token), account, adapter.local_auth(account, NOW))
    for name, value in (*request.shared, *request.headers):
        assert (name + value).isprintable()
        assert "x-injected" not in name + value
    assert request.url.isascii()
    assert request.url.isprintable()
    assert " " not in request.url


# --- texts ------------------------------------------------------------------------------------------------

FAMILY = "👨‍👩‍👧‍👦"
TEXTS = {
    "a family": f"hello {FAMILY}",
    "families": FAMILY * 500,
    "60 kB of flags": "🇨🇳🇯🇵" * 3750,
    "skin tones": "👍🏽👩🏿‍🚀" * 500,
    "Hebrew with points": "שָׁלוֹם עוֹלָם " * 300,
    "Arabic with marks": "\u202bالسَّلَامُ عَلَيْكُمْ\u202c " * 250,
    "Devanagari": "क्षत्रिय " * 600,
    "Hangul jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af " * 700,
    "piled marks": ("Z" + "\u0337\u031b\u0356\u0326" * 5) * 200,
    "one endless grapheme": "e" + "\u0301" * 5000,
    "control characters": "bell\x07 escape\x1b[31m null\x00 delete\x7f next\x85 line\r\nfeed\ttab",
    "quotes and backslashes": '"\\"' * 1700,
    "markup": "<script>alert('{title}')</script>&amp;%00%0a" * 120,
    "5,000 characters": "lunch at noon " * 357 + "ok",
    "5,000 Chinese characters": "你好世界吃饭了吗" * 625,
}


@each_account
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_any_text_is_shown_within_the_limits(account: Account, text: str) -> None:
    """The vendor takes it; title and text are whole, or cut between two graphemes to within the limit of the facts."""
    limits = VENDORS[account.vendor].facts.limits
    _, (shown,) = sent(account, emulator_of(account.vendor), push(title=text, body=text))
    for got, limit in ((shown.title, limits.title), (shown.body, limits.text)):
        if limit is not None:
            assert len(got.encode("utf-16-le")) // 2 <= limit
        if got != text:
            assert got.endswith(ELLIPSIS)
            kept = got.removesuffix(ELLIPSIS)
            assert text.startswith(kept)
            assert is_border(text, len(kept))


@each_account
@pytest.mark.parametrize("title", ["", "   ", "\n"])
def test_a_blank_title_is_the_platforms_own(account: Account, title: str) -> None:
    """iPhones and FCM get it as it is, the others their default: no vendor refuses the push for it."""
    _, (shown,) = sent(account, emulator_of(account.vendor), push(title=title))
    assert shown.title in (title, "a new message")
    assert shown.body == "Lunch at noon?"


@each_account
def test_ext_of_10_kb_is_refused_with_its_size(account: Account) -> None:
    """Ext is never cut: the sentence says how large it is. Meizu names no limit, there it is sent whole."""
    what = push(ext="x" * 10_240)
    limits = VENDORS[account.vendor].facts.limits
    if limits.payload is None and limits.ext is None:
        assert account.vendor == "meizu"
        _, (shown,) = sent(account, emulator_of(account.vendor), what)
        assert "x" * 10_240 in repr(shown.payload)
        return
    with pytest.raises(Refused, match=r"\b102\d\d\b") as refused:
        sent(account, emulator_of(account.vendor), what)
    assert "xxx" not in str(refused.value)


# --- credentials with fields mixed up ----------------------------------------------------------------------


def fields_of(business_id: int) -> dict[str, Any]:
    credential = ACCOUNTS[business_id].credential
    return {name: getattr(credential, name) for name in type(credential).model_fields}


def mixed_up(business_id: int, **changes: Any) -> Account:
    """The account with other values in some fields of its credential."""
    credential = type(ACCOUNTS[business_id].credential).model_validate({**fields_of(business_id), **changes})
    return msgspec.structs.replace(ACCOUNTS[business_id], credential=credential, cache={})


def told(account: Account, *, answers: str = "") -> Outcome:
    """What the operator reads when the vendor, who knows the true credentials, answers."""
    emulator = emulator_of(account.vendor)
    if answers:
        emulator.fail(TOKEN, answers)
    what = push()
    try:
        response, accepted = sent(account, emulator, what)
    except AuthFailed as failed:
        return failed.outcome
    assert accepted == ()
    (outcome,) = VENDORS[account.vendor].adapter.interpret(what, account, response)
    return outcome


def key_file(business_id: int, **changes: str) -> SecretBytes:
    """The account's service-account file with other values in some of its fields."""
    file = msgspec.json.decode(fields_of(business_id)["service_account"].get_secret_value())
    return SecretBytes(msgspec.json.encode({**file, **changes}))


def plain(business_id: int, name: str) -> str:
    """The value of a credential's field, also of a secret one."""
    value = fields_of(business_id)[name]
    return value if isinstance(value, str) else str(value.get_secret_value())


MIXED_UP: dict[str, tuple[Callable[[], Outcome], Action, str, tuple[str, ...]]] = {
    "apns: Key ID and Team ID swapped": (
        lambda: told(mixed_up(9001, key_id=plain(9001, "team_id"), team_id=plain(9001, "key_id"))),
        Action.CONFIG,
        "InvalidProviderToken",
        ("key_id", "team_id"),
    ),
    "apns: the bundle id of another app": (
        lambda: told(mixed_up(9001, bundle_id="com.example.other")),
        Action.CONFIG,
        "TopicDisallowed",
        ("bundle_id",),
    ),
    "apns: a key for development in production": (
        lambda: told(ACCOUNTS[9001], answers="BadEnvironmentKeyIdInToken"),
        Action.CONFIG,
        "BadEnvironmentKeyIdInToken",
        ("environment",),
    ),
    "apns: a device of a development build in production": (
        lambda: told(ACCOUNTS[9001], answers="BadDeviceToken"),
        Action.INVALID_TOKEN,
        "BadDeviceToken",
        ("environment", "sandbox"),
    ),
    "fcm: an account that was deleted": (
        lambda: told(mixed_up(9002, service_account=key_file(9002, client_email="gone@x.example"))),
        Action.CONFIG,
        "invalid_grant",
        ("Google Cloud console", "Service accounts"),
    ),
    "fcm: another project's id": (
        lambda: told(mixed_up(9002, service_account=key_file(9002, project_id="other-project"))),
        Action.CONFIG,
        "NOT_FOUND",
        ("project_id", "service-account file"),
    ),
    "fcm: the service account of another app": (
        lambda: told(ACCOUNTS[9002], answers="SENDER_ID_MISMATCH"),
        Action.CONFIG,
        "SENDER_ID_MISMATCH",
        ("Firebase console", "one project"),
    ),
    "huawei: the App ID of another app": (
        lambda: told(mixed_up(9003, app_id="100000001")),
        Action.CONFIG,
        "20003",
        ("app_id", "OAuth 2.0 client ID", "AppGallery Connect"),
    ),
    "huawei: API key for client secret": (
        lambda: told(mixed_up(9003, app_secret="DAEDAGZlYTk0YmU")),
        Action.CONFIG,
        "12304",
        ("app_secret", "OAuth 2.0 client secret", "API key"),
    ),
    "huawei: another project": (
        lambda: told(mixed_up(9003, project_id="100000002")),
        Action.AUTH,
        "80200001",
        ("AppGallery Connect", "project_id"),
    ),
    "huawei: the service account of another project": (
        lambda: told(mixed_up(9006, project_id="", service_account=key_file(9009))),
        Action.AUTH,
        "80200001",
        ("service account", "one project"),
    ),
    "huawei: another app's devices": (
        lambda: told(ACCOUNTS[9003], answers="80300007"),
        Action.INVALID_TOKEN,
        "80300007",
        ("app_id", "package", "AppGallery Connect"),
    ),
    "harmony: the service account of another project": (
        lambda: told(mixed_up(9009, project_id="", service_account=key_file(9006))),
        Action.AUTH,
        "80200001",
        ("service account", "API Console"),
    ),
    "honor: App ID for Client ID": (
        lambda: told(mixed_up(9010, client_id=plain(9010, "app_id"))),
        Action.CONFIG,
        "invalid_client",
        ("client_id", "not App ID"),
    ),
    "honor: App Secret for Client Secret": (
        lambda: told(mixed_up(9010, client_secret="app-secret")),
        Action.CONFIG,
        "invalid_client",
        ("client_secret", "App Secret"),
    ),
    "honor: Client ID for App ID": (
        lambda: told(mixed_up(9010, app_id=plain(9010, "client_id"))),
        Action.CONFIG,
        "10205",
        ("App ID", "not the Client ID"),
    ),
    "xiaomi: AppKey for AppSecret": (
        lambda: told(mixed_up(9004, app_secret="5801234567890")),
        Action.CONFIG,
        "21301",
        ("AppSecret", "not AppKey", "region"),
    ),
    "xiaomi: the package of another app": (
        lambda: told(mixed_up(9004, package="com.example.other")),
        Action.CONFIG,
        "22022",
        ("package", "AppSecret"),
    ),
    "oppo: AppSecret for MasterSecret": (
        lambda: told(mixed_up(9005, master_secret="00ff" * 8)),
        Action.CONFIG,
        "16",
        ("MasterSecret", "not AppSecret"),
    ),
    "oppo: AppID for AppKey": (
        lambda: told(mixed_up(9005, app_key="30001234")),
        Action.CONFIG,
        "14",
        ("AppKey", "not AppID"),
    ),
    "vivo: AppKey and AppSecret swapped": (
        lambda: told(mixed_up(9011, app_key=plain(9011, "app_secret"), app_secret=plain(9011, "app_key"))),
        Action.CONFIG,
        "10202",
        ("AppKey", "not AppSecret"),
    ),
    "vivo: AppKey for AppSecret": (
        lambda: told(mixed_up(9011, app_secret=plain(9011, "app_key"))),
        Action.CONFIG,
        "10206",
        ("AppSecret", "not AppKey"),
    ),
    "vivo: the AppID of another app": (
        lambda: told(mixed_up(9011, app_id="109999")),
        Action.CONFIG,
        "10205",
        ("AppID",),
    ),
    "meizu: AppKey for AppSecret": (
        lambda: told(mixed_up(9012, app_secret="00ff" * 8)),
        Action.CONFIG,
        "1006",
        ("AppSecret", "not AppKey"),
    ),
    "meizu: the AppID of another app": (
        lambda: told(mixed_up(9012, app_id="109999")),
        Action.CONFIG,
        "110000",
        ("AppID", "AppSecret"),
    ),
}
"""What was mixed up -> how, what is done about it, the vendor's code, and words that the hint must have."""


@pytest.mark.parametrize(("mixing", "action", "code", "words"), MIXED_UP.values(), ids=list(MIXED_UP))
def test_a_mixed_up_credential_is_told_in_the_consoles_words(
    mixing: Callable[[], Outcome], action: Action, code: str, words: tuple[str, ...]
) -> None:
    """The vendor's refusal costs no batch its tokens, and its hint names the field and where to find the right value."""
    outcome = mixing()
    assert (outcome.action, outcome.code) == (action, code)
    for word in words:
        assert word in outcome.hint


UNLOADABLE: dict[str, tuple[Callable[[], Account], tuple[str, ...]]] = {
    "apns: Key ID cut short": (lambda: mixed_up(9001, key_id="ABC"), ("10", "developer portal")),
    "apns: a Huawei key file for the .p8": (
        lambda: mixed_up(9001, key=key_file(9009)),
        ("AuthKey_<key_id>.p8", "developer portal"),
    ),
    "fcm: a Huawei key file": (
        lambda: mixed_up(9002, service_account=key_file(9009)),
        ("no service-account file", "Firebase console"),
    ),
    "huawei: project and key file of two projects": (
        lambda: mixed_up(9006, project_id="100000002"),
        ("project_id is 100000002", "same project"),
    ),
    "harmony: a Google key file": (
        lambda: mixed_up(9009, service_account=key_file(9002)),
        ("service-account file", "API Console"),
    ),
    "harmony: project and key file of two projects": (
        lambda: mixed_up(9009, project_id="100000002"),
        ("project_id is 100000002", "same project"),
    ),
    "honor: no Client Secret": (
        lambda: mixed_up(9010, client_secret=""),
        ("Client Secret", "not App Secret"),
    ),
    "xiaomi: a name for the package": (lambda: mixed_up(9004, package="Example Chat"), ("com.example.chat",)),
    "oppo: a blank in the MasterSecret": (lambda: mixed_up(9005, master_secret="a b"), ("MasterSecret",)),
    "vivo: AppKey for AppID": (lambda: mixed_up(9011, app_id="0f0f-1"), ("AppID", "no number")),
    "meizu: AppKey for AppID": (lambda: mixed_up(9012, app_id="0f0f"), ("AppID", "no number")),
}
"""What was mixed up -> how, and words of the sentence with which the credential is refused at once."""


@pytest.mark.parametrize(("loading", "words"), UNLOADABLE.values(), ids=list(UNLOADABLE))
def test_what_can_be_seen_without_the_vendor_is_refused_at_loading(
    loading: Callable[[], Account], words: tuple[str, ...]
) -> None:
    """The credential does not load; its sentence says what is wrong and where the right value stands."""
    with pytest.raises(ValidationError) as refused:
        loading()
    said = " ".join(error["msg"] for error in refused.value.errors(include_input=False))
    for word in words:
        assert word in said
