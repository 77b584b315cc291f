"""Meizu's requests, byte for byte, and the reading of its answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Refused
from pushgw.vendor.http import Response
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.meizu import vendor
from vendors.meizu.adapter import MeizuAdapter, sign, signed_form
from vendors.meizu.credential import MeizuCredential
from vendors.meizu.results import PER_TARGET, RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
OWN = VECTORS["own"]
NOW = 1_767_225_600.0
ADAPTER = MeizuAdapter()


def account(defaults: dict[str, str] | None = None, **places: Any) -> Account:
    credential = MeizuCredential.model_validate(
        {"app_id": OWN["params"]["appId"], "app_secret": OWN["secret"]}
    )
    return Account(
        business_id=9012, vendor="meizu", credential=credential, defaults=defaults or {}, cache={}, **places
    )


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "你好",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m1",
        "notify_id": 42,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("S5Qa",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def form(given: Push, at: Account | None = None) -> dict[str, str]:
    body = ADAPTER.render(given, at or account(), None).body.decode("ascii")
    return dict(parse_qsl(body, strict_parsing=True))


def shown(given: Push, at: Account | None = None) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(form(given, at)["messageJson"])
    return message


def outcomes(given: Push, told: object, status: int = 200) -> list[Outcome]:
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    return ADAPTER.interpret(given, account(), Response(status=status, body=content))


# --- requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["documented", "own"])
def test_sign_vectors(name: str) -> None:
    """The signatures equal the vectors', whatever the order of the fields."""
    vector = VECTORS[name]
    fields = vector["params"]
    assert sign(fields, vector["secret"]) == vector["sign"]
    assert sign(dict(reversed(fields.items())), vector["secret"]) == vector["sign"]


def test_the_form_vector_is_reproduced() -> None:
    """The body equals the vector's byte for byte, Chinese and commas included."""
    fields = OWN["params"]
    body = signed_form(fields["appId"], fields["pushIds"], fields["messageJson"], OWN["secret"])
    assert body.decode() == OWN["form_body"]


def test_the_adapter_writes_the_vectors_message() -> None:
    """A plain notification is the vector's, and a notifyKey behind it."""
    given = form(push(*OWN["params"]["pushIds"].split(",")))
    assert (given["appId"], given["pushIds"]) == (OWN["params"]["appId"], OWN["params"]["pushIds"])
    base = OWN["params"]["messageJson"].removesuffix("}")
    assert re.fullmatch(re.escape(base) + r',"advanceInfo":\{"notifyKey":"[^"]+"\}\}', given["messageJson"])


def test_golden_request() -> None:
    """The whole request with ext and receipts, and the same bytes when rendered again."""
    at = account({"callback": "https://gw.example/meizu"})
    given = push("S5Qa", "S5Qb", ext='{"a":1}')
    request = ADAPTER.render(given, at, None)
    assert request == ADAPTER.render(given, at, None)
    assert request.shared is ADAPTER.render(given, at, None).shared
    assert request.url == ("https://server-api-push.meizu.com/garcia/api/server/push/varnished/pushByPushId")
    assert request.shared == (("content-type", "application/x-www-form-urlencoded;charset=UTF-8"),)
    assert request.headers == ()
    message = (
        '{"noticeBarInfo":{"noticeMsgType":1,"noticeBarType":0,"title":"Alice","content":"你好"},'
        '"clickTypeInfo":{"clickType":0,"parameters":{"ext":"{\\"a\\":1}"}},'
        '"pushTimeInfo":{"offLine":1,"validTime":24},"advanceInfo":{"notifyKey":"yg3yyVqh"},'
        '"extra":{"callback":"https://gw.example/meizu","callback.param":"m1","callback.type":3}}'
    )
    assert parse_qsl(request.body.decode("ascii"), strict_parsing=True) == [
        ("appId", "110011"),
        ("pushIds", "S5Qa,S5Qb"),
        ("messageJson", message),
        ("sign", "fc5ea6c456f6852a34ee574b408717cd"),
    ]


