"""The double of Push Kit v3 refuses what Huawei refuses, and understands our adapter."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from pushgw.vendor.adapter import Account, Auth
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Push, Target
from vendors.harmony.adapter import HarmonyAdapter
from vendors.harmony.credential import HarmonyCredential
from vendors.harmony.emulator import CATEGORIES, HarmonyEmulator
from vendors.harmony.results import RESULTS

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = HarmonyAdapter()


def account(**changes: Any) -> Account:
    file = {
        "project_id": "101653",
        "key_id": VECTORS["header"]["kid"],
        "sub_account": VECTORS["claims"]["iss"],
        "private_key": VECTORS["private_key_pem"],
        **changes,
    }
    credential = HarmonyCredential.model_validate({"service_account": json.dumps(file).encode()})
    return Account(
        business_id=1, vendor="harmony", credential=credential, defaults={"category": "IM"}, cache={}
    )


ONE = account()
TWO = account(project_id="2016", key_id="k2", sub_account="105")
STRANGER = account(key_id="k3")


def bearer(at: Account, now: float = NOW) -> Auth:
    auth = ADAPTER.local_auth(at, now)
    assert auth is not None
    return auth


BEARER = bearer(ONE)


def emulator() -> HarmonyEmulator:
    return HarmonyEmulator([ONE, TWO])


def call(request: Request, **changes: Any) -> Call:
    given = {
        "method": request.method,
        "path": urlsplit(request.url).path,
        "headers": dict((*request.shared, *request.headers)),
        "body": request.body,
    }
    return Call(**{**given, **changes})


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
        Target(token=t, user="bob", device_id="d", push_id="P", vendor_id="v") for t in tokens or ("T1",)
    )
    return Push(notification=Notification(**given), targets=targets, now=NOW)


def code(answer: Answer) -> str:
    return str(json.loads(answer.response.body)["code"])


def actions(double: HarmonyEmulator, given: Push) -> list[Action]:
    response = double.handle(call(ADAPTER.render(given, ONE, BEARER)), NOW).response
    return [outcome.action for outcome in ADAPTER.interpret(given, ONE, response)]


def test_round_trip() -> None:
    """What the adapter renders the double accepts, token by token, and shows."""
    hints: dict[str, object] = {
        "Title": "Eve",
        "Image": "https://i/x.png",
        "Sound": "a.mp3",
        "SoundDuration": 60,
    }
    given = push("T1", "dead-2", "T3", ext="x", badge=3, harmony=hints)
    answer = emulator().handle(call(ADAPTER.render(given, ONE, BEARER)), NOW)
    got = [o.action for o in ADAPTER.interpret(given, ONE, answer.response)]
    assert got == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("T1", "Eve", "Hi", "7"),
        ("T3", "Eve", "Hi", "7"),
    ]
    assert "target" not in answer.accepted[0].payload


def test_only_dead_tokens() -> None:
    """When no token is left Huawei answers 80300007, with the reasons, and shows nothing."""
    answer = emulator().handle(call(ADAPTER.render(push("dead", "dead-2"), ONE, BEARER)), NOW)
    assert (code(answer), answer.accepted) == ("80300007", ())
    told = json.loads(json.loads(answer.response.body)["msg"])
    assert told == {"illegalTokens": {"tokenFormatError": ["dead", "dead-2"]}, "failure": 2}
    assert actions(emulator(), push("dead", "dead-2")) == [Action.INVALID_TOKEN, Action.INVALID_TOKEN]


def test_claims_only_its_own_path() -> None:
    """v1, v2 and the token server are Huawei's for Android; other vendors' paths are theirs."""
    double = emulator()
    assert double.claims("POST", "/v3/101653/messages:send?x=1")
    for path in (
        "/v1/101653/messages:send",
        "/v2/101653/messages:send",
        "/oauth2/v3/token",
        "/v3/message/regid",
        "/3/device/x",
    ):
        assert not double.claims("POST", path)


def test_only_post_is_answered() -> None:
    """messages:send knows one method."""
    asked = Call(method="GET", path="/v3/101653/messages:send", headers={}, body=b"")
    assert emulator().handle(asked, NOW).response.status == 405


def jwt(claims: dict[str, Any], *, alg: str = "PS256", pss: bool = True) -> str:
    parts = [{**VECTORS["header"], "alg": alg}, {**VECTORS["claims"], **claims}]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
    salted = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
    key = ONE.credential.service.key
    signature = key.sign(head.encode(), salted if pss else padding.PKCS1v15(), SHA256())
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {VECTORS['jwt']}", "80000000"),
        (f"Bearer {jwt({})}", "80000000"),
        (f"Bearer {jwt({}, alg='RS256', pss=False)}", "80200001"),
        (f"Bearer {jwt({}, pss=False)}", "80200001"),
        (f"Bearer {jwt({'aud': 'https://127.0.0.1:8443'})}", "80200001"),
        (f"Bearer {jwt({'iat': int(NOW) - 7200, 'exp': int(NOW) - 3600})}", "80200005"),
        (f"Bearer {jwt({'exp': int(NOW) + 86_401})}", "80300036"),
        (f"Bearer {bearer(STRANGER).value}", "80200001"),
        (f"Bearer {bearer(TWO).value}", "80200001"),
        ("Bearer DAEB-an-access-token-of-v1", "80200001"),
        (f"Basic {VECTORS['jwt']}", "80200001"),
        ("", "80200001"),
    ],
)
def test_who_may_call(authorization: str, expected: str) -> None:
    """A PS256 JWT of this project's service account, in time; the known vector passes, an OAuth token never."""
    request = call(ADAPTER.render(push(), ONE, BEARER))
    answer = emulator().handle(
        call(
            ADAPTER.render(push(), ONE, BEARER), headers={**request.headers, "authorization": authorization}
        ),
        NOW,
    )
    assert code(answer) == expected
    assert answer.response.status == (200 if expected == "80000000" else 401)


