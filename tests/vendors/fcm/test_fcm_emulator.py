"""FCM's double: it takes what the adapter renders and refuses what Google refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import pytest

from pushgw.vendor.adapter import Account, Auth, AuthFailed
from pushgw.vendor.emulator import Answer, Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.fcm import vendor
from vendors.fcm.credential import FcmCredential
from vendors.fcm.emulator import FcmEmulator
from vendors.fcm.results import RESULTS, TOKEN_SERVER_CODES
from vendors.fcm.service_account import AUDIENCE, SCOPE

FILE: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "certs.example" / "fcm-service-account.json").read_text()
)
NOW = 1_790_000_000.25
TOKEN = "dEv1ceT0ken:APA91bExample"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
adapter = vendor.adapter


def account(**changes: str) -> Account:
    content = json.dumps(FILE | changes).encode()
    credential = FcmCredential.model_validate({"service_account": content})
    return Account(business_id=1, vendor="fcm", credential=credential, cache={})


OWNER = account()
STRANGER = account(project_id="another-project", client_email="push@another-project.example")


def emulator() -> FcmEmulator:
    return FcmEmulator([OWNER, STRANGER])


def push(token: str = TOKEN, platform: str | None = "android") -> Push:
    notification = Notification(
        title="Alice",
        body="Hi",
        ext="{}",
        badge=3,
        expires_at=int(NOW) + 3600,
        collapse_id="c2c-alice-42",
        notify_id=42,
        conversation="C2C_alice",
    )
    target = Target(token=token, user="bob", device_id="d", push_id="01J", vendor_id="u", platform=platform)
    return Push(notification=notification, targets=(target,), now=NOW)


def call(request: Request, **changes: Any) -> Call:
    fields: dict[str, Any] = {
        "method": request.method,
        "path": urlsplit(request.url).path,
        "headers": dict((*request.shared, *request.headers)),
        "body": request.body,
        **changes,
    }
    return Call(**fields)


def authorized(double: FcmEmulator, owner: Account = OWNER, now: float = NOW) -> Auth:
    request = adapter.auth_request(owner, now)
    assert request is not None
    return adapter.read_auth(owner, double.handle(call(request), now).response, now)


def sent(double: FcmEmulator, sending: Push) -> Outcome:
    """Through the adapter into the double and back."""
    request = adapter.render(sending, OWNER, authorized(double))
    [outcome] = adapter.interpret(sending, OWNER, double.handle(call(request), NOW).response)
    return outcome


def error(answered: Answer) -> dict[str, Any]:
    assert answered.accepted == ()
    return dict(json.loads(answered.response.body)["error"])


@pytest.mark.parametrize("platform", ["android", "ios", "web", None])
def test_a_rendered_push_is_accepted_and_shown(platform: str | None) -> None:
    """The journal holds what the device would show, and what makes a repeat replace itself."""
    double = emulator()
    request = adapter.render(push(platform=platform), OWNER, authorized(double))
    answered = double.handle(call(request), NOW)
    assert answered.response.status == 200
    [accepted] = answered.accepted
    assert (accepted.token, accepted.title, accepted.body) == (TOKEN, "Alice", "Hi")
    assert accepted.vendor_id == "c2c-alice-42"
    assert TOKEN not in str(accepted.payload)
    assert json.loads(answered.response.body)["name"].startswith("projects/example-im-sandbox/messages/0:")


def test_tokens_ask_for_faults_by_their_name() -> None:
    """dead is unregistered, malformed is no token, all others live."""
    gone, odd = sent(emulator(), push("x-dead-x")), sent(emulator(), push("x-malformed-x"))
    assert (gone.action, gone.code) == (Action.INVALID_TOKEN, "UNREGISTERED")
    assert (odd.action, odd.code) == (Action.INVALID_TOKEN, "INVALID_ARGUMENT")


def test_scripted_codes_come_in_order_and_then_end() -> None:
    """fail() scripts one token's next answers; afterwards it lives again, and no other token is touched."""
    double = emulator()
    double.fail(TOKEN, "UNAVAILABLE", "QUOTA_EXCEEDED")
    codes = [sent(double, push("other")).code] + [sent(double, push()).code for _ in range(3)]
    assert codes == ["200", "UNAVAILABLE", "QUOTA_EXCEEDED", "200"]


