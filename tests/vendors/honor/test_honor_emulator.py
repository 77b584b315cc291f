"""Honor's double refuses what Honor refuses, and understands our adapter."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.honor.adapter import HonorAdapter
from vendors.honor.credential import HonorCredential
from vendors.honor.emulator import HonorEmulator
from vendors.honor.results import RESULTS

NOW = 1_767_225_600.0
ADAPTER = HonorAdapter()


def account(**fields: Any) -> Account:
    given = {"app_id": "104412345", "client_id": "9a8b7c", "client_secret": "Zz9/Yy8+Xx7=", **fields}
    return Account(business_id=1, vendor="honor", credential=HonorCredential.model_validate(given), cache={})


ONE = account()
TWO = account(app_id="104412346", client_id="aabbcc", client_secret="other")


def emulator() -> HonorEmulator:
    return HonorEmulator([ONE, TWO])


def call(request: Request, **changes: Any) -> Call:
    given = {
        "method": request.method,
        "path": urlsplit(request.url).path,
        "headers": dict((*request.shared, *request.headers)),
        "body": request.body,
    }
    return Call(**{**given, **changes})


def authorize(double: HonorEmulator, at: Account = ONE, now: float = NOW) -> Auth:
    request = ADAPTER.auth_request(at, now)
    assert request is not None
    return ADAPTER.read_auth(at, double.handle(call(request), now).response, now)


def push(*tokens: str, now: float = NOW, **fields: Any) -> Push:
    given = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 86_400,
        "collapse_id": "m-1",
        "notify_id": 7,
        **fields,
    }
    targets = tuple(
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("T1",)
    )
    return Push(notification=Notification(**given), targets=targets, now=now)


def code(answer: Answer) -> int:
    told = json.loads(answer.response.body)["code"]
    assert isinstance(told, int)
    return told


def actions(double: HonorEmulator, given: Push) -> list[Action]:
    response = double.handle(call(ADAPTER.render(given, ONE, authorize(double))), NOW).response
    return [outcome.action for outcome in ADAPTER.interpret(given, ONE, response)]


def test_round_trip() -> None:
    """What the adapter renders the double accepts, token by token, and shows."""
    double = emulator()
    hints = AndroidInfo(push_style=1, honor_image="https://i/x.png")
    given = push("T1", "dead-2", "T3", ext="x", badge=3, android=hints)
    answer = double.handle(call(ADAPTER.render(given, ONE, authorize(double))), NOW)
    got = [o.action for o in ADAPTER.interpret(given, ONE, answer.response)]
    assert got == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("T1", "Alice", "Hi", "7"),
        ("T3", "Alice", "Hi", "7"),
    ]
    assert "token" not in answer.accepted[0].payload


def test_only_dead_tokens() -> None:
    """When no token is left Honor answers 80300007, lists them and shows nothing."""
    double = emulator()
    answer = double.handle(call(ADAPTER.render(push("dead", "dead-2"), ONE, authorize(double))), NOW)
    assert (code(answer), answer.accepted) == (80300007, ())
    assert json.loads(answer.response.body)["data"]["expireTokens"] == ["dead", "dead-2"]


def test_claims_only_its_own_paths() -> None:
    """Honor is not Huawei: the paths that some clients copied from there are not Honor's."""
    double = emulator()
    assert double.claims("POST", "/auth/token")
    assert double.claims("POST", "/api/v1/104412345/sendMessage?x=1")
    for path in ("/oauth2/v3/token", "/token", "/v1/104412345/messages:send", "/api/v1/a/b/sendMessage"):
        assert not double.claims("POST", path)


def test_only_post_is_answered() -> None:
    """Both paths know one method."""
    for path in ("/auth/token", "/api/v1/104412345/sendMessage"):
        asked = Call(method="GET", path=path, headers={}, body=b"")
        assert emulator().handle(asked, NOW).response.status == 405


@pytest.mark.parametrize("fields", [{"client_id": "unknown"}, {"client_secret": "wrong"}])
def test_the_token_server_refuses(fields: dict[str, str]) -> None:
    """A wrong id or secret stops the credential."""
    request = ADAPTER.auth_request(account(**fields), NOW)
    assert request is not None
    answer = emulator().handle(call(request), NOW)
    assert json.loads(answer.response.body)["error"] == "invalid_client"
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(ONE, answer.response, NOW)
    assert caught.value.outcome.action is Action.CONFIG


