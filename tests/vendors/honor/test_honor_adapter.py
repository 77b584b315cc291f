"""Honor's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed, Refused
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.honor import vendor
from vendors.honor.adapter import HonorAdapter
from vendors.honor.credential import HonorCredential
from vendors.honor.results import RESULTS

FORM = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))["token_form"]
NOW = 1_767_225_600.0
AUTH = Auth(value="TOK0123", expires_at=NOW + 3300, made_at=NOW)
ADAPTER = HonorAdapter()


def account(defaults: dict[str, str] | None = None, **fields: Any) -> Account:
    credential = HonorCredential.model_validate(
        {"app_id": "104412345", "client_id": FORM["client_id"], "client_secret": FORM["client_secret"]}
    )
    return Account(
        business_id=9010,
        vendor="honor",
        credential=credential,
        defaults=defaults or {},
        cache={},
        **fields,
    )


def push(*tokens: str, now: float = NOW, **fields: Any) -> Push:
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
    return Push(notification=Notification(**given), targets=targets, now=now)


def body(request: Request) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(request.body)
    return told


def shown(given: Push, at: Account | None = None) -> dict[str, Any]:
    notification: dict[str, Any] = body(ADAPTER.render(given, at or account(), AUTH))["android"][
        "notification"
    ]
    return notification


def answer(code: object, data: object = None, status: int = 200, message: str = "") -> Response:
    told = {"code": code, "message": message, "data": data}
    return Response(status=status, body=json.dumps(told).encode())


def outcomes(given: Push, response: Response) -> list[Outcome]:
    return ADAPTER.interpret(given, account(), response)


def actions(given: Push, response: Response) -> list[Action]:
    return [outcome.action for outcome in outcomes(given, response)]


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account({"badge_class": "com.example.chat.Main"})
    given = push("T1", "T2", ext='{"conv":"c2c_alice"}', badge=7)
    request = ADAPTER.render(given, at, AUTH)
    assert request == ADAPTER.render(given, at, AUTH)
    assert request.shared is ADAPTER.render(given, at, AUTH).shared
    assert request.url == "https://push-api.cloud.honor.com/api/v1/104412345/sendMessage"
    assert request.shared == (
        ("content-type", "application/json; charset=UTF-8"),
        ("authorization", "Bearer TOK0123"),
    )
    assert request.headers == (("timestamp", "1767225600000"),)
    assert request.body.decode() == (
        '{"data":"{\\"ext\\":\\"{\\\\\\"conv\\\\\\":\\\\\\"c2c_alice\\\\\\"}\\"}",'
        '"android":{"ttl":"86400s","biTag":"m-1001","targetUserType":0,"notification":'
        '{"title":"Alice","body":"Hi 你好","importance":"NORMAL","clickAction":{"type":3},"notifyId":123456,'
        '"badge":{"setNum":7,"badgeClass":"com.example.chat.Main"}}},"token":["T1","T2"]}'
    )


def test_every_attempt_has_its_own_timestamp() -> None:
    """The time in ms, 13 digits, is that of the sending, while the prepared headers are the same object."""
    at = account()
    first = ADAPTER.render(push(now=NOW), at, AUTH)
    later = ADAPTER.render(push(now=NOW + 61.25), at, AUTH)
    assert later.headers == (("timestamp", "1767225661250"),)
    assert later.shared is first.shared


def test_a_new_authorization_makes_new_headers() -> None:
    """Prepared headers never outlive the token they hold."""
    at = account()
    ADAPTER.render(push(), at, AUTH)
    renewed = ADAPTER.render(push(), at, Auth(value="new", expires_at=NOW, made_at=NOW))
    assert ("authorization", "Bearer new") in renewed.shared


def test_endpoints_are_replaced() -> None:
    """endpoint and auth_endpoint take the place of Honor's hosts; the paths stay."""
    at = account(endpoint="https://127.0.0.1:8443", auth_endpoint="https://auth.example")
    asked = ADAPTER.auth_request(at, NOW)
    assert asked is not None
    assert asked.url == "https://auth.example/auth/token"
    assert ADAPTER.render(push(), at, AUTH).url == "https://127.0.0.1:8443/api/v1/104412345/sendMessage"


