"""`admit` and `peek` on SQLite: one SELECT for all that a batch asks, claims decided in record order, one INSERT."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

import msgspec

from pushgw.policy.facts import NO_OPTIONS, NOBODY, Options, ReceiverFacts, User
from pushgw.state.protocol import Admission, Admit
from pushgw.state.sqlite_rows import (
    USERS_BY_KEY,
    c2c_option_key,
    decode_users,
    group_option_key,
    json_list,
    stored,
    write_rows,
)

_ASK = f"""
SELECT
 (SELECT json_group_array(json_array(j.key, c.owner, c.at))
  FROM json_each(?1) j CROSS JOIN claims c ON c.key = j.value WHERE c.expires > ?6),
 (SELECT json_group_array(j.key)
  FROM json_each(?2) j CROSS JOIN tombstones t ON t.key = j.value WHERE t.expires > ?6),
 (SELECT json_group_array(json_array(d.source, d.user, d.device))
  FROM json_each(?3) j CROSS JOIN done d ON d.source = j.value WHERE d.expires > ?6),
 (SELECT json_group_array(json_array(j.key, o.option))
  FROM json_each(?5) j CROSS JOIN options o ON o.key = j.value),
 *
FROM {USERS_BY_KEY.format(keys="?4")}
"""  # noqa: S608  constant text

_CLAIM = "INSERT OR REPLACE INTO claims (key, owner, at, expires)"
_EVENT = "\x01"
"""Before an EventId's key: events and dedup marks share a table, not names."""
_NOTHING: Collection[str] = frozenset()
_NOBODY_DONE: Mapping[str, Collection[str]] = {}

_claim_hits = msgspec.json.Decoder(list[tuple[int, str, int]]).decode
_tombstone_hits = msgspec.json.Decoder(list[int]).decode
_done_hits = msgspec.json.Decoder(list[tuple[str, str, str]]).decode
_option_hits = msgspec.json.Decoder(list[tuple[int, int]]).decode


def admit(
    database: sqlite3.Connection, batch: Sequence[Admit], now: float, *, expires: int | None
) -> list[Admission]:
    """Answers in order. ``expires`` (epoch s) is the end of new claims; None claims nothing."""
    found = _Found(database, batch, int(now))
    answers = [found.answer(one) for one in batch]
    if found.new and expires is not None:
        rows = [(stored(key), owner, at, expires) for key, (owner, at) in found.new.items()]
        rows.sort()  # neighbours in the tree come one after the other
        write_rows(database, _CLAIM, rows)
    return answers


class _Found:
    """What the file holds about a batch; answers its records one after the other."""

    new: dict[str, tuple[str, int]]
    """Claims that the answers made, key -> (owner, time of the first accept)."""

    def __init__(self, database: sqlite3.Connection, batch: Sequence[Admit], now: int) -> None:
        claims: list[str] = []
        tombstones: list[str] = []
        users: list[str] = []
        options: list[str] = []
        for one in batch:
            if one.event_key is not None:
                claims.append(_EVENT + one.event_key)
            for claim in one.claims:
                claims.append(claim.key)
            tombstones += one.tombstones
            app = one.app
            for user in one.receivers:
                users.append(f"{app} {user}")  # user_key and c2c_option_key, written out: the hottest lines
                if one.group_id is None:
                    options.append(f"{app} {len(user)} {user} c{one.peer}")
            if one.group_id is not None:
                options += _group_option_keys(one, one.group_id)
        distinct = list(dict.fromkeys(users))
        row = database.execute(
            _ASK,
            (
                json_list(claims),
                json_list(tombstones),
                json_list([one.source for one in batch]),
                json_list(distinct),
                json_list(options),
                now,
            ),
        ).fetchone()
        self._now = now
        self._claims = {claims[index]: (owner, at) for index, owner, at in _claim_hits(row[0])}
        self._buried = {tombstones[index] for index in _tombstone_hits(row[1])}
        self._done: dict[str, dict[str, set[str]]] = {}
        for source, name, device in _done_hits(row[2]):
            self._done.setdefault(source, {}).setdefault(name, set()).add(device)
        known = decode_users(distinct, row[4:])
        self._users = iter([known.get(key, NOBODY) for key in users])
        self._options = {options[index]: option for index, option in _option_hits(row[3])}
        self._plain = not (self._buried or self._done or self._options)
        self.new = {}

    def answer(self, one: Admit) -> Admission:
        """The answer to the next record; what it claims counts for the records after it."""
        source, receivers = one.source, one.receivers
        done = self._done.get(source, _NOBODY_DONE)
        settled = "" in done.get("", _NOTHING)
        redelivered_of = None
        owners: list[str | None] = [None]
        if not settled:
            if one.event_key is not None:
                redelivered_of = self._claim(_EVENT + one.event_key, self._now, None, source)
            if redelivered_of is None and one.claims:
                owners = [self._claim(claim.key, claim.at, claim.window, source) for claim in one.claims]
        if self._plain and len(receivers) == 1:
            facts = [ReceiverFacts(user=next(self._users), claimed_by=owners[0])]
        else:
            names = receivers or ("",)
            users = self._users if receivers else iter([NOBODY])
            if len(owners) == 1:
                owners *= len(names)
            facts = [
                self._facts(one, index, name, next(users), owners[index], done.get(name, _NOTHING))
                for index, name in enumerate(names)
            ]
        return Admission(settled=settled, redelivered_of=redelivered_of, receivers=tuple(facts))

    def _facts(
        self, one: Admit, index: int, name: str, user: User, owner: str | None, done: Collection[str]
    ) -> ReceiverFacts:
        return ReceiverFacts(
            user=user,
            options=self._options_of(one, name) if self._options else NO_OPTIONS,
            claimed_by=owner,
            recalled=self._is_recalled(one, index),
            done=frozenset(done),
        )

    def _claim(self, key: str, at: int, window: int | None, source: str) -> str | None:
        """None when the key is this source's, from before or from now on; else its owner."""
        held = self._claims.get(key)
        if held is not None:
            owner, first = held
            if owner == source:
                return None
            if window is None or abs(at - first) < window:
                return owner
        self._claims[key] = self.new[key] = (source, at)
        return None

    def _is_recalled(self, one: Admit, index: int) -> bool:
        keys = one.tombstones
        return bool(keys) and keys[index if len(keys) > 1 else 0] in self._buried

    def _options_of(self, one: Admit, user: str) -> Options:
        get = self._options.get
        if one.group_id is None:
            return Options(c2c=get(c2c_option_key(one.app, user, one.peer or "")))
        group = get(group_option_key(one.app, user, one.group_id, None))
        if one.topic_id is None:
            return Options(group=group)
        return Options(group=group, topic=get(group_option_key(one.app, user, one.group_id, one.topic_id)))


def _group_option_keys(one: Admit, group_id: str) -> list[str]:
    keys = [group_option_key(one.app, user, group_id, None) for user in one.receivers]
    if one.topic_id is not None:
        keys += [group_option_key(one.app, user, group_id, one.topic_id) for user in one.receivers]
    return keys