def test_what_is_signed_is_what_is_sent() -> None:
    """The signature holds for the form as it is read back, blanks and emoji included."""
    given = form(push(body="a + b & c=d 😀 %41"))
    claimed = given.pop("sign")
    assert claimed == sign(given, OWN["secret"])


def test_endpoint() -> None:
    """endpoint replaces Meizu's host, for the overseas one or a proxy."""
    at = account(endpoint="https://127.0.0.1:8443")
    assert ADAPTER.render(push(), at, None).url == (
        "https://127.0.0.1:8443/garcia/api/server/push/varnished/pushByPushId"
    )


def test_no_token_server() -> None:
    """Nothing has to be fetched before the first push; the secret is named for masking and not in the request."""
    assert ADAPTER.local_auth(account(), NOW) is None
    assert ADAPTER.auth_request(account(), NOW) is None
    assert ADAPTER.secrets(account(), None) == (OWN["secret"],)
    assert OWN["secret"].encode() not in ADAPTER.render(push(), account(), None).body


def test_batches() -> None:
    """At most 100 pushIds a request, a repeated one sent once, and none that holds a comma."""
    assert ADAPTER.batch_limit == 100
    assert (ADAPTER.push_platform, ADAPTER.platforms) == (5, {"android"})
    assert form(push("a", "b", "a"))["pushIds"] == "a,b"
    assert "comma" in (ADAPTER.token_fault("a,b") or "")
    assert ADAPTER.token_fault("S5Q4b726e") is None
    assert ADAPTER.token_fault(" ") is not None


def test_title_and_content_are_cut() -> None:
    """At most 32 and 100 UTF-16 units, an ellipsis included; no emoji is halved."""
    bar = shown(push(title="t" * 33, body="😀" * 51))["noticeBarInfo"]
    assert (bar["title"], bar["content"]) == ("t" * 31 + "…", "😀" * 49 + "…")
    kept = shown(push(title="界" * 32, body="b" * 100))["noticeBarInfo"]
    assert (kept["title"], kept["content"]) == ("界" * 32, "b" * 100)


@pytest.mark.parametrize(
    ("life", "expected"),
    [
        (1, {"offLine": 1, "validTime": 1}),
        (3600, {"offLine": 1, "validTime": 1}),
        (3601, {"offLine": 1, "validTime": 2}),
        (72 * 3600, {"offLine": 1, "validTime": 72}),
        (7 * 86_400, {"offLine": 1, "validTime": 72}),
        (0, {"offLine": 0}),
        (-5, {"offLine": 0}),
    ],
)
def test_valid_time_is_hours(life: int, expected: dict[str, int]) -> None:
    """Whole hours, rounded up, one at least and 72 at most; a message that must not wait is not kept."""
    assert shown(push(expires_at=int(NOW) + life))["pushTimeInfo"] == expected


def test_identity_of_repeats() -> None:
    """A repeat has the same notifyKey, another message another, in the shape that Meizu allows."""
    first, again, other = (
        shown(push(collapse_id=c))["advanceInfo"]["notifyKey"] for c in ("m-1", "m-1", "m-2")
    )
    assert first == again != other
    keys = {shown(push(collapse_id=f"m{n}"))["advanceInfo"]["notifyKey"] for n in range(200)}
    assert len(keys) == 200
    assert all(re.fullmatch(r"[0-9A-Za-z_-]{8}", key) for key in keys)


def test_notice_type() -> None:
    """MeiZuNoticeMsgType, else the configured one, else private; public is warned of."""

    def kind(own: int | None, defaults: dict[str, str]) -> int:
        given = push(android=AndroidInfo(meizu_notice_type=own))
        number: int = shown(given, account(defaults))["noticeBarInfo"]["noticeMsgType"]
        said = " ".join(ADAPTER.warnings(given.notification, account(defaults)))
        assert ("daily limit" in said) is (number == 0)
        return number

    assert kind(None, {}) == 1
    assert kind(0, {}) == 0
    assert kind(None, {"notice_msg_type": "0"}) == 0
    assert kind(1, {"notice_msg_type": "0"}) == 1
    assert kind(None, {"notice_msg_type": "x"}) == 1


