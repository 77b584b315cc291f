"""The content encoding ``aes128gcm`` for Web Push. Source: RFC 8291, on top of RFC 8188."""

from __future__ import annotations

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushgw_vendor_webhook.webpush.vapid import public_bytes

RECORD_SIZE = 4096
MAX_PLAINTEXT = 3993
"""Bytes: one record, less header (86), tag (16) and delimiter (1)."""

_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


def encrypt(
    plaintext: bytes, ua_public: bytes, auth: bytes, as_private: ec.EllipticCurvePrivateKey, salt: bytes
) -> bytes:
    """One record for the browser that owns ``ua_public`` (65 bytes) and ``auth`` (16).

    ``as_private`` and ``salt`` (16) serve one plaintext only. Raises ValueError where ``ua_public`` is no point of the curve.
    """
    shared = as_private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, ua_public))
    as_public = public_bytes(as_private.public_key())
    key, nonce = _key_and_nonce(shared, auth, ua_public, as_public, salt)
    header = salt + RECORD_SIZE.to_bytes(4, "big") + bytes([len(as_public)]) + as_public
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)


def decrypt(body: bytes, ua_private: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """What a browser does. Raises ValueError for what was not encrypted for it."""
    salt, as_public, record = body[:16], body[21:86], body[86:]
    if body[16:21] != RECORD_SIZE.to_bytes(4, "big") + b"\x41" or len(record) > RECORD_SIZE - 86:
        raise ValueError("the header is not that of one record of 4096 bytes with a key of 65")
    shared = ua_private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, as_public))
    key, nonce = _key_and_nonce(shared, auth, public_bytes(ua_private.public_key()), as_public, salt)
    try:
        padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\x00")
    except InvalidTag:
        raise ValueError("the record was encrypted for somebody else, or altered") from None
    if not padded.endswith(b"\x02"):
        raise ValueError("the last record does not end in its delimiter")
    return padded[:-1]


def one_time_secrets(secret: bytes, *purpose: bytes) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """(key, salt) for exactly this purpose.

    Rendering is pure, so they cannot be drawn; they are derived from ``secret`` and from all that is encrypted and for whom.
    Another plaintext or another browser gets another key, the same push gets the same bytes.
    """
    seed = hmac.new(secret, b"pushgw webpush one-time secrets", sha256).digest()
    for part in purpose:
        seed = hmac.new(seed, part, sha256).digest()
    wide = b"".join(hmac.new(seed, label, sha256).digest() for label in (b"key 1", b"key 2"))
    number = int.from_bytes(wide[:48], "big") % (_ORDER - 1) + 1
    return ec.derive_private_key(number, _CURVE), hmac.new(seed, b"salt", sha256).digest()[:16]


def _key_and_nonce(
    shared: bytes, auth: bytes, ua_public: bytes, as_public: bytes, salt: bytes
) -> tuple[bytes, bytes]:
    ikm = _hkdf(auth, shared, b"WebPush: info\x00" + ua_public + as_public)
    prk = hmac.new(salt, ikm, sha256).digest()
    key = hmac.new(prk, b"Content-Encoding: aes128gcm\x00\x01", sha256).digest()[:16]
    return key, hmac.new(prk, b"Content-Encoding: nonce\x00\x01", sha256).digest()[:12]


def _hkdf(salt: bytes, key: bytes, info: bytes) -> bytes:
    return hmac.new(hmac.new(salt, key, sha256).digest(), info + b"\x01", sha256).digest()
