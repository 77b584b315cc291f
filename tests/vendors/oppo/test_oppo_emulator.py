"""OPPO's double refuses what OPPO refuses, and understands our adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.oppo.adapter import OppoAdapter
from vendors.oppo.credential import OppoCredential
from vendors.oppo.emulator import OppoEmulator

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = OppoAdapter()
MASTER = VECTORS["master_secret"]


def account(secret: str = MASTER, key: str = VECTORS["app_key"]) -> Account:
    credential = OppoCredential.model_validate({"app_key": key, "master_secret": secret})
    return Account(business_id=1, vendor="oppo", credential=credential, cache={})


def call(request: Request) -> Call:
    return Call(
        method=request.method,
        path=urlsplit(request.url).path,
        headers=dict((*request.shared, *request.headers)),
        body=request.body,
    )


def authorize(double: OppoEmulator, at: Account | None = None, now: float = NOW) -> Auth:
    at = at or account()
    answer = double.handle(call(ADAPTER.auth_request(at, now)), now)
    return ADAPTER.read_auth(at, answer.response, now)


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


def code(answer: Answer) -> int:
    return int(json.loads(answer.response.body)["code"])


def items(answer: Answer) -> list[int]:
    return [item.get("errorCode", 0) for item in json.loads(answer.response.body)["data"]]


def test_round_trip() -> None:
    """What the adapter renders the double accepts; a dead id has its own item while code stays 0."""
    double = OppoEmulator([account()])
    hints = AndroidInfo(push_style=1, oppo_category="IM", oppo_notify_level=2, oppo_template_id="T")
    given = push("CN_a", "dead-b", "CN_c", ext='{"a":1}', android=hints)
    answer = double.handle(call(ADAPTER.render(given, account(), authorize(double))), NOW)
    actions = [o.action for o in ADAPTER.interpret(given, account(), answer.response)]
    assert actions == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("CN_a", "Alice", "Hi", "m1"),
        ("CN_c", "Alice", "Hi", "m1"),
    ]


def test_a_repeat_is_a_duplicate_and_harmless() -> None:
    """The same message to the same device is answered 32, shown once, and counts as accepted."""
    double = OppoEmulator([account()])
    request = call(ADAPTER.render(push(), account(), authorize(double)))
    double.handle(request, NOW)
    again = double.handle(request, NOW)
    assert (items(again), again.accepted) == ([32], ())
    assert ADAPTER.interpret(push(), account(), again.response)[0].action is Action.ACCEPTED


def test_app_secret_is_recognised_as_a_wrong_signature() -> None:
    """Who configures AppSecret gets code 16 and is told which secret to use."""
    with pytest.raises(AuthFailed) as caught:
        authorize(OppoEmulator([account()]), account(VECTORS["app_secret"]))
    assert caught.value.outcome.code == "16"
    assert caught.value.outcome.action is Action.CONFIG
    assert "MasterSecret, not AppSecret" in caught.value.outcome.hint


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"app_key": ""}, 15),
        ({"app_key": "unknown"}, 14),
        ({"timestamp": ""}, 18),
        ({"sign": ""}, 17),
        ({"sign": VECTORS["sign_with_app_secret"]}, 16),
        ({"sign": VECTORS["sign"].upper()}, 16),
    ],
)
def test_auth_checks(change: dict[str, str], expected: int) -> None:
    """Missing and wrong fields of /auth have their own codes; the known vector passes."""
    form = {name: VECTORS[name] for name in ("app_key", "timestamp", "sign")} | change
    given = Call(method="POST", path="/server/v1/auth", headers={}, body=urlencode(form).encode())
    assert code(OppoEmulator([account()]).handle(given, NOW)) == expected


@pytest.mark.parametrize(("off", "expected"), [(599, 0), (-599, 0), (601, 19), (-601, 19)])
def test_clock_window(off: float, expected: int) -> None:
    """A timestamp more than ten minutes off is stale, however well signed."""
    request = ADAPTER.auth_request(account(), NOW + off)
    assert code(OppoEmulator([account()]).handle(call(request), NOW)) == expected


def test_tokens_live_a_day() -> None:
    """Valid to the last second of 24 hours, then 11; unknown ones 11, none 29."""
    double = OppoEmulator([account()])
    auth = authorize(double)
    assert code(double.handle(call(ADAPTER.render(push(), account(), auth)), NOW + 86_399)) == 0
    assert code(double.handle(call(ADAPTER.render(push(), account(), auth)), NOW + 86_400)) == 11
    unknown = Auth(value="x", expires_at=NOW, made_at=NOW)
    assert code(double.handle(call(ADAPTER.render(push(), account(), unknown)), NOW)) == 11
    assert code(double.handle(call(ADAPTER.render(push(), account(), None)), NOW)) == 29


@pytest.mark.parametrize("place", ["form", "header"])
def test_the_token_counts_in_either_place(place: str) -> None:
    """OPPO's clients differ: form field or header."""
    double = OppoEmulator([account()])
    auth = authorize(double)
    request = call(ADAPTER.render(push(), account(), auth))
    headers = {"auth_token": auth.value} if place == "header" else {}
    body = request.body if place == "form" else request.body.partition(b"&")[2]
    assert code(double.handle(Call(method="POST", path=request.path, headers=headers, body=body), NOW)) == 0