def test_warnings() -> None:
    """Settings that cannot be followed are named; a good set-up is silent."""
    defaults = {"notice_msg_type": "x", "callback": "c" * 129, "click_action": "url"}
    said = " ".join(ADAPTER.warnings(push().notification, account(defaults)))
    for words in ("notice_msg_type", "callback", "click_target"):
        assert words in said
    assert ADAPTER.warnings(push().notification, account()) == ()


def test_a_callback_too_long_for_meizu_is_left_out() -> None:
    """128 bytes are sent, nested under extra; a longer one costs the receipt, not the message."""
    extra = shown(push(), account({"callback": "c" * 128}))["extra"]
    assert extra == {"callback": "c" * 128, "callback.param": "P", "callback.type": 3}
    assert "extra" not in shown(push(), account({"callback": "界" * 43}))
    assert "extra" not in shown(push())


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ({}, {"clickType": 0}),
        ({"click_action": "url", "click_target": "https://a"}, {"clickType": 2, "url": "https://a"}),
        (
            {"click_action": "intent", "click_target": "com.example.chat.MainActivity"},
            {"clickType": 1, "activity": "com.example.chat.MainActivity"},
        ),
        (
            {"click_action": "intent", "click_target": "intent:#Intent;component=a/.B;end"},
            {"clickType": 2, "url": "intent:#Intent;component=a/.B;end"},
        ),
        ({"click_action": "intent"}, {"clickType": 0}),
        ({"click_action": "open_app", "click_target": "x"}, {"clickType": 0}),
    ],
)
def test_click_actions(defaults: dict[str, str], expected: dict[str, Any]) -> None:
    """What a tap opens; without a target the app. Ext goes along as a parameter."""
    assert shown(push(), account(defaults))["clickTypeInfo"] == expected
    with_ext = shown(push(ext="e"), account(defaults))["clickTypeInfo"]
    assert with_ext == {**expected, "parameters": {"ext": "e"}}


def test_blank_texts_and_extra() -> None:
    """Meizu takes neither blank: the title has a default, the text has none. Vendor fields by hand are merged."""
    assert shown(push(title=" "))["noticeBarInfo"]["title"] == "a new message"
    with pytest.raises(Refused, match="without text"):
        shown(push(body="\u3000"))
    given = shown(push(extra={"advanceInfo": {"suspend": 0}, "vipInfo": {"subtitle": "s"}}))
    assert given["vipInfo"] == {"subtitle": "s"}
    assert set(given["advanceInfo"]) == {"notifyKey", "suspend"}


# --- answers ----------------------------------------------------------------------------------------------

TOP: dict[int, Action] = {
    200: Action.ACCEPTED,
    **dict.fromkeys([500, 1001, 1003], Action.RETRY),
    110010: Action.RETRY_AFTER,
    **dict.fromkeys([1005, 110004, 110032], Action.BAD_MESSAGE),
    **dict.fromkeys([1006, 110000, 110001, 110009, 110031, 110033, 110053], Action.CONFIG),
    **dict.fromkeys([110002, 110003], Action.INVALID_TOKEN),
    **dict.fromkeys([110019, 110051], Action.QUOTA),
    **dict.fromkeys([201, 519, 110099], Action.UNKNOWN),
}

LISTED: dict[int, Action] = {
    201: Action.CONFIG,
    **dict.fromkeys([501, 513, 518, 519], Action.RETRY),
    **dict.fromkeys([520, 110011], Action.QUOTA),
    **dict.fromkeys([110002, 110003], Action.INVALID_TOKEN),
    **dict.fromkeys([110005, 110010], Action.BAD_MESSAGE),
    **dict.fromkeys([1003, 110099], Action.UNKNOWN),
}


@pytest.mark.parametrize(("code", "action"), TOP.items())
@pytest.mark.parametrize("spelled", [int, str])
def test_every_code_of_the_request(code: int, action: Action, spelled: type) -> None:
    """Each code leads to its action, as text or number, beside an empty value of either shape."""
    for value in ("", {}):
        (got,) = outcomes(push(), {"code": spelled(code), "message": "words", "value": value})
        assert (got.action, got.code) == (action, str(code))


