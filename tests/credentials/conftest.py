"""Certificates, keys and files that vendors' consoles give out, made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

BUNDLE_ID = "com.example.chat"
PASSWORD = "open-sesame-p12"
_ENVIRONMENT = {"sandbox": "1.2.840.113635.100.6.3.1", "production": "1.2.840.113635.100.6.3.2"}
_KEYS: dict[str, Any] = {}


def rsa_key(name: str = "own", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same name: they take long to make."""
    key: rsa.RSAPrivateKey = _KEYS.setdefault(f"{name} {bits}", None) or rsa.generate_private_key(65537, bits)
    _KEYS[f"{name} {bits}"] = key
    return key


def pem_of(key: Any, password: str = "") -> bytes:
    lock: Any = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))


class Maker:
    """What the tests put into credential directories."""

    bundle_id = BUNDLE_ID
    password = PASSWORD

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def certificate(
        self,
        bundle_id: str = BUNDLE_ID,
        *,
        days: float = 400,
        since: float = -1,
        environment: str = "sandbox",
        key: Any = None,
    ) -> x509.Certificate:
        """As Apple makes it: bundle id in the UID, the environment's extension. Valid from ``since`` to ``days`` days from now."""
        name = x509.Name([x509.NameAttribute(NameOID.USER_ID, bundle_id)])
        own = key or rsa_key()
        oid = x509.ObjectIdentifier(_ENVIRONMENT[environment])
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(own.public_key())
            .serial_number(7)
            .not_valid_before(self.now + timedelta(days=since))
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
            .sign(own, hashes.SHA256())
        )

    def p12(self, certificate: x509.Certificate | None = None, password: str = PASSWORD) -> bytes:
        """Certificate and key, locked with the password."""
        lock: Any = (
            serialization.BestAvailableEncryption(password.encode())
            if password
            else serialization.NoEncryption()
        )
        shown = certificate or self.certificate()
        return pkcs12.serialize_key_and_certificates(b"push", rsa_key(), shown, None, lock)

    def pem(self, certificate: x509.Certificate | None = None, password: str = "") -> bytes:
        """The same as `openssl pkcs12 -nodes` writes it."""
        shown = (certificate or self.certificate()).public_bytes(serialization.Encoding.PEM)
        return b"Bag Attributes\n" + shown + pem_of(rsa_key(), password)

    def p8(self) -> bytes:
        """A provider key."""
        return pem_of(ec.generate_private_key(ec.SECP256R1()))

    def key_pem(self, name: str = "other", bits: int = 2048) -> bytes:
        """An RSA key."""
        return pem_of(rsa_key(name, bits))

    def google(self, **changes: Any) -> bytes:
        """A service account's key file as the Firebase console gives it out."""
        file = {
            "type": "service_account",
            "project_id": "example-im",
            "private_key_id": "0123456789abcdef",
            "private_key": pem_of(rsa_key("google")).decode(),
            "client_email": "push@example-im.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        return json.dumps({**file, **changes}).encode()

    def huawei(self, **changes: Any) -> bytes:
        """A service account's key file as Huawei's API Console gives it out."""
        file = {
            "project_id": "900600000000000000",
            "key_id": "0123456789abcdef",
            "private_key": pem_of(rsa_key("huawei")).decode(),
            "sub_account": "104123456",
        }
        return json.dumps({**file, **changes}).encode()

    def agconnect(self) -> bytes:
        """The app's file of AppGallery Connect."""
        file = {
            "agcgw": {"url": "connect-drcn.hispace.hicloud.com"},
            "client": {
                "client_id": "1234567890123456789",
                "client_secret": "AAECAwQFBgcICQoLDA0ODw==",
                "project_id": "388421841221234567",
                "app_id": "104123456",
                "package_name": BUNDLE_ID,
            },
            "oauth_client": {"client_id": "104123456", "client_type": 1},
            "app_info": {"app_id": "104123456", "package_name": BUNDLE_ID},
            "configuration_version": "3.0",
        }
        return json.dumps(file).encode()


@pytest.fixture(scope="session")
def make() -> Maker:
    """Makes what vendors' consoles give out."""
    return Maker()


@pytest.fixture
def apns(tmp_path: Path, make: Maker) -> Callable[..., Path]:
    """Writes an APNs credential 6666 with a p12 into a private directory; keyword arguments are fields, None leaves one out."""

    def write(content: bytes | None = None, file: str = "push.p12", **fields: str | None) -> Path:
        directory = tmp_path / "certs"
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / file).write_bytes(make.p12() if content is None else content)
        (directory / file).chmod(0o600)
        given = {
            "p12_file": file,
            "password": PASSWORD,
            "bundle_id": BUNDLE_ID,
            "environment": "sandbox",
            **fields,
        }
        lines = [f'{name} = "{value}"' for name, value in given.items() if value is not None]
        text = "\n".join(['business_id = 6666\nvendor = "apns"\n[credential]', *lines, ""])
        (directory / "6666.toml").write_text(text)
        (directory / "6666.toml").chmod(0o600)
        return directory

    return write
