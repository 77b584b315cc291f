"""vivo's double refuses what vivo refuses, and understands our adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.vivo.adapter import CLASS_OF, VivoAdapter
from vendors.vivo.credential import VivoCredential
from vendors.vivo.emulator import CATEGORIES, VivoEmulator
from vendors.vivo.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = VivoAdapter()
SECRET = VECTORS["app_secret"]


def account(secret: str = SECRET, app_id: int = 10004, defaults: dict[str, str] | None = None) -> Account:
    fields = {"app_id": app_id, "app_key": VECTORS["app_key"], "app_secret": secret}
    return Account(
        business_id=1,
        vendor="vivo",
        credential=VivoCredential.model_validate(fields),
        defaults=defaults or {},
        cache={},
    )


def call(request: Request) -> Call:
    return Call(
        method=request.method,
        path=urlsplit(request.url).path,
        headers=dict((*request.shared, *request.headers)),
        body=request.body,
    )


def authorize(double: VivoEmulator, at: Account | None = None, now: float = NOW) -> Auth:
    at = at or account()
    answer = double.handle(call(ADAPTER.auth_request(at, now)), now)
    return ADAPTER.read_auth(at, answer.response, now)


def push(regid: str = "v2-a", vendor_id: str = "u1", **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m1",
        "notify_id": 42,
        **fields,
    }
    target = Target(token=regid, user="bob", device_id="d", push_id="P", vendor_id=vendor_id)
    return Push(notification=Notification(**given), targets=(target,), now=NOW)


def told(answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.response.body)
    return body


def code(answer: Answer) -> int:
    return int(told(answer)["result"])


def test_round_trip() -> None:
    """What the adapter renders the double accepts, with everything that can be configured in it."""
    double = VivoEmulator([account()])
    defaults = {
        "category": "IM",
        "callback": "https://gw.example/vivo",
        "click_action": "url",
        "click_target": "https://a.example",
    }
    at = account(defaults=defaults)
    given = push(ext='{"a":1}', android=AndroidInfo(vivo_notify_type=2))
    answer = double.handle(call(ADAPTER.render(given, at, authorize(double))), NOW)
    (outcome,) = ADAPTER.interpret(given, at, answer.response)
    assert (outcome.action, outcome.vendor_id) == (Action.ACCEPTED, told(answer)["taskId"])
    (shown,) = answer.accepted
    assert (shown.token, shown.title, shown.body, shown.vendor_id) == ("v2-a", "Alice", "Hi", "42")
    assert shown.payload["category"] == "IM"


def test_a_dead_regid() -> None:
    """10302 with the regId beside it, and nothing is shown."""
    double = VivoEmulator([account()])
    given = push("dead-1")
    answer = double.handle(call(ADAPTER.render(given, account(), authorize(double))), NOW)
    assert told(answer)["invalidUser"] == {"userid": "dead-1", "status": 1}
    assert (code(answer), answer.accepted) == (10302, ())
    assert ADAPTER.interpret(given, account(), answer.response)[0].action is Action.INVALID_TOKEN


def test_a_repeat_is_harmless() -> None:
    """The same requestId gets the same answer and is shown once; another one is another push, also in another app."""
    double = VivoEmulator([account(), account(app_id=10005)])
    auth = authorize(double)
    request = call(ADAPTER.render(push(), account(), auth))
    first, again = double.handle(request, NOW), double.handle(request, NOW + 5)
    assert first.response == again.response
    assert (len(first.accepted), len(again.accepted)) == (1, 0)
    other = double.handle(call(ADAPTER.render(push(vendor_id="u2"), account(), auth)), NOW)
    at = account(app_id=10005)
    elsewhere = double.handle(call(ADAPTER.render(push(), at, authorize(double, at))), NOW)
    assert (len(other.accepted), len(elsewhere.accepted)) == (1, 1)
    assert len({told(a)["taskId"] for a in (first, other, elsewhere)}) == 3


def test_a_refused_request_id_may_be_sent_again() -> None:
    """A repeat after a refusal is looked at anew, with the same requestId."""
    double = VivoEmulator([account()])
    double.fail("v2-a", "10072")
    request = call(ADAPTER.render(push(), account(), authorize(double)))
    assert code(double.handle(request, NOW)) == 10072
    assert len(double.handle(request, NOW).accepted) == 1


def test_a_wrong_secret_stops_the_credential() -> None:
    """10206, which the adapter reads as the operator's to mend."""
    with pytest.raises(AuthFailed) as caught:
        authorize(VivoEmulator([account()]), account("another"))
    assert (caught.value.outcome.code, caught.value.outcome.action) == ("10206", Action.CONFIG)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"appId": "10004"}, 0),
        ({"appId": None}, 10200),
        ({"appKey": ""}, 10201),
        ({"timestamp": None}, 10203),
        ({"sign": ""}, 10204),
        ({"appId": 5}, 10205),
        ({"appKey": "other"}, 10202),
        ({"sign": VECTORS["sign"].upper()}, 10206),
        ({"timestamp": 1}, 10206),
    ],
)
def test_auth_checks(change: dict[str, Any], expected: int) -> None:
    """Missing and wrong fields of /message/auth have their own codes; the known vector passes."""
    fields = {
        "appId": VECTORS["app_id"],
        "appKey": VECTORS["app_key"],
        "timestamp": VECTORS["timestamp"],
        "sign": VECTORS["sign"],
        **change,
    }
    body = json.dumps(fields).encode()
    given = Call(method="POST", path="/message/auth", headers={}, body=body)
    assert code(VivoEmulator([account()]).handle(given, NOW)) == expected


