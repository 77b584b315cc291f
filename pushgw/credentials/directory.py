"""The directory store: ``<BusinessID>.toml`` files with the secret files that they name beside them.

Every fault of every file is gathered and said at once: file, field, what is wrong, how to mend. A bad file never
stops the gateway: its own devices get C4, the others are pushed (decision 34 of the contract).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pushgw.credentials.entry import CredentialEntry
from pushgw.credentials.fault import Fault
from pushgw.credentials.reader import Reading, read_credential
from pushgw.credentials.secret_file import exposure, read_file
from pushgw.vendor.adapter import Account
from pushgw.vendor.plugin import Vendor


class CredentialDirectory:
    """The loaded credentials of a directory (a `CredentialBook` of the policy)."""

    def __init__(
        self,
        entries: Mapping[int, CredentialEntry],
        faults: list[Fault],
        warnings: list[Fault],
        readings: Sequence[Reading] = (),
    ) -> None:
        self.entries = dict(entries)
        self.faults = faults
        """What makes a credential unusable."""
        self.warnings = warnings
        """What was ignored, such as an unknown field."""
        self.readings = tuple(readings)
        """What became of each file, in the order of their ids; files whose name is no id come last."""

    def find(self, business_id: int) -> CredentialEntry | None:
        """The credential with this certificate id, usable or not."""
        return self.entries.get(business_id)

    def reading(self, business_id: int) -> Reading | None:
        """What became of the file with this id."""
        return next((r for r in self.readings if r.business_id == business_id and r.entry), None)

    @property
    def accounts(self) -> list[Account]:
        """All that can be used, by id."""
        return [e.account for _, e in sorted(self.entries.items()) if e.account is not None]


def load_directory(
    directory: Path, vendors: Mapping[str, Vendor], environ: Mapping[str, str] = os.environ
) -> CredentialDirectory:
    """Read every ``*.toml`` of the directory. Raises NotADirectoryError when there is no such directory."""
    if not directory.is_dir():
        raise NotADirectoryError(
            f"credentials.directory: {directory} is no directory; create it or name another"
        )
    entries: dict[int, CredentialEntry] = {}
    faults: list[Fault] = []
    warnings: list[Fault] = []
    readings: list[Reading] = []
    for path in credential_files(directory):
        business_id = id_of(path)
        if business_id in entries:  # the plain spelling of the number comes first
            faults.append(_second(path, business_id))
            continue
        reading = read_credential(PathSource(path), business_id, vendors, environ)
        readings.append(reading)
        faults += reading.faults
        warnings += reading.warnings
        if reading.entry is not None:
            entries[reading.entry.business_id] = reading.entry
    return CredentialDirectory(entries, faults, warnings, readings)


def credential_files(directory: Path) -> list[Path]:
    """Its ``*.toml``, by id; of one id the plain spelling first; names that are no id last."""

    def rank(path: Path) -> tuple[bool, int, int, str]:
        business_id = id_of(path)
        return (business_id is None, business_id or 0, len(path.name), path.name)

    return sorted((p for p in directory.glob("*.toml") if not p.name.startswith(".")), key=rank)


def id_of(path: Path) -> int | None:
    """The certificate id that a file's name is, or None."""
    return int(path.stem) if path.stem.isascii() and path.stem.isdecimal() else None


class PathSource:
    """A credential's files on disk (a `Source`)."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path

    def toml(self) -> bytes:
        """The TOML file. Raises Unreadable."""
        return read_file(self._path)

    def file(self, name: str) -> bytes:
        """A file beside it, or one with a path of its own. Raises Unreadable."""
        return read_file(self._path.parent / name)

    def exposure(self, name: str) -> str | None:
        """Whether everyone can read it."""
        return exposure(self._path.parent / name if name else self._path)


def _second(path: Path, business_id: int | None) -> Fault:
    return Fault(
        path.name,
        "business_id",
        f"is a second file for the id {business_id} and is left alone, {business_id}.toml counts; remove one of them",
    )
