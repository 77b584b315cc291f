"""vivo's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed, Refused
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.vivo import vendor
from vendors.vivo.adapter import CLASS_OF, VivoAdapter, sign
from vendors.vivo.credential import VivoCredential
from vendors.vivo.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
AUTH = Auth(value="tok123", expires_at=NOW + 82_800, made_at=NOW)
ADAPTER = VivoAdapter()
UUID = "0b7e4c6a-1f7a-4f0e-8f4d-4b1f3c2d1e00"


def account(defaults: dict[str, str] | None = None, **places: Any) -> Account:
    fields = {name: VECTORS[name] for name in ("app_id", "app_key", "app_secret")}
    credential = VivoCredential.model_validate(fields)
    return Account(
        business_id=9011, vendor="vivo", credential=credential, defaults=defaults or {}, cache={}, **places
    )


def push(regid: str = "v2-a", vendor_id: str = UUID, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "你好",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m1",
        "notify_id": 1234567,
        **fields,
    }
    target = Target(token=regid, user="bob", device_id="d", push_id="01J" + "0" * 23, vendor_id=vendor_id)
    return Push(notification=Notification(**given), targets=(target,), now=NOW)


def sent(given: Push, at: Account | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(ADAPTER.render(given, at or account(), AUTH).body)
    return body


def outcome(told: object, status: int = 200, given: Push | None = None, at: Account | None = None) -> Outcome:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    (only,) = ADAPTER.interpret(given or push(), at or account(), Response(status=status, body=content))
    return only


# --- requests ---------------------------------------------------------------------------------------------


def test_golden_request() -> None:
    """The whole request for a plain message, and the same bytes when rendered again."""
    at = account({"category": "IM", "callback": "https://gw.example/vivo"})
    given = push(ext='{"a":1}')
    request = ADAPTER.render(given, at, AUTH)
    assert request == ADAPTER.render(given, at, AUTH)
    assert request.shared is ADAPTER.render(given, at, AUTH).shared
    assert request.url == "https://api-push.vivo.com.cn/message/send"
    assert request.shared == (
        ("content-type", "application/json;charset=UTF-8"),
        ("authtoken", "tok123"),
    )
    assert request.headers == ()
    assert request.body.decode() == (
        '{"appId":10004,"regId":"v2-a","notifyType":4,"title":"Alice","content":"你好","timeToLive":86400,'
        '"skipType":1,"networkType":-1,"classification":1,"category":"IM",'
        f'"requestId":"{UUID}","notifyId":1234567,"pushMode":0,"foregroundShow":false,'
        '"clientCustomMap":{"ext":"{\\"a\\":1}"},'
        '"extra":{"callback":"https://gw.example/vivo","callback.param":"01J00000000000000000000000"}}'
    )


def test_endpoints() -> None:
    """endpoint serves authorization too; auth_endpoint beats it there."""
    both = account(endpoint="https://127.0.0.1:8443", auth_endpoint="https://auth.example")
    assert ADAPTER.auth_request(account(), NOW).url == "https://api-push.vivo.com.cn/message/auth"
    assert ADAPTER.auth_request(account(endpoint="https://e"), NOW).url == "https://e/message/auth"
    assert ADAPTER.auth_request(both, NOW).url == "https://auth.example/message/auth"
    assert ADAPTER.render(push(), both, AUTH).url == "https://127.0.0.1:8443/message/send"


def test_a_new_authorization_makes_new_headers() -> None:
    """Prepared headers never outlive the token they hold, and none is made up."""
    at = account()
    ADAPTER.render(push(), at, AUTH)
    renewed = ADAPTER.render(push(), at, Auth(value="new", expires_at=NOW, made_at=NOW))
    assert ("authtoken", "new") in renewed.shared
    assert [name for name, _ in ADAPTER.render(push(), at, None).shared] == ["content-type"]


def test_request_id_is_the_pushs_own() -> None:
    """A repeat of a push has its requestId, another push has another; 64 characters suffice."""
    first, again, other = sent(push()), sent(push()), sent(push(vendor_id=UUID.replace("0", "1")))
    assert first["requestId"] == again["requestId"] != other["requestId"]
    assert 0 < len(first["requestId"]) <= 64
    assert first["notifyId"] == 1234567


def test_title_and_content_are_cut() -> None:
    """At most 40 and 100 UTF-16 units, an ellipsis included; no emoji is halved."""
    given = sent(push(title="t" * 41, body="😀" * 51))
    assert given["title"] == "t" * 39 + "…"
    assert given["content"] == "😀" * 49 + "…"
    kept = sent(push(title="界" * 40, body="b" * 100))
    assert (kept["title"], kept["content"]) == ("界" * 40, "b" * 100)


@pytest.mark.parametrize(("life", "ttl"), [(3600, 3600), (86_401, 86_400), (61, 61), (60, 60), (59, 60)])
def test_time_to_live(life: int, ttl: int) -> None:
    """Seconds, a minute at least and a day at most."""
    assert sent(push(expires_at=int(NOW) + life))["timeToLive"] == ttl


def test_custom_map_is_bounded() -> None:
    """Ext travels whole in clientCustomMap, 1,024 characters with its name; beyond it the push is refused with sizes."""
    ext = "x" * 1021
    assert sent(push(ext=ext))["clientCustomMap"] == {"ext": ext}
    assert "clientCustomMap" not in sent(push())
    with pytest.raises(Refused, match=r"1025 characters, 1024 are allowed"):
        sent(push(ext=ext + "x"))


def test_notify_type() -> None:
    """VIVONotifyType, else the configured one, else ring and vibrate."""
    assert sent(push())["notifyType"] == 4
    assert sent(push(), account({"notify_type": "2"}))["notifyType"] == 2
    assert sent(push(), account({"notify_type": "9"}))["notifyType"] == 4
    hints = AndroidInfo(vivo_notify_type=1)
    assert sent(push(android=hints), account({"notify_type": "2"}))["notifyType"] == 1


@pytest.mark.parametrize(
    ("own", "own_category", "defaults", "expected"),
    [
        (None, None, {}, (1, None)),
        (0, None, {}, (0, None)),
        (None, None, {"classification": "0"}, (0, None)),
        (1, None, {"classification": "0"}, (1, None)),
        (None, None, {"category": "IM"}, (1, "IM")),
        (None, "ORDER", {"category": "IM"}, (1, "ORDER")),
        (None, "MARKETING", {"category": "IM"}, (0, "MARKETING")),
        (None, "MARKETING", {"category": "IM", "classification": "1"}, (0, "MARKETING")),
        (1, "IM", {}, (1, "IM")),
        (1, "MARKETING", {}, (0, "MARKETING")),
        (0, "IM", {}, (1, "IM")),
        (0, None, {"category": "IM"}, (0, None)),
        (0, None, {"category": "NEWS"}, (0, "NEWS")),
        (None, "BRAND_NEW", {}, (1, "BRAND_NEW")),
        (0, "BRAND_NEW", {}, (0, "BRAND_NEW")),
        (0, None, {"category": "BRAND_NEW"}, (0, "BRAND_NEW")),
        (None, "im", {}, (1, "im")),
    ],
)
def test_classification_and_category(
    own: int | None, own_category: str | None, defaults: dict[str, str], expected: tuple[int, str | None]
) -> None:
    """System messages by default; a category is passed as given; a pair that vivo refuses is never sent."""
    given = push(android=AndroidInfo(vivo_classification=own, vivo_category=own_category))
    body = sent(given, account(defaults))
    assert (body["classification"], body.get("category")) == expected
    assert CLASS_OF.get(body.get("category", ""), body["classification"]) == body["classification"]


def test_what_is_left_out_is_warned_of() -> None:
    """Hints and settings that contradict each other, or that vivo would refuse, are named; a good set-up is silent."""
    own = push(android=AndroidInfo(vivo_classification=0)).notification
    (said,) = ADAPTER.warnings(own, account({"category": "IM"}))
    assert "category IM" in said
    pair = push(android=AndroidInfo(vivo_classification=0, vivo_category="IM")).notification
    (said,) = ADAPTER.warnings(pair, account())
    assert "classification 0 is ignored: category is IM" in said
    defaults = {"classification": "x", "notify_type": "9", "callback": "c" * 129, "click_action": "url"}
    said = " ".join(ADAPTER.warnings(push().notification, account(defaults)))
    for words in ("classification in", "taken as 1", "notify_type", "taken as 4", "callback", "click_target"):
        assert words in said
    assert ADAPTER.warnings(push().notification, account({"category": "IM", "classification": "1"})) == ()


def test_a_callback_too_long_for_vivo_is_left_out() -> None:
    """128 characters are sent; a longer one costs the receipt, not the message."""
    assert sent(push(), account({"callback": "c" * 128}))["extra"]["callback"] == "c" * 128
    assert "extra" not in sent(push(), account({"callback": "c" * 129}))
    assert "extra" not in sent(push())


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"skipType": 1}),
        (
            {"click_action": "url", "click_target": "https://a"},
            {"skipType": 2, "skipContent": "https://a"},
        ),
        (
            {"click_action": "intent", "click_target": "intent://x#Intent;end"},
            {"skipType": 4, "skipContent": "intent://x#Intent;end"},
        ),
        ({"click_action": "intent"}, {"skipType": 1}),
        ({"click_action": "open_app", "click_target": "x"}, {"skipType": 1}),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, Any]) -> None:
    """What a tap opens; without a target the app."""
    given = sent(push(), account(defaults))
    assert {name: value for name, value in given.items() if name.startswith("skip")} == expected


def test_click_targets_are_bounded() -> None:
    """1,024 characters; a longer target is refused with sizes."""
    defaults = {"click_action": "url", "click_target": "a" * 1024}
    assert len(sent(push(), account(defaults))["skipContent"]) == 1024
    with pytest.raises(Refused, match=r"1025 characters, vivo allows 1024"):
        sent(push(), account({**defaults, "click_target": "a" * 1025}))


def test_blank_texts_and_extra() -> None:
    """vivo takes neither blank: the title has a default, the text has none. Vendor fields by hand are merged."""
    assert sent(push(title=" "))["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        sent(push(body="\u3000"))
    extra = {"pushMode": 1, "clientCustomMap": {"own": "1"}}
    given = sent(push(ext="e", extra=extra))
    assert (given["pushMode"], given["clientCustomMap"]) == (1, {"ext": "e", "own": "1"})


@pytest.mark.parametrize("token", ["1" * 23, "v2-" + "C" * 80, "x"])
def test_regids_of_any_length(token: str) -> None:
    """vivo has changed the length of its regIds before."""
    assert ADAPTER.token_fault(token) is None
    assert ADAPTER.token_fault(" ") is not None


# --- authorization ----------------------------------------------------------------------------------------


def test_sign_vector() -> None:
    """The signature equals the vector's, over numbers as decimal text and without blanks around the whole."""
    given = [str(VECTORS[name]) for name in ("app_id", "app_key", "timestamp", "app_secret")]
    assert sign(*given) == VECTORS["sign"]
    assert sign(" " + given[0], given[1], given[2], given[3] + "\n") == VECTORS["sign"]


