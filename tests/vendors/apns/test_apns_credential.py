"""APNs: what an operator may write, and the sentence for each mistake."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from pushgw.vendor.adapter import Account
from vendors.apns import vendor
from vendors.apns.client_certificate import TOPIC_EXTENSIONS
from vendors.apns.credential import ApnsCredential

EXAMPLES = Path(__file__).parents[3] / "certs.example"
RSA_KEY = rsa.generate_private_key(65537, 2048)
NOW = datetime.now(UTC)


def pem(key: Any, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


P8 = pem(ec.generate_private_key(ec.SECP256R1()))


def certificate(bundle_id: str = "com.example.chat", days: int = 30, topics: str = "") -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, bundle_id)] if bundle_id else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(RSA_KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if topics:
        listed = x509.UnrecognizedExtension(
            TOPIC_EXTENSIONS[1], b"\x0c" + bytes([len(topics)]) + topics.encode()
        )
        builder = builder.add_extension(listed, critical=False)
    return builder.sign(RSA_KEY, hashes.SHA256())


def p12(shown: x509.Certificate | None = None, password: bytes = b"sesame", key: bool = True) -> bytes:
    lock = serialization.BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(
        b"push", RSA_KEY if key else None, shown or certificate(), None, lock
    )


def by_key(**changes: Any) -> ApnsCredential:
    fields = {"key": P8, "key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "bundle_id": "com.example.chat"}
    return ApnsCredential.model_validate({**fields, **changes})


def by_certificate(**changes: Any) -> ApnsCredential:
    fields = {"p12": p12(), "password": "sesame", "bundle_id": "com.example.chat"}
    return ApnsCredential.model_validate({**fields, **changes})


FAULTS: list[tuple[Any, dict[str, Any], str, str]] = [
    (by_key, {"key": b"nonsense"}, "key", "no private key in PEM form; name the AuthKey"),
    (by_key, {"key": pem(RSA_KEY)}, "key", "not of the curve P-256"),
    (by_key, {"key": pem(ec.generate_private_key(ec.SECP384R1()))}, "key", "not of the curve P-256"),
    (by_key, {"key": pem(ed25519.Ed25519PrivateKey.generate())}, "key", "not of the curve P-256"),
    (by_key, {"key": pem(ec.generate_private_key(ec.SECP256R1()), b"x")}, "key", "locked with a password"),
    (by_key, {"key_id": "ABC"}, "key_id", "10 capital letters and digits"),
    (by_key, {"team_id": "com.example"}, "team_id", "10 capital letters and digits"),
    (by_key, {"key_id": "", "team_id": ""}, "", "key_id and team_id must stand beside key_file"),
    (by_key, {"bundle_id": "com.example im"}, "bundle_id", "it looks like com.example.im"),
    (by_key, {"bundle_id": "com.example\r\nx: y"}, "bundle_id", "it looks like com.example.im"),
    (by_key, {"environment": "prod"}, "environment", "neither production nor sandbox"),
    (by_key, {"key": None}, "", "neither key_file nor p12_file is given"),
    (by_key, {"p12": p12(), "password": "sesame"}, "", "keep one, better the key"),
    (by_certificate, {"password": "hunter2"}, "p12", "the password is wrong, or the file is no PKCS#12"),
    (by_certificate, {"p12": b"nonsense"}, "p12", "the file is no PKCS#12"),
    (by_certificate, {"p12": p12(key=False)}, "p12", "holds no private RSA or elliptic-curve key"),
    (by_certificate, {"p12": p12(certificate(days=-1))}, "p12", "expired on 20"),
    (
        by_certificate,
        {"p12": p12(certificate("com.other"))},
        "p12",
        "for bundle_id com.example.chat but for com.other",
    ),
]


@pytest.mark.parametrize(("make", "changes", "field", "sentence"), FAULTS)
def test_each_mistake_has_its_sentence(make: Any, changes: dict[str, Any], field: str, sentence: str) -> None:
    """What is wrong and how to mend it, at the field it is about, without the secret."""
    with pytest.raises(ValidationError) as refused:
        make(**changes)
    [problem] = refused.value.errors(include_input=False)
    assert sentence in problem["msg"]
    assert ".".join(map(str, problem["loc"])) == field
    assert "sesame" not in problem["msg"]
    assert "hunter2" not in problem["msg"]


def test_all_mistakes_are_said_at_once() -> None:
    """An operator mends a file in one go."""
    with pytest.raises(ValidationError) as refused:
        by_key(key_id="x", team_id="y", bundle_id="", environment="z", key=b"q")
    assert {e["loc"][0] for e in refused.value.errors()} == {
        "key_id",
        "team_id",
        "bundle_id",
        "environment",
        "key",
    }


def test_ids_may_be_numbers() -> None:
    """A key id of digits only needs no quotes in the TOML file."""
    assert by_key(key_id=1234567890).key_id == "1234567890"


def test_no_secret_shows_in_a_repr() -> None:
    """Neither the key nor the certificate's password nor what is derived from them."""
    body = P8.decode().splitlines()[1]
    token = by_key().provider_token
    shown = [
        repr(by_key()),
        str(by_key()),
        repr(by_certificate()),
        repr(by_certificate().certificate),
        repr(token),
    ]
    assert not any(body in text or "sesame" in text or "PRIVATE" in text for text in shown)


def test_a_certificate_goes_into_the_connection() -> None:
    """With a .p12 TLS shows chain and key, and no bearer is sent; with a key it is the other way round."""
    owner = Account(business_id=1, vendor="apns", credential=by_certificate(), cache={}, ca_pem=b"roots")
    tls = vendor.adapter.tls(owner)
    assert tls.ca_pem == b"roots"
    assert tls.identity_pem is not None
    assert x509.load_pem_x509_certificate(tls.identity_pem) == certificate_of(owner)
    key = serialization.load_pem_private_key(tls.identity_pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.private_numbers() == RSA_KEY.private_numbers()
    assert vendor.adapter.local_auth(owner, 0.0) is None
    assert vendor.adapter.auth_request(owner, 0.0) is None
    plain = Account(business_id=1, vendor="apns", credential=by_key(), cache={})
    assert vendor.adapter.tls(plain).identity_pem is None


def certificate_of(owner: Account) -> x509.Certificate:
    credential: ApnsCredential = owner.credential
    assert credential.certificate is not None
    return credential.certificate.certificate


def test_the_end_of_a_certificate_is_known() -> None:
    """Epoch seconds, for the warning ahead of it."""
    held = by_certificate().certificate
    assert held is not None
    assert held.expires_at == int((NOW + timedelta(days=30)).timestamp())


def test_a_certificate_of_several_topics_serves_each() -> None:
    """The bundle id may stand in Apple's list of topics instead of the subject."""
    many = p12(certificate("com.example.chat", topics="com.example.chat.voip"))
    assert by_certificate(p12=many, bundle_id="com.example.chat.voip").bundle_id == "com.example.chat.voip"


def test_the_throw_away_example_can_be_read() -> None:
    """certs.example/9001.toml names a key that fits its fields."""
    data = tomllib.loads((EXAMPLES / "9001.toml").read_text())
    assert (data["business_id"], data["vendor"]) == (9001, "apns")
    fields = dict(data["credential"])
    fields["key"] = (EXAMPLES / fields.pop("key_file")).read_bytes()
    assert ApnsCredential.model_validate(fields).team_id == "EXAMPLETM1"