@pytest.mark.parametrize(("code", "action"), LISTED.items())
def test_every_code_of_a_push_id(code: int, action: Action) -> None:
    """Each code in value leads to its action for the pushIds listed; who is not listed was accepted."""
    told = {"code": "200", "message": "", "value": {str(code): ["b", "d"]}, "msgId": "c2ee"}
    got = outcomes(push("a", "b", "c", "d"), told)
    assert [o.action for o in got] == [Action.ACCEPTED, action, Action.ACCEPTED, action]
    assert [o.code for o in got] == ["200", str(code), "200", str(code)]
    assert [o.vendor_id for o in got] == ["c2ee", "", "c2ee", ""]


def test_every_row_is_tested() -> None:
    """No row of the two tables is without its test, and the docs get both."""
    assert {code for code in RESULTS if not code.startswith("HTTP")} <= {str(code) for code in TOP}
    assert set(PER_TARGET) <= {str(code) for code in LISTED}
    assert vendor.results == {**RESULTS, **{f"value {code}": row for code, row in PER_TARGET.items()}}


def test_110010_means_two_things() -> None:
    """Of the request it is the rate limit, which is waited out; of a pushId the user's switch, which is not."""
    (top,) = outcomes(push("a"), {"code": "110010", "value": ""})
    (one,) = outcomes(push("a"), {"code": "200", "value": {"110010": ["a"]}})
    assert (top.action, one.action) == (Action.RETRY_AFTER, Action.BAD_MESSAGE)


@pytest.mark.parametrize("code", ["110002", "110003"])
def test_a_dead_id_at_the_top_of_a_batch_kills_nothing(code: str) -> None:
    """The answer does not say which id it means."""
    got = outcomes(push("a", "b"), {"code": code, "value": ""})
    assert [o.action for o in got] == [Action.UNKNOWN, Action.UNKNOWN]


def test_several_codes_and_a_comma_separated_list() -> None:
    """Each pushId has its own code; a list may also be text."""
    value = {"110002": ["a"], "110003": "b,c", "519": []}
    got = outcomes(push("a", "b", "c", "d"), {"code": "200", "value": value})
    assert [o.code for o in got] == ["110002", "110003", "110003", "200"]


@pytest.mark.parametrize("value", [None, "", [], {}, 7, "x", {"110002": None}, {"110002": [7, None]}])
def test_odd_values_are_no_fault(value: object) -> None:
    """A handled request stays handled when its value has another shape."""
    got = outcomes(push("a", "7"), {"code": "200", "value": value, "msgId": None})
    assert [o.action for o in got] == [Action.ACCEPTED, Action.ACCEPTED]


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (500, Action.RETRY),
        (503, Action.RETRY),
        (429, Action.RETRY_AFTER),
        (404, Action.CONFIG),
        (401, Action.CONFIG),
        (403, Action.CONFIG),
        (413, Action.BAD_MESSAGE),
        (200, Action.UNKNOWN),
        (302, Action.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[0]", b'{"code":true}', b'{"code":null}', b'{"code":""}']
)
def test_answers_without_a_code(status: int, action: Action, content: bytes) -> None:
    """Where no code can be read the HTTP status decides for every target."""
    assert [o.action for o in outcomes(push("a", "b"), content, status)] == [action, action]


def test_a_success_in_a_failed_response_is_none() -> None:
    """Code 200 inside HTTP 502 is repeated."""
    assert outcomes(push(), {"code": "200", "value": {}}, 502)[0].action is Action.RETRY


def test_retry_after_is_passed_on() -> None:
    """A wait that the server asks for is kept."""
    response = Response(status=503, headers={"retry-after": "7"}, body=b"")
    assert ADAPTER.interpret(push(), account(), response)[0].retry_after == 7.0


def test_tokens_in_meizus_words_are_blotted_out() -> None:
    """Whatever Meizu quotes, no pushId reaches an Outcome."""
    (outcome,) = outcomes(push("S5Qx"), {"code": "1005", "message": "bad S5Qx"})
    assert outcome.reason == "bad ***"
