"""Huawei's double refuses what Huawei refuses, and understands our adapter."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from pushgw.messages.model import AndroidInfo
from pushgw.vendor.adapter import Account, Auth, AuthFailed
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Push, Target
from pushgw.vendor.reports import ReportCall, Stage
from vendors.huawei.adapter import HuaweiAdapter
from vendors.huawei.credential import HuaweiCredential
from vendors.huawei.emulator import HuaweiEmulator

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
NOW = 1_767_225_600.0
ADAPTER = HuaweiAdapter()
KEY_FILE = {
    "project_id": "101653",
    "key_id": VECTORS["jwt"]["header"]["kid"],
    "sub_account": VECTORS["jwt"]["claims"]["iss"],
    "private_key": VECTORS["jwt"]["private_key_pem"],
}


def account(**fields: Any) -> Account:
    given = {"app_id": "104000001", "app_secret": "a1b2c3/+d4e5f6==", "package": "com.example.chat", **fields}
    return Account(
        business_id=1, vendor="huawei", credential=HuaweiCredential.model_validate(given), cache={}
    )


V1 = account()
V2 = account(app_id="104000002", project_id="2016")
SERVICE = account(app_id="104000003", service_account=json.dumps(KEY_FILE).encode())


def emulator() -> HuaweiEmulator:
    return HuaweiEmulator([V1, V2, SERVICE])


def call(request: Request, **changes: Any) -> Call:
    given = {
        "method": request.method,
        "path": urlsplit(request.url).path,
        "headers": dict((*request.shared, *request.headers)),
        "body": request.body,
    }
    return Call(**{**given, **changes})


def authorize(double: HuaweiEmulator, at: Account, now: float = NOW) -> Auth:
    local = ADAPTER.local_auth(at, now)
    request = ADAPTER.auth_request(at, now)
    if local is not None:
        return local
    assert request is not None
    return ADAPTER.read_auth(at, double.handle(call(request), now).response, now)


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


@pytest.mark.parametrize("at", [V1, V2, SERVICE], ids=["v1", "v2", "service account"])
def test_round_trip(at: Account) -> None:
    """What the adapter renders the double accepts, on both versions and with both kinds of bearer."""
    double = emulator()
    given = push("T1", "dead-2", "T3", ext="x", badge=3, android=AndroidInfo(push_style=1, sound="a"))
    answer = double.handle(call(ADAPTER.render(given, at, authorize(double, at))), NOW)
    actions = [o.action for o in ADAPTER.interpret(given, at, answer.response)]
    assert actions == [Action.ACCEPTED, Action.INVALID_TOKEN, Action.ACCEPTED]
    assert [(a.token, a.title, a.body, a.vendor_id) for a in answer.accepted] == [
        ("T1", "Alice", "Hi", "7"),
        ("T3", "Alice", "Hi", "7"),
    ]


def test_only_dead_tokens() -> None:
    """When no token is left Huawei answers 80300007 and shows nothing."""
    double = emulator()
    answer = double.handle(call(ADAPTER.render(push("dead"), V1, authorize(double, V1))), NOW)
    assert (code(answer), answer.accepted) == ("80300007", ())


def test_claims_only_its_own_paths() -> None:
    """Google's v1 path, HarmonyOS's v3 path and others' belong to their own doubles."""
    double = emulator()
    assert double.claims("POST", "/oauth2/v3/token")
    assert double.claims("POST", "/v1/104000001/messages:send?x=1")
    assert not double.claims("POST", "/v1/projects/demo/messages:send")
    assert not double.claims("POST", "/v3/1016/messages:send")


@pytest.mark.parametrize(
    ("fields", "sub_error"),
    [
        ({"app_id": "1-2"}, 20002),
        ({"app_id": "999"}, 20003),
        ({"app_secret": "wrong"}, 12304),
    ],
)
def test_the_token_server_refuses(fields: dict[str, str], sub_error: int) -> None:
    """A wrong id or secret is told by its own sub_error, and stops the credential."""
    double = emulator()
    request = ADAPTER.auth_request(account(**fields), NOW)
    assert request is not None
    answer = double.handle(call(request), NOW)
    assert json.loads(answer.response.body)["sub_error"] == sub_error
    with pytest.raises(AuthFailed) as caught:
        ADAPTER.read_auth(V1, answer.response, NOW)
    assert caught.value.outcome.action is Action.CONFIG


