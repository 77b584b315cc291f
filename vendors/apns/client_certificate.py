"""The client certificate: the ``.p12`` or ``.pem`` with which an app speaks for itself instead of a provider token."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

TOPIC_EXTENSIONS = (
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.4"),
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.6"),
)
"""Where Apple lists the topics of a certificate that serves several."""

ENVIRONMENT_EXTENSIONS = {
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.1"): "sandbox",
    x509.ObjectIdentifier("1.2.840.113635.100.6.3.2"): "production",
}
"""Their presence alone says it; a certificate for both has both."""

_Key = RSAPrivateKey | EllipticCurvePrivateKey
_DER, _PEM = serialization.Encoding.DER, serialization.Encoding.PEM
_EXPORT = "export certificate and key together from Keychain Access, with a password"
_CONVERT = (
    "convert it with `openssl pkcs12 -legacy -in old.p12 -nodes -out push.pem` "
    "and `openssl pkcs12 -export -in push.pem -out push.p12`, then delete push.pem"
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_OLD_CIPHERS = re.compile(rb"\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01[\x01-\x06]", re.DOTALL)
"""PKCS#12's own password ciphers (RC4, RC2, 3DES) as they are named inside the file."""


class ClientCertificate:
    """An opened ``.p12``, or a PEM file with the certificate and its key: what TLS shows to Apple."""

    def __init__(self, data: bytes, password: str, *, bundle_id: str = "", environment: str = "") -> None:
        """Raises ValueError with the operator's sentence; it never quotes the password.

        Of several certificates for the key the one for ``bundle_id`` and ``environment`` is taken, of these the one that
        lasts longest. A certificate renewed from the same request stands beside the old one in Keychain's exports.
        """
        key, held = _open(data, password)
        own = _of_key(key, held)
        self._bundle_id, self._environment = bundle_id, environment
        self.certificate = max(own, key=self._rank)
        self.expires_at = self.certificate.not_valid_after_utc.timestamp()
        """Epoch s."""
        self.key_bits = key.key_size
        others = [c for c in held if c not in own]
        chain = b"".join(c.public_bytes(_PEM) for c in _chain(self.certificate, others))
        unlocked = serialization.NoEncryption()
        self.identity_pem = chain + key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, unlocked)

    def __repr__(self) -> str:
        return f"ClientCertificate(expires_at={self.expires_at})"

    def matches(self, der: bytes) -> bool:
        """Whether this is the certificate that a connection showed."""
        return self.certificate.public_bytes(_DER) == der

    @property
    def user_id(self) -> str:
        """The bundle id that Apple wrote into it; empty where there is none."""
        return _user_id(self.certificate)

    @property
    def environments(self) -> set[str]:
        """For which it is; empty where it names none."""
        return _environments(self.certificate)

    @property
    def details(self) -> dict[str, str]:
        """What may be shown of it: subject, issuer, dates, SHA-256 of the certificate."""
        return {
            "subject": self.certificate.subject.rfc4514_string(),
            "issuer": self.certificate.issuer.rfc4514_string(),
            "not_before": self.certificate.not_valid_before_utc.isoformat(),
            "not_after": self.certificate.not_valid_after_utc.isoformat(),
            "sha256": self.certificate.fingerprint(hashes.SHA256()).hex(":"),
        }

    def covers(self, topic: str) -> bool:
        """Whether it may push to this topic; also true of a certificate that names none."""
        return _speaks_for(self.certificate, topic)

    def check(self, now: float) -> None:
        """Raises ValueError where Apple will refuse it: out of date at ``now`` (epoch s), another app's or environment's."""
        if now >= self.expires_at:
            day = datetime.fromtimestamp(self.expires_at, UTC).date()
            raise ValueError(f"the certificate expired on {day}; make a new one in Apple's developer portal")
        if now < self.certificate.not_valid_before_utc.timestamp():
            day = self.certificate.not_valid_before_utc.date()
            raise ValueError(f"the certificate is valid from {day} only; check this machine's clock")
        bundle_id, environment = self._bundle_id, self._environment
        if bundle_id and not _belongs_to(self.certificate, bundle_id):
            raise ValueError(
                f"the certificate is not for bundle_id {bundle_id} but for {_user_id(self.certificate) or 'other topics'}; "
                "correct bundle_id, or use that app's certificate"
            )
        named = _environments(self.certificate)
        if environment and named and environment not in named:
            raise ValueError(
                f"the certificate is for {' and '.join(sorted(named))} only, and environment is {environment}; "
                "correct environment, or make a certificate for it in Apple's developer portal"
            )

    def _rank(self, certificate: x509.Certificate) -> tuple[bool, bool, datetime]:
        named = _environments(certificate)
        return (
            not self._bundle_id or _belongs_to(certificate, self._bundle_id),
            not named or self._environment in named,
            certificate.not_valid_after_utc,
        )


