"""OPPO's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed, Refused
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.oppo import vendor
from vendors.oppo.adapter import OppoAdapter, sign
from vendors.oppo.credential import OppoCredential
from vendors.oppo.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
AUTH = Auth(value="tok123", expires_at=NOW + 82_800, made_at=NOW)
ADAPTER = OppoAdapter()


def account(defaults: dict[str, str] | None = None, **places: Any) -> Account:
    credential = OppoCredential.model_validate(
        {"app_key": VECTORS["app_key"], "master_secret": VECTORS["master_secret"]}
    )
    return Account(
        business_id=9005, vendor="oppo", credential=credential, defaults=defaults or {}, cache={}, **places
    )


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m1",
        "notify_id": 42,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("CN_a",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def messages(given: Push, at: Account | None = None) -> list[dict[str, Any]]:
    form = dict(parse_qsl(ADAPTER.render(given, at or account(), AUTH).body.decode("ascii")))
    told: list[dict[str, Any]] = json.loads(form["messages"])
    return told


def shown(given: Push, at: Account | None = None) -> dict[str, Any]:
    notification: dict[str, Any] = messages(given, at)[0]["notification"]
    return notification


def outcomes(given: Push, told: object, status: int = 200) -> list[Outcome]:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return ADAPTER.interpret(given, account(), Response(status=status, body=content))


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account({"channel_id": "im", "category": "IM"})
    given = push("CN_a", "CN_b", ext='{"a":1}')
    request = ADAPTER.render(given, at, AUTH)
    assert request == ADAPTER.render(given, at, AUTH)
    assert request.shared is ADAPTER.render(given, at, AUTH).shared
    assert request.url == "https://api.push.oppomobile.com/server/v1/message/notification/unicast_batch"
    assert request.shared == (
        ("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),
        ("auth_token", "tok123"),
    )
    notification = (
        '"notification":{"app_message_id":"m1","title":"Alice","content":"Hi","style":1,"click_action_type":0,'
        '"action_parameters":"{\\"ext\\":\\"{\\\\\\"a\\\\\\":1}\\"}","off_line":true,"off_line_ttl":86400,'
        '"channel_id":"im","category":"IM","notify_id":42}'
    )
    target = '{"target_type":2,"target_value":"%s","verify_registration_id":false,' + notification + "}"
    assert parse_qsl(request.body.decode("ascii"), strict_parsing=True) == [
        ("auth_token", "tok123"),
        ("messages", f"[{target % 'CN_a'},{target % 'CN_b'}]"),
    ]


def test_a_single_push_is_a_batch_of_one() -> None:
    """One shape of request and answer for any number of targets; a repeated token is sent once."""
    assert len(messages(push("CN_a"))) == 1
    assert [m["target_value"] for m in messages(push("CN_a", "CN_b", "CN_a"))] == ["CN_a", "CN_b"]


def test_endpoints() -> None:
    """endpoint serves authorization too; auth_endpoint beats it there."""
    both = account(endpoint="https://127.0.0.1:8443", auth_endpoint="https://auth.example")
    assert ADAPTER.auth_request(account(), NOW).url == "https://api.push.oppomobile.com/server/v1/auth"
    assert ADAPTER.auth_request(account(endpoint="https://e"), NOW).url == "https://e/server/v1/auth"
    assert ADAPTER.auth_request(both, NOW).url == "https://auth.example/server/v1/auth"
    assert ADAPTER.render(push(), both, AUTH).url.startswith("https://127.0.0.1:8443/server/v1/message/")


def test_a_new_authorization_makes_new_headers() -> None:
    """Prepared headers never outlive the token they hold."""
    at = account()
    ADAPTER.render(push(), at, AUTH)
    renewed = ADAPTER.render(push(), at, Auth(value="new", expires_at=NOW, made_at=NOW))
    assert ("auth_token", "new") in renewed.shared
    assert b"auth_token=new&" in renewed.body


@pytest.mark.parametrize(("style", "units"), [(0, 50), (1, 128)])
def test_title_and_content_are_cut(style: int, units: int) -> None:
    """Title 50, content 50 or, as long text, 128; an ellipsis included; no emoji is halved."""
    given = shown(push(title="t" * 51, body="😀" * 65, android=AndroidInfo(push_style=style)))
    assert given["title"] == "t" * 49 + "…"
    assert len(given["content"].encode("utf-16-le")) // 2 in (units, units - 1)
    assert given["content"].endswith("😀…")
    assert given["style"] == style + 1
    kept = shown(push(title="t" * 50, body="b" * units, android=AndroidInfo(push_style=style)))
    assert (len(kept["title"]), len(kept["content"])) == (50, units)


@pytest.mark.parametrize(("life", "ttl"), [(3600, 3600), (11 * 86_400, 864_000), (0, 1)])
def test_ttl_is_seconds_and_kept_offline(life: int, ttl: int) -> None:
    """Seconds, at most ten days, and off_line is always said."""
    given = shown(push(expires_at=int(NOW) + life))
    assert (given["off_line"], given["off_line_ttl"]) == (True, ttl)


def test_action_parameters_are_bounded_text() -> None:
    """Ext travels as JSON inside a string of at most 4,000 characters; beyond it the push is refused with sizes."""
    ext = "x" * (4000 - len('{"ext":""}'))
    given = shown(push(ext=ext))["action_parameters"]
    assert isinstance(given, str)
    assert len(given) == 4000
    assert json.loads(given) == {"ext": ext}
    assert "action_parameters" not in shown(push())
    with pytest.raises(Refused, match=r"4001 characters, 4000 are allowed"):
        shown(push(ext=ext + "x"))


def test_identity_of_repeats() -> None:
    """app_message_id and notify_id are those of the message, on every attempt."""
    assert (shown(push())["app_message_id"], shown(push())["notify_id"]) == ("m1", 42)


def test_hints_win_over_defaults_and_nothing_is_guessed() -> None:
    """OPPOChannelID, OPPOCategory and OPPONotifyLevel beat the configured ones; without both there is none."""
    hints = AndroidInfo(oppo_channel_id="own", oppo_category="ACCOUNT", oppo_notify_level=16)
    own = shown(push(android=hints), account({"channel_id": "c", "category": "IM"}))
    assert (own["channel_id"], own["category"], own["notify_level"]) == ("own", "ACCOUNT", 16)
    plain = shown(push())
    assert not {"channel_id", "category", "notify_level", "private_msg_template_id"} & set(plain)


def test_a_level_without_category_is_left_out_with_a_warning() -> None:
    """OPPO would refuse the message; the hint is dropped instead, and a missing channel is warned of too."""
    given = push(android=AndroidInfo(oppo_notify_level=2))
    assert "notify_level" not in shown(given)
    said = " ".join(ADAPTER.warnings(given.notification, account({"click_action": "url"})))
    for words in ("OPPONotifyLevel", "OPPOChannelID", "click_target"):
        assert words in said
    assert ADAPTER.warnings(push().notification, account({"channel_id": "c"})) == ()


def test_private_templates() -> None:
    """Parameters are JSON text, from the message, else title and text; operations messages carry none."""
    configured = shown(push(), account({"template_id": "T1", "category": "IM"}))
    assert configured["private_msg_template_id"] == "T1"
    assert json.loads(configured["private_title_parameters"]) == {"title": "Alice"}
    assert json.loads(configured["private_content_parameters"]) == {"desc": "Hi"}
    hints = AndroidInfo(
        oppo_template_id="T2", oppo_title_parameters={"n": "A"}, oppo_content_parameters={"c": 1}
    )
    own = shown(push(android=hints), account({"template_id": "T1"}))
    assert (own["private_msg_template_id"], own["private_title_parameters"]) == ("T2", '{"n":"A"}')
    assert own["private_content_parameters"] == '{"c":1}'
    marketing = shown(push(android=hints), account({"category": "MARKETING"}))
    assert "private_msg_template_id" not in marketing


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"click_action_type": 0}),
        (
            {"click_action": "url", "click_target": "https://a"},
            {"click_action_type": 2, "click_action_url": "https://a"},
        ),
        (
            {"click_action": "intent", "click_target": "com.example.OPEN"},
            {"click_action_type": 1, "click_action_activity": "com.example.OPEN"},
        ),
        (
            {"click_action": "intent", "click_target": "intent://x#Intent;end"},
            {"click_action_type": 5, "click_action_url": "intent://x#Intent;end"},
        ),
        ({"click_action": "intent"}, {"click_action_type": 0}),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, Any]) -> None:
    """What a tap opens; without a target the app."""
    given = shown(push(), account(defaults))
    assert {name: value for name, value in given.items() if name.startswith("click_")} == expected


@pytest.mark.parametrize(("action", "length", "limit"), [("url", 2001, 2000), ("intent", 501, 500)])
def test_click_targets_are_bounded(action: str, length: int, limit: int) -> None:
    """A target longer than OPPO allows is refused with sizes."""
    with pytest.raises(Refused, match=f"{length} characters, OPPO allows {limit}"):
        shown(push(), account({"click_action": action, "click_target": "a" * length}))


def test_blank_texts_and_extra() -> None:
    """OPPO takes neither blank: the title has a default, the text has none. Vendor fields by hand are merged."""
    assert shown(push(title=" "))["title"] == "a new message"
    assert shown(push(extra={"show_ttl": 60}))["show_ttl"] == 60
    with pytest.raises(Refused, match="without text"):
        shown(push(body=" "))


# --- authorization ----------------------------------------------------------------------------------------


def test_sign_vectors() -> None:
    """The signature equals the vector's; one made with AppSecret is another."""
    key, timestamp = VECTORS["app_key"], VECTORS["timestamp"]
    assert sign(key, timestamp, VECTORS["master_secret"]) == VECTORS["sign"]
    assert sign(key, timestamp, VECTORS["app_secret"]) == VECTORS["sign_with_app_secret"] != VECTORS["sign"]
    form = dict(parse_qsl(ADAPTER.auth_request(account(), NOW).body.decode()))
    assert form == {"app_key": key, "timestamp": timestamp, "sign": VECTORS["sign"]}


