"""The credential directory as it changes: edits, renames, and the symlink swaps of mounted secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pushgw.credentials.directory import CredentialDirectory, load_directory
from pushgw.vendor.plugin import Vendor

Stamp = tuple[str, int, int, int]


class DirectoryShelf:
    """A directory that is watched (a `Shelf`).

    Files are looked at through symlinks, so that a Kubernetes secret, whose files point into a folder that is swapped as
    a whole, is seen to change. Files that a credential names elsewhere are watched with it.
    """

    def __init__(self, directory: Path, vendors: Mapping[str, Vendor]) -> None:
        self._directory = directory
        self._vendors = vendors
        self._elsewhere: tuple[Path, ...] = ()

    def signature(self) -> object:
        """Name, inode, size and time of every file. Raises OSError when there is no such directory."""
        with os.scandir(self._directory) as found:
            stamps = [_stamp(entry.path) for entry in found]
        return frozenset([*stamps, *(_stamp(str(path)) for path in self._elsewhere)])

    def load(self) -> CredentialDirectory:
        """Read all of it. Raises NotADirectoryError."""
        book = load_directory(self._directory, self._vendors)
        named = {self._directory / name for reading in book.readings for name in reading.files.values()}
        self._elsewhere = tuple(sorted(path for path in named if path.parent != self._directory))
        return book


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:  # a link to nothing, or gone since
        return (path, 0, 0, 0)
    return (path, found.st_ino, found.st_size, found.st_mtime_ns)
