"""Devices held for review on SQLite. They are outside of what the writer keeps in memory, so that the command line may
release them while a gateway runs. Each function runs inside its caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pushgw.state.protocol import Suspect
from pushgw.state.sqlite_rows import stored, write_rows

SUSPECT_TTL_S = 2_592_000

_HOLD = "INSERT OR REPLACE INTO suspects (business_id, app, user, device_id, held_ms, data, expires)"
_SELECT = "SELECT data FROM suspects WHERE business_id = ifnull(?, business_id) ORDER BY held_ms, user"
_RELEASE = "DELETE FROM suspects WHERE business_id = ? AND app = ? AND user = ? AND device_id = ?"
_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'suspects'"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Suspect).decode


def hold(database: sqlite3.Connection, suspects: Sequence[Suspect], expires: int) -> None:
    """Remember them until ``expires``, epoch s."""
    rows = [(*_key(s), s.held_ms, _encode(s).decode(), expires) for s in suspects]
    write_rows(database, _HOLD, rows)


def held(database: sqlite3.Connection, business_id: int | None) -> list[Suspect]:
    """What is held. A file that no gateway of this version has opened holds nothing."""
    if database.execute(_TABLE).fetchone() is None:
        return []
    return [_decode(data) for (data,) in database.execute(_SELECT, (business_id,)).fetchall()]


def release(database: sqlite3.Connection, suspects: Sequence[Suspect]) -> None:
    """Forget them."""
    database.executemany(_RELEASE, [_key(s) for s in suspects])


def _key(suspect: Suspect) -> tuple[int, int, str, str]:
    return suspect.business_id, suspect.app, stored(suspect.user), stored(suspect.device_id)
