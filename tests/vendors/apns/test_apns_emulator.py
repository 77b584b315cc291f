"""APNs' double: it takes what the adapter renders and refuses what Apple refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from pushgw.messages.model import ApnsInfo, LiveActivity
from pushgw.vendor.adapter import Account, Auth
from pushgw.vendor.emulator import Call
from pushgw.vendor.http import Request
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target
from vendors.apns import vendor
from vendors.apns.credential import ApnsCredential
from vendors.apns.emulator import ApnsEmulator
from vendors.apns.results import RESULTS

NOW = 1_790_000_000.25
TOKEN = "ab" * 32
APNS_ID = "123e4567-e89b-12d3-a456-426655440000"
KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def by_key(key: ec.EllipticCurvePrivateKey = KEY, bundle_id: str = "com.example.chat") -> Account:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fields = {"key": pem, "key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "bundle_id": bundle_id}
    return Account(business_id=1, vendor="apns", credential=ApnsCredential.model_validate(fields), cache={})


def by_certificate(uid: str = "com.example.chat") -> Account:
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, uid)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(KEY, hashes.SHA256())
    )
    data = pkcs12.serialize_key_and_certificates(
        b"push", KEY, certificate, None, serialization.NoEncryption()
    )
    credential = ApnsCredential.model_validate({"p12": data, "bundle_id": uid})
    return Account(business_id=2, vendor="apns", credential=credential, cache={})


def push(token: str = TOKEN, **changes: Any) -> Push:
    content: dict[str, Any] = {
        "title": "Alice",
        "body": "Hi",
        "expires_at": int(NOW) + 3600,
        "collapse_id": "c2c-alice-42",
        "notify_id": 42,
        **changes,
    }
    target = Target(token=token, user="bob", device_id="phone", push_id="01J", vendor_id=APNS_ID)
    return Push(notification=Notification(**content), targets=(target,), now=NOW)


def call(request: Request, **changes: Any) -> Call:
    fields: dict[str, Any] = {
        "method": request.method,
        "path": urlsplit(request.url).path,
        "headers": dict((*request.shared, *request.headers)),
        "body": request.body,
        **changes,
    }
    return Call(**fields)


def rendered(**changes: Any) -> Request:
    account = by_key()
    return vendor.adapter.render(push(**changes), account, vendor.adapter.local_auth(account, NOW))


def emulator() -> ApnsEmulator:
    return ApnsEmulator([by_key(), by_key(OTHER_KEY, "com.example.other")])


def sent(double: ApnsEmulator, sending: Push) -> Outcome:
    """Through the adapter into the double and back."""
    account = by_key()
    request = vendor.adapter.render(sending, account, vendor.adapter.local_auth(account, NOW))
    [outcome] = vendor.adapter.interpret(sending, account, double.handle(call(request), NOW).response)
    return outcome


def reason(answered: Any) -> str:
    assert answered.accepted == ()
    return f"{answered.response.status} {json.loads(answered.response.body)['reason']}"


def test_a_rendered_push_is_accepted_and_shown() -> None:
    """The journal holds what the phone would show; the answer is Apple's: 200, the id, no body."""
    answered = emulator().handle(call(rendered(badge=3, ext="{}")), NOW)
    assert answered.response.status == 200
    assert answered.response.headers["apns-id"] == APNS_ID
    assert answered.response.body == b""
    [accepted] = answered.accepted
    assert (accepted.token, accepted.title, accepted.body, accepted.vendor_id) == (
        TOKEN,
        "Alice",
        "Hi",
        APNS_ID,
    )
    assert "bearer" not in str(accepted.payload)


def test_a_silent_push_is_accepted() -> None:
    """Background type, priority 5, no alert: nothing for Apple to refuse."""
    assert sent(emulator(), push(apns=ApnsInfo(content_available=1))).action is Action.ACCEPTED


def test_dead_and_bad_tokens_by_their_first_digits() -> None:
    """dead… is unregistered as of now, bad0… is a bad device token, all others live."""
    gone = sent(emulator(), push("dead" + TOKEN))
    assert (gone.action, gone.code, gone.dead_since_ms) == (
        Action.INVALID_TOKEN,
        "Unregistered",
        int(NOW * 1000),
    )
    assert sent(emulator(), push("bad0" + TOKEN)).code == "BadDeviceToken"
    assert sent(emulator(), push("not-hex")).code == "BadDeviceToken"
    assert sent(emulator(), push("abc")).code == "BadDeviceToken"


