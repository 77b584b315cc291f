"""Keys, user documents and bulk statements of the SQLite store."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from pushgw.policy.facts import User
from pushgw.state.documents import document, option_of_mark
from pushgw.state.documents import user_key as user_key

# --- keys ---------------------------------------------------------------------------------------------------


def option_prefix(app: int, user: str) -> str:
    """What all keys in ``options`` of one user begin with. The length keeps two users' keys apart."""
    return f"{app} {len(user)} {user} "


def option_prefix_of(key: str) -> str:
    """The same of the user with this `user_key`."""
    app, _, user = key.partition(" ")
    return option_prefix(int(app), user)


def c2c_option_key(app: int, user: str, peer: str) -> str:
    """Key in ``options`` of the option for a peer."""
    return f"{app} {len(user)} {user} c{peer}"


def group_option_key(app: int, user: str, group_id: str, topic_id: str | None) -> str:
    """Key in ``options`` of the option for a group, or for a topic of it."""
    if topic_id is None:
        return f"{app} {len(user)} {user} g{group_id}"
    return f"{app} {len(user)} {user} t{len(group_id)} {group_id}{topic_id}"


def option_name(key: str, prefix: str) -> str:
    """What `StateStore.options` calls the option: ``c2c:<peer>`` or ``group:<id>[:<topic>]``."""
    return option_of_mark(key[len(prefix) :])


def stored(key: str) -> str:
    """The key as it stands in the file. SQLite's JSON functions end a text at a NUL, so NULs are spelled otherwise."""
    if "\x00" in key or "\x1a" in key:
        return key.replace("\x1a", "\x1a1").replace("\x00", "\x1a0")
    return key


def json_list(keys: Sequence[str]) -> str:
    """The keys as a parameter for ``json_each``."""
    text = _encode(keys)
    if b"\\u0000" in text or b"\\u001a" in text:
        text = _encode([stored(key) for key in keys])
    return text.decode()


def json_object(values: Mapping[str, str] | Mapping[str, int]) -> str:
    """Keys with their values as a parameter for ``json_each``."""
    text = _encode(values)
    if b"\\u0000" in text or b"\\u001a" in text:
        text = _encode({stored(key): value for key, value in values.items()})
    return text.decode()


# --- users --------------------------------------------------------------------------------------------------

USERS_BY_KEY = (
    "(SELECT group_concat(j.key), group_concat(u.data) "
    "FROM json_each({keys}) j CROSS JOIN users u ON u.key = j.value), "
    "(SELECT group_concat(j.key), group_concat(b.badge) "
    "FROM json_each({keys}) j CROSS JOIN badges b ON b.key = j.value)"
)
"""For FROM: one row of four texts for `decode_users`, whatever the number of keys. It is a third of the work of rows."""

_decode_documents = msgspec.json.Decoder(list[User]).decode
_decode_numbers = msgspec.json.Decoder(list[int]).decode
_encode = msgspec.json.Encoder().encode


def decode_users(keys: Sequence[str], texts: Sequence[str | None]) -> dict[str, User]:
    """The users that were found, by the keys that were asked."""
    at, documents, badges_at, badges = [f"[{text or ''}]" for text in texts]
    users = _decode_documents(documents)
    found = dict(zip([keys[index] for index in _decode_numbers(at)], users, strict=True))
    for index, badge in zip(_decode_numbers(badges_at), _decode_numbers(badges), strict=True):
        user = found.get(keys[index])
        if user is not None:
            force_setattr(user, "badge", badge)  # fresh out of the decoder: nobody else has it yet
    return found


def user_row(key: str, user: User) -> tuple[str, str]:
    """A row of ``users``. The badge has a narrow table of its own: it changes with every push."""
    return stored(key), _encode(document(user)).decode()


# --- bulk ---------------------------------------------------------------------------------------------------


def write_rows(
    database: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]], tail: str = ""
) -> None:
    """``head`` VALUES rows ``tail``, many rows in one step. A few sizes only, so that the statements stay prepared."""
    at = 0
    size = _LARGEST
    while at < len(rows):
        while size > len(rows) - at:
            size //= 2
        statement = _statements.get((head, tail, size))
        if statement is None:
            row = f"({','.join('?' * len(rows[0]))})"
            statement = _statements[head, tail, size] = f"{head} VALUES {','.join([row] * size)} {tail}"
        database.execute(statement, list(chain.from_iterable(rows[at : at + size])))
        at += size


_LARGEST = 1024
_statements: dict[tuple[str, str, int], str] = {}