@pytest.mark.parametrize(("life", "ttl"), [(3600, "3600s"), (99 * 86_400, "1296000s"), (0, "1s")])
def test_ttl_is_seconds_with_an_s(life: int, ttl: str) -> None:
    """The time to live is a string such as 3600s, at least 1 s and at most 15 days."""
    sent = body(ADAPTER.render(push(expires_at=int(NOW) + life), account(), AUTH))
    assert sent["android"]["ttl"] == ttl


def test_title_and_text_are_cut() -> None:
    """Title 50 and text 400 UTF-16 units, an ellipsis included; no emoji is halved."""
    given = shown(push(title="t" * 51, body="😀" * 201))
    assert given["title"] == "t" * 49 + "…"
    assert given["body"] == "😀" * 199 + "…"
    whole = shown(push(title="t" * 50, body="b" * 400))
    assert (whole["title"], whole["body"]) == ("t" * 50, "b" * 400)


def test_body_limit_takes_room_from_the_text() -> None:
    """With a long ext the text shrinks until all but the tokens is within 4,096 bytes; ext stays whole."""
    ext = "x" * 2500
    given = push("T" * 130, body="界" * 400, ext=ext, android=AndroidInfo(push_style=1))
    request = ADAPTER.render(given, account(), AUTH)
    sent = body(request)
    assert 3900 < len(request.body) - 133 <= 4096
    assert json.loads(sent["data"])["ext"] == ext
    assert sent["android"]["notification"]["body"].endswith("…")


def test_a_text_full_of_escapes_is_cut_and_not_refused() -> None:
    """What JSON doubles is reckoned as what it takes on the wire, and some of it always remains."""
    request = ADAPTER.render(push("T1", body='"' * 400, ext="x" * 3400), account(), AUTH)
    assert len(request.body) <= 4096 + 5
    assert body(request)["android"]["notification"]["body"].startswith('""""')


def test_an_ext_too_large_is_refused_with_sizes() -> None:
    """Ext is never cut: the push is refused, and the sentence names both sizes."""
    with pytest.raises(Refused, match=r"4096 are allowed.*ext alone has 4200"):
        ADAPTER.render(push(ext="x" * 4200), account(), AUTH)


def test_tokens_do_not_count_and_are_not_repeated() -> None:
    """A thousand tokens fit beside a full body; Honor refuses a request that repeats one."""
    tokens = [f"{i:0130d}" for i in range(1000)]
    sent = body(ADAPTER.render(push(*tokens, *tokens[:1]), account(), AUTH))
    assert sent["token"] == tokens
    assert ADAPTER.batch_limit == 1000


@pytest.mark.parametrize(
    ("hint", "configured", "importance"),
    [(None, None, "NORMAL"), (None, "LOW", "LOW"), ("NORMAL", "LOW", "NORMAL"), ("LOW", None, "LOW")],
)
def test_importance(hint: str | None, configured: str | None, importance: str) -> None:
    """HonorImportance beats the configured one; Tencent's default is NORMAL."""
    at = account({"importance": configured} if configured else {})
    assert shown(push(android=AndroidInfo(honor_importance=hint)), at)["importance"] == importance


@pytest.mark.parametrize(
    ("hints", "image"),
    [
        (AndroidInfo(honor_image="https://img/x.png"), "https://img/x.png"),
        (AndroidInfo(honor_image="http://img/x.png"), None),
        (AndroidInfo(honor_image="https://img/x.png", honor_importance="LOW"), None),
        (AndroidInfo(huawei_image="https://img/x.png"), None),
    ],
)
def test_image(hints: AndroidInfo, image: str | None) -> None:
    """Only https, never on a marketing message, and never Huawei's; what is left out is warned of."""
    given = push(android=hints)
    assert shown(given).get("image") == image
    warned = ADAPTER.warnings(given.notification, account())
    assert bool(warned) == (hints.honor_image is not None and image is None)