@pytest.mark.parametrize(
    ("created", "renewed"),
    [
        (int(NOW * 1000), NOW + 82_800),
        (int((NOW - 3600) * 1000), NOW + 79_200),
        (int((NOW + 900) * 1000), NOW + 82_800),
        (int((NOW - 86_300) * 1000), NOW + 60),
        (None, NOW + 82_800),
        (True, NOW + 60),
    ],
)
def test_the_token_is_renewed_an_hour_early(created: object, renewed: float) -> None:
    """23 hours from create_time, never later than from now, never at once again."""
    told = {"code": 0, "data": {"auth_token": "t", "create_time": created}}
    auth = ADAPTER.read_auth(account(), Response(status=200, body=json.dumps(told).encode()), NOW)
    assert (auth.value, auth.expires_at) == ("t", renewed)


@pytest.mark.parametrize(
    ("status", "told", "action", "hint"),
    [
        (200, {"code": 16}, Action.CONFIG, "MasterSecret, not AppSecret"),
        (200, {"code": "16"}, Action.CONFIG, "then the clock"),
        (200, {"code": 14}, Action.CONFIG, "app_key"),
        (200, {"code": 19}, Action.CONFIG, "clock"),
        (200, {"code": 26}, Action.CONFIG, "IP"),
        (200, {"code": 11}, Action.CONFIG, ""),
        (200, {"code": -1}, Action.RETRY, ""),
        (200, {"code": -2}, Action.RETRY, ""),
        (200, {"code": 13}, Action.RETRY, ""),
        (200, {"code": 0}, Action.CONFIG, ""),
        (200, {}, Action.RETRY, ""),
        (502, {}, Action.RETRY, ""),
        (429, {}, Action.RETRY, ""),
        (404, {}, Action.CONFIG, "endpoint"),
        (418, {}, Action.CONFIG, "master_secret"),
    ],
)
def test_auth_failures(status: int, told: dict[str, Any], action: Action, hint: str) -> None:
    """Each answer without a token is temporary or the operator's to mend, with a hint that holds no secret."""
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(account(), Response(status=status, body=json.dumps(told).encode()), NOW)
    assert caught.value.outcome.action is action
    assert hint in caught.value.outcome.hint
    assert VECTORS["master_secret"] not in repr(caught.value.outcome)