def test_a_bearer_ends_after_its_hour() -> None:
    """The last second of the hour still counts."""
    request = call(ADAPTER.render(push(), ONE, BEARER))
    assert code(emulator().handle(request, NOW + 3599)) == "80000000"
    assert code(emulator().handle(request, NOW + 3600)) == "80200005"


@pytest.mark.parametrize("kind", ["", "3", "10", "alert"])
def test_the_kind_of_push_is_looked_at(kind: str) -> None:
    """Without the push-type of a notification nothing is shown."""
    request = call(ADAPTER.render(push(), ONE, BEARER))
    answer = emulator().handle(
        call(ADAPTER.render(push(), ONE, BEARER), headers={**request.headers, "push-type": kind}), NOW
    )
    assert (code(answer), answer.accepted) == ("80100001", ())


def sent(shown: dict[str, Any], options: dict[str, Any] | None = None, **body: Any) -> str:
    """Code for a good request after these changes of its notification, its options and its top level."""
    request = ADAPTER.render(push(), ONE, BEARER)
    told = json.loads(request.body)
    told["payload"]["notification"] |= shown
    told["pushOptions"] |= options or {}
    told |= body
    return code(emulator().handle(call(request, body=json.dumps(told).encode()), NOW))


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"category": ""}, "80100003"),
        ({"category": "CHAT"}, "80100003"),
        ({"category": "PLAY_VOICE"}, "80100003"),
        ({"title": " "}, "80100003"),
        ({"body": ""}, "80100003"),
        ({"clickAction": None}, "80100003"),
        ({"clickAction": {"actionType": 1}}, "80100003"),
        ({"clickAction": {"actionType": 1, "uri": "chat://x"}}, "80000000"),
        ({"clickAction": {"actionType": 1, "action": "com.example.A"}}, "80000000"),
        ({"clickAction": {"actionType": 2}}, "80100003"),
        ({"clickAction": {"actionType": 0, "data": "text"}}, "80100003"),
        ({"notifyId": "1"}, "80100003"),
        ({"notifyId": 2**31}, "80100003"),
        ({"notifyId": -1}, "80000000"),
        ({"appMessageId": "a" * 64}, "80000000"),
        ({"appMessageId": "a" * 65}, "80100003"),
        ({"appMessageId": "a:b"}, "80100003"),
        ({"profileId": "p" * 64}, "80000000"),
        ({"profileId": "p" * 65}, "80100003"),
        ({"badge": {"setNum": 99}}, "80000000"),
        ({"badge": {"setNum": 100}}, "80100003"),
        ({"badge": {"addNum": 0}}, "80100003"),
        ({"badge": {"addNum": 100}}, "80100003"),
        ({"badge": 3}, "80100003"),
        ({"sound": 1}, "80100003"),
        ({"soundDuration": 60}, "80000000"),
        ({"soundDuration": 61}, "80100003"),
        ({"soundDuration": 0}, "80100003"),
        ({"foregroundShow": 1}, "80100003"),
        ({"image": "http://x"}, "80100003"),
        ({"style": 2}, "80100003"),
        ({"style": 3}, "80100003"),
        ({"style": 3, "inboxContent": ["l" * 1024] * 3}, "80000000"),
        ({"style": 3, "inboxContent": ["l"] * 4}, "80100003"),
        ({"style": 3, "inboxContent": ["l" * 1025]}, "80100003"),
    ],
)
def test_fields_of_the_notification(shown: dict[str, Any], expected: str) -> None:
    """Every documented bound is enforced with Huawei's own code."""
    assert sent(shown) == expected


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_every_category(category: str) -> None:
    """All of Huawei's names of categories are known."""
    assert sent({"category": category}) == "80000000"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ttl": "86400s"}, "80100004"),
        ({"ttl": 0}, "80100004"),
        ({"ttl": 1_296_001}, "80100004"),
        ({"ttl": 1_296_000}, "80000000"),
        ({"collapseKey": 100}, "80000000"),
        ({"collapseKey": 101}, "80100003"),
        ({"collapseKey": -2}, "80100003"),
        ({"biTag": "b" * 64}, "80000000"),
        ({"biTag": "界" * 22}, "80100003"),
        ({"receiptId": 5}, "80100003"),
        ({"testMessage": "yes"}, "80100003"),
        ({"backgroundMode": 1}, "80100003"),
    ],
)
def test_options(options: dict[str, Any], expected: str) -> None:
    """Lifetime, collapsing and tags are bounded."""
    assert sent({}, options) == expected


