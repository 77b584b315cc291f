"""The sealed credentials as they are read: all at the start, and again whenever one has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256

from pushgw.credentials.directory import CredentialDirectory
from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.fault import Fault
from pushgw.credentials.material import MaterialSource, StoreError
from pushgw.credentials.reader import Reading, read_credential
from pushgw.credentials.seal import SealError, WrongKey, check_key
from pushgw.credentials.seal_key import Keyring
from pushgw.credentials.sealed_store import SealedBlobs, material_of
from pushgw.vendor.plugin import Vendor


def load_sealed(
    blobs: Mapping[int, bytes],
    keys: Keyring,
    vendors: Mapping[str, Vendor],
    environ: Mapping[str, str] = os.environ,
) -> CredentialDirectory:
    """Open and read each. One that cannot be opened is there, with a fault that says why."""
    readings = [_reading(i, blob, keys, vendors, environ) for i, blob in sorted(blobs.items())]
    return CredentialDirectory(
        {r.entry.business_id: r.entry for r in readings if r.entry is not None},
        [fault for r in readings for fault in r.faults],
        [
            *(Fault(setting, "", warning) for setting, warning in keys.warnings),
            *(w for r in readings for w in r.warnings),
        ],
        readings,
    )


class SealedShelf:
    """Sealed blobs that are watched (a `Shelf`).

    The keys are kept, and read again when something has been sealed with one that is not among them: so a key that an
    operator put in the old one's place is found.
    """

    def __init__(
        self, blobs: SealedBlobs, read_keys: Callable[[], Keyring], vendors: Mapping[str, Vendor]
    ) -> None:
        """``read_keys`` may raise StoreError."""
        self._blobs = blobs
        self._read_keys = read_keys
        self._vendors = vendors
        self._keys: Keyring | None = None

    def signature(self) -> object:
        """The version. Raises OSError."""
        return self._blobs.version()

    def load(self) -> CredentialDirectory:
        """Read all of it. Raises OSError."""
        blobs = self._blobs.all()
        return load_sealed(blobs, self._keys_for(blobs), self._vendors)

    def _keys_for(self, blobs: Mapping[int, bytes]) -> Keyring:
        if self._keys is None or _lacks_key(blobs, self._keys):
            try:
                self._keys = self._read_keys()
            except StoreError as error:
                if self._keys is None:
                    raise OSError(str(error)) from None
        return self._keys


def _lacks_key(blobs: Mapping[int, bytes], keys: Keyring) -> bool:
    for business_id, blob in blobs.items():
        try:
            check_key(business_id, blob, keys)
        except WrongKey:
            return True
        except SealError:
            continue  # no key opens that
    return False


def _reading(
    business_id: int,
    blob: bytes,
    keys: Keyring,
    vendors: Mapping[str, Vendor],
    environ: Mapping[str, str],
) -> Reading:
    try:
        source = MaterialSource(material_of(business_id, blob, keys))
    except SealError as error:
        fingerprint = sha256(blob).digest()
        entry = CredentialEntry(business_id, "", fault=str(error), fingerprint=fingerprint)
        fault = Fault(f"{business_id}.toml", "", str(error))
        return Reading(file=f"{business_id}.toml", business_id=business_id, entry=entry, faults=(fault,))
    return read_credential(source, business_id, vendors, environ)