def test_secrets_are_named_for_masking() -> None:
    """A dry run learns every secret that a request may hold."""
    assert set(ADAPTER.secrets(account(), AUTH)) == {VECTORS["master_secret"], "tok123"}


# --- answers ----------------------------------------------------------------------------------------------

ROWS: dict[int, Action] = {
    0: Action.ACCEPTED,
    32: Action.ACCEPTED,
    -1: Action.RETRY,
    **dict.fromkeys([-2, 13, 55], Action.RETRY_AFTER),
    **dict.fromkeys([11, 29], Action.AUTH),
    **dict.fromkeys([14, 15, 16, 17, 18, 19, 26, 27, 28, 30, 59, 67], Action.CONFIG),
    **dict.fromkeys([12, 20, 21, 22, 23, 24, 25, 31, 40, 41, 51, 10001, 15000, 20000], Action.BAD_MESSAGE),
    **dict.fromkeys([33, 34, 42, 69], Action.QUOTA),
    10000: Action.INVALID_TOKEN,
    **dict.fromkeys([99, 20001, 9999], Action.UNKNOWN),
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [int, str])
def test_every_code_at_the_top_and_on_an_item(code: int, action: Action, spelled: type) -> None:
    """Each code leads to its action, as number or text, for the request or for one message."""
    (top,) = outcomes(push(), {"code": spelled(code), "message": "words"})
    item = {"messageId": "M", "registrationId": "CN_b", "errorCode": spelled(code), "errorMessage": "words"}
    fine = {"messageId": "M0", "registrationId": "CN_a"}
    first, second = outcomes(push("CN_a", "CN_b"), {"code": 0, "data": [item, fine]})
    assert (top.action, top.code) == (second.action, second.code) == (action, str(code))
    assert (first.action, first.vendor_id) == (Action.ACCEPTED, "M0")


