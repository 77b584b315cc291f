"""One credential as a store keeps it, and what every store can do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Protocol

import msgspec

from pushgw.credentials.content import Unreadable


class StoreError(Exception):
    """A store cannot do what was asked: cause and mend in one sentence."""


class StoreAway(StoreError):
    """The store is in another process, or on a disk, that does not answer."""


class CredentialMissing(StoreError):
    """There is no credential with this id."""


class CredentialInUse(StoreError):
    """There is a credential with this id already."""


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """The TOML of one credential and the files that it names. Its repr shows neither."""

    business_id: int
    toml: bytes
    files: Mapping[str, bytes] = {}
    """Content by the name that the TOML has for it."""

    def __repr__(self) -> str:
        return f"Material(business_id={self.business_id}, files={sorted(self.files)})"


class CredentialStore(Protocol):
    """Where credentials are kept. Calls block; an event loop makes them in a thread. Each may raise StoreError."""

    def ids(self) -> list[int]:
        """The ids that it holds, in order, usable or not."""

    def read(self, business_id: int) -> Material:
        """As it is kept, files that cannot be read left out. Raises CredentialMissing."""

    def write(self, material: Material, *, replace: bool = False) -> None:
        """All of it or nothing. ``replace``: the id must exist, and what it had is kept as the previous one.

        Raises CredentialInUse without ``replace`` where the id is taken, CredentialMissing with it where it is not.
        """

    def remove(self, business_id: int) -> None:
        """The credential and all that only it had. Raises CredentialMissing."""

    def held(self, name: str) -> bytes | None:
        """Content of a file of this name that a new credential's file would overwrite; None where the name is free."""


class Source(Protocol):
    """What one credential is read from."""

    name: str
    """The file's name, for sentences."""

    def toml(self) -> bytes:
        """The TOML. Raises Unreadable."""

    def file(self, name: str) -> bytes:
        """A file that it names. Raises Unreadable."""

    def exposure(self, name: str) -> str | None:
        """A warning where others can read the file, or None; an empty name asks of the TOML."""


class MaterialSource:
    """A `Source` that is not on disk: a credential before it is written, or out of a sealed store."""

    def __init__(self, material: Material) -> None:
        self.name = f"{material.business_id}.toml"
        self._material = material

    def toml(self) -> bytes:
        """The material's."""
        return self._material.toml

    def file(self, name: str) -> bytes:
        """One of the material's. Raises Unreadable for any other."""
        try:
            return self._material.files[name]
        except KeyError:
            raise Unreadable("is not among the credential's files; add it again with its file") from None

    def exposure(self, name: str) -> str | None:
        """Nobody can read what is not on disk."""
        return None


def basename(name: str) -> str:
    """A file's own name, of a path of any system."""
    return PurePath(name.replace("\\", "/")).name