@pytest.mark.parametrize("code", [code for code in RESULTS if code not in TOKEN_SERVER_CODES])
def test_every_code_of_the_table_can_be_answered(code: str) -> None:
    """What the double says for a code is what the adapter reads as that code's action."""
    double = emulator()
    double.fail(TOKEN, code)
    assert sent(double, push()).action is RESULTS[code][0]


@pytest.mark.parametrize("code", sorted(TOKEN_SERVER_CODES))
def test_the_token_server_can_be_scripted_too(code: str) -> None:
    """Its codes are its own: they end as AuthFailed and never touch a push."""
    double = emulator()
    double.fail("/token", code)
    with pytest.raises(AuthFailed) as failed:
        authorized(double)
    assert failed.value.outcome.code == code
    double.fail(TOKEN, code)
    assert sent(double, push()).code == "200"


# --- the token server -------------------------------------------------------------------------------------


def assertion(owner: Account = OWNER, key: str = "", **claims: Any) -> bytes:
    body = {
        "iss": FILE["client_email"],
        "scope": SCOPE,
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }
    service = owner.credential.service
    token = jwt.encode(
        body | claims, key or FILE["private_key"], algorithm="RS256", headers={"kid": service.key_id}
    )
    return urlencode({"grant_type": GRANT, "assertion": token}).encode()


def asked(body: bytes) -> dict[str, Any]:
    answered = emulator().handle(Call(method="POST", path="/token", headers={}, body=body), NOW)
    return {"status": answered.response.status, **json.loads(answered.response.body)}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "unsupported_grant_type", "grant_type"),
        (urlencode({"grant_type": "password"}).encode(), "unsupported_grant_type", "grant_type"),
        (urlencode({"grant_type": GRANT}).encode(), "invalid_grant", "cannot be read"),
        (urlencode({"grant_type": GRANT, "assertion": "a.b.c"}).encode(), "invalid_grant", "cannot be read"),
        (assertion(iss="nobody@example"), "invalid_grant", "account not found"),
        (assertion(aud="https://127.0.0.1:8443/token"), "invalid_grant", "audience"),
        (assertion(scope="https://www.googleapis.com/auth/drive"), "invalid_scope", "scope"),
        (assertion(iat=int(NOW) - 8000, exp=int(NOW) - 4400), "invalid_grant", "short-lived"),
        (assertion(iat=int(NOW) + 400, exp=int(NOW) + 4000), "invalid_grant", "short-lived"),
        (assertion(exp=int(NOW) + 3901), "invalid_grant", "short-lived"),
        (assertion(exp="soon"), "invalid_grant", ""),
    ],
)
def test_what_googles_token_server_refuses_is_refused(body: bytes, code: str, words: str) -> None:
    """Each fault gets Google's own error and no token."""
    answered = asked(body)
    assert answered["error"] == code
    assert answered["status"] == 400
    assert words in answered["error_description"]
    assert "access_token" not in answered


def test_a_forged_assertion_is_refused() -> None:
    """The right claims under another key are worth nothing."""
    vector = json.loads(Path(__file__).with_name("vectors.json").read_text())
    answered = asked(assertion(key=vector["private_key_pem"]))
    assert (answered["error"], answered["error_description"]) == ("invalid_grant", "Invalid JWT Signature.")


def test_an_access_token_ends() -> None:
    """It serves for expires_in seconds and then the double answers as Google does: UNAUTHENTICATED, without FcmError."""
    double = emulator()
    auth = authorized(double)
    request = call(adapter.render(push(), OWNER, auth))
    assert double.handle(request, NOW + 3598).response.status == 200
    refused = error(double.handle(request, NOW + 3599))
    assert (refused["code"], refused["status"], refused["details"]) == (401, "UNAUTHENTICATED", [])