def test_nothing_is_guessed() -> None:
    """Without hints there is no badge, image, style or channel, and no field of Huawei's."""
    assert set(shown(push())) == {"title", "body", "importance", "clickAction", "notifyId"}
    assert set(body(ADAPTER.render(push(), account(), AUTH))) == {"android", "token"}


def test_big_text_style() -> None:
    """PushStyle 1 repeats title and text as the big ones."""
    given = shown(push(android=AndroidInfo(push_style=1)))
    assert (given["style"], given["bigTitle"], given["bigBody"]) == (1, "Alice", "Hi 你好")


@pytest.mark.parametrize(("badge", "number"), [(0, 0), (7, 7), (250, 99)])
def test_badge_is_absolute_bounded_and_has_one_name(badge: int, number: int) -> None:
    """The badge is set, at most 99, never added, under one of the two names that clients know."""
    given = shown(push(badge=badge))
    assert given["badge"] == {"setNum": number}
    assert "badgeNotification" not in given
    assert ADAPTER.uses_badge(account())


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"type": 3}),
        ({"click_action": "open_app", "click_target": "x"}, {"type": 3}),
        ({"click_action": "url"}, {"type": 3}),
        (
            {"click_action": "url", "click_target": "https://a.example"},
            {"type": 2, "url": "https://a.example"},
        ),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            {"type": 1, "action": "com.example.OPEN"},
        ),
        (
            {"click_action": "intent", "click_target": "intent://a#Intent;scheme=chat;end"},
            {"type": 1, "intent": "intent://a#Intent;scheme=chat;end"},
        ),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, Any]) -> None:
    """What a tap opens: the app, a web page, or a page of the app."""
    assert shown(push(), account(defaults))["clickAction"] == expected


def test_a_missing_click_target_is_warned_of() -> None:
    """A click action without its target opens the app, and explain says so."""
    assert "click_target" in ADAPTER.warnings(push().notification, account({"click_action": "url"}))[0]
    assert ADAPTER.warnings(push().notification, account()) == ()


def test_extra_is_merged_into_the_body() -> None:
    """Vendor fields given by hand reach the place they name, without losing their neighbours or the tokens."""
    given = push(extra={"android": {"targetUserType": 1, "notification": {"group": "g"}}})
    sent = body(ADAPTER.render(given, account(), AUTH))
    assert sent["android"]["targetUserType"] == 1
    assert (sent["android"]["notification"]["group"], sent["android"]["notification"]["title"]) == (
        "g",
        "Alice",
    )
    assert sent["token"] == ["T1"]