def test_auth_request() -> None:
    """The body of /message/auth, byte for byte, with the vector's sign."""
    request = ADAPTER.auth_request(account(), NOW)
    assert request.headers == (("content-type", "application/json;charset=UTF-8"),)
    assert request.body.decode() == (
        '{"appId":10004,"appKey":"25509283-3767-4b9e-83fe-b6e55ac6243e","timestamp":1767225600000,'
        '"sign":"0952f7843615283cbb6db8f2eebb0aa7"}'
    )


def test_the_token_is_used_for_23_of_its_24_hours() -> None:
    """vivo counts calls for tokens: renewed late, and once."""
    told = {"result": 0, "desc": "ok", "authToken": "t"}
    auth = ADAPTER.read_auth(account(), Response(status=200, body=json.dumps(told).encode()), NOW)
    assert (auth.value, auth.expires_at, auth.made_at) == ("t", NOW + 82_800, NOW)


@pytest.mark.parametrize(
    ("status", "told", "action", "hint", "wait"),
    [
        (200, {"result": 10206}, Action.CONFIG, "app_secret", None),
        (200, {"result": "10206"}, Action.CONFIG, "app_secret", None),
        (200, {"result": 10202}, Action.CONFIG, "app_key", None),
        (200, {"result": 10205}, Action.CONFIG, "app_id", None),
        (200, {"result": 10207}, Action.CONFIG, "clock", None),
        (200, {"result": 10000}, Action.CONFIG, "app_key and app_secret", None),
        (200, {"result": 10072}, Action.RETRY, "slow down", 60.0),
        (200, {"result": 10070}, Action.RETRY, "quota", 600.0),
        (200, {"result": 19999}, Action.RETRY, "", 60.0),
        (200, {"result": 0}, Action.RETRY, "", 60.0),
        (200, {"result": 0, "authToken": ""}, Action.RETRY, "", 60.0),
        (200, {"result": 0, "authToken": "a\r\nb"}, Action.RETRY, "", 60.0),
        (200, {"result": 0, "authToken": 7}, Action.RETRY, "", 60.0),
        (200, {}, Action.RETRY, "", 60.0),
        (502, {}, Action.RETRY, "", None),
        (502, {"result": 0, "authToken": "t"}, Action.RETRY, "", None),
        (429, {}, Action.RETRY, "", None),
        (404, {}, Action.RETRY, "endpoint", None),
    ],
)
def test_auth_failures(
    status: int, told: dict[str, Any], action: Action, hint: str, wait: float | None
) -> None:
    """Each answer without a token is temporary or the operator's to mend; an answered call is not repeated for a minute, or
    for ten where a day's number is used up."""
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(account(), Response(status=status, body=json.dumps(told).encode()), NOW)
    given = caught.value.outcome
    assert (given.action, given.retry_after) == (action, wait)
    assert hint in given.hint
    assert VECTORS["app_secret"] not in repr(given)


