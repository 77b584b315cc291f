"""Huawei's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed, Refused
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from pushgw.vendor.service_account import PSS
from vendors.huawei import vendor
from vendors.huawei.adapter import HuaweiAdapter
from vendors.huawei.credential import HuaweiCredential
from vendors.huawei.results import RESULTS, lookup

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
AUTH = Auth(value="DAEB0123", expires_at=NOW + 3300, made_at=NOW)
ADAPTER = HuaweiAdapter()


def account(defaults: dict[str, str] | None = None, **fields: Any) -> Account:
    given = {"app_id": "104000001", "app_secret": "a1b2c3/+d4e5f6==", "package": "com.example.chat", **fields}
    return Account(
        business_id=9003,
        vendor="huawei",
        credential=HuaweiCredential.model_validate(given),
        defaults=defaults or {},
        cache={},
    )


def service_account() -> Account:
    jwt = VECTORS["jwt"]
    content = {
        "project_id": "101653000000000000",
        "key_id": jwt["header"]["kid"],
        "sub_account": jwt["claims"]["iss"],
        "private_key": jwt["private_key_pem"],
    }
    return account(service_account=json.dumps(content).encode())


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi 你好",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m-1001",
        "notify_id": 123456,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("T1",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def body(request: Request) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(request.body)
    return told


def shown(given: Push, at: Account) -> dict[str, Any]:
    notification: dict[str, Any] = body(ADAPTER.render(given, at, AUTH))["message"]["android"]["notification"]
    return notification


def answer(code: object, msg: str = "", status: int = 200) -> Response:
    return Response(status=status, body=json.dumps({"code": code, "msg": msg, "requestId": "157"}).encode())


def outcomes(given: Push, response: Response) -> list[Outcome]:
    return ADAPTER.interpret(given, account(), response)


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account({"channel_id": "im", "category": "IM", "badge_class": "com.example.chat.Main"})
    given = push("T1", "T2", ext='{"conv":"c2c_alice"}', badge=7)
    request = ADAPTER.render(given, at, AUTH)
    assert request == ADAPTER.render(given, at, AUTH)
    assert request.shared is ADAPTER.render(given, at, AUTH).shared
    assert request.url == "https://push-api.cloud.huawei.com/v1/104000001/messages:send"
    assert request.shared == (
        ("content-type", "application/json;charset=UTF-8"),
        ("authorization", "Bearer DAEB0123"),
    )
    assert request.body.decode() == (
        '{"message":{"data":"{\\"ext\\":\\"{\\\\\\"conv\\\\\\":\\\\\\"c2c_alice\\\\\\"}\\"}",'
        '"android":{"collapse_key":-1,"ttl":"86400s","category":"IM","bi_tag":"m-1001","notification":'
        '{"title":"Alice","body":"Hi 你好","click_action":{"type":3},"channel_id":"im","notify_id":123456,'
        '"tag":"m-1001","badge":{"set_num":7,"class":"com.example.chat.Main"}}},"token":["T1","T2"]}}'
    )


def test_a_new_authorization_makes_new_headers() -> None:
    """Prepared headers never outlive the token they hold."""
    at = account()
    ADAPTER.render(push(), at, AUTH)
    renewed = ADAPTER.render(push(), at, Auth(value="new", expires_at=NOW, made_at=NOW))
    assert ("authorization", "Bearer new") in renewed.shared


def test_endpoints_are_replaced() -> None:
    """endpoint and auth_endpoint take the place of Huawei's hosts; the paths stay."""
    at = Account(
        business_id=1,
        vendor="huawei",
        credential=account(project_id="1016").credential,
        endpoint="https://127.0.0.1:8443",
        auth_endpoint="https://auth.example",
        cache={},
    )
    asked = ADAPTER.auth_request(at, NOW)
    assert asked is not None
    assert asked.url == "https://auth.example/oauth2/v3/token"
    assert ADAPTER.render(push(), at, AUTH).url == "https://127.0.0.1:8443/v2/1016/messages:send"