@pytest.mark.parametrize(("off", "expected"), [(599, 0), (-599, 0), (601, 10207), (-601, 10207)])
def test_clock_window(off: float, expected: int) -> None:
    """A timestamp more than ten minutes off is not acceptable, however well signed."""
    request = ADAPTER.auth_request(account(), NOW + off)
    assert code(VivoEmulator([account()]).handle(call(request), NOW)) == expected


def test_seconds_are_no_timestamp() -> None:
    """A well signed time in seconds is refused: vivo wants 13 digits."""
    assert code(VivoEmulator([account()]).handle(call(ADAPTER.auth_request(account(), NOW / 1000)), NOW)) == (
        10207
    )


def test_tokens_live_a_day() -> None:
    """Valid to the last second of 24 hours, then 10000; unknown and missing ones 10000. Several live side by side."""
    double = VivoEmulator([account()])
    first, second = authorize(double), authorize(double)
    assert first.value != second.value
    for auth in (first, second):
        request = call(ADAPTER.render(push(), account(), auth))
        assert code(double.handle(request, NOW + 86_399)) == 0
        assert code(double.handle(request, NOW + 86_400)) == 10000
    unknown = Auth(value="x", expires_at=NOW, made_at=NOW)
    for stranger in (unknown, None):
        answer = double.handle(call(ADAPTER.render(push(), account(), stranger)), NOW)
        assert ADAPTER.interpret(push(), account(), answer.response)[0].action is Action.AUTH


def test_app_id_must_be_the_tokens() -> None:
    """A token of one app opens no other."""
    double = VivoEmulator([account(), account(app_id=10005)])
    answer = double.handle(call(ADAPTER.render(push(), account(app_id=10005), authorize(double))), NOW)
    assert code(answer) == 10094


def send(change: dict[str, Any]) -> int:
    """Result for a good message with ``change`` in it; None takes a field away."""
    double = VivoEmulator([account()])
    request = call(ADAPTER.render(push(), account(), authorize(double)))
    body = {name: value for name, value in (json.loads(request.body) | change).items() if value is not None}
    changed = json.dumps(body).encode()
    given = Call(method="POST", path=request.path, headers=request.headers, body=changed)
    return code(double.handle(given, NOW))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"appId": "10004"}, 0),
        ({"appId": None}, 10094),
        ({"regId": ""}, 10050),
        ({"notifyType": None}, 10054),
        ({"notifyType": 5}, 10054),
        ({"notifyType": "4"}, 10054),
        ({"title": " "}, 10055),
        ({"title": "界" * 40}, 0),
        ({"title": "t" * 41}, 10056),
        ({"content": None}, 10057),
        ({"content": "😀" * 100}, 0),
        ({"content": "c" * 101}, 10058),
        ({"timeToLive": 59}, 10059),
        ({"timeToLive": 60}, 0),
        ({"timeToLive": 86_401}, 10059),
        ({"skipType": None}, 10060),
        ({"skipType": 5}, 10060),
        ({"skipType": 2}, 10061),
        ({"skipType": 2, "skipContent": "u" * 1025}, 10062),
        ({"skipType": 3}, 10063),
        ({"skipType": 3, "skipContent": "u" * 1025}, 10064),
        ({"skipType": 4}, 10068),
        ({"skipType": 4, "skipContent": "u" * 1025}, 10069),
        ({"skipType": 4, "skipContent": "u" * 1024}, 0),
        ({"networkType": 2}, 10065),
        ({"networkType": 1}, 0),
        ({"clientCustomMap": {"a": 1}}, 10066),
        ({"clientCustomMap": {str(i): "x" for i in range(11)}}, 10066),
        ({"clientCustomMap": {str(i): "x" for i in range(10)}}, 0),
        ({"clientCustomMap": {"ext": "x" * 1021}}, 0),
        ({"clientCustomMap": {"ext": "x" * 1022}}, 10067),
        ({"notifyId": 0}, 10095),
        ({"notifyId": 2_147_483_648}, 10095),
        ({"notifyId": 2_147_483_647}, 0),
        ({"classification": 2}, 11000),
        ({"classification": True}, 11000),
        ({"category": "im"}, 10096),
        ({"category": ["IM"]}, 10096),
        ({"category": "MARKETING"}, 10097),
        ({"category": "MARKETING", "classification": 0}, 0),
        ({"category": "MARKETING", "classification": None}, 0),
        ({"category": "IM"}, 0),
        ({"content": "123456"}, 10104),
        ({"content": "Test"}, 10104),
        ({"title": "测试"}, 10104),
        ({"title": "1, 2, 3!"}, 10104),
        ({"content": "a test of words"}, 0),
        ({"content": "👍"}, 0),
        ({"extra": {"other": "x"}}, 10304),
        ({"extra": "x"}, 10304),
        ({"extra": {"callback": "u" * 129}}, 10305),
        ({"extra": {"callback": "u" * 128, "callback.param": "p" * 64}}, 0),
        ({"extra": {"callback.param": "p" * 65}}, 10306),
        ({"requestId": None}, 10352),
        ({"requestId": "r" * 65}, 10353),
        ({"requestId": "r" * 64}, 0),
    ],
)
def test_fields_and_limits(change: dict[str, Any], expected: int) -> None:
    """Every documented bound is enforced with vivo's own code."""
    assert send(change) == expected


