"""Huawei's service account: the key file of the API Console, and the JWT that it signs.

Here, below the vendors' folders, because two of them (Android and HarmonyOS) share it and none imports another.
Source: Huawei's guide to push tokens (JWT): PS256 (RSASSA-PSS, SHA-256, MGF1 with SHA-256, 32 bytes of salt), valid
for an hour, used as the bearer itself; there is no exchange for an access token.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pushgw.vendor.answers import json_object
from pushgw.vendor.checks import Recognized

AUDIENCE = "https://oauth-login.cloud.huawei.com/oauth2/v3/token"
"""What Huawei compares ``aud`` with: its own address, wherever the request really goes."""

LIFETIME_S = 3600
REFRESH_EARLY_S = 300
LONGEST_LIFETIME_S = 86_400
"""Huawei refuses a JWT that is valid for longer."""
CLOCK_SKEW_S = 300
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

    @property
    def said(self) -> str:
        """The key, in words for a finding."""
        return f"an RSA key of {self.key.key_size} bits, of project {self.project_id}"

    def token(self, now: float) -> str:
        """A fresh bearer, issued at ``now`` (epoch s) for an hour. PSS is salted: no two are equal."""
        header = {"kid": self.file.key_id, "typ": "JWT", "alg": "PS256"}
        issued = int(now)
        claims = {"aud": AUDIENCE, "iss": self.file.sub_account, "exp": issued + LIFETIME_S, "iat": issued}
        signing_input = f"{_part(header)}.{_part(claims)}"
        signature = self.key.sign(signing_input.encode(), PSS, SHA256())
        return f"{signing_input}.{_base64url(signature)}"


class BearerRefused(Exception):
    """Why Huawei would not take a bearer: its code and a sentence, neither with the bearer in it."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


def verified(bearer: str, known: Iterable[ServiceAccount], now: float) -> ServiceAccount:
    """Whose bearer this is, for emulators. ``now`` in epoch s. Raises BearerRefused as Huawei does, in its order."""
    header, claims, signature = _parts(bearer)
    names = (claims.get("iss"), header.get("kid"))
    service = next((s for s in known if (s.file.sub_account, s.file.key_id) == names), None)
    if service is None:
        raise BearerRefused("80200001", "unknown service account")
    if header.get("alg") != "PS256" or claims.get("aud") != AUDIENCE:
        raise BearerRefused("80200001", "the JWT is not PS256, or not for Huawei's token address")
    try:
        service.key.public_key().verify(signature, bearer.rpartition(".")[0].encode(), PSS, SHA256())
    except InvalidSignature:
        raise BearerRefused("80200001", "the JWT's signature does not verify") from None
    _check_window(claims, now)
    return service


def recognized_service_account(content: bytes) -> Recognized | None:
    """A key file of the API Console, or None. Raises ValueError where it is one and not complete."""
    if not {"sub_account", "private_key"} <= json_object(content).keys():
        return None
    service = ServiceAccount(content)
    return Recognized(
        kind="a service account of Huawei's",
        fields={"project_id": service.project_id},
        file_field="service_account_file",
    )


def _parts(bearer: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    try:
        header, claims, signature = (
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
            for part in bearer.split(".")
        )
    except (binascii.Error, ValueError):
        raise BearerRefused("80200001", "the JWT cannot be parsed") from None
    return json_object(header), json_object(claims), signature


def _check_window(claims: dict[str, Any], now: float) -> None:
    issued, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(ends, int) or issued > now + CLOCK_SKEW_S:
        raise BearerRefused("80200001", "the JWT's iat and exp are missing or ahead of time")
    if ends - issued > LONGEST_LIFETIME_S:
        raise BearerRefused("80300036", "the JWT is valid for over a day")
    if ends <= now:
        raise BearerRefused("80200005", "Jwt token expired")


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