@pytest.mark.parametrize(("life", "ttl"), [(3600, "3600s"), (99 * 86_400, "1296000s"), (0, "1s")])
def test_ttl_is_seconds_with_an_s(life: int, ttl: str) -> None:
    """The time to live is a string such as 3600s, at least 1 s and at most 15 days."""
    message = body(ADAPTER.render(push(expires_at=int(NOW) + life), account(), AUTH))["message"]
    assert message["android"]["ttl"] == ttl


def test_title_and_text_are_cut() -> None:
    """Title 60 and text 600 UTF-16 units, an ellipsis included; no emoji is halved."""
    given = shown(push(title="t" * 61, body="😀" * 301), account())
    assert given["title"] == "t" * 59 + "…"
    assert given["body"] == "😀" * 299 + "…"


def test_body_limit_takes_room_from_the_text() -> None:
    """With a long ext the text shrinks until all but the tokens is within 4,096 bytes; ext stays whole."""
    ext = "x" * 2500
    given = push("T" * 130, body="界" * 600, ext=ext, android=AndroidInfo(push_style=1))
    request = ADAPTER.render(given, account(), AUTH)
    message = body(request)["message"]
    assert 3900 < len(request.body) - 133 <= 4096
    assert json.loads(message["data"])["ext"] == ext
    assert message["android"]["notification"]["body"].endswith("…")


def test_an_ext_too_large_is_refused_with_sizes() -> None:
    """Ext is never cut: the push is refused, and the sentence names both sizes."""
    with pytest.raises(Refused, match=r"4096 are allowed.*ext alone has 4200"):
        ADAPTER.render(push(ext="x" * 4200), account(), AUTH)


def test_tokens_do_not_count_and_are_not_repeated() -> None:
    """A thousand tokens fit beside a full body, and a repeated token would be shown twice."""
    tokens = [f"{i:0130d}" for i in range(1000)]
    sent = body(ADAPTER.render(push(*tokens, *tokens[:1]), account(), AUTH))
    assert sent["message"]["token"] == tokens


def test_hints_win_over_defaults() -> None:
    """A message's own channel, category, importance, sound and image beat the configured ones."""
    hints = AndroidInfo(
        huawei_channel_id="c2",
        huawei_category="VOIP",
        huawei_importance="LOW",
        huawei_image="https://img/x.png",
        sound="ring.mp3",
    )
    at = account({"channel_id": "c1", "category": "IM", "importance": "NORMAL", "sound": "pop"})
    own = body(ADAPTER.render(push(android=hints, sound="custom"), at, AUTH))["message"]["android"]
    configured = body(ADAPTER.render(push(), at, AUTH))["message"]["android"]
    assert own["category"] == "VOIP"
    assert configured["category"] == "IM"
    notification = own["notification"]
    assert (notification["channel_id"], notification["importance"]) == ("c2", "LOW")
    assert (notification["sound"], notification["default_sound"]) == ("/raw/ring", False)
    assert notification["image"] == "https://img/x.png"
    assert configured["notification"]["sound"] == "/raw/pop"


def test_nothing_is_guessed() -> None:
    """Without hints and defaults there is no category, channel, importance, sound or badge."""
    android = body(ADAPTER.render(push(badge=3), account(), AUTH))["message"]["android"]
    assert "category" not in android
    assert not {"channel_id", "importance", "sound", "badge", "image", "style"} & set(android["notification"])


def test_an_image_that_is_not_https_is_left_out() -> None:
    """A hint that Huawei would refuse does not kill the message."""
    assert "image" not in shown(push(android=AndroidInfo(huawei_image="http://img/x.png")), account())


def test_big_text_style() -> None:
    """PushStyle 1 repeats title and text as the big ones."""
    given = shown(push(android=AndroidInfo(push_style=1)), account())
    assert (given["style"], given["big_title"], given["big_body"]) == (1, "Alice", "Hi 你好")


