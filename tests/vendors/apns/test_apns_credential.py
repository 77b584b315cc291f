"""APNs: what an operator may write, and the sentence for each mistake."""

from __future__ import annotations

import base64
import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from pushgw.vendor.adapter import Account
from vendors.apns import vendor
from vendors.apns.client_certificate import ENVIRONMENT_EXTENSIONS, TOPIC_EXTENSIONS
from vendors.apns.credential import ApnsCredential

EXAMPLES = Path(__file__).parents[3] / "certs.example"
LEGACY: dict[str, bytes] = {
    name: base64.b64decode(text)
    for name, text in json.loads(Path(__file__).with_name("vectors.json").read_text())["legacy_p12"][
        "files"
    ].items()
}
"""As Keychain Access and old OpenSSL write them; vectors.json says how they were made."""
RSA_KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
NOW = datetime.now(UTC)


def pem(key: Any, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


P8 = pem(ec.generate_private_key(ec.SECP256R1()))


def certificate(
    bundle_id: str = "com.example.chat",
    days: int = 30,
    topics: str | bytes = "",
    *,
    since: int = -400,
    environments: tuple[str, ...] = (),
    key: Any = RSA_KEY,
    issuer: str = "",
    name: str = "",
) -> x509.Certificate:
    own = [x509.NameAttribute(NameOID.USER_ID, bundle_id)] if bundle_id else []
    own += [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    above = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else x509.Name(own)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(own))
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW + timedelta(days=since))
        .not_valid_after(NOW + timedelta(days=days))
    )
    for oid, environment in ENVIRONMENT_EXTENSIONS.items():
        if environment in environments:
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
    if topics:
        der = topics if isinstance(topics, bytes) else b"\x0c" + bytes([len(topics)]) + topics.encode()
        listed = x509.UnrecognizedExtension(TOPIC_EXTENSIONS[1], der)
        builder = builder.add_extension(listed, critical=False)
    return builder.sign(key, hashes.SHA256())


def p12(
    shown: x509.Certificate | None = None,
    password: bytes = b"sesame",
    key: bool = True,
    others: tuple[x509.Certificate, ...] = (),
) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        b"push", RSA_KEY if key else None, shown or certificate(), others, lock
    )


