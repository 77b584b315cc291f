"""A throw-away certificate authority and the localhost certificate that it signs."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_FILE = "sandbox-ca.pem"
SERVER_FILE = "sandbox-server.pem"

_LOCAL_NAME = "localhost"
_LOCAL_ADDRESSES = ("127.0.0.1", "::1")


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the sandbox's clients trust, and what the sandbox shows them."""

    ca_pem: bytes
    server_file: Path
    """PEM: the server's certificate, then its key."""


def load_authority(directory: Path) -> Authority:
    """The authority whose two files lie in the directory. Raises FileNotFoundError naming the one that is missing."""
    server_file = directory / SERVER_FILE
    if not server_file.is_file():
        raise FileNotFoundError(
            f"{SERVER_FILE} is missing in {directory}; run the sandbox with an authority made anew"
        )
    return Authority(ca_pem=(directory / CA_FILE).read_bytes(), server_file=server_file)


def make_authority(directory: Path, *, now: datetime | None = None, years: int = 20) -> Authority:
    """The authority in this directory; where there is none, a new one for ``years`` from ``now`` (default: today).

    The authority's own key is never written: nothing else can ever be signed by it. It may vouch for localhost alone.
    """
    if (directory / SERVER_FILE).is_file() and (directory / CA_FILE).is_file():
        return load_authority(directory)
    start = (now or datetime.now(UTC)).replace(microsecond=0) - timedelta(days=1)
    end = start + timedelta(days=365 * years + years // 4)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _ca_certificate(ca_key, start, end)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _server_certificate(server_key, ca, ca_key, start, end)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CA_FILE).write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    _write_private(
        directory / SERVER_FILE,
        server.public_bytes(serialization.Encoding.PEM)
        + server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return load_authority(directory)


def _ca_certificate(key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime) -> x509.Certificate:
    name = _name("pushgw sandbox throw-away CA")
    local: list[x509.GeneralName] = [x509.DNSName(_LOCAL_NAME)]
    local += [x509.IPAddress(ipaddress.ip_network(address)) for address in _LOCAL_ADDRESSES]
    return (
        _builder(name, name, key, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=local, excluded_subtrees=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    start: datetime,
    end: datetime,
) -> x509.Certificate:
    local: list[x509.GeneralName] = [x509.DNSName(_LOCAL_NAME)]
    local += [x509.IPAddress(ipaddress.ip_address(address)) for address in _LOCAL_ADDRESSES]
    return (
        _builder(_name("pushgw sandbox"), ca.subject, key, start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(local), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_private(path: Path, content: bytes) -> None:
    with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
