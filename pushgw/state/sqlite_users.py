"""User events and dead tokens on SQLite. Each function runs inside its caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from pushgw.messages.model import C2COption, DevicePut, GroupOption, UserEvent
from pushgw.policy.facts import NOBODY, User
from pushgw.state.events import apply_event, device_of
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
from pushgw.state.tokens import Owner, lose_token, mark_dead, takes_token, token_key

RELEASED_TOKEN_TTL_S = 604_800
"""How long it is remembered who had a token that its device gave up: late events are judged by it."""

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


def apply(database: sqlite3.Connection, memory: Memory, events: Sequence[UserEvent]) -> None:
    """Apply the events in order."""
    memory.forget([user_key(event.app, event.user) for event in events])
    options = [_option_row(event) for event in events if isinstance(event, C2COption | GroupOption)]
    write_rows(database, _OPTION, options, _NEWER_OPTION)
    others = [event for event in events if not isinstance(event, C2COption | GroupOption)]
    if others:
        memory.forget(_Changes(database, others).apply())


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


class _Changes:
    """Events on their way into the tables ``users`` and ``tokens``: read once, written once."""

    def __init__(self, database: sqlite3.Connection, events: Sequence[UserEvent]) -> None:
        self._database = database
        self._events = events
        self._users = read_users(database, [user_key(event.app, event.user) for event in events])
        self._changed: dict[str, User] = {}
        self._badges: dict[str, int] = {}
        self._owners: dict[str, Owner | None] = {}
        self._new_owners: dict[str, tuple[Owner, int | None]] = {}

    def apply(self) -> Iterable[str]:
        """All events, then the rows; keys of the users that changed, of whom some may be in no event."""
        for event in self._events:
            self._one(event)
        write_rows(self._database, _WRITE, [user_row(key, user) for key, user in self._changed.items()])
        write_rows(self._database, _BADGE, [(stored(key), n) for key, n in self._badges.items()], _TO)
        owners = [
            (stored(key), owner.user, owner.device_id, owner.put_ms, expires)
            for key, (owner, expires) in self._new_owners.items()
        ]
        write_rows(self._database, _OWNER, owners)
        return self._changed

    def _one(self, event: UserEvent) -> None:
        key = user_key(event.app, event.user)
        before = self._users.get(key, NOBODY)
        after = apply_event(before, event)
        if before.devices != after.devices:
            self._release(event, before, after)
        if isinstance(event, DevicePut):
            after = self._own(event, after)
        if after.badge_ms != before.badge_ms or after.badge != before.badge:
            self._badges[key] = after.badge
        if after != before or key not in self._users:
            self._store(key, after)

    def _own(self, event: DevicePut, user: User) -> User:
        """The token goes to the device of its newest Put, be the event itself stale for its device or not."""
        key = token_key(event.app, event.business_id, event.token)
        if key is None:
            return user
        owner = self._owner(key)
        device = device_of(user, event.device_id)
        holds = device is not None and (device.business_id, device.token) == (event.business_id, event.token)
        if not takes_token(owner, event):
            return lose_token(user, event.device_id, event.token) if holds else user
        if owner is None or event.time_ms >= owner.put_ms:
            expires = None if holds else event.time_ms // 1000 + RELEASED_TOKEN_TTL_S
            self._own_by(key, Owner(event.user, event.device_id, event.time_ms), expires)
        if owner is None or (owner.user == event.user and owner.device_id == event.device_id):
            return user
        if owner.user == event.user:
            return lose_token(user, owner.device_id, event.token)
        loser_key = user_key(event.app, owner.user)
        if loser_key not in self._users:
            self._users |= read_users(self._database, [loser_key])
        loser = self._users.get(loser_key)
        if loser is not None:
            self._store(loser_key, lose_token(loser, owner.device_id, event.token))
        return user

    def _release(self, event: UserEvent, before: User, after: User) -> None:
        """Tokens that a device gave up are remembered for a while only."""
        kept = {(d.device_id, d.business_id, d.token) for d in after.devices}
        for device in before.devices:
            if (device.device_id, device.business_id, device.token) in kept:
                continue
            key = token_key(event.app, device.business_id, device.token)
            owner = self._owner(key) if key is not None else None
            if (
                key is None
                or owner is None
                or (owner.user, owner.device_id) != (event.user, device.device_id)
            ):
                continue
            self._own_by(key, owner, event.time_ms // 1000 + RELEASED_TOKEN_TTL_S)

    def _owner(self, key: str) -> Owner | None:
        if key not in self._owners:
            row = self._database.execute(
                "SELECT user, device_id, put_ms FROM tokens WHERE key = ?", (stored(key),)
            ).fetchone()
            self._owners[key] = None if row is None else Owner(*row)
        return self._owners[key]

    def _own_by(self, key: str, owner: Owner, expires: int | None) -> None:
        self._owners[key] = owner
        self._new_owners[key] = (owner, expires)

    def _store(self, key: str, user: User) -> None:
        self._users[key] = self._changed[key] = user
