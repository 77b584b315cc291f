"""VAPID: how a sender says who it is. Source: RFC 8292.

The signature is the deterministic one of RFC 6979, so that the same time gives the same token.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pushgw_vendor_webhook.webpush import base64url

LIFETIME_S = 12 * 3600
"""RFC 8292 allows a day; half of it leaves room for clocks that differ."""

_MAKE_ONE = "make one with `openssl ecparam -name prime256v1 -genkey -noout`"
_SIGNATURE = ec.ECDSA(SHA256(), deterministic_signing=True)


class VapidKey:
    """A P-256 key that signs, with its public half as browsers want it."""

    def __init__(self, content: bytes) -> None:
        """``content``: PEM, or the 32 bytes of the private number as base64url. Raises ValueError, which never quotes it."""
        self._key = _loaded(content)
        self.public = public_bytes(self._key.public_key())
        self.public_text = base64url.encode(self.public)

    def __repr__(self) -> str:
        return f"VapidKey(public={self.public_text})"

    @property
    def number(self) -> bytes:
        """The private number, 32 bytes."""
        return self._key.private_numbers().private_value.to_bytes(32, "big")

    def token(self, audience: str, subject: str, issued: int) -> str:
        """The JWT for one push service: ``audience`` is its origin, ``issued`` epoch s."""
        claims = {"aud": audience, "exp": issued + LIFETIME_S, "sub": subject}
        signed = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), _SIGNATURE))
        return f"{signed}.{base64url.encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """The point, uncompressed: 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _loaded(content: bytes) -> ec.EllipticCurvePrivateKey:
    if b"-----BEGIN" not in content:
        return _from_number(content)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"the file holds no private key that can be read; {_MAKE_ONE}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"the key is not of the curve P-256; {_MAKE_ONE}")
    return key


def _from_number(content: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        number = base64url.decode(content.decode("ascii").strip())
        if len(number) == 32:
            return ec.derive_private_key(int.from_bytes(number, "big"), ec.SECP256R1())
    except ValueError:
        pass  # said below, with the other way to be wrong
    raise ValueError(f"is neither PEM nor 32 bytes as base64url; {_MAKE_ONE}")


def _part(value: Mapping[str, object]) -> str:
    return base64url.encode(msgspec.json.encode(value))