def test_scripted_codes_come_in_order_and_then_end() -> None:
    """fail() scripts one token's next answers; afterwards it lives again, and no other token is touched."""
    double = emulator()
    double.fail(TOKEN, "ServiceUnavailable", "TooManyRequests")
    codes = [sent(double, push("cd" * 32)).code] + [sent(double, push()).code for _ in range(3)]
    assert codes == ["200", "ServiceUnavailable", "TooManyRequests", "200"]


@pytest.mark.parametrize("code", RESULTS)
def test_every_code_of_the_table_can_be_answered(code: str) -> None:
    """What the double says for a code is what the adapter reads as that code's action."""
    double = emulator()
    double.fail(TOKEN, code)
    outcome = sent(double, push())
    assert outcome.action is RESULTS[code][0]
    assert outcome.code == code or code in ("HTTP 4xx", "HTTP 5xx", "no reason")


def changed(**headers: str | None) -> Call:
    request = rendered()
    kept = {
        **dict((*request.shared, *request.headers)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    return call(request, headers={name: value for name, value in kept.items() if value is not None})


def signed(key: ec.EllipticCurvePrivateKey = KEY, kid: str = "ABC123DEFG", **claims: Any) -> str:
    body = {"iss": "DEF123GHIJ", "iat": int(NOW), **claims}
    return "bearer " + jwt.encode(body, key, algorithm="ES256", headers={"kid": kid})


REFUSALS: list[tuple[Any, str]] = [
    (lambda: call(rendered(), method="GET"), "405 MethodNotAllowed"),
    (lambda: call(rendered(), path="/3/devices/ab"), "404 BadPath"),
    (lambda: call(rendered(), path="/3/device/"), "400 MissingDeviceToken"),
    (lambda: changed(authorization=None), "403 MissingProviderToken"),
    (lambda: changed(authorization="Basic x"), "403 MissingProviderToken"),
    (lambda: changed(authorization="bearer not.a.jwt"), "403 InvalidProviderToken"),
    (
        lambda: changed(authorization=signed(ec.generate_private_key(ec.SECP256R1()))),
        "403 InvalidProviderToken",
    ),
    (lambda: changed(authorization=signed(kid="OTHERKEYID")), "403 InvalidProviderToken"),
    (lambda: changed(authorization=signed(iss="OTHERTEAM1")), "403 InvalidProviderToken"),
    (lambda: changed(authorization=signed(iat=int(NOW) - 3601)), "403 ExpiredProviderToken"),
    (lambda: changed(authorization=signed(iat=int(NOW) * 1000)), "403 ExpiredProviderToken"),
    (lambda: changed(authorization=signed(iat="now")), "403 ExpiredProviderToken"),
    (lambda: changed(apns_topic=None), "400 MissingTopic"),
    (lambda: changed(apns_topic="com.example.other"), "400 TopicDisallowed"),
    (lambda: changed(apns_push_type="shout"), "400 InvalidPushType"),
    (lambda: changed(apns_push_type="voip"), "400 TopicDisallowed"),
    (lambda: changed(apns_push_type="background"), "400 BadPriority"),
    (lambda: changed(apns_push_type="background", apns_priority="5"), "400 InvalidPushType"),
    (lambda: changed(apns_id=APNS_ID.upper()), "400 BadMessageId"),
    (lambda: changed(apns_expiration="tomorrow"), "400 BadExpirationDate"),
    (lambda: changed(apns_priority="7"), "400 BadPriority"),
    (lambda: changed(apns_collapse_id="é" * 33), "400 BadCollapseId"),
    (lambda: call(rendered(), body=b""), "400 PayloadEmpty"),
    (lambda: call(rendered(), body=b"{}"), "400 PayloadEmpty"),
    (lambda: call(rendered(), body=b"no json"), "400 PayloadEmpty"),
    (lambda: call(rendered(), body=b'{"aps":{"thread-id":"x"}}'), "400 InvalidPushType"),
    (lambda: call(rendered(), body=b'{"aps":{"alert":"' + b"x" * 4080 + b'"}}'), "413 PayloadTooLarge"),
]


@pytest.mark.parametrize(("make", "expected"), REFUSALS)
def test_what_apple_refuses_is_refused(make: Any, expected: str) -> None:
    """Each fault gets Apple's own reason, and nothing is shown."""
    assert reason(emulator().handle(make(), NOW)) == expected


# --- every push type --------------------------------------------------------------------------------------

# What a caller sends besides the headers of a plain push, so that Apple takes it. Spelled out here once more.
SOUND: dict[str, tuple[dict[str, str], bytes]] = {
    "alert": ({}, b'{"aps":{"alert":"Hi"}}'),
    "background": ({"apns_priority": "5"}, b'{"aps":{"content-available":1}}'),
    "voip": ({"apns_topic": "com.example.chat.voip"}, b'{"call":7}'),
    "liveactivity": (
        {"apns_topic": "com.example.chat.push-type.liveactivity"},
        b'{"aps":{"event":"end","timestamp":1790000000}}',
    ),
    "pushtotalk": (
        {"apns_topic": "com.example.chat.voip-ptt", "apns_expiration": "0"},
        b'{"aps":{},"speaker":"Alice"}',
    ),
    "location": ({"apns_topic": "com.example.chat.location-query"}, b'{"aps":{}}'),
    "complication": ({"apns_topic": "com.example.chat.complication"}, b'{"steps":7}'),
    "fileprovider": ({"apns_topic": "com.example.chat.pushkit.fileprovider"}, b'{"domain":"d"}'),
    "controls": (
        {"apns_topic": "com.example.chat.push-type.controls"},
        b'{"aps":{"content-changed":true}}',
    ),
    "widgets": ({"apns_topic": "com.example.chat.push-type.widgets"}, b'{"aps":{"content-changed":true}}'),
}


def typed(name: str, body: bytes | None = None, **headers: str | None) -> Call:
    own, sound = SOUND[name]
    fields: dict[str, str | None] = {"apns_push_type": name, **own, **headers}
    return msgspec.structs.replace(changed(**fields), body=sound if body is None else body)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_push_of_each_type_is_accepted(name: str) -> None:
    """With its topic, a priority of its own and a payload that goes with it."""
    assert emulator().handle(typed(name), NOW).response.status == 200


@pytest.mark.parametrize("name", SOUND)
def test_a_type_under_another_topic_is_refused(name: str) -> None:
    """The suffix belongs to the type: the app's own topic is for alert and background alone."""
    other = "com.example.chat.voip" if name in ("alert", "background") else "com.example.chat"
    assert reason(emulator().handle(typed(name, apns_topic=other), NOW)) == "400 TopicDisallowed"


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("priority", ["10", "5", "1", "0"])
def test_a_type_has_priorities_of_its_own(name: str, priority: str) -> None:
    """background only 5, voip and pushtotalk only 10, liveactivity and location 10 and 5, the others all three."""
    allowed = {
        "background": {"5"},
        "voip": {"10"},
        "pushtotalk": {"10"},
        "liveactivity": {"10", "5"},
        "location": {"10", "5"},
    }.get(name, {"10", "5", "1"})
    answered = emulator().handle(typed(name, apns_priority=priority), NOW)
    if priority in allowed:
        assert answered.response.status == 200
    else:
        assert reason(answered) == "400 BadPriority"


@pytest.mark.parametrize("name", SOUND)
def test_a_type_has_a_size_of_its_own(name: str) -> None:
    """5,120 bytes of voip, 4,096 of all others; one more is too large."""
    limit, sound = 5120 if name == "voip" else 4096, SOUND[name][1]
    full = sound[:-1] + b',"x":"' + b"x" * (limit - len(sound) - 7) + b'"}'
    assert len(full) == limit
    assert emulator().handle(typed(name, full), NOW).response.status == 200
    assert (
        reason(emulator().handle(typed(name, full.replace(b"xx", b"xxx", 1)), NOW)) == "413 PayloadTooLarge"
    )


TYPED_REFUSALS: list[tuple[Any, str]] = [
    (lambda: typed("background", b'{"aps":{"content-available":1,"alert":"Hi"}}'), "400 InvalidPushType"),
    (lambda: typed("background", b'{"aps":{"content-available":true}}'), "400 InvalidPushType"),
    (lambda: typed("alert", b'{"aps":{"content-available":1}}'), "400 InvalidPushType"),
    (lambda: typed("alert", b'{"aps":[1]}'), "400 InvalidPushType"),
    (lambda: typed("alert", b'{"aps":{}}'), "400 PayloadEmpty"),
    (lambda: typed("voip", b"{}"), "400 PayloadEmpty"),
    (lambda: typed("liveactivity", b'{"aps":{"alert":"Hi"}}'), "400 InvalidPushType"),
    (lambda: typed("liveactivity", b'{"aps":{"event":"end"}}'), "400 InvalidPushType"),
    (lambda: typed("pushtotalk", apns_expiration="1790003600"), "400 BadExpirationDate"),
    (lambda: typed("pushtotalk", apns_expiration=None), "400 BadExpirationDate"),
    (
        lambda: changed(apns_push_type="mdm", apns_topic="com.example.chat"),
        "400 TopicDisallowed",
    ),
]


@pytest.mark.parametrize(("make", "expected"), TYPED_REFUSALS)
def test_what_apple_refuses_of_a_type_is_refused(make: Any, expected: str) -> None:
    """Payloads that do not go with the type, an expiration where nothing is stored, mdm without its certificate."""
    assert reason(emulator().handle(make(), NOW)) == expected


@pytest.mark.parametrize("name", [n for n in SOUND if n != "liveactivity"])
def test_what_the_adapter_renders_of_each_type_is_accepted(name: str) -> None:
    """Adapter and double agree, type by type."""
    extra = {"push_type": name, **({"domain": "d"} if name == "fileprovider" else {})}
    assert sent(emulator(), push(extra=extra, ext="{}")).action is Action.ACCEPTED


def test_a_live_activity_of_a_message_is_accepted() -> None:
    """An update and an end."""
    for activity in (
        LiveActivity(event="update", content_state={"score": 3}),
        LiveActivity(event="end", dismissal_date=1),
    ):
        info = ApnsInfo(live_activity=activity)
        assert sent(emulator(), push(apns=info)).action is Action.ACCEPTED


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alert", "200"),
        ("background", "200"),
        ("voip", "400 TopicDisallowed"),
        ("complication", "400 TopicDisallowed"),
        ("liveactivity", "400 TopicDisallowed"),
        ("location", "400 TopicDisallowed"),
        ("pushtotalk", "200"),
    ],
)
def test_a_certificate_may_push_what_it_covers(name: str, expected: str) -> None:
    """liveactivity and location take a provider key only; calls need their topic in the certificate."""
    account = by_certificate()
    held = account.credential.certificate
    der = held.certificate.public_bytes(serialization.Encoding.DER)
    call = msgspec.structs.replace(typed(name, authorization=None), peer_cert_der=der)
    answered = ApnsEmulator([account]).handle(call, held.expires_at - 3600)
    assert (str(answered.response.status) if answered.accepted else reason(answered)) == expected