@pytest.mark.parametrize(
    ("form", "error"),
    [
        (b"grant_type=client_credentials&client_id=9a8b7c&client_secret=Zz9/Yy8+Xx7=", "invalid_client"),
        (b"grant_type=password&client_id=9a8b7c&client_secret=x", "unsupported_grant_type"),
        (b"\xff", "unsupported_grant_type"),
    ],
)
def test_a_careless_form_is_refused(form: bytes, error: str) -> None:
    """A plus sign that was not percent-encoded arrives as a blank; another grant is not given."""
    answer = emulator().handle(Call(method="POST", path="/auth/token", headers={}, body=form), NOW)
    assert json.loads(answer.response.body)["error"] == error


def test_access_tokens_end_after_an_hour_and_belong_to_one_app() -> None:
    """An old, unknown or missing token is a 401; one of another app a 403; an app that is not there 10205."""
    double = emulator()
    auth = authorize(double)

    def asked(at: Account, given: Auth | None, now: float) -> tuple[int, int]:
        answer = double.handle(call(ADAPTER.render(push(now=now), at, given)), now)
        return answer.response.status, code(answer)

    assert asked(ONE, auth, NOW + 3599) == (200, 200)
    assert asked(ONE, auth, NOW + 3600) == (401, 401)
    assert asked(ONE, Auth(value="unknown", expires_at=NOW, made_at=NOW), NOW) == (401, 401)
    assert asked(ONE, None, NOW) == (401, 401)
    assert asked(TWO, auth, NOW) == (200, 403)
    assert asked(account(app_id="999"), auth, NOW) == (200, 10205)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (str(int(NOW * 1000)), 200),
        (str(int((NOW - 600) * 1000)), 200),
        ("", 10001),
        (str(int(NOW)), 10207),
        (str(int((NOW - 601) * 1000)), 10207),
        (str(int((NOW + 601) * 1000)), 10207),
        ("176722560000x", 10207),
    ],
)
def test_the_timestamp_is_of_now_in_milliseconds(timestamp: str, expected: int) -> None:
    """Missing, in seconds, or of another time it is refused."""
    double = emulator()
    request = call(ADAPTER.render(push(), ONE, authorize(double)))
    headers = {**request.headers, "timestamp": timestamp}
    assert (
        code(double.handle(call(ADAPTER.render(push(), ONE, authorize(double)), headers=headers), NOW))
        == expected
    )


def sent(shown: dict[str, Any], part: dict[str, Any] | None = None, **body: Any) -> int:
    """Code for a good request after these changes of its notification, its android part and its top level."""
    double = emulator()
    request = ADAPTER.render(push(), ONE, authorize(double))
    told = json.loads(request.body)
    told["android"]["notification"] |= shown
    told["android"] |= part or {}
    told |= body
    return code(double.handle(call(request, body=json.dumps(told).encode()), NOW))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"title": " "}, 400),
        ({"body": ""}, 400),
        ({"importance": "LOW"}, 200),
        ({"importance": "HIGH"}, 400),
        ({"importance": "LOW", "image": "https://i/x.png"}, 80200050),
        ({"image": "http://i/x.png"}, 400),
        ({"clickAction": None}, 400),
        ({"clickAction": {"type": 1}}, 400),
        ({"clickAction": {"type": 1, "action": "com.example.A"}}, 200),
        ({"clickAction": {"type": 2, "url": "http://x"}}, 400),
        ({"clickAction": {"type": 4}}, 400),
        ({"notifyId": "1"}, 400),
        ({"notifyId": 2**31}, 400),
        ({"badge": {"setNum": 99, "badgeClass": "M"}}, 200),
        ({"badge": {"setNum": 100}}, 400),
        ({"badge": {"addNum": 0}}, 400),
        ({"badge": {"addNum": 100}}, 400),
        ({"badge": 3}, 400),
        ({"badgeNotification": {"setNum": 1}}, 200),
        ({"badgeNotification": {"setNum": 100}}, 400),
        ({"style": 1}, 400),
        ({"style": 1, "bigTitle": "t", "bigBody": "b"}, 200),
        ({"style": 2}, 400),
        ({"buttons": [{}] * 3}, 200),
        ({"buttons": [{}] * 4}, 400),
    ],
)
def test_fields_of_the_notification(shown: dict[str, Any], expected: int) -> None:
    """Every bound that is known is enforced."""
    assert sent(shown) == expected