def test_secrets_are_named_for_masking() -> None:
    """A dry run learns every secret that a request may hold."""
    assert set(ADAPTER.secrets(account(), AUTH)) == {VECTORS["app_secret"], "tok123"}
    assert ADAPTER.secrets(account(), None) == (VECTORS["app_secret"],)


# --- answers ----------------------------------------------------------------------------------------------

ROWS: dict[int, Action] = {
    0: Action.ACCEPTED,
    **dict.fromkeys([10000, 10003], Action.AUTH),
    10040: Action.RETRY,
    **dict.fromkeys([10072, 10252], Action.RETRY_AFTER),
    **dict.fromkeys([10070, 10071, 10073], Action.QUOTA),
    **dict.fromkeys([10043, 10045, 10051, 10082, 10094, 10096, 10097, 11000], Action.CONFIG),
    **dict.fromkeys([10200, 10201, 10202, 10203, 10204, 10205, 10206, 10207], Action.CONFIG),
    **dict.fromkeys([10050, *range(10054, 10070), 10095, 10352, 10353], Action.BAD_MESSAGE),
    **dict.fromkeys([10085, 10103, 10104, 10301, 10304, 10305, 10306, 10311], Action.BAD_MESSAGE),
    **dict.fromkeys([10150, 10151, 10152, 10153, 10154, 10155], Action.BAD_MESSAGE),
    10302: Action.INVALID_TOKEN,
    **dict.fromkeys([10053, 10099, 77777, -1], Action.UNKNOWN),
}