def p12_of(*held: x509.Certificate) -> bytes:
    """The key, and certificates of which none is marked as the key's."""
    lock = serialization.BestAvailableEncryption(b"sesame")
    return pkcs12.serialize_key_and_certificates(b"push", RSA_KEY, None, held, lock)


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
    (
        by_certificate,
        {"p12": p12(certificate("com.example.chat.two"))},
        "p12",
        "but for com.example.chat.two",
    ),
    (
        by_certificate,
        {"p12": p12(certificate("com.other", topics="com.example.chat.two"))},
        "p12",
        "not for bundle_id com.example.chat but for com.other",
    ),
    (by_certificate, {"p12": p12(certificate(since=1))}, "p12", "only; check this machine's clock"),
    (
        by_certificate,
        {"p12": p12_of(certificate(key=OTHER_KEY))},
        "p12",
        "the key and the certificate in it do not belong together; select the certificate with the key",
    ),
    (by_certificate, {"p12": p12_of()}, "p12", "holds no certificate for its key"),
    (by_certificate, {"password": ""}, "p12", "the password is missing or wrong"),
    (by_certificate, {"p12": p12(password=b"")}, "p12", "the password is wrong, or the file is no PKCS#12"),
    (
        by_certificate,
        {"p12": pem(RSA_KEY)},
        "p12",
        "holds no certificate for its key; export certificate and key together",
    ),
    (
        by_certificate,
        {"p12": p12(certificate(environments=("production",))), "environment": "sandbox"},
        "p12",
        "for production only, and environment is sandbox; correct environment",
    ),
    (
        by_certificate,
        {"p12": p12(certificate(environments=("sandbox",)))},
        "p12",
        "for sandbox only, and environment is production",
    ),
    (
        by_certificate,
        {"p12": LEGACY["rc2_40"], "password": "hunter2"},
        "p12",
        "if the password is right, its old cipher (RC2 or 3DES) is refused here: convert it with `openssl pkcs12 -legacy",
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


@pytest.mark.parametrize(
    ("name", "password"), [("rc2_40", "sesame"), ("3des", "sesame"), ("rc2_40_no_password", "")]
)
def test_old_ciphers_of_keychain_are_read(name: str, password: str) -> None:
    """RC2 with 40 bits and 3DES are out of use, but Keychain Access writes them: such a file works as it is."""
    held = by_certificate(p12=LEGACY[name], password=password).certificate
    assert held is not None
    assert held.covers("com.example.chat")
    assert not held.covers("com.example.chat.voip")
    key = serialization.load_pem_private_key(held.identity_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert held.certificate.public_key() == key.public_key()


def test_a_cipher_that_the_machine_refuses_comes_with_the_way_to_convert(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where OpenSSL was built without the old ciphers, the sentence has both commands, ready to copy."""

    def refuses(*_: Any) -> None:
        raise UnsupportedAlgorithm("RC2-40-CBC")

    monkeypatch.setattr(pkcs12, "load_key_and_certificates", refuses)
    with pytest.raises(ValidationError) as refused:
        by_certificate(p12=LEGACY["rc2_40"])
    [problem] = refused.value.errors(include_input=False)
    assert "`openssl pkcs12 -legacy -in old.p12 -nodes -out push.pem`" in problem["msg"]
    assert "`openssl pkcs12 -export -in push.pem -out push.p12`" in problem["msg"]


def test_a_p12_without_a_password_is_read() -> None:
    """An empty password and none are the same."""
    assert by_certificate(p12=p12(password=b""), password="").certificate is not None


def test_a_p12_in_ber_is_read() -> None:
    """Some exporters leave lengths open; the file is as good, and no warning disturbs the start."""
    der = p12()
    assert der[:2] == b"\x30\x82"
    assert by_certificate(p12=b"\x30\x80" + der[4:] + b"\x00\x00").certificate is not None


def name_of(data: bytes, **changes: Any) -> str:
    held = by_certificate(p12=data, **changes).certificate
    assert held is not None
    return str(held.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


OLD, NEW, LAPSED = (certificate(days=d, name=n) for d, n in ((30, "old"), (300, "new"), (-30, "lapsed")))
SANDBOX, PRODUCTION = (certificate(environments=(e,), name=e) for e in ("sandbox", "production"))
STRANGER = certificate("com.other", 900, name="stranger")


@pytest.mark.parametrize(
    ("held", "environment", "chosen"),
    [
        ((OLD, NEW), "production", "new"),
        ((NEW, OLD), "production", "new"),
        ((LAPSED, OLD), "production", "old"),
        ((STRANGER, OLD), "production", "old"),
        ((SANDBOX, PRODUCTION), "sandbox", "sandbox"),
        ((SANDBOX, PRODUCTION), "production", "production"),
    ],
)
def test_of_several_certificates_the_fitting_one_is_taken(
    held: tuple[x509.Certificate, ...], environment: str, chosen: str
) -> None:
    """Renewed from one request, they share the key: the app's own, of the environment, that lasts longest counts."""
    assert name_of(p12_of(*held), environment=environment) == chosen
    assert name_of(p12(held[0], others=held[1:]), environment=environment) == chosen


def test_only_the_chain_above_the_certificate_is_shown() -> None:
    """An intermediate authority goes along, other apps' certificates and those of other keys do not."""
    above = certificate("", key=OTHER_KEY, name="Authority")
    own = certificate(issuer="Authority", name="own")
    held = by_certificate(p12=p12(own, others=(STRANGER, certificate(key=OTHER_KEY), above))).certificate
    assert held is not None
    assert x509.load_pem_x509_certificates(held.identity_pem) == [own, above]


@pytest.mark.parametrize("environment", ["sandbox", "production"])
def test_a_certificate_of_both_environments_serves_either(environment: str) -> None:
    """Both extensions are there; a certificate with neither is not judged."""
    both = p12(certificate(environments=("sandbox", "production")))
    assert by_certificate(p12=both, environment=environment).certificate is not None
    assert by_certificate(p12=p12(), environment=environment).certificate is not None


def test_a_topic_is_not_found_inside_a_longer_one() -> None:
    """com.example is not covered by a certificate that lists com.example.chat."""
    held = by_certificate(p12=p12(certificate("", topics="com.example.chat"))).certificate
    assert held is not None
    assert held.covers("com.example.chat")
    assert not held.covers("com.example")
    assert not held.covers("example.chat")


@pytest.mark.parametrize(
    ("size", "head"),
    [(127, b"\x0c\x7f"), (128, b"\x0c\x81\x80"), (255, b"\x0c\x81\xff"), (256, b"\x0c\x82\x01\x00")],
)
def test_long_topics_are_found_too(size: int, head: bytes) -> None:
    """From 128 bytes on, DER writes a text's length in another way."""
    topic = "c" * size
    shown = certificate("", topics=head + topic.encode())
    held = by_certificate(p12=p12(shown), bundle_id=topic).certificate
    assert held is not None
    assert held.covers(topic)
    assert not held.covers(topic[1:])


def test_the_throw_away_example_can_be_read() -> None:
    """certs.example/9001.toml names a key that fits its fields."""
    data = tomllib.loads((EXAMPLES / "9001.toml").read_text())
    assert (data["business_id"], data["vendor"]) == (9001, "apns")
    fields = dict(data["credential"])
    fields["key"] = (EXAMPLES / fields.pop("key_file")).read_bytes()
    assert ApnsCredential.model_validate(fields).team_id == "EXAMPLETM1"
