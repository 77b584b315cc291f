"""When each credential last had a push accepted, on SQLite. Outside of what the writer keeps in memory: a command reads it
beside a running gateway. Each function runs inside its caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

_NOTE = (
    "INSERT INTO good_pushes (business_id, at) VALUES (?, ?)"
    " ON CONFLICT (business_id) DO UPDATE SET at = max(at, excluded.at)"
)
_SELECT = "SELECT business_id, at FROM good_pushes"
_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'good_pushes'"


def note(database: sqlite3.Connection, times: Mapping[int, float]) -> None:
    """Remember these times, epoch s, where they are newer than what is known."""
    database.executemany(_NOTE, list(times.items()))


def known(database: sqlite3.Connection) -> dict[int, float]:
    """All of them. A file that no gateway of this version has opened knows none."""
    if database.execute(_TABLE).fetchone() is None:
        return {}
    return dict(database.execute(_SELECT).fetchall())