def test_every_row_is_tested() -> None:
    """No row of the table is without its test."""
    assert {code for code in RESULTS if not code.startswith("HTTP")} <= {str(code) for code in ROWS}
    assert vendor.results == RESULTS


def test_an_invalid_id_at_the_top_of_a_batch_kills_nothing() -> None:
    """The answer does not say which id it means."""
    got = outcomes(push("CN_a", "CN_b"), {"code": 10000})
    assert [o.action for o in got] == [Action.UNKNOWN, Action.UNKNOWN]


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (500, Action.RETRY),
        (503, Action.RETRY),
        (429, Action.RETRY_AFTER),
        (404, Action.CONFIG),
        (401, Action.AUTH),
        (403, Action.CONFIG),
        (413, Action.BAD_MESSAGE),
        (200, Action.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[0]", b'{"code":true}', b'{"code":null}', b'{"code":""}']
)
def test_answers_without_a_code(status: int, action: Action, content: bytes) -> None:
    """Where no code can be read the HTTP status decides for every target."""
    assert [o.action for o in outcomes(push("a", "b"), content, status)] == [action, action]


def test_items_without_ids_stand_in_order() -> None:
    """Where an answer names no ids its items are those of the batch, one for one."""
    got = outcomes(push("a", "b"), {"code": 0, "data": [{"messageId": "1"}, {"errorCode": 10000}]})
    assert [o.action for o in got] == [Action.ACCEPTED, Action.INVALID_TOKEN]


def test_a_token_that_the_answer_leaves_out_is_not_called_accepted() -> None:
    """Silence about a token is no success and no death, and its code is not 0."""
    got = outcomes(push("a", "b"), {"code": 0, "data": [{"registrationId": "a", "messageId": "1"}, 7]})
    assert [o.action for o in got] == [Action.ACCEPTED, Action.UNKNOWN]
    assert got[1].code != "0"


@pytest.mark.parametrize("data", [None, [], {}, "x", {"messageId": "1"}])
def test_an_answer_without_items(data: object) -> None:
    """Code 0 without items means what it says, also in the shape of a single push."""
    assert outcomes(push(), {"code": 0, "data": data})[0].action is Action.ACCEPTED


def test_tokens_in_oppos_words_are_blotted_out() -> None:
    """Whatever OPPO quotes, no registration id reaches an Outcome."""
    (outcome,) = outcomes(push("REG1"), {"code": 41, "message": "bad REG1"})
    assert outcome.reason == "bad ***"


def test_code_after_number_limits() -> None:
    """An endless number as a code is unknown, not a crash."""
    assert outcomes(push(), {"code": "1" * 6000})[0].action is Action.UNKNOWN