@pytest.mark.parametrize(("badge", "number"), [(0, 0), (7, 7), (250, 99)])
def test_badge_is_absolute_and_bounded(badge: int, number: int) -> None:
    """With a launcher class the badge is set, at most 99, never added."""
    at = account({"badge_class": "com.example.Main"})
    assert shown(push(badge=badge), at)["badge"] == {"set_num": number, "class": "com.example.Main"}
    assert ADAPTER.uses_badge(at)
    assert not ADAPTER.uses_badge(account())


INTENT = "intent://host/page#Intent;scheme=chat;end"


@pytest.mark.parametrize(
    ("defaults", "hint", "expected"),
    [
        ({}, None, {"type": 3}),
        ({"click_action": "open_app"}, 1, {"type": 3}),
        (
            {"click_action": "url", "click_target": "https://a.example"},
            None,
            {"type": 2, "url": "https://a.example"},
        ),
        ({"click_action": "url"}, None, {"type": 3}),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            0,
            {"type": 1, "action": "com.example.OPEN"},
        ),
        ({"click_action": "intent", "click_target": INTENT}, 0, {"type": 1, "intent": INTENT}),
        (
            {"click_action": "intent", "click_target": INTENT},
            1,
            {"type": 1, "intent": "intent://host/page#Intent;scheme=chat;S.ext=%7B%22a%22%3A1%7D;end"},
        ),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            1,
            {
                "type": 1,
                "intent": "intent:#Intent;action=com.example.OPEN;package=com.example.chat;S.ext=%7B%22a%22%3A1%7D;end",
            },
        ),
    ],
)
def test_click_actions(defaults: dict[str, str], hint: int | None, expected: dict[str, Any]) -> None:
    """What a tap opens; ExtAsHuaweiIntentParam 1 puts ext into the intent, else it travels in data."""
    given = push(ext='{"a":1}', android=AndroidInfo(ext_as_huawei_intent=hint))
    click = shown(given, account(defaults))["click_action"]
    assert click == expected
    if "intent" in click and hint == 1:
        assert unquote(click["intent"].partition("S.ext=")[2]) == '{"a":1};end'


def test_a_missing_click_target_is_warned_of() -> None:
    """A click action without its target opens the app, and explain says so."""
    assert "click_target" in ADAPTER.warnings(push().notification, account({"click_action": "url"}))[0]
    assert ADAPTER.warnings(push().notification, account()) == ()


def test_extra_is_merged_into_the_message() -> None:
    """Vendor fields given by hand reach the place they name, without losing their neighbours."""
    given = push(extra={"android": {"urgency": "NORMAL", "notification": {"ticker": "t"}}})
    android = body(ADAPTER.render(given, account(), AUTH))["message"]["android"]
    assert (android["urgency"], android["notification"]["ticker"]) == ("NORMAL", "t")
    assert android["notification"]["title"] == "Alice"


