"""Xiaomi's double refuses what Xiaomi refuses, and understands our adapter."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from pushgw.vendor.adapter import Account
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.xiaomi.adapter import XiaomiAdapter
from vendors.xiaomi.credential import XiaomiCredential
from vendors.xiaomi.emulator import XiaomiEmulator

NOW = 1_767_225_600.0
ADAPTER = XiaomiAdapter()


SECRET = "secret1"


def account(secret: str = SECRET, defaults: dict[str, str] | None = None) -> Account:
    credential = XiaomiCredential.model_validate({"package": "com.example.chat", "app_secret": secret})
    return Account(business_id=1, vendor="xiaomi", credential=credential, defaults=defaults or {}, cache={})


def push(*tokens: str, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m-1",
        "notify_id": 7,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("r1",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def call(given: Push, at: Account | None = None, change: dict[str, str | None] | None = None) -> Call:
    request = ADAPTER.render(given, at or account(), None)
    form = dict(parse_qsl(request.body.decode())) | (change or {})
    return Call(
        method="POST",
        path=urlsplit(request.url).path,
        headers=dict(request.shared),
        body=urlencode({name: value for name, value in form.items() if value is not None}).encode(),
    )


def code(answer: Answer) -> str:
    return str(json.loads(answer.response.body)["code"])


def handle(given: Call) -> Answer:
    return XiaomiEmulator([account()]).handle(given, NOW)


def test_round_trip() -> None:
    """What the adapter renders the double accepts, template and ext included, and dead regIds come back."""
    defaults = {"channel_id": "c", "template_id": "M1", "click_action": "url", "click_target": "https://a"}
    given = push("r1", "dead-2", "r3", ext='{"a":1}')
    answer = handle(call(given, account(defaults=defaults)))
    actions = [o.action for o in ADAPTER.interpret(given, account(), answer.response)]
    assert actions == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("r1", "Alice", "Hi", "7"),
        ("r3", "Alice", "Hi", "7"),
    ]


@pytest.mark.parametrize("version", ["v2", "v3", "v4"])
def test_both_shapes_of_bad_regids(version: str) -> None:
    """A list on older paths, a comma-separated text on v4: both are read."""
    given = push("r1", "dead")
    request = call(given)
    answer = handle(
        Call(method="POST", path=f"/{version}/message/regid", headers=request.headers, body=request.body)
    )
    bad = json.loads(answer.response.body)["data"]["bad_regids"]
    assert isinstance(bad, str if version == "v4" else list)
    assert ADAPTER.interpret(given, account(), answer.response)[1].action is Action.INVALID_TOKEN


def test_only_dead_regids() -> None:
    """When no regId is left the answer is a code, not a list."""
    answer = handle(call(push("dead")))
    assert (code(answer), answer.accepted) == ("10029", ())


def test_a_wrong_secret_stops_the_credential() -> None:
    """HTTP 200 with 21301, which the adapter reads as the operator's to mend."""
    answer = handle(call(push(), account("other")))
    assert (answer.response.status, code(answer)) == (200, "21301")
    assert ADAPTER.interpret(push(), account(), answer.response)[0].action is Action.CONFIG


@pytest.mark.parametrize("header", ["secret1", "Key=secret1", "Bearer secret1", "key= secret1"])
def test_the_header_must_be_spelled_exactly(header: str) -> None:
    """Lower-case key=, no blank, no Bearer."""
    given = call(push())
    headers = {**given.headers, "authorization": header}
    assert code(handle(Call(method="POST", path=given.path, headers=headers, body=given.body))) == "21301"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"restricted_package_name": None}, "22022"),
        ({"restricted_package_name": "com.other"}, "22022"),
        ({"registration_id": None}, "10016"),
        ({"registration_id": ","}, "10016"),
        ({"registration_id": ",".join(["r"] * 1001)}, "10017"),
        ({"registration_id": ",".join(["r"] * 1000)}, "0"),
        ({"title": " "}, "10041"),
        ({"title": None}, "10041"),
        ({"title": "t" * 50}, "10041"),
        ({"description": " "}, "10041"),
        ({"description": "d" * 128}, "10041"),
        ({"title": "t" * 49, "description": "d" * 127}, "0"),
        ({"payload": "x" * 4096}, "10018"),
        ({"pass_through": "2"}, "10017"),
        ({"notify_type": "8"}, "10017"),
        ({"notify_id": "2147483648"}, "10017"),
        ({"notify_id": "-1"}, "10017"),
        ({"time_to_live": "864000001"}, "10017"),
        ({"time_to_live": "0"}, "10017"),
        ({"time_to_live": "86400s"}, "10017"),
        ({"extra.channel_id": " "}, "27001"),
        ({"extra.template_id": "M1"}, "27001"),
        ({"extra.template_id": "M1", "extra.channel_id": "c"}, "0"),
        ({"extra.template_param": "no json"}, "10017"),
        ({"extra.jobkey": "_a"}, "10017"),
        ({"extra.jobkey": "a" * 21}, "10017"),
        ({"extra.notify_effect": "2"}, "10017"),
        ({"extra.notify_effect": "3"}, "10017"),
        ({"extra.notify_effect": "4"}, "10017"),
        ({f"extra.own{i}": "x" for i in range(11)}, "10017"),
        ({f"extra.own{i}": "x" for i in range(10)}, "0"),
        ({"extra.own": "x" * 1025}, "10017"),
    ],
)
def test_fields_and_limits(change: dict[str, str | None], expected: str) -> None:
    """Every documented bound is enforced with Xiaomi's own code."""
    assert code(handle(call(push(), change=change))) == expected


def test_only_forms_by_post() -> None:
    """Another method, a JSON body or broken percent-encoding is refused."""
    given = call(push())
    json_headers = {**given.headers, "content-type": "application/json"}
    assert code(handle(Call(method="GET", path=given.path, headers=given.headers, body=b""))) == "10021"
    assert code(handle(Call(method="POST", path=given.path, headers=json_headers, body=b"{}"))) == "10012"
    assert code(handle(Call(method="POST", path=given.path, headers=given.headers, body=b"a=%ff"))) == "10012"


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes, then all is well again."""
    double = XiaomiEmulator([account()])
    double.fail("r1", "HTTP 500", "200001", "10029")
    given = call(push("r1", "r2"))
    assert double.handle(given, NOW).response.status == 500
    assert code(double.handle(given, NOW)) == "200001"
    assert json.loads(double.handle(given, NOW).response.body)["data"]["bad_regids"] == "r1"
    assert len(double.handle(given, NOW).accepted) == 2


def test_claims_only_its_own_paths() -> None:
    """Versions 2 to 4 of message/regid."""
    double = XiaomiEmulator([])
    assert double.claims("POST", "/v3/message/regid")
    assert not double.claims("POST", "/v1/message/regid")
    assert not double.claims("POST", "/v2/message/alias")
