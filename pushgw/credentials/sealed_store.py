"""Credentials in the state store, each sealed (seal.py): a change is one write, and takes effect as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Protocol

import msgspec

from pushgw.credentials.material import (
    CredentialInUse,
    CredentialMissing,
    Material,
    StoreAway,
    StoreError,
)
from pushgw.credentials.seal import Broken, SealError, check_key, rewrap, seal, unseal
from pushgw.credentials.seal_key import Keyring

ATTEMPTS = 5
"""So often a credential is resealed anew that somebody changes meanwhile."""


class SealedBlobs(Protocol):
    """Where sealed credentials lie. Calls block. Each may raise OSError, with a sentence, when the place is away."""

    def all(self) -> dict[int, bytes]:
        """Every envelope by certificate id."""

    def swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
        """Put ``new`` in place of ``old``, None being nothing; False, and nothing changes, where something else is there.

        True where ``new`` is there already: a call may be repeated.
        """

    def version(self) -> int:
        """A number that rises with every change. Cheap."""


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an envelope holds. Its repr shows nothing."""

    toml: bytes
    files: Mapping[str, bytes] = {}
    previous: Kept | None = None
    """What the last rotation replaced."""

    def __repr__(self) -> str:
        return "Kept(***)"


class Resealed(msgspec.Struct, frozen=True):
    """What `SealedStore.reseal` did. Certificate ids in order."""

    resealed: list[int]
    were_already: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Kept)


class SealedStore:
    """A `CredentialStore` on sealed blobs. Keys are read when they are needed first: `ids` and `remove` need none."""

    def __init__(self, blobs: SealedBlobs, read_keys: Callable[[], Keyring], place: str) -> None:
        """``place``: what sentences call it. ``read_keys`` may raise StoreError."""
        self._blobs = blobs
        self._read_keys = read_keys
        self._place = place

    def ids(self) -> list[int]:
        """Every id that it holds, whether it can be opened or not."""
        return sorted(self._all())

    def read(self, business_id: int) -> Material:
        """Opened. Raises CredentialMissing, SealError."""
        return material_of(business_id, self._held(business_id), self._keys)

    def write(self, material: Material, *, replace: bool = False) -> None:
        """One swap. Raises CredentialInUse, CredentialMissing, StoreError.

        Refused where the store holds what these keys do not open: then they are likely the wrong ones.
        """
        business_id = material.business_id
        old = self._held(business_id) if replace else None
        self._check_keys()
        previous = None
        if old is not None:
            kept = _opened(business_id, old, self._keys)
            previous = Kept(kept.toml, kept.files)
        content = _encode(Kept(material.toml, dict(material.files), previous))
        if not self._swap(business_id, old, seal(business_id, content, self._keys.newest)):
            raise CredentialInUse(
                f"credential {business_id} was changed by somebody else at this moment; look at it, then try again"
                if replace
                else f"there is a credential {business_id} already; change it with `pushgw certs rotate {business_id}`, "
                "or choose another id"
            )

    def remove(self, business_id: int) -> None:
        """Also where it cannot be opened. Raises CredentialMissing, StoreError."""
        while not self._swap(business_id, self._held(business_id), None):
            pass  # somebody rotated it meanwhile: that one goes

    def held(self, name: str) -> bytes | None:
        """Each credential has its files for itself: every name is free."""
        return None

    def reseal(self) -> Resealed:
        """Wrap every credential with the newest key. Ended in the middle, it goes on where it was when it is called again.

        Nothing is changed where one cannot be opened: raises StoreError with all of these.
        """
        blobs = self._all()
        check_all(blobs, self._keys)
        done = Resealed([], [])
        for business_id, blob in sorted(blobs.items()):
            changed = self._reseal(business_id, blob)
            if changed is not None:
                (done.resealed if changed else done.were_already).append(business_id)
        return done

    def _reseal(self, business_id: int, blob: bytes) -> bool | None:
        """Whether there was something to do; None where the credential has been removed meanwhile."""
        for _ in range(ATTEMPTS):
            fresh = rewrap(business_id, blob, self._keys)
            if fresh == blob:
                return False
            if self._swap(business_id, blob, fresh):
                return True
            found = self._all().get(business_id)
            if found is None:
                return None
            blob = found
        raise StoreError(
            f"credential {business_id} is changed all the time by somebody else; try again later"
        )

    # --- asking -------------------------------------------------------------------------------------------

    @cached_property
    def _keys(self) -> Keyring:
        return self._read_keys()

    def _check_keys(self) -> None:
        for business_id, blob in self._all().items():
            check_key(business_id, blob, self._keys)

    def _held(self, business_id: int) -> bytes:
        blobs = self._all()
        if business_id not in blobs:
            known = ", ".join(map(str, sorted(blobs))) or "none"
            raise CredentialMissing(f"no credential {business_id} in {self._place}; there are: {known}")
        return blobs[business_id]

    def _all(self) -> dict[int, bytes]:
        with _asked():
            return self._blobs.all()

    def _swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
        with _asked():
            return self._blobs.swap(business_id, old, new)


def material_of(business_id: int, blob: bytes, keys: Keyring) -> Material:
    """What an envelope holds. Raises SealError."""
    kept = _opened(business_id, blob, keys)
    return Material(business_id=business_id, toml=kept.toml, files=kept.files)


def check_all(blobs: Mapping[int, bytes], keys: Keyring) -> None:
    """Raises StoreError with a sentence, on a line of its own, for each that cannot be opened."""
    refused = []
    for business_id, blob in sorted(blobs.items()):
        try:
            unseal(business_id, blob, keys)
        except SealError as error:
            refused.append(str(error))
    if refused:
        raise StoreError("\n".join(refused))


def _opened(business_id: int, blob: bytes, keys: Keyring) -> Kept:
    content = unseal(business_id, blob, keys)
    try:
        return _decoder.decode(content)
    except msgspec.DecodeError:
        raise Broken(f"credential {business_id} was sealed by another version of pushgw; use that") from None


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreAway(str(error)) from None