@pytest.mark.parametrize(
    ("options", "body", "expected"),
    [
        ({}, {"target": {}}, "80300010"),
        ({}, {"target": {"token": []}}, "80300010"),
        ({}, {"target": {"token": ["T"] * 1001}}, "80300010"),
        ({}, {"target": {"token": ["T"] * 1000}}, "80000000"),
        ({}, {"target": {"token": [1]}}, "80100003"),
        ({"testMessage": True}, {"target": {"token": ["T"] * 10}}, "80000000"),
        ({"testMessage": True}, {"target": {"token": ["T"] * 11}}, "80300030"),
        ({}, {"filler": "x" * 4096}, "80300008"),
        ({}, {"payload": {}}, "80100003"),
        ({}, {"pushOptions": 1}, "80100003"),
        ({}, {"message": {}, "target": None}, "80300010"),
    ],
)
def test_the_whole_message(options: dict[str, Any], body: dict[str, Any], expected: str) -> None:
    """Number of tokens, size and shape; a message of v1 has no target."""
    assert sent({}, options, **body) == expected


def test_a_body_without_json() -> None:
    """A body that is no JSON object has a wrong structure."""
    request = ADAPTER.render(push(), ONE, BEARER)
    assert code(emulator().handle(call(request, body=b"hello"), NOW)) == "80100003"


def test_checks_come_in_huaweis_order() -> None:
    """Who calls comes before what is sent; the number of tokens before the fields; the fields before single tokens."""
    double = emulator()
    bad = json.dumps({"target": {"token": []}, "payload": {}}).encode()
    request = ADAPTER.render(push("dead"), ONE, BEARER)
    nobody = call(request, body=bad, headers={"push-type": "9"})
    assert code(double.handle(nobody, NOW)) == "80200001"
    headers = dict(request.shared)
    assert code(double.handle(call(request, body=bad, headers={**headers, "push-type": "9"}), NOW)) == (
        "80100001"
    )
    assert code(double.handle(call(request, body=bad), NOW)) == "80300010"
    told = json.loads(request.body)
    told["payload"]["notification"]["category"] = "CHAT"
    assert code(double.handle(call(request, body=json.dumps(told).encode()), NOW)) == "80100003"
    assert code(double.handle(call(request), NOW)) == "80300007"


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes or reasons, then all is well again."""
    double = emulator()
    double.fail("T1", "HTTP 503", "81000001", "80300007", "noRight")
    request = call(ADAPTER.render(push("T1", "T2"), ONE, BEARER))
    assert double.handle(request, NOW).response.status == 503
    assert code(double.handle(request, NOW)) == "81000001"
    answers = [double.handle(request, NOW) for _ in range(3)]
    assert [code(a) for a in answers] == ["80100000", "80100000", "80000000"]
    assert "tokenFormatError" in json.loads(answers[0].response.body)["msg"]
    assert "noRight" in json.loads(answers[1].response.body)["msg"]


@pytest.mark.parametrize("row", sorted(RESULTS))
def test_every_row_can_be_asked_for(row: str) -> None:
    """Whatever the table lists can be scripted, and reaches the adapter as the action of its row."""
    double = emulator()
    double.fail("T1", row)
    action = RESULTS[row][0]
    expected = {"80100000": Action.INVALID_TOKEN, "noRight": Action.INVALID_TOKEN}.get(row, action)
    assert actions(double, push("T1", "T2"))[0] is expected
