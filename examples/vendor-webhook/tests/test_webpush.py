"""Web Push: conformance, the vectors of the RFCs, and whom the gateway lets itself be sent to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pushgw.vendor import Account, Action, Push, Refused, Response
from pushgw.vendor.testing import AdapterConformance
from pydantic import SecretBytes, ValidationError

from pushgw_vendor_webhook.webpush import base64url, vendor
from pushgw_vendor_webhook.webpush.credential import WebpushCredential
from pushgw_vendor_webhook.webpush.emulator import sandbox_subscription
from pushgw_vendor_webhook.webpush.encryption import MAX_PLAINTEXT, decrypt, encrypt, one_time_secrets
from pushgw_vendor_webhook.webpush.subscription import parse
from pushgw_vendor_webhook.webpush.vapid import VapidKey

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))
PEM: bytes = VECTORS["vapid"]["private_key_pem"].encode()
CREDENTIAL = WebpushCredential(
    private_key=SecretBytes(PEM), subject="mailto:push@example.com", hosts=("push.example.net",)
)
ACCOUNT = Account(business_id=1, vendor="webpush", credential=CREDENTIAL)
KEYS = json.loads(sandbox_subscription("phone"))["keys"]


class TestConformance(AdapterConformance):
    """Keeps every promise of an adapter."""

    vendor = vendor
    account = ACCOUNT
    token = sandbox_subscription("browser-1")
    dead_token = sandbox_subscription("dead-1")
    status_decides = True  # RFC 8030 answers with a status
    unknown_code = "HTTP 418"


SUBJECT = TestConformance()


def subscription(endpoint: str, **keys: str) -> str:
    return json.dumps({"endpoint": endpoint, "keys": {**KEYS, **keys}}, separators=(",", ":"))


def push(**changes: Any) -> Push:
    return SUBJECT.push(**changes)


def headers(given: Push, account: Account = ACCOUNT) -> dict[str, str]:
    account = msgspec.structs.replace(account, cache={})
    auth = vendor.adapter.local_auth(account, SUBJECT.now)
    return dict(vendor.adapter.render(given, account, auth).headers)


# --- encryption ----------------------------------------------------------------------------------------------


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(base64url.decode(text), "big"), ec.SECP256R1())


def test_encryption_gives_the_bytes_of_rfc_8291() -> None:
    """Plaintext, keys and salt of appendix A give its body, and the body decrypts again."""
    rfc = VECTORS["rfc8291"]
    ua_public, auth = base64url.decode(rfc["ua_public"]), base64url.decode(rfc["auth_secret"])
    plaintext = rfc["plaintext"].encode()
    body = encrypt(plaintext, ua_public, auth, private(rfc["as_private"]), base64url.decode(rfc["salt"]))
    assert base64url.encode(body) == rfc["body_b64u"]
    assert decrypt(body, private(rfc["ua_private"]), auth) == plaintext


def test_the_longest_plaintext_fills_one_record() -> None:
    """3993 bytes make a body of 4096, the most that push services must take."""
    key, salt = one_time_secrets(b"secret", b"purpose")
    target = parse(sandbox_subscription("phone"))
    assert len(encrypt(b"x" * MAX_PLAINTEXT, target.p256dh, target.auth, key, salt)) == 4096


def test_an_altered_record_is_not_decrypted() -> None:
    """Neither a flipped bit nor another browser's key passes."""
    rfc = VECTORS["rfc8291"]
    body, auth = base64url.decode(rfc["body_b64u"]), base64url.decode(rfc["auth_secret"])
    with pytest.raises(ValueError, match="altered"):
        decrypt(body[:-1] + bytes([body[-1] ^ 1]), private(rfc["ua_private"]), auth)
    with pytest.raises(ValueError, match="altered"):
        decrypt(body, private(rfc["as_private"]), auth)


def test_key_and_salt_serve_one_purpose_only() -> None:
    """The same push gives the same, and any other text, browser, message id or secret another pair."""
    pairs = {
        (key.private_numbers().private_value, salt)
        for secret in (b"one", b"two")
        for purpose in ((b"a", b"b"), (b"ab", b""), (b"a", b"c"))
        for key, salt in [one_time_secrets(secret, *purpose), one_time_secrets(secret, *purpose)]
    }
    assert len(pairs) == 6


# --- VAPID ---------------------------------------------------------------------------------------------------


def test_the_vapid_token_is_the_vector() -> None:
    """Claims, their order and the signature of RFC 6979 are those of the vector; PyJWT verifies it."""
    vector = VECTORS["vapid"]
    key = VapidKey(PEM)
    token = key.token(vector["audience"], vector["subject"], vector["issued"])
    assert token == vector["jwt"]
    assert key.public_text == vector["public_key_b64u"]
    public = load_pem_private_key(PEM, password=None).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    options: Any = {"verify_exp": False}
    claims = jwt.decode(token, public, algorithms=["ES256"], audience=vector["audience"], options=options)
    assert claims["exp"] - vector["issued"] == 43_200


def test_each_push_service_has_a_token_of_its_own() -> None:
    """``aud`` is the origin of the subscription, without path, whatever the endpoint of the account is."""
    credential = WebpushCredential(private_key=SecretBytes(PEM), subject="https://example.com")
    account = msgspec.structs.replace(ACCOUNT, credential=credential, endpoint="https://127.0.0.1:8443")
    hosts = ("fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com")
    for host in hosts:
        header = headers(push(tokens=[subscription(f"https://{host}/some/path?q=1")]), account)[
            "authorization"
        ]
        token = header.removeprefix("vapid t=").partition(",")[0]
        options: Any = {"verify_signature": False}
        assert jwt.decode(token, options=options)["aud"] == f"https://{host}"