@pytest.mark.parametrize(
    ("android", "expected"),
    [
        ({"ttl": 86400}, 400),
        ({"ttl": "86400"}, 400),
        ({"ttl": "0s"}, 400),
        ({"ttl": "1296001s"}, 400),
        ({"ttl": "1296000s"}, 200),
        ({"targetUserType": 1}, 200),
        ({"targetUserType": 2}, 400),
        ({"biTag": 5}, 400),
        ({"data": {}}, 400),
        ({"notification": None}, 80100003),
    ],
)
def test_the_android_part(android: dict[str, Any], expected: int) -> None:
    """Lifetime, kind of user and tags are bounded."""
    assert sent({}, android) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"token": None}, 80100003),
        ({"token": [1]}, 80100003),
        ({"token": []}, 10300),
        ({"token": ["T", " "]}, 10300),
        ({"token": ["T", "T"]}, 80300006),
        ({"token": [f"T{n}" for n in range(1000)]}, 200),
        ({"token": [f"T{n}" for n in range(1001)]}, 80300010),
        ({"data": {"a": 1}}, 400),
        ({"data": "x" * 4096}, 80300008),
        ({"android": None}, 80100003),
        ({"notification": 1}, 80100003),
    ],
)
def test_the_whole_message(body: dict[str, Any], expected: int) -> None:
    """Number of tokens, repeated ones, size and shape."""
    assert sent({}, **body) == expected


def test_texts_may_stand_in_the_common_part() -> None:
    """What android.notification leaves out is taken from the common notification."""
    assert sent({"title": "", "body": ""}, notification={"title": "t", "body": "b"}) == 200


def test_a_body_without_json() -> None:
    """A body that is no JSON object, or is wrapped as Huawei's, has a wrong structure."""
    double = emulator()
    request = ADAPTER.render(push(), ONE, authorize(double))
    assert code(double.handle(call(request, body=b"hello"), NOW)) == 80100003
    wrapped = b'{"message":' + request.body + b"}"
    assert code(double.handle(call(request, body=wrapped), NOW)) == 80100003


def test_checks_come_in_order() -> None:
    """Who calls comes before the time, the time before the app, the app before what is sent."""
    double = emulator()
    auth = authorize(double)
    request = ADAPTER.render(push("dead"), account(app_id="999"), auth)
    headers = {"authorization": f"Bearer {auth.value}"}
    assert code(double.handle(call(request, body=b"", headers={}), NOW)) == 401
    assert code(double.handle(call(request, body=b"", headers=headers), NOW)) == 10001
    assert code(double.handle(call(request, body=b""), NOW)) == 10205
    mine = ADAPTER.render(push("dead"), ONE, auth)
    told = json.loads(mine.body)
    told["android"]["ttl"] = 5
    assert code(double.handle(call(mine, body=json.dumps(told).encode()), NOW)) == 400
    assert code(double.handle(call(mine), NOW)) == 80300007


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes or lists, then all is well again."""
    double = emulator()
    double.fail("T1", "HTTP 503", "500", "80300007", "failTokens")
    request = call(ADAPTER.render(push("T1", "T2"), ONE, authorize(double)))
    assert double.handle(request, NOW).response.status == 503
    assert code(double.handle(request, NOW)) == 500
    answers = [double.handle(request, NOW) for _ in range(3)]
    assert [code(a) for a in answers] == [80100000, 80100000, 200]
    data = [json.loads(a.response.body)["data"] for a in answers]
    assert [(d["failTokens"], d["expireTokens"]) for d in data] == [([], ["T1"]), (["T1"], []), ([], [])]


@pytest.mark.parametrize("row", sorted(set(RESULTS) - {"200", "80000000"}))
def test_every_row_can_be_asked_for(row: str) -> None:
    """Whatever the table lists can be scripted, and reaches the adapter as the action of its row."""
    double = emulator()
    double.fail("T1", row)
    expected = {"80100000": Action.RETRY}.get(row, RESULTS[row][0])
    assert actions(double, push("T1", "T2"))[0] is expected
