"""The client certificate: the ``.p12`` with which an app speaks for itself instead of a provider token."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

TOPIC_EXTENSIONS = (
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.4"),
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.6"),
)
"""Where Apple lists the topics of a certificate that serves several."""

_Key = RSAPrivateKey | EllipticCurvePrivateKey
_EXPORT = "export certificate and key together from Keychain Access, with a password"


class ClientCertificate:
    """An opened ``.p12``: what TLS shows to Apple."""

    def __init__(self, data: bytes, password: str) -> None:
        """Raises ValueError with the operator's sentence; it never quotes the password."""
        key, certificate, others = _open(data, password)
        self.certificate = certificate
        self.expires_at = certificate.not_valid_after_utc.timestamp()
        """Epoch s."""
        pem = serialization.Encoding.PEM
        chain = b"".join(c.public_bytes(pem) for c in (certificate, *others))
        unlocked = serialization.NoEncryption()
        self.identity_pem = chain + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unlocked)

    def __repr__(self) -> str:
        return f"ClientCertificate(expires_at={self.expires_at})"

    def matches(self, der: bytes) -> bool:
        """Whether this is the certificate that a connection showed."""
        return self.certificate.public_bytes(serialization.Encoding.DER) == der

    def check(self, bundle_id: str, now: float) -> None:
        """Raises ValueError where Apple will refuse it: out of date at ``now`` (epoch s), or another app's."""
        if now >= self.expires_at:
            day = datetime.fromtimestamp(self.expires_at, UTC).date()
            raise ValueError(f"the certificate expired on {day}; make a new one in Apple's developer portal")
        if now < self.certificate.not_valid_before_utc.timestamp():
            day = self.certificate.not_valid_before_utc.date()
            raise ValueError(f"the certificate is valid from {day} only; check this machine's clock")
        if bundle_id and not self._speaks_for(bundle_id):
            raise ValueError(
                f"the certificate is not for bundle_id {bundle_id} but for {self._user_id()}; "
                "correct bundle_id, or use that app's certificate"
            )

    def _speaks_for(self, bundle_id: str) -> bool:
        named = self._user_id()
        return named in ("", bundle_id) or any(
            bundle_id.encode() in topics for topics in self._topic_extensions()
        )

    def _user_id(self) -> str:
        """Apple writes the bundle id into the subject's UID."""
        names = self.certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
        return str(names[0].value) if names else ""

    def _topic_extensions(self) -> list[bytes]:
        """Undecoded: the topics stand in them as plain UTF-8 strings."""
        found = (e.value for e in self.certificate.extensions if e.oid in TOPIC_EXTENSIONS)
        return [value.value for value in found if isinstance(value, x509.UnrecognizedExtension)]


def _open(data: bytes, password: str) -> tuple[_Key, x509.Certificate, list[x509.Certificate]]:
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(data, password.encode() or None)
    except ValueError:
        raise ValueError(
            f"cannot be opened: the password is wrong, or the file is no PKCS#12; {_EXPORT}"
        ) from None
    if not isinstance(key, _Key):
        raise ValueError(f"holds no private RSA or elliptic-curve key; {_EXPORT}")
    if certificate is None:
        raise ValueError(f"holds no certificate for its key; {_EXPORT}")
    return key, certificate, others