def test_an_unencoded_secret_is_a_wrong_one() -> None:
    """A plus sign that was not percent-encoded arrives as a blank."""
    form = b"grant_type=client_credentials&client_id=104000001&client_secret=a1b2c3/+d4e5f6=="
    answer = emulator().handle(Call(method="POST", path="/oauth2/v3/token", headers={}, body=form), NOW)
    assert json.loads(answer.response.body)["sub_error"] == 12304


def test_access_tokens_end_after_an_hour_and_belong_to_one_app() -> None:
    """An old token is 80200003; a foreign, unknown or missing one 80200001."""
    double = emulator()
    auth = authorize(double, V1)
    request = call(ADAPTER.render(push(), V1, auth))
    assert code(double.handle(request, NOW + 3599)) == "80000000"
    assert code(double.handle(request, NOW + 3600)) == "80200003"
    assert code(double.handle(call(ADAPTER.render(push(), V2, auth)), NOW)) == "80200001"
    unknown = Auth(value="DAEBxx", expires_at=NOW, made_at=NOW)
    assert code(double.handle(call(ADAPTER.render(push(), V1, unknown)), NOW)) == "80200001"
    assert code(double.handle(call(ADAPTER.render(push(), V1, None)), NOW)) == "80200001"


def jwt(claims: dict[str, Any], *, alg: str = "PS256", pss: bool = True) -> Auth:
    service = SERVICE.credential.service
    assert service is not None
    given = {**VECTORS["jwt"]["claims"], **claims}
    parts = [{"kid": KEY_FILE["key_id"], "typ": "JWT", "alg": alg}, given]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
    salted = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
    signature = service.key.sign(head.encode(), salted if pss else padding.PKCS1v15(), SHA256())
    return Auth(
        value=f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}",
        expires_at=NOW,
        made_at=NOW,
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (jwt({}), "80000000"),
        (Auth(value=VECTORS["jwt"]["jwt"], expires_at=NOW, made_at=NOW), "80000000"),
        (jwt({}, alg="RS256", pss=False), "80200001"),
        (jwt({}, pss=False), "80200001"),
        (jwt({"aud": "https://127.0.0.1:8443"}), "80200001"),
        (jwt({"iss": "1"}), "80200001"),
        (jwt({"iat": int(NOW) - 7200, "exp": int(NOW) - 3600}), "80200005"),
        (jwt({"iat": int(NOW) + 900, "exp": int(NOW) + 4500}), "80200001"),
        (jwt({"exp": int(NOW) + 86_401}), "80300036"),
        (Auth(value="a.b.c", expires_at=NOW, made_at=NOW), "80200001"),
    ],
)
def test_jwt_checks(auth: Auth, expected: str) -> None:
    """Algorithm, signature, audience, issuer and times are checked; the known vector passes."""
    assert code(emulator().handle(call(ADAPTER.render(push(), SERVICE, auth)), NOW)) == expected


def sent(double: HuaweiEmulator, change: dict[str, Any], message: dict[str, Any] | None = None) -> str:
    """Code for a good request after ``change`` of its android part and ``message`` of its message."""
    request = ADAPTER.render(push(extra={"android": change} if change else None), V1, authorize(double, V1))
    told = json.loads(request.body)
    told["message"] |= message or {}
    return code(double.handle(call(request, body=json.dumps(told).encode()), NOW))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ttl": 86400}, "80100001"),
        ({"ttl": "86400"}, "80100001"),
        ({"ttl": "0s"}, "80100001"),
        ({"ttl": "1296001s"}, "80100001"),
        ({"ttl": "1296000s"}, "80000000"),
        ({"collapse_key": 101}, "80100013"),
        ({"category": "CHAT"}, "80100001"),
        ({"urgency": "HIGH"}, "80300011"),
        ({"notification": {"title": " "}}, "80100003"),
        ({"notification": {"body": ""}}, "80100003"),
        ({"notification": {"click_action": {"type": 1}}}, "80100003"),
        ({"notification": {"click_action": {"type": 1, "action": "com.example.A"}}}, "80000000"),
        ({"notification": {"click_action": {"type": 2, "url": "http://x"}}}, "80100003"),
        ({"notification": {"click_action": {"type": 4}}}, "80100003"),
        ({"notification": {"importance": "HIGH"}}, "80100003"),
        ({"notification": {"notify_id": "1"}}, "80100003"),
        ({"notification": {"badge": {"set_num": 3}}}, "80100003"),
        ({"notification": {"badge": {"set_num": 100, "class": "M"}}}, "80100003"),
        ({"notification": {"badge": {"add_num": 0, "class": "M"}}}, "80100003"),
        ({"notification": {"style": 1}}, "80100003"),
        ({"notification": {"style": 2}}, "80100003"),
        ({"notification": {"image": "http://x"}}, "80100003"),
        ({"notification": {"sound": "ring"}}, "80100003"),
        ({"notification": {"profile_id": "p" * 65}}, "80100003"),
    ],
)
def test_fields_and_limits(change: dict[str, Any], expected: str) -> None:
    """Every documented bound is enforced with Huawei's own code."""
    assert sent(emulator(), change) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"token": []}, "80300010"),
        ({"token": ["T"] * 1001}, "80300010"),
        ({"token": ["T"] * 1000}, "80000000"),
        ({"topic": "news"}, "80100003"),
        ({"data": "no json"}, "80100003"),
        ({"data": '"' + "x" * 4096 + '"'}, "80300008"),
        ({"android": {}}, "80100003"),
    ],
)
def test_message_level_checks(message: dict[str, Any], expected: str) -> None:
    """Number of tokens, exclusive targets and JSON data."""
    assert sent(emulator(), {}, message) == expected


