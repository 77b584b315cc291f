"""Huawei's service account: the key file of the API Console, and the JWT that it signs.

Source: Huawei's guide to push tokens (JWT): PS256 (RSASSA-PSS, SHA-256, MGF1 with SHA-256, 32 bytes of salt), valid
for an hour, used as the bearer itself; there is no exchange for an access token.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

AUDIENCE = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
"""What Huawei compares ``aud`` with: its own address, wherever the request really goes."""

LIFETIME_S = 3600
PSS = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)

_ADVICE = "download the key file again in Huawei's API Console (Credentials, service account key)"


class KeyFile(msgspec.Struct, frozen=True):
    """The fields of the key file that count; others are ignored."""

    project_id: str
    key_id: str
    private_key: str
    sub_account: str

    def __repr__(self) -> str:
        return f"KeyFile(project_id={self.project_id!r}, key_id={self.key_id!r})"


class ServiceAccount:
    """A parsed key file that can sign."""

    def __init__(self, content: bytes) -> None:
        """Raises ValueError with a sentence for the operator; it never quotes the key."""
        self.file = _decoded(content)
        self.key = _rsa_key(self.file.private_key)

    @property
    def project_id(self) -> str:
        """The project that Huawei expects in the path."""
        return self.file.project_id

    def token(self, now: float) -> str:
        """A fresh bearer, issued at ``now`` (epoch s) for an hour. PSS is salted: no two are equal."""
        header = {"kid": self.file.key_id, "typ": "JWT", "alg": "PS256"}
        issued = int(now)
        claims = {"aud": AUDIENCE, "iss": self.file.sub_account, "exp": issued + LIFETIME_S, "iat": issued}
        signing_input = f"{_part(header)}.{_part(claims)}"
        signature = self.key.sign(signing_input.encode(), PSS, SHA256())
        return f"{signing_input}.{_base64url(signature)}"


def _decoded(content: bytes) -> KeyFile:
    try:
        return msgspec.json.decode(content, type=KeyFile)
    except msgspec.ValidationError as error:
        raise ValueError(f"the service-account file is not complete ({error}); {_ADVICE}") from None
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(f"the service-account file is no JSON; {_ADVICE}") from None


def _rsa_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"private_key in the service-account file is no PEM key; {_ADVICE}") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise ValueError(
            f"private_key in the service-account file is no RSA key of 2048 bits or more; {_ADVICE}"
        )
    return key


def _part(value: Mapping[str, object]) -> str:
    return _base64url(msgspec.json.encode(value))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