def test_a_blank_text_is_refused_and_a_blank_title_replaced() -> None:
    """Huawei takes neither blank; the title has a default, the text has none."""
    assert shown(push(title=" "), account())["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        ADAPTER.render(push(body=" \n"), account(), AUTH)


# --- authorization ----------------------------------------------------------------------------------------


def test_token_form_is_percent_encoded() -> None:
    """The form of the token request, secret encoded, equals the vector byte for byte."""
    request = ADAPTER.auth_request(account(), NOW)
    assert request is not None
    assert request.url == "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
    assert request.body.decode() == VECTORS["token_form"]["form_body"]
    assert ADAPTER.local_auth(account(), NOW) is None


@pytest.mark.parametrize(("told", "seconds"), [(3600, 3300), (60, 30), (None, 3300), ("x", 3300)])
def test_access_token_is_renewed_early(told: object, seconds: int) -> None:
    """Five minutes before it ends, or at half its life when that is short."""
    body = json.dumps({"access_token": "a\\/b", "expires_in": told}).encode()
    auth = ADAPTER.read_auth(account(), Response(status=200, body=body), NOW)
    assert auth.expires_at == NOW + seconds


@pytest.mark.parametrize(
    ("status", "told", "action"),
    [
        (400, {"error": 1101, "sub_error": 12304}, Action.CONFIG),
        (400, {"error": 1101, "sub_error": "20002"}, Action.CONFIG),
        (400, {"error": 1101, "sub_error": 20003}, Action.CONFIG),
        (400, {"error": 1101, "sub_error": 20171}, Action.CONFIG),
        (400, {"error": 1101, "sub_error": 99999}, Action.CONFIG),
        (403, {}, Action.CONFIG),
        (500, {}, Action.RETRY),
        (502, {}, Action.RETRY),
        (503, {}, Action.RETRY),
        (504, {}, Action.RETRY),
        (590, {}, Action.RETRY),
        (429, {}, Action.RETRY),
        (200, {}, Action.RETRY),
        (429, {"error": "HTTP 429"}, Action.RETRY),
        (400, {"sub_error": 80200001}, Action.CONFIG),
    ],
)
def test_token_server_errors(status: int, told: dict[str, Any], action: Action) -> None:
    """Each answer without a token is temporary or the operator's to mend, with a hint that holds no secret."""
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(account(), Response(status=status, body=json.dumps(told).encode()), NOW)
    outcome = caught.value.outcome
    assert outcome.action is action
    assert outcome.hint
    assert "a1b2c3" not in repr(outcome)


def test_service_account_jwt_is_ps256() -> None:
    """Header and claims equal the vector's; vector and fresh signature verify with the public key, RS256 would not."""
    jwt = VECTORS["jwt"]
    auth = ADAPTER.local_auth(service_account(), NOW)
    assert auth is not None
    signing_input, _, signature = auth.value.rpartition(".")
    assert signing_input == jwt["signing_input"]
    assert auth.expires_at == NOW + 3300
    public = load_pem_public_key(jwt["public_key_pem"].encode())
    assert isinstance(public, RSAPublicKey)
    for given in (signature, jwt["jwt"].rpartition(".")[2]):
        public.verify(base64.urlsafe_b64decode(given + "=="), signing_input.encode(), PSS, SHA256())
    with pytest.raises(InvalidSignature):
        public.verify(base64.urlsafe_b64decode(signature + "=="), b"other", PSS, SHA256())
    assert ADAPTER.auth_request(service_account(), NOW) is None


def test_secrets_are_named_for_masking() -> None:
    """A dry run learns every secret that a request may hold."""
    assert set(ADAPTER.secrets(account(), AUTH)) == {"a1b2c3/+d4e5f6==", "DAEB0123"}


# --- answers ----------------------------------------------------------------------------------------------

ROWS = {
    "80000000": Action.ACCEPTED,
    "80100001": Action.BAD_MESSAGE,
    "80100003": Action.BAD_MESSAGE,
    "80100004": Action.BAD_MESSAGE,
    "80100013": Action.BAD_MESSAGE,
    "80100016": Action.BAD_MESSAGE,
    "80100017": Action.RETRY,
    "80100018": Action.BAD_MESSAGE,
    "80200001": Action.AUTH,
    "80200003": Action.AUTH,
    "80200005": Action.AUTH,
    "80300002": Action.CONFIG,
    "80300007": Action.INVALID_TOKEN,
    "80300008": Action.BAD_MESSAGE,
    "80300010": Action.BAD_MESSAGE,
    "80300011": Action.CONFIG,
    "80300013": Action.CONFIG,
    "80600003": Action.AUTH,
    "81000001": Action.RETRY,
    "80100002": Action.BAD_MESSAGE,
    "80300001": Action.BAD_MESSAGE,
    "81999999": Action.RETRY,
    "12345": Action.UNKNOWN,
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [str, int])
@pytest.mark.parametrize("status", [200, 400, 401])
def test_every_code(code: str, action: Action, spelled: type, status: int) -> None:
    """Each code leads to its action, as text or number, whatever the HTTP status beside it."""
    (outcome,) = outcomes(push(), answer(spelled(code), "words", status))
    assert (outcome.action, outcome.code) == (action, code)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (400, Action.BAD_MESSAGE),
        (401, Action.AUTH),
        (404, Action.CONFIG),
        (500, Action.RETRY),
        (429, Action.RETRY_AFTER),
        (502, Action.RETRY),
        (503, Action.RETRY_AFTER),
        (200, Action.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>503</html>", b"[1]", b"\xff\xfe", b'{"code":' + b"[" * 5000]
)
def test_answers_without_a_code(status: int, action: Action, content: bytes) -> None:
    """Where no code can be read, also in HTML or broken bytes, the HTTP status decides for every target."""
    got = outcomes(push("T1", "T2"), Response(status=status, body=content))
    assert [o.action for o in got] == [action, action]


def test_retry_after_is_kept() -> None:
    """How long Huawei asks to wait reaches the lane."""
    (outcome,) = outcomes(push(), Response(status=503, headers={"retry-after": "7"}))
    assert outcome.retry_after == 7.0


@pytest.mark.parametrize(
    "told",
    [
        {"success": 2, "failure": 1, "illegal_tokens": ["T2"]},
        {"success": 2, "failure": 1, "illegalTokens": {"tokenFormatError": ["T2"]}},
    ],
)
def test_partial_failure_is_told_token_by_token(told: dict[str, Any]) -> None:
    """The message of 80100000 is JSON inside a string: only the listed token is dead."""
    got = outcomes(push("T1", "T2", "T3"), answer("80100000", json.dumps(told)))
    assert [o.action for o in got] == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert got[0].vendor_id == "157"
    assert "T2" not in repr(got)


def test_no_right_is_no_dead_token() -> None:
    """A token of another project is kept: a wrong project would hit them all."""
    told = json.dumps({"illegalTokens": {"noRight": ["T1"]}})
    assert [o.action for o in outcomes(push("T1", "T2"), answer("80100000", told))] == [
        Action.UNKNOWN,
        Action.ACCEPTED,
    ]


@pytest.mark.parametrize("msg", ["", "oops", '{"illegal_tokens":[]}', '{"illegal_tokens":"T1"}', "[]"])
def test_an_unreadable_partial_failure_kills_nothing(msg: str) -> None:
    """Where the answer does not name the failed tokens none is removed and none is called accepted."""
    assert {o.action for o in outcomes(push("T1", "T2"), answer("80100000", msg))} == {Action.UNKNOWN}


def test_all_tokens_invalid_is_believed_of_one_token_only() -> None:
    """80300007 also follows from a wrong app id: a batch keeps its tokens, and the hint says what to check."""
    assert outcomes(push("T1"), answer("80300007"))[0].action is Action.INVALID_TOKEN
    batch = outcomes(push("T1", "T2"), answer("80300007", "All the tokens are invalid"))
    assert [o.action for o in batch] == [Action.UNKNOWN, Action.UNKNOWN]
    assert "app_id" in batch[0].hint


def test_tokens_in_huaweis_words_are_blotted_out() -> None:
    """Whatever Huawei quotes, no token reaches an Outcome."""
    (outcome,) = outcomes(push("TOKEN-1"), answer("80100001", "bad\nTOKEN-1 here"))
    assert outcome.reason == "bad *** here"


def test_the_table_is_the_plugins() -> None:
    """The documentation is generated from the very table that decides."""
    assert vendor.results == RESULTS
    assert vendor.adapter.vendor == vendor.emulator.vendor == "huawei"
    assert {code: lookup(code)[0] for code in ROWS} == ROWS
