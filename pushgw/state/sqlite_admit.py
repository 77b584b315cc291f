"""`admit` and `peek` on SQLite: one SELECT for all that a batch asks, claims decided in record order, one INSERT."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pushgw.policy.facts import NO_OPTIONS, NOBODY, Options, ReceiverFacts, User
from pushgw.state.protocol import Admission, Admit, Claim
from pushgw.state.sqlite_rows import (
    USERS_BY_KEY,
    c2c_option_key,
    decode_users,
    group_option_key,
    json_list,
    stored,
    user_key,
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
 ({USERS_BY_KEY.format(keys="?4")}),
 (SELECT json_group_array(json_array(j.key, o.option))
  FROM json_each(?5) j CROSS JOIN options o ON o.key = j.value)
"""  # noqa: S608  constant text

_CLAIM = "INSERT OR REPLACE INTO claims (key, owner, at, expires)"
_EVENT = "\x01"
"""Before an EventId's key: events and dedup marks share a table, not names."""
_NOTHING: frozenset[str] = frozenset()

_claim_hits = msgspec.json.Decoder(list[tuple[int, str, int]]).decode
_tombstone_hits = msgspec.json.Decoder(list[int]).decode
_done_hits = msgspec.json.Decoder(list[tuple[str, str, str]]).decode
_option_hits = msgspec.json.Decoder(list[tuple[int, int]]).decode


def admit(
    database: sqlite3.Connection, batch: Sequence[Admit], now: float, *, expires: int | None
) -> list[Admission]:
    """Answers in order. ``expires`` (epoch s) is the end of new claims; None claims nothing."""
    found = _Found(database, batch, now)
    new: dict[str, tuple[str, int]] = {}
    answers = [found.answer(one, new, int(now)) for one in batch]
    if new and expires is not None:
        rows = [(stored(key), owner, at, expires) for key, (owner, at) in new.items()]
        write_rows(database, _CLAIM, rows)
    return answers


class _Found:
    """What the file holds about a batch; answers one record after the other."""

    def __init__(self, database: sqlite3.Connection, batch: Sequence[Admit], now: float) -> None:
        claims: list[str] = []
        tombstones: list[str] = []
        users: list[str] = []
        options: list[str] = []
        for one in batch:
            app = one.app
            if one.event_key is not None:
                claims.append(_EVENT + one.event_key)
            for claim in one.claims:
                claims.append(claim.key)
            tombstones += one.tombstones
            for user in one.receivers:
                users.append(f"{app} {user}")  # user_key, written out: the hottest line here
            options += _option_keys(one)
        distinct = list(dict.fromkeys(users))
        row = database.execute(
            _ASK,
            (
                json_list(claims),
                json_list(tombstones),
                json_list([one.source for one in batch]),
                json_list(distinct),
                json_list(options),
                int(now),
            ),
        ).fetchone()
        self._claims = {claims[index]: (owner, at) for index, owner, at in _claim_hits(row[0])}
        self._buried = {tombstones[index] for index in _tombstone_hits(row[1])}
        self._done: dict[str, dict[str, set[str]]] = {}
        for source, name, device in _done_hits(row[2]):
            self._done.setdefault(source, {}).setdefault(name, set()).add(device)
        self._users = decode_users(distinct, row[3])
        self._options = {options[index]: option for index, option in _option_hits(row[4])}

    def answer(self, one: Admit, new: dict[str, tuple[str, int]], now: int) -> Admission:
        """The answer to one record; what it claims goes to ``new`` and counts for the records after it."""
        done = self._done.get(one.source) if self._done else None
        settled = done is not None and "" in done.get("", _NOTHING)
        redelivered_of = None
        if one.event_key is not None and not settled:
            redelivered_of = self._claim(_EVENT + one.event_key, now, None, one.source, new)
        claims = () if settled or redelivered_of is not None else one.claims
        owners = self._claim_all(claims, one.source, new)
        receivers = one.receivers
        if not receivers:
            facts = [self._facts(one, 0, NOBODY, "", owners, done)]
        else:
            users, app = self._users, one.app
            facts = [
                self._facts(one, i, users.get(f"{app} {user}", NOBODY), user, owners, done)
                for i, user in enumerate(receivers)
            ]
        return Admission(settled=settled, redelivered_of=redelivered_of, receivers=tuple(facts))

    def _facts(
        self,
        one: Admit,
        index: int,
        user: User,
        name: str,
        owners: list[str | None],
        done: dict[str, set[str]] | None,
    ) -> ReceiverFacts:
        tombstones = one.tombstones
        return ReceiverFacts(
            user=user,
            options=self._options_of(one, name) if self._options else NO_OPTIONS,
            claimed_by=owners[index if len(owners) > 1 else 0] if owners else None,
            recalled=bool(self._buried)
            and bool(tombstones)
            and tombstones[index if len(tombstones) > 1 else 0] in self._buried,
            done=frozenset(done.get(name, _NOTHING)) if done else _NOTHING,
        )

    def _claim_all(
        self, claims: tuple[Claim, ...], source: str, new: dict[str, tuple[str, int]]
    ) -> list[str | None]:
        return [self._claim(claim.key, claim.at, claim.window, source, new) for claim in claims]

    def _claim(
        self, key: str, at: int, window: int | None, source: str, new: dict[str, tuple[str, int]]
    ) -> str | None:
        """None when the key is this source's from now on, or was; else its owner."""
        held = self._claims.get(key)
        if held is not None:
            owner = held[0]
            if owner == source:
                return None
            if window is None or abs(at - held[1]) < window:
                return owner
        self._claims[key] = new[key] = (source, at)
        return None

    def _options_of(self, one: Admit, user: str) -> Options:
        get = self._options.get
        if one.group_id is None:
            return Options(c2c=get(c2c_option_key(one.app, user, one.peer))) if one.peer else NO_OPTIONS
        group = get(group_option_key(one.app, user, one.group_id, None))
        if one.topic_id is None:
            return Options(group=group)
        return Options(group=group, topic=get(group_option_key(one.app, user, one.group_id, one.topic_id)))


def _option_keys(one: Admit) -> list[str]:
    app, group_id, topic_id, peer = one.app, one.group_id, one.topic_id, one.peer
    if group_id is None:
        return [c2c_option_key(app, user, peer) for user in one.receivers] if peer else []
    keys = [group_option_key(app, user, group_id, None) for user in one.receivers]
    if topic_id is not None:
        keys += [group_option_key(app, user, group_id, topic_id) for user in one.receivers]
    return keys
