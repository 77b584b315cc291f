"""Meizu's double refuses what Meizu refuses, and understands our adapter."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.meizu.adapter import MeizuAdapter, sign
from vendors.meizu.credential import MeizuCredential
from vendors.meizu.emulator import MeizuEmulator
from vendors.meizu.results import PER_TARGET, RESULTS

NOW = 1_767_225_600.0
ADAPTER = MeizuAdapter()
SECRET = "secret1"
PATH = "/garcia/api/server/push/varnished/pushByPushId"
FORM = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}


def account(secret: str = SECRET, app_id: int = 110011, defaults: dict[str, str] | None = None) -> Account:
    credential = MeizuCredential.model_validate({"app_id": app_id, "app_secret": secret})
    return Account(business_id=1, vendor="meizu", credential=credential, defaults=defaults or {}, cache={})


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
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("S5Qa",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def call(given: Push, at: Account | None = None) -> Call:
    request = ADAPTER.render(given, at or account(), None)
    path = urlsplit(request.url).path
    return Call(method="POST", path=path, headers=dict(request.shared), body=request.body)


def signed(change: dict[str, str | None], headers: dict[str, str] | None = None) -> Call:
    """A good request with ``change`` in its form, signed anew; None takes a field away."""
    form = dict(parse_qsl(call(push()).body.decode())) | change
    fields = {name: value for name, value in form.items() if value is not None and name != "sign"}
    fields["sign"] = change.get("sign") or sign(fields, SECRET)
    return Call(
        method="POST",
        path=PATH,
        headers=FORM if headers is None else headers,
        body=urlencode(fields).encode(),
    )


def code(answer: Answer) -> str:
    return str(json.loads(answer.response.body)["code"])


def handle(given: Call) -> Answer:
    return MeizuEmulator([account()]).handle(given, NOW)


def test_round_trip() -> None:
    """What the adapter renders the double accepts; dead pushIds are listed while the code stays 200."""
    defaults = {
        "click_action": "intent",
        "click_target": "com.example.MainActivity",
        "callback": "https://gw.example/meizu",
    }
    at = account(defaults=defaults)
    given = push("S5Qa", "dead-b", "S5Qc", ext='{"a":1}', android=AndroidInfo(meizu_notice_type=0))
    answer = handle(call(given, at))
    outcomes = ADAPTER.interpret(given, at, answer.response)
    assert [o.action for o in outcomes] == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    key = json.loads(dict(parse_qsl(call(given, at).body.decode()))["messageJson"])["advanceInfo"][
        "notifyKey"
    ]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("S5Qa", "Alice", "Hi", key),
        ("S5Qc", "Alice", "Hi", key),
    ]
    assert json.loads(answer.response.body)["value"] == {"110002": ["dead-b"]}


def test_only_dead_push_ids() -> None:
    """Also when none is left the code is 200, and nothing is shown."""
    answer = handle(call(push("dead-a", "dead-b")))
    assert (code(answer), answer.accepted) == ("200", ())
    outcomes = ADAPTER.interpret(push("dead-a", "dead-b"), account(), answer.response)
    assert [o.action for o in outcomes] == [Action.INVALID_TOKEN] * 2


def test_a_push_id_with_blanks_is_illegal() -> None:
    """Another code than for one that is not subscribed."""
    answer = handle(signed({"pushIds": "S5Qa,S5 b"}))
    assert json.loads(answer.response.body)["value"] == {"110003": ["S5 b"]}


def test_a_wrong_secret_stops_the_credential() -> None:
    """HTTP 200 with the text 1006 and an empty text for a value, which the adapter reads as the operator's to mend."""
    answer = handle(call(push(), account("other")))
    told = json.loads(answer.response.body)
    assert (answer.response.status, told["code"], told["value"]) == (200, "1006", "")
    assert ADAPTER.interpret(push(), account(), answer.response)[0].action is Action.CONFIG


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "200"),
        ({"appId": None}, "110004"),
        ({"pushIds": " "}, "110004"),
        ({"messageJson": None}, "110004"),
        ({"sign": " "}, "110004"),
        ({"appId": "5"}, "110000"),
        ({"sign": "0" * 32}, "1006"),
        ({"pushIds": ","}, "1005"),
        ({"pushIds": ",".join(f"p{i}" for i in range(100))}, "200"),
        ({"pushIds": ",".join(f"p{i}" for i in range(101))}, "1005"),
        ({"messageJson": "oops"}, "1005"),
        ({"messageJson": "[]"}, "1005"),
        ({"restrictedPackageNames": '["com.example.a"]'}, "200"),
    ],
)
def test_form_checks(change: dict[str, str | None], expected: str) -> None:
    """Blank fields, an unknown app, a wrong signature and a batch over 100, in this order; every field is signed."""
    assert code(handle(signed(change))) == expected