@pytest.mark.parametrize(("code", "action"), ROWS.items())
@pytest.mark.parametrize("spelled", [int, str])
def test_every_code(code: int, action: Action, spelled: type) -> None:
    """Each result leads to its action, as number or text."""
    got = outcome({"result": spelled(code), "desc": "words"})
    assert (got.action, got.code) == (action, str(code))


STATUSES = {
    "status 1": Action.INVALID_TOKEN,
    "status 2": Action.INVALID_TOKEN,
    "status 4": Action.CONFIG,
    "status 3": Action.UNKNOWN,
}


@pytest.mark.parametrize(("code", "action"), STATUSES.items())
@pytest.mark.parametrize("name", ["invalidUser", "invalidUsers"])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("spelled", [int, str])
def test_every_status_of_an_invalid_user(
    code: str, action: Action, name: str, listed: bool, spelled: type
) -> None:
    """Result 0 with an invalid user beside it is no success, whichever of vivo's shapes it has."""
    user = {"userid": "v2-a", "status": spelled(code[7:])}
    got = outcome({"result": 0, "desc": "ok", "taskId": "5", name: [user] if listed else user})
    assert (got.action, got.code) == (action, code)


def test_every_row_is_tested() -> None:
    """No row of the table is without its test."""
    rows = {code for code in RESULTS if not code.startswith("HTTP")}
    assert rows <= {str(code) for code in ROWS} | set(STATUSES)
    assert vendor.results == RESULTS


