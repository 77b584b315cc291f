"""The service account that two vendors share: what it signs, and what an emulator finds in it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pushgw.vendor.service_account import AUDIENCE, BearerRefused, ServiceAccount, verified

NOW = 1_767_225_600.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(**changes: Any) -> bytes:
    fields = {"project_id": "1016", "key_id": "k1", "private_key": PEM, "sub_account": "104", **changes}
    return json.dumps(fields).encode()


SERVICE = ServiceAccount(key_file())
OTHER = ServiceAccount(key_file(key_id="k2", project_id="2016"))


def signed(claims: dict[str, Any], alg: str = "PS256", salt: int = 32) -> str:
    """A bearer of SERVICE with these changes."""
    given = {"aud": AUDIENCE, "iss": "104", "iat": int(NOW), "exp": int(NOW) + 3600, **claims}
    parts = [{"kid": "k1", "typ": "JWT", "alg": alg}, given]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)
    pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=salt)
    signature = KEY.sign(head.encode(), pss, SHA256())
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_its_own_bearer_is_recognised() -> None:
    """What an account signs leads back to it, among others, until the hour is over."""
    bearer = SERVICE.token(NOW)
    assert verified(bearer, [OTHER, SERVICE], NOW) is SERVICE
    assert verified(bearer, [OTHER, SERVICE], NOW + 3599) is SERVICE
    with pytest.raises(BearerRefused) as caught:
        verified(bearer, [SERVICE], NOW + 3600)
    assert caught.value.code == "80200005"


def test_no_two_bearers_are_equal() -> None:
    """The signature is salted, so that a new bearer is a new one even within the same second."""
    assert SERVICE.token(NOW) != SERVICE.token(NOW)


@pytest.mark.parametrize(
    ("bearer", "code"),
    [
        (signed({}, alg="RS256"), "80200001"),
        (signed({}, salt=20), "80200001"),
        (signed({"aud": "https://127.0.0.1:8443"}), "80200001"),
        (signed({"iss": "105"}), "80200001"),
        (signed({"iat": "now"}), "80200001"),
        (signed({"iat": int(NOW) + 301, "exp": int(NOW) + 3901}), "80200001"),
        (signed({"exp": int(NOW) + 86_401}), "80300036"),
        ("a.b.c", "80200001"),
        ("abc", "80200001"),
        ("ä.ö.ü", "80200001"),
    ],
)
def test_what_huawei_refuses_is_refused(bearer: str, code: str) -> None:
    """Algorithm, salt, audience, issuer and times are checked; the words never hold the bearer."""
    with pytest.raises(BearerRefused) as caught:
        verified(bearer, [SERVICE], NOW)
    assert caught.value.code == code
    assert bearer not in caught.value.words


def test_a_day_is_the_longest_life() -> None:
    """A JWT of exactly a day is taken."""
    assert verified(signed({"exp": int(NOW) + 86_400}), [SERVICE], NOW) is SERVICE


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"{}", "not complete"),
        (key_file(private_key="nothing"), "no PEM key"),
    ],
)
def test_a_broken_file_is_explained(content: bytes, words: str) -> None:
    """The sentence says what is wrong and where to get another file."""
    with pytest.raises(ValueError, match=words) as caught:
        ServiceAccount(content)
    assert "API Console" in str(caught.value)


def test_no_key_in_repr() -> None:
    """Printing it, or the file inside, shows no key."""
    shown = repr(SERVICE) + repr(SERVICE.file)
    assert "PRIVATE" not in shown
    assert PEM[40:80] not in shown