def test_the_tokens_are_signed_anew_with_the_authorization() -> None:
    """Refused by a push service, the gateway asks for a new authorization, and the token is another one."""
    account = msgspec.structs.replace(ACCOUNT, cache={})
    first, second = (
        dict(vendor.adapter.render(push(), account, vendor.adapter.local_auth(account, now)).headers)
        for now in (SUBJECT.now, SUBJECT.now + 1)
    )
    assert first["authorization"] != second["authorization"]


def test_a_key_may_be_a_bare_number() -> None:
    """The 32 bytes that web-push tools print are the same key as its PEM."""
    number = base64url.encode(VapidKey(PEM).number).encode()
    assert VapidKey(number + b"\n").public == VapidKey(PEM).public


# --- whom we may be sent to ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.net/x",
        "https://push.example.net:8443/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://2130706433/x",
        "https://127.1/x",
        "https://localhost/x",
        "https://push.example.net./x",
        "https://bob@push.example.net/x",
        "https://push.example.net@evil.example/x",
        "https://push.example.net/x\r\nx-injected: 1",
        "https://push.example.net/x y",
        "https://push.example.net\\@evil.example/x",
        "https://push.example.net/#x",
        "https://pu\u0455h.example.net/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_endpoint_that_a_client_should_not_choose_is_refused(endpoint: str) -> None:
    """Addresses, ports, passwords, other schemes, and what JSON's escapes hide, never reach the wire."""
    fault = vendor.adapter.token_fault(subscription(endpoint))
    assert fault is not None
    assert "evil" not in fault


@pytest.mark.parametrize("host", ["evil.example", "evilpush.example.net", "push.example.net.evil.example"])
def test_only_the_hosts_of_the_credential_are_sent_to(host: str) -> None:
    """A host beside the list is Refused, also where it looks like one of it; one below it is fine."""
    with pytest.raises(Refused, match="not among the hosts"):
        headers(push(tokens=[subscription(f"https://{host}/x")]))
    assert headers(push(tokens=[subscription("https://eu.push.example.net/x")]))


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("no-json", "no subscription"),
        ("{}", "no subscription"),
        (subscription("https://push.example.net/x", auth="AAAA"), "keys.auth"),
        (subscription("https://push.example.net/x", p256dh="AAAA"), "keys.p256dh"),
        (subscription("https://push.example.net/x", p256dh="***"), "keys.p256dh"),
    ],
)
def test_half_a_subscription_is_no_token(token: str, words: str) -> None:
    """What a page forgot to send is named."""
    assert words in str(vendor.adapter.token_fault(token))


def test_keys_may_be_padded() -> None:
    """Some browsers pad their base64url, and some pages write plain base64."""
    padded = {name: key + "=" * (-len(key) % 4) for name, key in KEYS.items()}
    assert vendor.adapter.token_fault(subscription("https://push.example.net/x", **padded)) is None


def test_a_key_off_the_curve_is_refused() -> None:
    """65 bytes that are no point cannot be encrypted for."""
    off = base64url.encode(b"\x04" + b"\x01" * 64)
    with pytest.raises(Refused, match="no point"):
        headers(push(tokens=[subscription("https://push.example.net/x", p256dh=off)]))


# --- request and answer --------------------------------------------------------------------------------------


def test_ttl_urgency_and_topic() -> None:
    """TTL stays within 0 and 30 days, a long collapse id becomes a topic of 32 characters, urgency is the operator's."""
    given = headers(push(collapse_id="c2c_alice:bob/42"))
    assert (given["ttl"], given["urgency"], len(given["topic"])) == ("86400", "high", 32)
    assert headers(push(expires_at=0))["ttl"] == "0"
    assert headers(push(expires_at=int(SUBJECT.now) + 10**8))["ttl"] == "2592000"
    quiet = msgspec.structs.replace(ACCOUNT, defaults={"urgency": "low"})
    assert headers(push(collapse_id="abc"), quiet)["topic"] == "abc"
    assert headers(push(), quiet)["urgency"] == "low"


def test_the_address_stays_out_of_the_outcome() -> None:
    """Whoever has the endpoint can reach the browser: a push service that quotes it is not quoted."""
    given = push()
    endpoint = parse(given.targets[0].token).endpoint
    body = json.dumps({"message": f"no such endpoint: {endpoint}"}).encode()
    [outcome] = vendor.adapter.interpret(given, ACCOUNT, Response(status=410, body=body))
    assert (outcome.action, outcome.reason) == (Action.INVALID_TOKEN, "no such endpoint: ***")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"private_key": None}, "private_key_file is missing"),
        ({"private_key": b"-----BEGIN NONSENSE"}, "cannot be read|can be read"),
        ({"private_key": b"AAAA"}, "neither PEM nor 32 bytes"),
        ({"subject": "push@example.com"}, "no contact"),
        ({"hosts": ()}, "host names"),
        ({"hosts": ("https://push.example.net",)}, "host names"),
    ],
)
def test_a_wrong_credential_says_how_to_mend_it(fields: dict[str, Any], words: str) -> None:
    """Each fault of the operator's has a sentence of its own."""
    with pytest.raises(ValidationError, match=words):
        WebpushCredential.model_validate({"private_key": PEM, "subject": "mailto:push@example.com", **fields})
