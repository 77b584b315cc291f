"""An APNs credential by certificate, as Apple would give it out, aimed where 9001 is."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def write_certificate_credential(certs: Path, business_id: int, *, days: float, password: str) -> None:
    """``<business_id>.toml`` and its p12, whose certificate ends so many days from now."""
    like = tomllib.loads((certs / "9001.toml").read_text())
    key = rsa.generate_private_key(65537, 2048)
    bundle = like["credential"]["bundle_id"]
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, bundle)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(business_id)
        .not_valid_before(now - timedelta(days=300))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password.encode())
    p12 = serialization.pkcs12.serialize_key_and_certificates(b"push", key, certificate, None, lock)
    (certs / f"push-{business_id}.p12").write_bytes(p12)
    (certs / f"{business_id}.toml").write_text(
        f'business_id = {business_id}\nvendor = "apns"\nendpoint = "{like["endpoint"]}"\n'
        f'ca_file = "{like["ca_file"]}"\n[credential]\np12_file = "push-{business_id}.p12"\n'
        f'password = "{password}"\nbundle_id = "{bundle}"\n'
    )