def test_a_blank_text_is_refused_and_a_blank_title_replaced() -> None:
    """Honor takes neither blank; the title has a default, the text has none."""
    assert shown(push(title=" "))["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        ADAPTER.render(push(body=" \n"), account(), AUTH)


# --- authorization ----------------------------------------------------------------------------------------


def test_token_form_is_percent_encoded() -> None:
    """The form of the token request, secret encoded, equals the vector byte for byte."""
    request = ADAPTER.auth_request(account(), NOW)
    assert request is not None
    assert request.url == "https://iam.developer.honor.com/auth/token"
    assert request.headers == (("content-type", "application/x-www-form-urlencoded"),)
    assert request.body.decode() == FORM["form_body"]
    assert ADAPTER.local_auth(account(), NOW) is None


@pytest.mark.parametrize(
    ("told", "seconds"), [(3600, 3300), (60, 30), (None, 3300), ("x", 3300), (10**12, 3300)]
)
def test_access_token_is_renewed_early(told: object, seconds: int) -> None:
    """Five minutes before it ends, or at half its life when that is short."""
    given = json.dumps({"access_token": "a/b", "expires_in": told, "token_type": "Bearer"}).encode()
    auth = ADAPTER.read_auth(account(), Response(status=200, body=given), NOW)
    assert (auth.value, auth.expires_at) == ("a/b", NOW + seconds)


@pytest.mark.parametrize(
    ("status", "told", "action"),
    [
        (400, {"error": "unsupported_grant_type", "error_description": "x"}, Action.CONFIG),
        (401, {"error": "invalid_client", "error_description": "x"}, Action.CONFIG),
        (401, {}, Action.CONFIG),
        (403, {}, Action.CONFIG),
        (404, {}, Action.CONFIG),
        (200, {"error": "invalid_client"}, Action.CONFIG),
        (200, {"error": 1101}, Action.CONFIG),
        (200, {"code": 403, "message": "x"}, Action.CONFIG),
        (200, {"code": 99999, "message": "x"}, Action.CONFIG),
        (200, {"code": 503, "message": "x"}, Action.RETRY),
        (200, {}, Action.RETRY),
        (200, {"access_token": ""}, Action.RETRY),
        (408, {}, Action.RETRY),
        (429, {}, Action.RETRY),
        (500, {"error": "server_error"}, Action.RETRY),
        (502, {}, Action.RETRY),
        (503, {}, Action.RETRY),
    ],
)
def test_token_server_errors(status: int, told: dict[str, Any], action: Action) -> None:
    """Each answer without a token is temporary or the operator's to mend, with a hint that holds no secret."""
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(account(), Response(status=status, body=json.dumps(told).encode()), NOW)
    outcome = caught.value.outcome
    assert outcome.action is action
    assert ("client_secret" in outcome.hint) == (action is Action.CONFIG)
    assert FORM["client_secret"] not in repr(outcome)


def test_a_token_server_that_is_no_server_of_tokens() -> None:
    """HTML with status 200 is a proxy's page: temporary."""
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(account(), Response(status=200, body=b"<html>"), NOW)
    assert (caught.value.outcome.action, caught.value.outcome.code) == (Action.RETRY, "HTTP 200")


def test_secrets_are_named_for_masking() -> None:
    """A dry run learns every secret that a request may hold."""
    assert set(ADAPTER.secrets(account(), AUTH)) == {FORM["client_secret"], "TOK0123"}
    assert ADAPTER.secrets(account(), None) == (FORM["client_secret"],)


# --- answers ----------------------------------------------------------------------------------------------

ROWS = {
    "200": Action.ACCEPTED,
    "80000000": Action.ACCEPTED,
    "400": Action.BAD_MESSAGE,
    "80100003": Action.BAD_MESSAGE,
    "401": Action.AUTH,
    "403": Action.AUTH,
    "404": Action.CONFIG,
    "500": Action.RETRY,
    "502": Action.RETRY,
    "503": Action.RETRY_AFTER,
    "10001": Action.CONFIG,
    "10207": Action.CONFIG,
    "10205": Action.CONFIG,
    "10300": Action.BAD_MESSAGE,
    "80200001": Action.AUTH,
    "80200003": Action.AUTH,
    "80200020": Action.CONFIG,
    "80200022": Action.CONFIG,
    "80200047": Action.QUOTA,
    "80200050": Action.BAD_MESSAGE,
    "80200056": Action.BAD_MESSAGE,
    "80300006": Action.BAD_MESSAGE,
    "80300007": Action.INVALID_TOKEN,
    "80300008": Action.BAD_MESSAGE,
    "80300010": Action.BAD_MESSAGE,
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [str, int])
@pytest.mark.parametrize("status", [200, 400, 401, 503])
def test_every_code(code: str, action: Action, spelled: type, status: int) -> None:
    """Each code leads to its action, as text or number, whatever the HTTP status beside it."""
    (outcome,) = outcomes(push(), answer(spelled(code), status=status))
    assert (outcome.action, outcome.code) == (action, code)


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.UNKNOWN),
        (400, Action.BAD_MESSAGE),
        (401, Action.AUTH),
        (403, Action.AUTH),
        (404, Action.CONFIG),
        (429, Action.RETRY_AFTER),
        (500, Action.RETRY),
        (502, Action.RETRY),
        (503, Action.RETRY_AFTER),
    ],
)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>503</html>",
        b"[1]",
        b"\xff\xfe",
        b'{"code":' + b"[" * 5000,
        b'{"code":true}',
        b'{"code":{}}',
        b'{"code":12345}',
    ],
)
def test_where_no_code_decides_the_status_does(status: int, action: Action, content: bytes) -> None:
    """Without a code that can be read or is known, also in HTML or broken bytes, the HTTP status decides for every target."""
    assert actions(push("T1", "T2"), Response(status=status, body=content)) == [action, action]