def send(change: dict[str, Any]) -> int:
    """Item code for a good message with ``change`` in its notification."""
    double = OppoEmulator([account()])
    request = ADAPTER.render(push(extra=change), account(), authorize(double))
    return items(double.handle(call(request), NOW))[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"title": " "}, 40),
        ({"content": ""}, 40),
        ({"title": "😀" * 50}, 0),
        ({"title": "t" * 51}, 41),
        ({"sub_title": "s" * 11}, 41),
        ({"content": "c" * 51}, 41),
        ({"content": "c" * 128, "style": 2}, 0),
        ({"content": "c" * 129, "style": 2}, 41),
        ({"style": 3}, 41),
        ({"click_action_type": 3}, 41),
        ({"click_action_type": 1}, 40),
        ({"click_action_type": 2}, 40),
        ({"click_action_type": 4, "click_action_activity": "a" * 501}, 41),
        ({"click_action_type": 5, "click_action_url": "u" * 2001}, 41),
        ({"action_parameters": {"ext": "x"}}, 41),
        ({"action_parameters": "no json"}, 41),
        ({"action_parameters": '{"ext":"' + "x" * 4000 + '"}'}, 41),
        ({"off_line": 1}, 41),
        ({"off_line_ttl": "86400"}, 41),
        ({"off_line_ttl": 0}, 41),
        ({"notify_id": "7"}, 41),
        ({"notify_level": 2}, 67),
        ({"notify_level": 3, "category": "IM"}, 67),
        ({"notify_level": 16, "category": "IM"}, 0),
        ({"private_title_parameters": {"title": "x"}}, 41),
        ({"call_back_url": "u" * 201}, 41),
        ({"call_back_parameter": "p" * 101}, 41),
    ],
)
def test_fields_and_limits(change: dict[str, Any], expected: int) -> None:
    """Every documented bound is enforced on the item with OPPO's own code."""
    assert send(change) == expected


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (None, 40),
        ("{}", 41),
        ("[]", 41),
        ("oops", 41),
        ("[1]", 41),
        (json.dumps([{"target_type": 1, "target_value": "a", "notification": {}}]), 41),
        (json.dumps([{"target_type": 2, "notification": {}}]), 41),
        (json.dumps([{"target_type": 2, "target_value": "a"}] * 1001), 41),
        (json.dumps([{"target_type": 2, "target_value": "a"}] * 1000), 0),
    ],
)
def test_batch_checks(messages: str | None, expected: int) -> None:
    """The batch itself must be a JSON array of 1...1000 messages to registration ids."""
    double = OppoEmulator([account()])
    form = {"auth_token": authorize(double).value, **({"messages": messages} if messages else {})}
    path = "/server/v1/message/notification/unicast_batch"
    given = Call(method="POST", path=path, headers={}, body=urlencode(form).encode())
    assert code(double.handle(given, NOW)) == expected


def test_single_push() -> None:
    """unicast answers one message at the top, its faults too."""
    double = OppoEmulator([account()])
    token = authorize(double).value

    def single(regid: str) -> Answer:
        message = {
            "target_type": 2,
            "target_value": regid,
            "notification": {"title": "A", "content": "Hi", "app_message_id": "m"},
        }
        form = urlencode({"auth_token": token, "message": json.dumps(message)}).encode()
        path = "/server/v1/message/notification/unicast"
        return double.handle(Call(method="POST", path=path, headers={}, body=form), NOW)

    fine, dead = single("CN_a"), single("dead")
    assert (code(fine), len(fine.accepted)) == (0, 1)
    assert (code(dead), len(dead.accepted)) == (10000, 0)
    assert ADAPTER.interpret(push(), account(), dead.response)[0].action is Action.INVALID_TOKEN


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes, then all is well again."""
    double = OppoEmulator([account()])
    double.fail("CN_a", "HTTP 502", "-2", "10000")
    request = call(ADAPTER.render(push("CN_a", "CN_b"), account(), authorize(double)))
    assert double.handle(request, NOW).response.status == 502
    assert code(double.handle(request, NOW)) == -2
    assert items(double.handle(request, NOW)) == [10000, 0]
    assert items(double.handle(request, NOW)) == [0, 32]


def test_only_post_and_only_its_own_paths() -> None:
    """Another method is code 12; other paths are not OPPO's."""
    double = OppoEmulator([account()])
    assert code(double.handle(Call(method="GET", path="/server/v1/auth", headers={}, body=b""), NOW)) == 12
    assert double.claims("POST", "/server/v1/message/notification/unicast_batch")
    assert not double.claims("POST", "/message/send")