def test_mdm_takes_its_own_certificate() -> None:
    """The topic is the UID of the MDM certificate, and the payload is the device's magic alone."""
    account = by_certificate("com.apple.mgmt.External.1")
    held = account.credential.certificate
    der = held.certificate.public_bytes(serialization.Encoding.DER)
    request = vendor.adapter.render(push(extra={"push_type": "mdm", "mdm": "magic"}), account, None)
    [accepted] = (
        ApnsEmulator([account]).handle(call(request, peer_cert_der=der), held.expires_at - 3600).accepted
    )
    assert accepted.payload["payload"] == {"mdm": "magic"}


def test_the_limits_themselves_are_allowed() -> None:
    """64 bytes of collapse id, 4096 of payload, a token of 3,599 s: all accepted."""
    assert emulator().handle(changed(apns_collapse_id="é" * 32), NOW).response.status == 200
    full = b'{"aps":{"alert":"' + b"x" * 4076 + b'"}}'
    assert len(full) == 4096
    assert emulator().handle(call(rendered(), body=full), NOW).response.status == 200
    assert emulator().handle(changed(authorization=signed(iat=int(NOW) - 3599)), NOW).response.status == 200


def test_http_1_is_not_spoken() -> None:
    """There is no fallback at Apple's."""
    assert emulator().handle(call(rendered(), http_version="1.1"), NOW).response.status == 505


