"""Changes to a credential directory: each takes effect as a whole, by the rename of the TOML file, or not at all.

Files that a credential names are written first, under names that nobody has; so whoever watches the directory sees the
old credential until it sees the new one. What a change replaces stays as ``<id>.toml.previous`` until the next.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pushgw.credentials.content import Unreadable
from pushgw.credentials.directory import credential_files, id_of
from pushgw.credentials.material import (
    CredentialInUse,
    CredentialMissing,
    Material,
    StoreError,
    basename,
)
from pushgw.credentials.named_files import named_files
from pushgw.credentials.secret_file import read_file
from pushgw.vendor.plugin import Vendor

PREVIOUS = ".previous"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class DirectoryStore:
    """A `CredentialStore` on a directory. What it writes only its owner can read."""

    def __init__(self, directory: Path, vendors: Mapping[str, Vendor]) -> None:
        self._directory = directory
        self._vendors = vendors

    def ids(self) -> list[int]:
        """Every id that a file's name is."""
        found = (id_of(path) for path in credential_files(self._directory))
        return list(dict.fromkeys(i for i in found if i is not None))

    def read(self, business_id: int) -> Material:
        """The TOML and the files that it names. Raises CredentialMissing, or StoreError where the TOML cannot be read."""
        path = self._paths(business_id)[0]
        toml = self._toml(path)
        files = {}
        for name in named_files(toml, self._vendors):
            with contextlib.suppress(Unreadable):  # the check of the credential says it
                files[name] = read_file(self._directory / name)
        return Material(business_id=business_id, toml=toml, files=files)

    def write(self, material: Material, *, replace: bool = False) -> None:
        """All or nothing. Raises CredentialInUse, CredentialMissing, StoreError."""
        path = self._place(material.business_id, replace=replace)
        made: list[Path] = []
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in material.files.items():
                if self._is_ours(name) and self.held(name) != content:
                    self._create(self._directory / name, content)
                    made.append(self._directory / name)
            older = self._keep_previous(path) if replace else []
            self._put(path, material.toml, replace=replace)
        except BaseException as error:
            for file in made:
                file.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._failed(error) from None
            raise
        self._drop_unnamed(older)

    def remove(self, business_id: int) -> None:
        """Its TOML, what it replaced, and the files that no other credential names. Raises CredentialMissing, StoreError."""
        paths = self._paths(business_id)
        paths += [p for path in paths if (p := _previous(path)).exists()]
        names = [name for path in paths for name in self._names_in(path)]
        try:
            for path in paths:
                path.unlink()
            self._drop_unnamed(names)
        except OSError as error:
            raise self._failed(error) from None

    def held(self, name: str) -> bytes | None:
        """Content of the file of this name; empty for one that cannot be read."""
        path = self._directory / name
        if not os.path.lexists(path):
            return None
        try:
            return read_file(path)
        except Unreadable:
            return b""

    # --- writing ------------------------------------------------------------------------------------------

    def _place(self, business_id: int, *, replace: bool) -> Path:
        if replace:
            return self._paths(business_id)[0]
        if business_id in self.ids():
            raise CredentialInUse(
                f"there is a credential {business_id} already; change it with `pushgw certs rotate {business_id}`, "
                "or choose another id"
            )
        return self._directory / f"{business_id}.toml"

    def _create(self, path: Path, content: bytes) -> None:
        """Raises CredentialInUse where the name is taken: another credential may count on that file."""
        with self._temporary(path, content) as temporary:
            _link(temporary, path)

    def _put(self, path: Path, content: bytes, *, replace: bool) -> None:
        with self._temporary(path, content) as temporary:
            if replace:
                os.replace(temporary, path)
            else:
                _link(temporary, path)
        _sync_directory(self._directory)

    @contextlib.contextmanager
    def _temporary(self, path: Path, content: bytes) -> Iterator[Path]:
        """The content, safe on disk under a name that nobody reads; mode 0600."""
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=self._directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _keep_previous(self, path: Path) -> list[str]:
        """Keep what is about to be replaced; the files that only the one before it may have named."""
        kept = _previous(path)
        older = self._names_in(kept) if kept.exists() else []
        with self._temporary(kept, self._toml(path)) as temporary:
            os.replace(temporary, kept)
        return older

    def _drop_unnamed(self, names: Iterable[str]) -> None:
        """Delete those of the files that nothing in the directory names any more."""
        left = [*credential_files(self._directory), *self._directory.glob(f"*.toml{PREVIOUS}")]
        named = {name for path in left for name in self._names_in(path)}
        for name in set(names) - named:
            if self._is_ours(name):
                (self._directory / name).unlink(missing_ok=True)

    # --- reading ------------------------------------------------------------------------------------------

    def _paths(self, business_id: int) -> list[Path]:
        found = [path for path in credential_files(self._directory) if id_of(path) == business_id]
        if not found:
            known = ", ".join(map(str, self.ids())) or "none"
            raise CredentialMissing(f"no credential {business_id} in {self._directory}; there are: {known}")
        return found

    def _toml(self, path: Path) -> bytes:
        try:
            return read_file(path)
        except Unreadable as error:
            raise StoreError(f"{path.name} {error}") from None

    def _names_in(self, path: Path) -> list[str]:
        try:
            return named_files(read_file(path), self._vendors)
        except Unreadable:
            return []

    def _is_ours(self, name: str) -> bool:
        """Whether the name is of a file in the directory itself; others belong to whoever put them there."""
        return basename(name) == name and not name.startswith(".")

    def _failed(self, error: OSError) -> StoreError:
        cause = error.strerror or type(error).__name__
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            mend = "where it is a mounted secret, change it at its source; else give the right to write"
        elif error.errno == errno.ENOSPC:
            mend = "make room on the disk"
        else:
            mend = "check the disk"
        return StoreError(f"{self._directory} cannot be written to ({cause}); {mend}")


def _previous(path: Path) -> Path:
    return path.with_name(path.name + PREVIOUS)


def _link(temporary: Path, path: Path) -> None:
    """Give the file its name, unless somebody has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise CredentialInUse(
            f"{path.name} exists already; remove it, or choose another id or name"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.replace(temporary, path)  # a file system without links: the look before was all there is


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