def test_accepted_has_vivos_task_id() -> None:
    """The id under which vivo reports on the push."""
    assert outcome({"result": 0, "desc": "ok", "taskId": "542"}).vendor_id == "542"
    assert outcome({"result": 0, "taskId": 542}).vendor_id == "542"


@pytest.mark.parametrize("nobody", [None, {}, [], "x", [7]])
def test_an_empty_list_of_invalid_users_is_a_success(nobody: object) -> None:
    """Only a user that is named is refused."""
    assert outcome({"result": 0, "invalidUser": nobody}).action is Action.ACCEPTED


def test_another_ones_fault_costs_no_token() -> None:
    """An answer about another regId is neither a success nor a death of this one."""
    got = outcome({"result": 0, "invalidUser": {"userid": "v2-b", "status": 1}})
    assert got.action is Action.UNKNOWN
    assert outcome({"result": 0, "invalidUser": {"status": 2}}).action is Action.INVALID_TOKEN
    assert outcome({"result": 0, "invalidUser": {"userid": "v2-a"}}).action is Action.UNKNOWN


@pytest.mark.parametrize("code", [10096, 10097])
def test_a_refused_category_is_named(code: int) -> None:
    """The operator learns which category vivo refused, wherever it came from."""
    own = push(android=AndroidInfo(vivo_category="FOO"))
    assert "category FOO" in outcome({"result": code, "desc": "x"}, given=own).hint
    assert "category BAR" in outcome({"result": code}, at=account({"category": "BAR"})).hint
    assert "category BAZ" in outcome({"result": code}, given=push(extra={"category": "BAZ"})).hint
    assert "category (none)" in outcome({"result": code}).hint


@pytest.mark.parametrize("code", [10070, 10071])
def test_a_quota_of_operations_points_to_classification(code: int) -> None:
    """Chat messages sent as operations are the usual cause."""
    assert "classification 1" in outcome({"result": code, "desc": "x"}).hint


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (200, Action.UNKNOWN),
        (302, Action.RETRY),
        (400, Action.RETRY),
        (401, Action.RETRY),
        (403, Action.RETRY),
        (404, Action.RETRY),
        (429, Action.RETRY_AFTER),
        (500, Action.RETRY),
        (503, Action.RETRY),
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[0]", b'{"result":true}', b'{"result":null}', b'{"result":""}']
)
def test_answers_without_a_result(status: int, action: Action, content: bytes) -> None:
    """Any HTTP status but 200 is worth a repeat; 200 without a result is no answer of vivo's."""
    assert outcome(content, status).action is action


def test_the_result_beats_the_status_but_for_a_success() -> None:
    """A refusal counts whatever the status; a success in a failed response does not."""
    assert outcome({"result": 10302}, 400).action is Action.INVALID_TOKEN
    assert outcome({"result": 0, "taskId": "5"}, 500).action is Action.RETRY


def test_retry_after_is_passed_on() -> None:
    """A wait that the server asks for is kept."""
    response = Response(status=503, headers={"retry-after": "7"}, body=b"")
    assert ADAPTER.interpret(push(), account(), response)[0].retry_after == 7.0


def test_tokens_in_vivos_words_are_blotted_out() -> None:
    """Whatever vivo quotes, no regId reaches an Outcome."""
    assert outcome({"result": 10058, "desc": "bad v2-a"}).reason == "bad ***"


def test_endless_numbers() -> None:
    """An endless number as a result is unknown, not a crash."""
    assert outcome({"result": "1" * 6000}).action is Action.UNKNOWN