def test_a_client_certificate_replaces_the_token() -> None:
    """The known certificate may push to its app; an unknown or outdated one may not."""
    account = by_certificate()
    held = account.credential.certificate
    der = held.certificate.public_bytes(serialization.Encoding.DER)
    request = vendor.adapter.render(push(), account, None)
    double = ApnsEmulator([account])
    today = held.expires_at - 3600
    assert double.handle(call(request, peer_cert_der=der), today).response.status == 200
    assert reason(double.handle(call(request, peer_cert_der=b"other"), today)) == "403 BadCertificate"
    assert reason(double.handle(call(request, peer_cert_der=der), held.expires_at)) == "403 BadCertificate"
    assert reason(double.handle(call(request), today)) == "403 MissingProviderToken"


def test_it_claims_apples_paths_only() -> None:
    """The sandbox hosts all vendors on one port."""
    double = emulator()
    assert double.claims("POST", f"/3/device/{TOKEN}")
    assert not double.claims("POST", "/v1/projects/x/messages:send")
    assert not double.claims("POST", "/v3/message/regid")


def test_an_expired_token_ends_as_auth() -> None:
    """What the double says of an old token is read as: refresh once."""
    account = by_key()
    old = Auth(value=signed(iat=int(NOW) - 4000).removeprefix("bearer "), expires_at=NOW, made_at=NOW)
    request = vendor.adapter.render(push(), account, old)
    [outcome] = vendor.adapter.interpret(push(), account, emulator().handle(call(request), NOW).response)
    assert outcome.action is Action.AUTH
