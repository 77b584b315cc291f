"""Reads a file that an operator named, whatever it turns out to be: it never hangs, and never reads what is too large."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pushgw.credentials.content import Unreadable

MAX_BYTES = 1 << 20
"""No key, certificate or credential is larger."""


def read_file(path: Path) -> bytes:
    """Its bytes. Raises Unreadable: missing, a directory, a pipe or device, a loop of links, over a megabyte."""
    try:
        _check_kind(os.stat(path))  # before it is opened: opening a device may do something
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            _check_kind(os.fstat(handle))
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(_cause(error)) from None
    if len(content) > MAX_BYTES:
        raise Unreadable(_too_large(len(content)))
    return content


def exposure(path: Path) -> str | None:
    """A warning where everyone on this machine can read the file, or None.

    A file that lies below a directory closed to others is not exposed. Kubernetes mounts secrets with mode 0644 unless told otherwise.
    """
    if os.name != "posix":
        return None
    try:
        mode = path.stat().st_mode
        if not mode & stat.S_IROTH:
            return None
        above = path.resolve().parents
        if not all(directory.stat().st_mode & stat.S_IXOTH for directory in above):
            return None
    except OSError:
        return None  # what cannot be looked at is said by who reads it
    return f"everyone on this machine can read it (mode {stat.S_IMODE(mode):04o}); chmod 600 {path.name}"


def _check_kind(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise Unreadable("is a directory; name the file in it")
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("is a pipe, socket or device and no file; copy its content into a file")
    if found.st_size > MAX_BYTES:
        raise Unreadable(_too_large(found.st_size))


def _too_large(size: int) -> str:
    return f"is larger than {MAX_BYTES} bytes ({size}): that is no key or certificate; name the right file"


def _cause(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "does not exist; put it there, or correct the name"
        case errno.ELOOP:
            return "is a symlink that leads back to itself; link it to the file itself"
        case errno.EACCES | errno.EPERM:
            return "cannot be read (permission denied); give the user that runs pushgw the right to read it"
        case errno.ENAMETOOLONG:
            return "has too long a name; the field takes the name of a file, not its content"
    return f"cannot be read ({error.strerror}); check the disk"
