"""The SQLite file: its tables, how it is opened, and what its errors mean.

Users are one JSON document each, so that a whole batch comes back as one text in one step of the statement: the
sqlite3 module gives up the interpreter lock for every step, and with a busy event loop each costs up to 5 ms of waiting.
Rows are small and without rowid; ``expires`` has an index, so that expiry finds its rows without a scan. Keys are texts,
no digests: those of messages of one time stand side by side, and a batch changes few pages.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from pushgw.state.protocol import StateMissing, StateUnavailable

SCHEMA_VERSION = 2
BUSY_MS = 5_000

_SCHEMA = """
CREATE TABLE users (key TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE badges (key TEXT PRIMARY KEY, badge INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE options (key TEXT PRIMARY KEY, option INTEGER NOT NULL, set_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tokens (
  key TEXT PRIMARY KEY, user TEXT NOT NULL, device_id TEXT NOT NULL, put_ms INTEGER NOT NULL, expires INTEGER
) WITHOUT ROWID;
CREATE INDEX tokens_expires ON tokens (expires) WHERE expires IS NOT NULL;
CREATE TABLE claims (
  key TEXT PRIMARY KEY, owner TEXT NOT NULL, at INTEGER, batch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE claim_batches (id INTEGER PRIMARY KEY, expires INTEGER NOT NULL, keys TEXT NOT NULL);
CREATE INDEX claim_batches_expires ON claim_batches (expires);
CREATE TABLE tombstones (key TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX tombstones_expires ON tombstones (expires);
CREATE TABLE done (
  source TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (source, user, device)
) WITHOUT ROWID;
CREATE INDEX done_expires ON done (expires);
CREATE TABLE settled (
  span TEXT NOT NULL, expires INTEGER NOT NULL, marks TEXT NOT NULL, PRIMARY KEY (span, expires)
) WITHOUT ROWID;
CREATE INDEX settled_expires ON settled (expires);
CREATE TABLE shown (
  key TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (key, user, device)
) WITHOUT ROWID;
CREATE INDEX shown_expires ON shown (expires);
"""

_ADDED = """
CREATE TABLE IF NOT EXISTS suspects (
  business_id INTEGER NOT NULL, app INTEGER NOT NULL, user TEXT NOT NULL, device_id TEXT NOT NULL,
  held_ms INTEGER NOT NULL, data TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (business_id, app, user, device_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS suspects_expires ON suspects (expires);
CREATE TABLE IF NOT EXISTS sealed (business_id INTEGER PRIMARY KEY, envelope BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sealed_version (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS good_pushes (business_id INTEGER PRIMARY KEY, at REAL NOT NULL);
"""
"""What files of this schema version may lack: made when one is opened for writing."""

_STATE = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"

EXPIRING = (
    ("tombstones", "key"),
    ("settled", "span, expires"),
    ("done", "source, user, device"),
    ("tokens", "key"),
    ("shown", "key, user, device"),
    ("suspects", "business_id, app, user, device_id"),
)
"""Tables with an ``expires`` (epoch s) in each row, and their keys."""


def path_of(url: str) -> Path:
    """The file of ``sqlite:///PATH``; a path that starts with a slash is absolute."""
    return Path(url.removeprefix("sqlite:///"))


def connect(path: Path, *, read_only: bool, create: bool = True) -> sqlite3.Connection:
    """A connection to the store's file, created where it is missing, unless it is only read or not ``create``.

    Raises sqlite3.Error, OSError, StateUnavailable.
    """
    if (read_only or not create) and not path.exists():
        raise StateMissing(f"{path} does not exist: `pushgw run` creates it at its first start")
    if read_only:
        database = _open(f"file:{quote(str(path))}?mode=ro")
    else:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # device tokens are in it: for its owner only
        database = _open(f"file:{quote(str(path))}?mode=rw")
    try:
        _prepare(database, path, read_only=read_only)
    except BaseException:
        database.close()
        raise
    return database


def cause_of(error: sqlite3.Error) -> str:
    """What a SQLite error means, with the mend where there is one."""
    name = getattr(error, "sqlite_errorname", "")
    for prefix, cause in _CAUSES.items():
        if name.startswith(prefix):
            return cause
    return str(error)


_CAUSES = {
    "SQLITE_FULL": "the disk is full; make room for it, and what waits goes on by itself",
    "SQLITE_NOTADB": "the file is no SQLite database; move it away, or correct state.url",
    "SQLITE_CORRUPT": "the database is damaged; restore it, or move it away and start anew",
    "SQLITE_BUSY": "another program holds a lock on the database",
    "SQLITE_READONLY": "the database may not be written to; check the permissions of the file and its directory",
    "SQLITE_CANTOPEN": "the file cannot be opened; check that its directory exists and may be written to",
    "SQLITE_IOERR": "reading or writing failed; check the disk, its quota and limits on the size of files",
}


def _open(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_MS / 1000,
        cached_statements=256,
    )


def _prepare(database: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    version, tables = database.execute(_STATE).fetchone()
    if version > SCHEMA_VERSION:
        raise StateUnavailable(f"{path} was written by a newer pushgw (schema {version}); update this one")
    if 0 < version < SCHEMA_VERSION:
        raise StateUnavailable(
            f"{path} was written by an older pushgw (schema {version}); move it away and start anew"
        )
    if version == 0 and tables:
        raise StateUnavailable(f"{path} is another program's database; correct state.url")
    if read_only:
        if version == 0:
            raise StateMissing(f"{path} is empty: `pushgw run` fills it at its first start")
        return
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA wal_autocheckpoint = 8000")
    database.execute("PRAGMA cache_size = -16384")  # KiB; beyond it the system's own cache serves as well
    database.execute("PRAGMA temp_store = MEMORY")
    if version == 0:
        _create(database)
    database.executescript(_ADDED)


def _create(database: sqlite3.Connection) -> None:
    """All of it, unless another process was faster: a command may add a sealed credential while a gateway starts."""
    database.execute("BEGIN IMMEDIATE")
    if database.execute(_STATE).fetchone()[0] == 0:
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    database.execute("COMMIT")
