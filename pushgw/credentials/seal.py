"""The envelope that a sealed credential lies in: AES-256-GCM, a key of its own for each, wrapped by the operator's.

=============  ======  ===============================================================================
part           bytes   what
=============  ======  ===============================================================================
format         14      ``pushgw-seal-1`` and a line end
key id         8       which key wraps: the begin of its SHA-256
wrap nonce     12      random
wrapped key    48      the credential's own key, wrapped; bound to format, key id and certificate id
nonce          12      random
content        rest    the content, sealed; bound to format and certificate id
=============  ======  ===============================================================================

A rotation of the operator's key makes the wrapping anew, and leaves the content as it is.
"""

from __future__ import annotations

import os
from itertools import accumulate, pairwise

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pushgw.credentials.material import StoreError
from pushgw.credentials.seal_key import ID_BYTES, KEY_BYTES, OLDER, Keyring, SealKey

FORMAT = b"pushgw-seal-1\n"
_ANY_FORMAT = b"pushgw-seal-"
_NONCE, _TAG = 12, 16
_WRAPPED = KEY_BYTES + _TAG
_BORDERS = tuple(accumulate((len(FORMAT), ID_BYTES, _NONCE, _WRAPPED, _NONCE)))
_HEAD = _BORDERS[-1]


class SealError(StoreError):
    """A sealed credential cannot be opened: which, why, and how to mend."""


class WrongKey(SealError):
    """It was sealed with a key that is not given."""


class Broken(SealError):
    """It is not what was sealed under this id: altered, cut off, or another's."""


class Envelope(msgspec.Struct, frozen=True):
    """Its parts. Nothing in it is secret without the key."""

    key_id: bytes
    wrap_nonce: bytes
    wrapped: bytes
    nonce: bytes
    content: bytes

    def pack(self) -> bytes:
        """As it is stored."""
        return b"".join((FORMAT, self.key_id, self.wrap_nonce, self.wrapped, self.nonce, self.content))


def seal(business_id: int, content: bytes, key: SealKey) -> bytes:
    """The content in an envelope of its own, bound to the certificate id."""
    own = os.urandom(KEY_BYTES)
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(own).encrypt(nonce, content, _bound(business_id, b"content"))
    return _wrapped(business_id, own, nonce, sealed, key).pack()


def unseal(business_id: int, blob: bytes, keys: Keyring) -> bytes:
    """The content. Raises WrongKey, Broken."""
    envelope = _parsed(business_id, blob)
    own = _own_key(business_id, envelope, keys)
    try:
        return AESGCM(own).decrypt(envelope.nonce, envelope.content, _bound(business_id, b"content"))
    except InvalidTag:
        raise _broken(business_id) from None


def rewrap(business_id: int, blob: bytes, keys: Keyring) -> bytes:
    """The same content, wrapped with the newest key; the same bytes where it is already. Raises WrongKey, Broken."""
    unseal(business_id, blob, keys)
    envelope = _parsed(business_id, blob)
    if envelope.key_id.hex() == keys.newest.id:
        return blob
    own = _own_key(business_id, envelope, keys)
    return _wrapped(business_id, own, envelope.nonce, envelope.content, keys.newest).pack()


def check_key(business_id: int, blob: bytes, keys: Keyring) -> None:
    """Whether the key that it was sealed with is given; the content is not looked at. Raises WrongKey, Broken."""
    _key_of(business_id, _parsed(business_id, blob), keys)


def _parsed(business_id: int, blob: bytes) -> Envelope:
    if not blob.startswith(FORMAT):
        if blob.startswith(_ANY_FORMAT):
            raise SealError(f"credential {business_id} was sealed by another version of pushgw; use that")
        raise _broken(business_id)
    if len(blob) < _HEAD + _TAG:
        raise _broken(business_id)
    key_id, wrap_nonce, wrapped, nonce = (blob[start:end] for start, end in pairwise(_BORDERS))
    return Envelope(key_id, wrap_nonce, wrapped, nonce, blob[_HEAD:])


def _key_of(business_id: int, envelope: Envelope, keys: Keyring) -> SealKey:
    wanted = envelope.key_id.hex()
    key = keys.find(wanted)
    if key is None:
        raise WrongKey(
            f"credential {business_id} is sealed with the key {wanted}, which is not given ({keys.given}); "
            f"add it to {OLDER}, or remove the credential and add it anew"
        )
    return key


def _own_key(business_id: int, envelope: Envelope, keys: Keyring) -> bytes:
    key = _key_of(business_id, envelope, keys)
    try:
        return key.cipher.decrypt(envelope.wrap_nonce, envelope.wrapped, _bound(business_id, envelope.key_id))
    except InvalidTag:
        raise _broken(business_id) from None


def _wrapped(business_id: int, own: bytes, nonce: bytes, content: bytes, key: SealKey) -> Envelope:
    key_id, wrap_nonce = bytes.fromhex(key.id), os.urandom(_NONCE)
    wrapped = key.cipher.encrypt(wrap_nonce, own, _bound(business_id, key_id))
    return Envelope(key_id, wrap_nonce, wrapped, nonce, content)


def _bound(business_id: int, purpose: bytes) -> bytes:
    return FORMAT + str(business_id).encode() + b"\n" + purpose


def _broken(business_id: int) -> Broken:
    return Broken(
        f"credential {business_id} is not what was sealed under this id: altered, cut off or another's; "
        f"restore it from a backup, or `pushgw certs remove {business_id}` and add it anew"
    )