def test_no_json_and_no_message() -> None:
    """A body that is no JSON has a wrong structure; a misspelt message counts as no tokens."""
    double = emulator()
    request = ADAPTER.render(push(), V1, authorize(double, V1))
    assert code(double.handle(call(request, body=b"hello"), NOW)) == "80100003"
    assert code(double.handle(call(request, body=b'{"mesage":{}}'), NOW)) == "80300010"


def test_validate_only_shows_nothing() -> None:
    """A dry call is checked and answered, but no notification appears."""
    double = emulator()
    request = ADAPTER.render(push(), V1, authorize(double, V1))
    told = {**json.loads(request.body), "validate_only": True}
    answer = double.handle(call(request, body=json.dumps(told).encode()), NOW)
    assert (code(answer), answer.accepted) == ("80000000", ())


def test_scripted_answers_come_in_order() -> None:
    """fail() makes the next requests fail with these codes, then all is well again."""
    double = emulator()
    double.fail("T1", "HTTP 503", "81000001", "80300007")
    request = call(ADAPTER.render(push("T1", "T2"), V1, authorize(double, V1)))
    assert double.handle(request, NOW).response.status == 503
    assert [code(double.handle(request, NOW)) for _ in range(3)] == ["81000001", "80100000", "80000000"]


RECEIPTS = {"receipt_user": "im", "receipt_secret": "MDEyMzQ1Njc4OWFiY2RlZg=="}


def reporting(*accounts: Account) -> HuaweiEmulator:
    double = HuaweiEmulator(accounts)
    double.reporting = True
    return double


@pytest.mark.parametrize("fields", [{}, {"project_id": "101653000000000000"}], ids=["v1", "v2"])
def test_what_it_reports_the_adapter_reads(fields: dict[str, str]) -> None:
    """A receipt for each token that was accepted, with what the push carried, signed so that the adapter believes it."""
    at = account(**fields, **RECEIPTS)
    double = reporting(at)
    given = push("T1", "dead-2", "uninstalled-3")
    answer = double.handle(call(ADAPTER.render(given, at, authorize(double, at))), NOW)
    [told] = answer.reports
    assert (told.vendor, told.business_id, told.key) == ("huawei", at.business_id, "")
    reports = ADAPTER.read_reports(ReportCall(headers=dict(told.headers), body=told.body), at, NOW)
    assert [(r.echo, r.token, r.stage, r.code) for r in reports] == [
        ("m-1", "T1", Stage.ARRIVED, "0"),
        ("m-1", "uninstalled-3", Stage.NOT_ARRIVED, "2"),
    ]
    assert "uninstalled-3" not in repr(told)


def test_no_more_than_a_hundred_receipts_in_one_request() -> None:
    """As Huawei has it."""
    at = account(**RECEIPTS)
    double = reporting(at)
    given = push(*[f"T{n}" for n in range(250)])
    answer = double.handle(call(ADAPTER.render(given, at, authorize(double, at))), NOW)
    assert [len(json.loads(told.body)["statuses"]) for told in answer.reports] == [100, 100, 50]


def test_without_a_secret_or_a_taker_nothing_is_reported() -> None:
    """A credential without receipts gets none, and a sandbox that nobody listens to makes none."""
    with_secret, without = account(**RECEIPTS), account()
    deaf = HuaweiEmulator([with_secret])
    for double, at in ((reporting(without), without), (deaf, with_secret)):
        answer = double.handle(call(ADAPTER.render(push(), at, authorize(double, at))), NOW)
        assert (len(answer.accepted), answer.reports) == (1, ())
