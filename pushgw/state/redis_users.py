"""User events and dead tokens on Redis: read, judged here by the same pure functions as everywhere, written if unchanged.

`change.lua` writes a user or a token owner only where it is what was read; where another gateway was faster, all is read
and judged anew. So each decision holds for exactly the state that it is written upon, as if one script had taken it.

A token that moves touches its old owner, its new owner and the index, on up to three shards. The index is written last.
Whoever is cut off before that is repeated (its offset was not committed) and finds the old owner in the index again;
whoever meets another on the way finds the index changed, and judges anew with both users' documents in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pushgw.messages.model import C2COption, DevicePut, GroupOption, UserEvent
from pushgw.policy.facts import NOBODY, User
from pushgw.state.changes import RELEASED_TOKEN_TTL_S, Changes
from pushgw.state.documents import c2c_mark, group_mark, user_key
from pushgw.state.protocol import DeadToken, StateUnavailable
from pushgw.state.redis_admit import in_parallel
from pushgw.state.redis_documents import Documents, written
from pushgw.state.redis_keys import TOKEN, USER, Shards
from pushgw.state.redis_link import Link
from pushgw.state.redis_scripts import CHANGE, READ
from pushgw.state.tokens import Owner, mark_dead, token_key

MOST_ATTEMPTS = 50
MOST_EVENTS = 1_000
"""Of one call, for the sake of those who wait meanwhile."""

_encode = msgspec.msgpack.Encoder().encode
_json = msgspec.json.Encoder().encode
_owner = msgspec.json.Decoder(tuple[str, str, int]).decode

_Option = tuple[str, int, int]


class UserBook:
    """Reads and changes users and token owners for one store."""

    def __init__(self, link: Link, shards: Shards, documents: Documents) -> None:
        self._link = link
        self._shards = shards
        self._documents = documents

    async def apply(self, events: Sequence[UserEvent]) -> None:
        """Apply the events in order."""
        for first in range(0, len(events), MOST_EVENTS):
            await self._apply(events[first : first + MOST_EVENTS])

    async def mark_dead(self, tokens: Sequence[DeadToken]) -> list[str]:
        """Mark dead tokens under the guard; an action each."""
        keys = {user_key(token.app, token.user) for token in tokens}
        for _ in range(MOST_ATTEMPTS):
            read = await self.read(keys, ())
            users: dict[str, User] = {}
            actions: list[str] = []
            for token in tokens:
                key = user_key(token.app, token.user)
                known = users.get(key) or read.users.get(key, NOBODY)
                user, action = mark_dead(known, token)
                if user is not known:
                    users[key] = user
                actions.append(action)
            if await self._write(read, users, {}, {}, {}):
                return actions
        raise self._too_many()

    async def read(self, users: Iterable[str], tokens: Iterable[str]) -> Read:
        """What is stored under these keys."""
        read = Read()
        await self._read_more(read, users, tokens)
        return read

    async def owners(self, keys: Sequence[str]) -> dict[str, Owner]:
        """Owners of tokens by their keys; a token that nobody has is missing."""
        read = await self.read([], keys)
        found = {key: read.find_owner(key) for key in keys}
        return {key: owner for key, owner in found.items() if owner is not None}

    async def _apply(self, events: Sequence[UserEvent]) -> None:
        options = _options(events)
        others = [event for event in events if not isinstance(event, C2COption | GroupOption)]
        for _ in range(MOST_ATTEMPTS):
            read = await self.read([user_key(event.app, event.user) for event in others], _put_tokens(others))
            changes = await self._judge(others, read)
            if await self._write(read, changes.users, changes.badges, options, changes.owners):
                return
        raise self._too_many()

    async def _judge(self, events: Sequence[UserEvent], read: Read) -> Changes:
        """What the events change; more is read as long as something more must be known."""
        while True:
            changes = Changes(dict(read.users), read.find_user, read.find_owner)
            try:
                changes.apply(events)
            except _Unread as missing:
                users, tokens = _also_needed(events, read)
                await self._read_more(read, {*users, *missing.users}, {*tokens, *missing.tokens})
            else:
                return changes

    async def _read_more(self, read: Read, users: Iterable[str], tokens: Iterable[str]) -> None:
        by_shard: dict[int, tuple[list[str], list[str]]] = {}
        for key in {*users} - read.texts.keys():
            by_shard.setdefault(self._shards.of(key), ([], []))[0].append(key)
        for key in {*tokens} - read.owner_texts.keys():
            by_shard.setdefault(self._shards.of(key), ([], []))[1].append(key)
        replies = await in_parallel(
            [
                self._link.run(READ, tag, [*_named(tag + USER, u), *_named(tag + TOKEN, t)], [len(u)])
                for tag, (u, t) in [(self._shards.tags[n], keys) for n, keys in by_shard.items()]
            ]
        )
        for (u, t), (texts, badges, owners) in zip(by_shard.values(), replies, strict=True):
            read.add(u, texts, self._documents.users(texts, badges), t, owners)

    async def _write(
        self,
        read: Read,
        users: dict[str, User],
        badges: dict[str, int],
        options: dict[str, list[_Option]],
        owners: dict[str, tuple[Owner, int | None]],
    ) -> bool:
        """False where another was faster. What was written by then is what its events say, and is judged anew."""
        if len(self._shards) == 1:
            return await self._change(
                [*self._user_rows(read, users, badges, options)], _owner_rows(read, owners)
            )
        by_shard: dict[int, list[_Row]] = {}
        for row in self._user_rows(read, users, badges, options):
            by_shard.setdefault(self._shards.of(row[0]), []).append(row)
        if not all(await in_parallel([self._change(rows, [], n) for n, rows in by_shard.items()])):
            return False
        by_shard = {}
        for row in _owner_rows(read, owners):
            by_shard.setdefault(self._shards.of(row[0]), []).append(row)
        return all(await in_parallel([self._change([], rows, n) for n, rows in by_shard.items()]))

    async def _change(self, users: list[_Row], tokens: list[_Row], shard: int = 0) -> bool:
        if not users and not tokens:
            return True
        tag = self._shards.tags[shard]
        keys = [*[tag + USER + row[0] for row in users], *[tag + TOKEN + row[0] for row in tokens]]
        rows = _encode(([row[1] for row in users], [row[1] for row in tokens]))
        return bool(await self._link.run(CHANGE, tag, keys, [rows]))

    @staticmethod
    def _user_rows(
        read: Read, users: dict[str, User], badges: dict[str, int], options: dict[str, list[_Option]]
    ) -> Iterable[_Row]:
        for key in {**users, **badges, **options}:
            before = read.texts.get(key)
            after = written(users[key]) if key in users else before
            changed = after is not None and after != before
            yield (
                key,
                (
                    _text(before),
                    _text(after) if changed else False,
                    badges.get(key, False),
                    options.get(key, ()),
                ),
            )

    def _too_many(self) -> StateUnavailable:
        return StateUnavailable(f"{self._link.where}: other gateways keep changing the same users")


_Row = tuple[str, tuple[Any, ...]]


class Read:
    """Users and token owners as they were read; `Changes` asks for them."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        """Those that are stored."""
        self.texts: dict[str, bytes | None] = {}
        self.owner_texts: dict[str, bytes | None] = {}

    def add(
        self,
        users: Sequence[str],
        texts: Sequence[bytes | None],
        found: Sequence[User],
        tokens: Sequence[str],
        owners: Sequence[bytes | None],
    ) -> None:
        """An answer."""
        self.texts.update(zip(users, texts, strict=True))
        self.users.update(
            {key: user for key, text, user in zip(users, texts, found, strict=True) if text is not None}
        )
        self.owner_texts.update(zip(tokens, owners, strict=True))

    def find_user(self, key: str) -> User | None:
        """A user who is not among the events'. Raises _Unread."""
        if key not in self.texts:
            raise _Unread(users=[key])
        return self.users.get(key)

    def find_owner(self, key: str) -> Owner | None:
        """The owner of a token. Raises _Unread."""
        if key not in self.owner_texts:
            raise _Unread(tokens=[key])
        text = self.owner_texts[key]
        return None if text is None else Owner(*_owner(text))


