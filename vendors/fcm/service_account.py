"""A Google service account: the JSON key file of the Firebase console, and the assertion that it signs.

Source: Google's guide to OAuth 2.0 for server-to-server applications.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.oauth2 import service_account
from pyfcm import FCMNotification

from pushgw.vendor.answers import json_object

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""What Google compares ``aud`` with: its own address, wherever the request really goes."""
LIFETIME_S = 3600
"""The longest life of an assertion that Google takes."""

_DOWNLOAD = (
    "download it in the Firebase console: Project settings, Service accounts, Generate new private key"
)


class _KeyFile(msgspec.Struct, frozen=True):
    """The fields of the key file that count; others are ignored."""

    type: str
    project_id: str
    private_key_id: str
    private_key: str
    client_email: str
    token_uri: str = AUDIENCE


class ServiceAccount:
    """An opened key file."""

    def __init__(self, content: bytes) -> None:
        """Raises ValueError with a sentence for the operator; it never quotes the key."""
        file = _decoded(content)
        self._key = _rsa_key(file.private_key)
        self.project_id = file.project_id
        self.key_id = file.private_key_id
        self.client_email = file.client_email
        self.token_uri = file.token_uri
        self.credentials: service_account.Credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # google-auth leaves it untyped
            msgspec.to_builtins(file), scopes=[SCOPE]
        )
        self.pyfcm = FCMNotification(credentials=self.credentials)
        """pyfcm's own client, for its payloads and its endpoint; its blocking session is never opened."""

    def __repr__(self) -> str:
        return f"ServiceAccount(client_email={self.client_email!r})"

    @property
    def public_key(self) -> RSAPublicKey:
        """What verifies the assertion."""
        return self._key.public_key()

    def assertion(self, issued_at: int) -> str:
        """The JWT that is exchanged for an access token: issued at ``issued_at`` (epoch s), for an hour.

        google-auth would sign the moment of the call; its signer is used on a claim set of our own time.
        """
        signer = self.credentials.signer
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": AUDIENCE,
            "iat": issued_at,
            "exp": issued_at + LIFETIME_S,
        }
        signing_input = f"{_part(header)}.{_part(claims)}"
        return f"{signing_input}.{_base64url(signer.sign(signing_input.encode()))}"


def is_service_account(content: bytes) -> bool:
    """Whether the file says that it is one."""
    return json_object(content).get("type") == "service_account"


def is_app_file(content: bytes) -> bool:
    """Whether it is google-services.json, or the property list that iPhones have in its place."""
    file = json_object(content)
    return ("project_info" in file and "client" in file) or b"<key>GOOGLE_APP_ID</key>" in content


def _decoded(content: bytes) -> _KeyFile:
    try:
        file = msgspec.json.decode(content, type=_KeyFile)
    except msgspec.ValidationError as error:
        raise ValueError(f"is no service-account file ({error}); {_DOWNLOAD}") from None
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError(f"is no JSON; {_DOWNLOAD}") from None
    if file.type != "service_account":
        raise ValueError(f"its type is not service_account; {_DOWNLOAD}")
    if empty := [name for name in file.__struct_fields__ if not getattr(file, name).strip()]:
        raise ValueError(f"{' and '.join(empty)} must not be empty; {_DOWNLOAD}")
    return file


def _rsa_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"its private_key is no PEM key; {_DOWNLOAD}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"its private_key is no RSA key; {_DOWNLOAD}")
    return key


def _part(value: Mapping[str, object]) -> str:
    return _base64url(msgspec.json.encode(value))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