def test_retry_after_is_kept() -> None:
    """How long Honor asks to wait reaches the lane."""
    (outcome,) = outcomes(push(), Response(status=503, headers={"retry-after": "7"}))
    assert outcome.retry_after == 7.0


@pytest.mark.parametrize("code", [200, "200", 80000000, "80000000", 80100000, "80100000"])
def test_the_lists_are_read_also_of_a_success(code: object) -> None:
    """Expired tokens are dead, failed ones are tried again, the rest is accepted, whatever code says it."""
    data = {"sendResult": True, "requestId": "167", "failTokens": ["T2"], "expireTokens": ["T3"]}
    got = outcomes(push("T1", "T2", "T3"), answer(code, data))
    assert [o.action for o in got] == [Action.ACCEPTED, Action.RETRY, Action.INVALID_TOKEN]
    assert [(o.code, o.vendor_id) for o in got] == [
        (str(code), "167"),
        ("failTokens", ""),
        ("expireTokens", ""),
    ]
    assert "T3" not in repr(got)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (80100000, None),
        (80100000, {"failTokens": [], "expireTokens": []}),
        (80100000, {"failTokens": "T1"}),
        (80100000, {"expireTokens": ["another"]}),
        (200, {"sendResult": False, "failTokens": [], "expireTokens": []}),
    ],
)
def test_a_failure_that_names_no_token_kills_nothing(code: int, data: object) -> None:
    """Where the answer does not say which tokens failed none is removed and none is called accepted."""
    assert set(actions(push("T1", "T2"), answer(code, data))) == {Action.UNKNOWN}


@pytest.mark.parametrize("data", [None, [], "x", {"failTokens": {}, "expireTokens": 7}, {"failTokens": [1]}])
def test_a_success_with_odd_data_is_a_success(data: object) -> None:
    """Code 200 without readable lists has accepted all."""
    assert actions(push("T1", "T2"), answer(200, data)) == [Action.ACCEPTED, Action.ACCEPTED]


@pytest.mark.parametrize("data", [None, {"failTokens": ["T1", "T2"]}])
def test_all_tokens_invalid_is_believed_of_one_token_only(data: object) -> None:
    """80300007 also follows from a mix-up of apps: a batch keeps its tokens, and the hint says what to check."""
    assert actions(push("T1"), answer(80300007, data)) == [Action.INVALID_TOKEN]
    batch = outcomes(push("T1", "T2"), answer(80300007, data))
    assert [o.action for o in batch] == [Action.UNKNOWN, Action.UNKNOWN]
    assert "app_id" in batch[0].hint


def test_tokens_listed_as_expired_are_dead_in_any_answer() -> None:
    """80300007 with a list is as exact as any other answer with one."""
    got = actions(push("T1", "T2"), answer(80300007, {"expireTokens": ["T2"]}))
    assert got == [Action.UNKNOWN, Action.INVALID_TOKEN]


def test_tokens_in_honors_words_are_blotted_out() -> None:
    """Whatever Honor quotes, under either name, no token reaches an Outcome."""
    (outcome,) = outcomes(push("TOKEN-1"), answer(400, message="bad\nTOKEN-1 here"))
    assert outcome.reason == "bad *** here"
    (other,) = outcomes(push(), Response(status=200, body=b'{"code":400,"msg":"other words"}'))
    assert other.reason == "other words"


def test_the_table_is_the_plugins_and_whole() -> None:
    """The documentation is generated from the very table that decides, and each of its rows is tested here."""
    assert vendor.results == RESULTS
    assert vendor.adapter.vendor == vendor.emulator.vendor == "honor"
    assert (ADAPTER.push_platform, ADAPTER.platforms) == (8, {"android"})
    tested = {*ROWS, "80100000", "expireTokens", "failTokens"}
    assert {code for code in RESULTS if not code.startswith("HTTP ")} <= tested
