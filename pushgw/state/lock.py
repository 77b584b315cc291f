"""One writing process per database file: a lock beside it that says who holds it."""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from pushgw.state.protocol import StateUnavailable

if sys.platform != "win32":
    import fcntl


class DatabaseLock:
    """The lock ``<database>.lock``. It ends with the process at the latest, however that dies.

    Windows has no such lock here: there the operator sees to it that one gateway runs.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(database.name + ".lock")
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock, or raise StateUnavailable that names the holder's pid and host, and since when it holds it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(file)
        except BlockingIOError:
            holder = os.pread(file, 200, 0).decode("utf-8", "replace").strip() or "another process"
            os.close(file)
            raise StateUnavailable(
                f"{self._database} is in use by {holder}: one process writes to it at a time; "
                "stop that one, or give this one another state.url"
            ) from None
        except OSError:
            os.close(file)
            raise
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.ftruncate(file, 0)
        os.pwrite(file, f"pid {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back. The file stays, empty: to remove it would race with the next holder."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def _lock(file: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