def test_a_test_push_reaches_test_devices_only() -> None:
    """pushMode 1 left on: status 4 for everyone, which stops the credential and costs no token."""
    double = VivoEmulator([account()])
    given = push(extra={"pushMode": 1})
    answer = double.handle(call(ADAPTER.render(given, account(), authorize(double))), NOW)
    (outcome,) = ADAPTER.interpret(given, account(), answer.response)
    assert (outcome.action, outcome.code, answer.accepted) == (Action.CONFIG, "status 4", ())


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes, then all is well again."""
    double = VivoEmulator([account()])
    double.fail("v2-a", "HTTP 502", "10072", "status 2", "10302")
    request = call(ADAPTER.render(push(), account(), authorize(double)))
    assert double.handle(request, NOW).response.status == 502
    assert code(double.handle(request, NOW)) == 10072
    assert told(double.handle(request, NOW))["invalidUser"] == {"userid": "v2-a", "status": 2}
    assert code(double.handle(request, NOW)) == 10302
    assert len(double.handle(request, NOW).accepted) == 1


@pytest.mark.parametrize("row", [code for code in RESULTS if code != "0"])
def test_every_row_can_be_scripted(row: str) -> None:
    """Any code of the table is answered so that the adapter reads the table's action out of it."""
    double = VivoEmulator([account()])
    double.fail("v2-a", row)
    answer = double.handle(call(ADAPTER.render(push(), account(), authorize(double))), NOW)
    (outcome,) = ADAPTER.interpret(push(), account(), answer.response)
    assert (outcome.action, answer.accepted) == (RESULTS[row][0], ())


def test_adapter_and_double_know_the_same_categories() -> None:
    """What the adapter takes for a pair is a pair."""
    assert {name: kind for kind, names in CATEGORIES.items() for name in names} == CLASS_OF


@pytest.mark.parametrize("body", [b"", b"oops", b"[]", b"\xff"])
def test_broken_bodies(body: bytes) -> None:
    """A body that is no JSON object is one without fields."""
    double = VivoEmulator([account()])
    headers = {"authtoken": authorize(double).value}
    for path, expected in (("/message/auth", 10200), ("/message/send", 10094)):
        given = Call(method="POST", path=path, headers=headers, body=body)
        assert code(double.handle(given, NOW)) == expected


def test_only_post_and_only_its_own_paths() -> None:
    """Another method is none of vivo's; other paths are not vivo's."""
    double = VivoEmulator([account()])
    for path in ("/message/auth", "/message/send", "/message/saveListPayload", "/message/pushToList"):
        given = Call(method="GET", path=path, headers={}, body=b"")
        assert double.handle(given, NOW).response.status == 405
    assert double.claims("POST", "/message/send?x=1")
    assert double.claims("POST", "/message/pushToList")
    assert not double.claims("POST", "/message/all")