def test_upper_case_signatures_are_wrong() -> None:
    """The signature is lower-case hexadecimal."""
    form = dict(parse_qsl(call(push()).body.decode()))
    assert code(handle(signed({"sign": form["sign"]}))) == "200"
    assert code(handle(signed({"sign": form["sign"].upper()}))) == "1006"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"noticeBarInfo": {"title": ""}}, "1005"),
        ({"noticeBarInfo": {"title": "界" * 32}}, "200"),
        ({"noticeBarInfo": {"title": "t" * 33}}, "1005"),
        ({"noticeBarInfo": {"content": " "}}, "1005"),
        ({"noticeBarInfo": {"content": "😀" * 100}}, "200"),
        ({"noticeBarInfo": {"content": "c" * 101}}, "1005"),
        ({"noticeBarInfo": {"noticeMsgType": 2}}, "1005"),
        ({"noticeBarInfo": {"noticeMsgType": "1"}}, "1005"),
        ({"noticeBarInfo": {"noticeBarType": 1}}, "1005"),
        ({"noticeBarInfo": {"noticeBarType": 2}}, "200"),
        ({"noticeBarInfo": 5}, "1005"),
        ({"noticeExpandInfo": {"noticeExpandType": 3}}, "1005"),
        ({"noticeExpandInfo": {"noticeExpandType": 1}}, "1005"),
        ({"noticeExpandInfo": {"noticeExpandType": 1, "noticeExpandContent": "long"}}, "200"),
        ({"clickTypeInfo": {"clickType": 1}}, "1005"),
        ({"clickTypeInfo": {"clickType": 1, "activity": "a.B"}}, "200"),
        ({"clickTypeInfo": {"clickType": 2}}, "1005"),
        ({"clickTypeInfo": {"clickType": 2, "url": "https://a"}}, "200"),
        ({"clickTypeInfo": {"clickType": 3, "customAttribute": "x"}}, "1005"),
        ({"clickTypeInfo": {"parameters": "x"}}, "1005"),
        ({"pushTimeInfo": {"validTime": 0}}, "1005"),
        ({"pushTimeInfo": {"validTime": 1}}, "200"),
        ({"pushTimeInfo": {"validTime": 72}}, "200"),
        ({"pushTimeInfo": {"validTime": 73}}, "1005"),
        ({"pushTimeInfo": {"validTime": 86_400}}, "1005"),
        ({"pushTimeInfo": {"offLine": 2}}, "1005"),
        ({"pushTimeInfo": {"offLine": 0, "validTime": 0}}, "200"),
        ({"pushTimeInfo": {"offLine": True, "validTime": 24}}, "200"),
        ({"advanceInfo": {"notifyKey": "k" * 9}}, "1005"),
        ({"advanceInfo": {"notifyKey": "a.b"}}, "1005"),
        ({"advanceInfo": {"notifyKey": "_-aZ0"}}, "200"),
        ({"advanceInfo": {"suspend": 2}}, "1005"),
        ({"advanceInfo": {"clearNoticeBar": "x"}}, "1005"),
        ({"advanceInfo": {"notificationType": {"vibrate": 2}}}, "1005"),
        ({"advanceInfo": {"notificationType": {"vibrate": 0, "lights": 1, "sound": 1}}}, "200"),
        ({"extra": {"callback": "c" * 128, "callback.param": "p" * 64, "callback.type": 3}}, "200"),
        ({"extra": {"callback": "界" * 43}}, "1005"),
        ({"extra": {"callback.param": "p" * 65}}, "1005"),
        ({"extra": {"callback.type": 4}}, "1005"),
    ],
)
def test_message_fields_and_limits(change: dict[str, Any], expected: str) -> None:
    """Every documented bound is enforced with Meizu's own code."""
    assert code(handle(call(push(extra=change)))) == expected


def test_a_message_that_must_not_wait() -> None:
    """offLine 0 needs no validTime."""
    assert code(handle(call(push(expires_at=int(NOW))))) == "200"


def test_only_forms_by_post() -> None:
    """Another method, a JSON body or broken percent-encoding is a parameter error."""
    given = call(push())
    assert code(handle(Call(method="GET", path=PATH, headers=FORM, body=given.body))) == "1005"
    assert code(handle(signed({}, {"content-type": "application/json"}))) == "1005"
    for body in (b"\xff", b"appId=%ff"):
        assert code(handle(Call(method="POST", path=PATH, headers=FORM, body=body))) == "1005"


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes, then all is well again."""
    double = MeizuEmulator([account()])
    double.fail("a", "HTTP 502", "110010", "value 110010", "110002", "519")
    given = call(push("a", "b"))
    assert double.handle(given, NOW).response.status == 502
    assert code(double.handle(given, NOW)) == "110010"
    for listed in ("110010", "110002", "519"):
        answer = double.handle(given, NOW)
        assert json.loads(answer.response.body)["value"] == {listed: ["a"]}
        assert [a.token for a in answer.accepted] == ["b"]
    assert len(double.handle(given, NOW).accepted) == 2


@pytest.mark.parametrize("row", [row for row in RESULTS if row != "200"])
def test_every_row_of_the_request_can_be_scripted(row: str) -> None:
    """Any code is answered so that the adapter reads the table's action out of it."""
    double = MeizuEmulator([account()])
    double.fail("a", row)
    answer = double.handle(call(push("a")), NOW)
    (outcome,) = ADAPTER.interpret(push("a"), account(), answer.response)
    assert (outcome.action, answer.accepted) == (RESULTS[row][0], ())


@pytest.mark.parametrize("row", PER_TARGET)
def test_every_row_of_a_push_id_can_be_scripted(row: str) -> None:
    """With the prefix that the docs show, also for the codes that stand in both tables."""
    double = MeizuEmulator([account()])
    double.fail("a", f"value {row}")
    outcomes = ADAPTER.interpret(push("a", "b"), account(), double.handle(call(push("a", "b")), NOW).response)
    assert [o.action for o in outcomes] == [PER_TARGET[row][0], Action.ACCEPTED]


def test_claims_only_its_own_path() -> None:
    """Notifications to pushIds, nothing beside."""
    double = MeizuEmulator([])
    assert double.claims("POST", PATH)
    assert not double.claims("POST", "/garcia/api/server/push/unvarnished/pushByPushId")
    assert not double.claims("POST", "/message/send")