# --- what a certificate says ------------------------------------------------------------------------------


def _belongs_to(certificate: x509.Certificate, bundle_id: str) -> bool:
    """Also a VoIP Services certificate does, which names the topic ``<bundle id>.voip`` alone."""
    return _speaks_for(certificate, bundle_id) or _speaks_for(certificate, f"{bundle_id}.voip")


def _speaks_for(certificate: x509.Certificate, topic: str) -> bool:
    listed = _topic_extensions(certificate)
    named = _user_id(certificate)
    if not named and not listed:
        return True
    return named == topic or any(_utf8_string(topic) in topics for topics in listed)


def _utf8_string(text: str) -> bytes:
    """As it stands in DER: tag, length, text."""
    data = text.encode()
    size = len(data).to_bytes((len(data).bit_length() + 7) // 8 or 1)
    return b"\x0c" + (size if len(data) < 0x80 else bytes([0x80 | len(size)]) + size) + data


def _user_id(certificate: x509.Certificate) -> str:
    """Apple writes the bundle id into the subject's UID."""
    names = certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
    return str(names[0].value) if names else ""


def _topic_extensions(certificate: x509.Certificate) -> list[bytes]:
    """Undecoded: each topic stands in them as a UTF-8 string, tag and length before it."""
    found = (e.value for e in certificate.extensions if e.oid in TOPIC_EXTENSIONS)
    return [value.value for value in found if isinstance(value, x509.UnrecognizedExtension)]


def _environments(certificate: x509.Certificate) -> set[str]:
    return {ENVIRONMENT_EXTENSIONS[e.oid] for e in certificate.extensions if e.oid in ENVIRONMENT_EXTENSIONS}


# --- the file ---------------------------------------------------------------------------------------------


def _open(data: bytes, password: str) -> tuple[_Key, list[x509.Certificate]]:
    """The key, and all certificates in the file. RC2 and 3DES are read where the machine's OpenSSL has them."""
    key, held = _open_pem(data, password) if b"-----BEGIN " in data[:4096] else _open_p12(data, password)
    if not isinstance(key, _Key):
        raise ValueError(f"holds no private RSA or elliptic-curve key; {_EXPORT}")
    return key, held


def _open_p12(data: bytes, password: str) -> tuple[object, list[x509.Certificate]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # of BER, which some exporters write; it is read all the same
            key, certificate, others = pkcs12.load_key_and_certificates(data, password.encode() or None)
    except UnsupportedAlgorithm:
        raise ValueError(f"is locked with a cipher that is out of use; {_CONVERT}") from None
    except ValueError:
        raise ValueError(_unopened(data, password)) from None
    return key, [*([certificate] if certificate is not None else ()), *others]


def _unopened(data: bytes, password: str) -> str:
    wrong = "password is wrong" if password else "password is missing or wrong"
    sentence = f"cannot be opened: the {wrong}, or the file is no PKCS#12; {_EXPORT}"
    if _OLD_CIPHERS.search(data):
        sentence += f"; if the password is right, its old cipher (RC2 or 3DES) is refused here: {_CONVERT}"
    return sentence


def _open_pem(data: bytes, password: str) -> tuple[object, list[x509.Certificate]]:
    """``openssl pkcs12 -nodes`` writes such a file: the key's block, the certificates' blocks, remarks between them."""
    block = _PRIVATE_KEY.search(data)
    if block is None:
        raise ValueError(f"is PEM without a private key; {_EXPORT}")
    locked = b"ENCRYPTED" in block[0]
    try:
        key = serialization.load_pem_private_key(block[0], password.encode() if locked else None)
        held = [x509.load_pem_x509_certificate(pem) for pem in _CERTIFICATE.findall(data)]
    except TypeError:
        raise ValueError(f"its key is locked: the password is missing; {_EXPORT}") from None
    except (ValueError, UnsupportedAlgorithm):
        why = "the password is wrong, or its key or certificate is damaged" if locked else "it is damaged"
        raise ValueError(f"cannot be opened: {why}; {_EXPORT}") from None
    return key, held


def _of_key(key: _Key, held: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    if not held:
        raise ValueError(f"holds no certificate for its key; {_EXPORT}")
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    wanted = key.public_key().public_bytes(_DER, public)
    own = [c for c in held if _public_key(c) == wanted]
    if not own:
        raise ValueError(
            "the key and the certificate in it do not belong together; select the certificate with the key "
            f"below it, and {_EXPORT}"
        )
    return own


def _public_key(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.public_key().public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return b""  # an authority's, perhaps, of a kind that we do not know; not our key's


def _chain(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificate and those above it that the file holds, each issued by the next."""
    chain = [certificate]
    while above := [c for c in others if c.subject == chain[-1].issuer and c not in chain]:
        chain.append(above[0])
    return chain
