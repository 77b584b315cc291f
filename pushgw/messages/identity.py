"""The ids of one push: PushID, the vendor's UUID and the notify number, all from one hash.

The same (source, user, device) gives the same ids for ever, so that a repeat is recognised by whoever reads receipts
and replaces itself on the device.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_LOW_60_BITS = (1 << 60) - 1
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LARGEST_31_BIT = 0x7FFF_FFFF


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Three spellings of one digest."""

    push_id: str
    """26 characters of Crockford's base 32, as a ULID has them."""
    vendor_id: str
    """A lower-case UUID (version 8): APNs' apns-id."""
    notify_id: int
    """1...2**31-1: the notify id of Xiaomi, Huawei and OPPO."""


def identify(source: str, user: str, device: str) -> Identity:
    """The ids of the push of one record (``topic/partition/offset``) to one device of one user."""
    digest = _digest(source, user, device)
    return Identity(_base32(digest), _uuid(digest.hex()), notify_number(digest))


def push_ids(source: str, user: str, device: str) -> tuple[str, str]:
    """PushID and the vendor's UUID: what every push needs of `identify`."""
    digest = _digest(source, user, device)
    return _base32(digest), _uuid(digest.hex())


def push_id(source: str, user: str, device: str) -> str:
    """The PushID alone. ``user`` and ``device`` are empty where a receipt concerns none."""
    return _base32(_digest(source, user, device))


def vendor_uuid(push_id: str) -> str:
    """The UUID that belongs to a PushID. Raises ValueError where it is none of ours."""
    number = 0
    for letter in push_id:
        if letter not in _VALUES:
            raise ValueError("a PushID has only characters of Crockford's base 32")
        number = number << 5 | _VALUES[letter]
    if len(push_id) != 26 or number >> 128:
        raise ValueError("a PushID has 26 characters, the first of them 0 to 7")
    return _uuid(f"{number:032x}")


def is_push_id(text: str) -> bool:
    """Whether this is the spelling of a PushID of ours."""
    return len(text) == 26 and text[0] in _ALPHABET[:8] and not set(text) - _VALUES.keys()


def notify_number(digest: bytes) -> int:
    """A positive 31-bit integer from the first four bytes of a digest."""
    return int.from_bytes(digest[:4]) & _LARGEST_31_BIT or 1


def _digest(source: str, user: str, device: str) -> bytes:
    # Lengths go in, so that no two triples spell the same text.
    return blake2b(f"{len(user)} {len(device)} {user}{device}{source}".encode(), digest_size=16).digest()


def _base32(digest: bytes) -> str:
    number = int.from_bytes(digest)
    p = _PAIRS
    high = number >> 60
    low = number & _LOW_60_BITS
    return (  # written out: a loop costs three times as much
        f"{p[high >> 60]}{p[high >> 50 & 1023]}{p[high >> 40 & 1023]}{p[high >> 30 & 1023]}"
        f"{p[high >> 20 & 1023]}{p[high >> 10 & 1023]}{p[high & 1023]}"
        f"{p[low >> 50]}{p[low >> 40 & 1023]}{p[low >> 30 & 1023]}"
        f"{p[low >> 20 & 1023]}{p[low >> 10 & 1023]}{p[low & 1023]}"
    )


def _uuid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"
