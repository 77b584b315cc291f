"""Sealed credentials in the gateway's SQLite file. They need no lock of the gateway's: nobody keeps them in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar

from pushgw.state.blobs import BlobsUnavailable
from pushgw.state.protocol import StateMissing, StateUnavailable
from pushgw.state.sqlite_schema import cause_of, connect, path_of

_RAISE = (
    "INSERT INTO sealed_version (one, version) VALUES (1, 1) "
    "ON CONFLICT (one) DO UPDATE SET version = version + 1"
)

T = TypeVar("T")


class SqliteBlobs:
    """`Blobs` in tables beside those of the gateway.

    `swap` is for commands, not for the process of the gateway: opening the file to write closes it again by hand, and
    with that a process loses the locks that it has on it.
    """

    def __init__(self, url: str) -> None:
        self._path = path_of(url)

    def all(self) -> dict[int, bytes]:
        """Every envelope; none where there is no file yet."""
        return dict(self._read("SELECT business_id, envelope FROM sealed"))

    def version(self) -> int:
        """0 before the first change."""
        return sum(version for (version,) in self._read("SELECT version FROM sealed_version"))

    def swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
        """One transaction, on disk when it returns."""

        def work() -> bool:
            with closing(connect(self._path, read_only=False)) as database:
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                database.execute("BEGIN IMMEDIATE")
                found = database.execute(
                    "SELECT envelope FROM sealed WHERE business_id = ?", (business_id,)
                ).fetchone()
                held = found[0] if found else None
                if held == new or held != old:
                    return held == new
                if new is None:
                    database.execute("DELETE FROM sealed WHERE business_id = ?", (business_id,))
                else:
                    database.execute("INSERT OR REPLACE INTO sealed VALUES (?, ?)", (business_id, new))
                database.execute(_RAISE)
                database.execute("COMMIT")
                return True

        return self._translated(work)

    def _read(self, query: str) -> list[Any]:
        def work() -> list[Any]:
            try:
                with closing(connect(self._path, read_only=True)) as database:
                    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'sealed'").fetchone():
                        return []  # written by a pushgw that knew of no sealed credentials
                    return database.execute(query).fetchall()
            except StateMissing:
                return []

        return self._translated(work)

    def _translated(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.ProgrammingError:
            raise  # a defect of ours
        except sqlite3.Error as error:
            raise BlobsUnavailable(f"{self._path}: {cause_of(error)}") from error
        except StateUnavailable as error:
            raise BlobsUnavailable(str(error)) from None
        except OSError as error:
            raise BlobsUnavailable(
                f"{self._path} cannot be opened ({error.strerror}); check that its directory exists and may be "
                "written to"
            ) from error
