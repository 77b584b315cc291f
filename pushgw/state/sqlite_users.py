"""User events and dead tokens on SQLite. Each function runs inside its caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from pushgw.messages.model import C2COption, GroupOption, UserEvent
from pushgw.policy.facts import NOBODY, User
from pushgw.state.changes import Changes
from pushgw.state.protocol import DeadToken
from pushgw.state.sqlite_memory import Memory
from pushgw.state.sqlite_rows import (
    USERS_BY_KEY,
    c2c_option_key,
    decode_users,
    group_option_key,
    json_list,
    stored,
    user_key,
    user_row,
    write_rows,
)
from pushgw.state.tokens import Owner, mark_dead

_READ = f"SELECT * FROM {USERS_BY_KEY.format(keys='?1')}"  # noqa: S608  constant text
_WRITE = "INSERT OR REPLACE INTO users (key, data)"
_OPTION = "INSERT INTO options (key, option, set_ms)"
_NEWER_OPTION = (
    "ON CONFLICT (key) DO UPDATE SET option = excluded.option, set_ms = excluded.set_ms "
    "WHERE excluded.set_ms >= options.set_ms"
)
_OWNER = "INSERT OR REPLACE INTO tokens (key, user, device_id, put_ms, expires)"
_BADGE = "INSERT INTO badges (key, badge)"
_TO = "ON CONFLICT (key) DO UPDATE SET badge = excluded.badge"


def read_users(database: sqlite3.Connection, keys: Iterable[str]) -> dict[str, User]:
    """Stored users by their keys; who is not stored is missing."""
    distinct = list(dict.fromkeys(keys))
    return decode_users(distinct, database.execute(_READ, (json_list(distinct),)).fetchone())


def read_owners(database: sqlite3.Connection, keys: Iterable[str]) -> dict[str, Owner]:
    """Owners of tokens by their keys; a token that nobody has is missing."""
    found = {key: _read_owner(database, key) for key in keys}
    return {key: owner for key, owner in found.items() if owner is not None}


def apply(database: sqlite3.Connection, memory: Memory, events: Sequence[UserEvent]) -> None:
    """Apply the events in order."""
    memory.forget([user_key(event.app, event.user) for event in events])
    options = [_option_row(event) for event in events if isinstance(event, C2COption | GroupOption)]
    write_rows(database, _OPTION, options, _NEWER_OPTION)
    others = [event for event in events if not isinstance(event, C2COption | GroupOption)]
    if others:
        changes = Changes(
            read_users(database, [user_key(event.app, event.user) for event in others]),
            lambda key: read_users(database, [key]).get(key),
            lambda key: _read_owner(database, key),
        )
        changes.apply(others)
        _write(database, changes)
        memory.forget(changes.users)


def mark_all_dead(database: sqlite3.Connection, memory: Memory, tokens: Sequence[DeadToken]) -> list[str]:
    """Mark dead tokens where `fate_of_token` lets it be; its word each."""
    users = read_users(database, [user_key(t.app, t.user) for t in tokens])
    changed: dict[str, User] = {}
    actions: list[str] = []
    for token in tokens:
        key = user_key(token.app, token.user)
        user, action = mark_dead(users.get(key, NOBODY), token)
        if user is not users.get(key, NOBODY):
            users[key] = changed[key] = user
        actions.append(action)
    memory.forget(changed)
    write_rows(database, _WRITE, [user_row(key, user) for key, user in changed.items()])
    return actions


def _option_row(event: C2COption | GroupOption) -> tuple[str, int, int]:
    if isinstance(event, C2COption):
        key = c2c_option_key(event.app, event.user, event.peer)
    else:
        key = group_option_key(event.app, event.user, event.group_id, event.topic_id)
    return stored(key), event.option, event.time_ms


def _write(database: sqlite3.Connection, changes: Changes) -> None:
    write_rows(database, _WRITE, [user_row(key, user) for key, user in changes.users.items()])
    write_rows(database, _BADGE, [(stored(key), n) for key, n in changes.badges.items()], _TO)
    owners = [
        (stored(key), owner.user, owner.device_id, owner.put_ms, expires)
        for key, (owner, expires) in changes.owners.items()
    ]
    write_rows(database, _OWNER, owners)


def _read_owner(database: sqlite3.Connection, key: str) -> Owner | None:
    row = database.execute(
        "SELECT user, device_id, put_ms FROM tokens WHERE key = ?", (stored(key),)
    ).fetchone()
    return None if row is None else Owner(*row)