class _Unread(Exception):
    """Something must be read before the events can be judged."""

    def __init__(self, users: Sequence[str] = (), tokens: Sequence[str] = ()) -> None:
        super().__init__()
        self.users = users
        self.tokens = tokens


def _put_tokens(events: Iterable[UserEvent]) -> set[str]:
    keys = [token_key(e.app, e.business_id, e.token) for e in events if isinstance(e, DevicePut)]
    return {key for key in keys if key is not None}


def _also_needed(events: Iterable[UserEvent], read: Read) -> tuple[set[str], set[str]]:
    """Former owners of the tokens, and tokens of the users' devices: what is asked for next, in one go."""
    users, tokens = set(), set()
    for event in events:
        user = read.users.get(user_key(event.app, event.user))
        for device in user.devices if user else ():
            key = token_key(event.app, device.business_id, device.token)
            if key is not None:
                tokens.add(key)
        if isinstance(event, DevicePut):
            key = token_key(event.app, event.business_id, event.token)
            owner = read.find_owner(key) if key is not None else None
            if owner is not None:
                users.add(user_key(event.app, owner.user))
    return users, tokens


def _options(events: Iterable[UserEvent]) -> dict[str, list[_Option]]:
    options: dict[str, list[_Option]] = {}
    for event in events:
        if isinstance(event, C2COption):
            option = (c2c_mark(event.peer), event.option, event.time_ms)
        elif isinstance(event, GroupOption):
            option = (group_mark(event.group_id, event.topic_id), event.option, event.time_ms)
        else:
            continue
        options.setdefault(user_key(event.app, event.user), []).append(option)
    return options


def _owner_rows(read: Read, owners: dict[str, tuple[Owner, int | None]]) -> list[_Row]:
    """What is released is kept a week from now on: TTLs of Redis know no EventTime."""
    return [
        (
            key,
            (
                _text(read.owner_texts[key]),
                _text(_json((owner.user, owner.device_id, owner.put_ms))),
                False if expires is None else RELEASED_TOKEN_TTL_S,
            ),
        )
        for key, (owner, expires) in owners.items()
    ]


def _text(raw: bytes | None) -> str | bool:
    """For the script's msgpack, which knows texts and no bytes."""
    return False if raw is None else raw.decode()


def _named(prefix: str, keys: Iterable[str]) -> list[str]:
    return [prefix + key for key in keys]