# --- sending ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"headers": {}}, 401),
        ({"headers": {"authorization": "Bearer ya29.forged"}}, 401),
        ({"path": "/v1/projects/another-project/messages:send"}, 403),
        ({"path": "/v1/projects/no-such-project/messages:send"}, 404),
    ],
)
def test_a_wrong_bearer_or_project_is_refused(changes: dict[str, Any], code: int) -> None:
    """None of these blames a token: there is no FcmError in the details."""
    double = emulator()
    refused = error(double.handle(call(adapter.render(push(), OWNER, authorized(double)), **changes), NOW))
    assert refused["code"] == code
    assert refused["details"] == []


BODIES: list[tuple[dict[str, Any], str]] = [
    ({"message": {"token": "t", "colour": "red"}}, "message"),
    ({"message": {"token": "t", "android": {"notification": {"shout": 1}}}}, "message.android.notification"),
    ({"message": {"token": "t", "data": {"n": 5}}}, "message.data[...]"),
    ({"message": {"token": "t", "data": {"google.x": "y"}}}, "message.data[google.x]"),
    ({"message": {"token": "t", "data": {"from": "y"}}}, "message.data[from]"),
    ({"message": {"token": "t", "android": {"ttl": 86400}}}, "message.android.ttl"),
    ({"message": {"token": "t", "android": {"ttl": "86400"}}}, "message.android.ttl"),
    ({"message": {"token": "t", "android": {"ttl": "-1s"}}}, "message.android.ttl"),
    ({"message": {"token": "t", "android": {"ttl": "2419201s"}}}, "message.android.ttl"),
    ({"message": {"token": "t", "android": {"priority": "URGENT"}}}, "message.android.priority"),
    ({"message": {"notification": {"body": "x"}}}, "message"),
    ({"message": {"token": "t", "topic": "news"}}, "message"),
    ({"message": {"token": "t", "data": {"x": "y" * 4096}}}, "message"),
    ({"massage": {}}, ""),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_a_bad_message_is_named_and_blames_no_token(body: dict[str, Any], field: str) -> None:
    """INVALID_ARGUMENT with BadRequest only; the adapter reads it as a bad message."""
    double = emulator()
    request = adapter.render(push(), OWNER, authorized(double))
    answered = double.handle(call(request, body=json.dumps(body).encode()), NOW)
    [detail] = error(answered)["details"]
    assert detail["fieldViolations"][0]["field"] == field
    assert adapter.interpret(push(), OWNER, answered.response)[0].action is Action.BAD_MESSAGE


def test_the_limits_themselves_are_allowed() -> None:
    """4096 bytes without the token, four weeks of ttl, fractions of a second."""
    double = emulator()
    request = adapter.render(push(), OWNER, authorized(double))

    def status(message: dict[str, Any]) -> int:
        body = json.dumps({"message": message | {"token": "t" * 500}}, separators=(",", ":")).encode()
        return double.handle(call(request, body=body), NOW).response.status

    frame = len('{"data":{"x":""}}')
    assert status({"data": {"x": "y" * (4096 - frame)}}) == 200
    assert status({"data": {"x": "y" * (4097 - frame)}}) == 400
    assert status({"android": {"ttl": "2419200s"}}) == 200
    assert status({"android": {"ttl": "3.5s"}}) == 200
    assert status({"android": None, "notification": {"body": None}}) == 200


def test_it_claims_googles_paths_only() -> None:
    """The sandbox hosts all vendors on one port; Huawei's v1 path looks alike."""
    double = emulator()
    assert double.claims("POST", "/token")
    assert double.claims("POST", "/v1/projects/demo/messages:send")
    assert not double.claims("POST", "/v1/100009003/messages:send")
    assert not double.claims("POST", "/oauth2/v3/token")
    assert double.handle(Call(method="GET", path="/token", headers={}, body=b""), NOW).response.status == 404
