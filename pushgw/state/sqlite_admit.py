"""`admit` and `peek` on SQLite: one SELECT for what is not in memory, then the claims, then the answers in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from pushgw.policy.facts import NO_OPTIONS, NOBODY, Options, ReceiverFacts, User
from pushgw.state.marks import is_believed
from pushgw.state.protocol import Admission, Admit
from pushgw.state.sqlite_claims import claim
from pushgw.state.sqlite_memory import Memory
from pushgw.state.sqlite_rows import (
    USERS_BY_KEY,
    c2c_option_key,
    decode_users,
    group_option_key,
    json_list,
    option_prefix_of,
    user_key,
)
from pushgw.state.sqlite_settle import MARK, settled_sources

_ASK = f"""
SELECT
 (SELECT json_group_array(json_array(d.source, d.user, d.device, d.expires))
  FROM json_each(?2) j CROSS JOIN done d ON d.source = j.value WHERE d.expires > ?7),
 (SELECT json_group_array(j.key)
  FROM json_each(?3) j CROSS JOIN tombstones t ON t.key = j.value WHERE t.expires > ?7),
 (SELECT json_group_array(json_array(j.key, o.option))
  FROM json_each(?5) j CROSS JOIN options o ON o.key = j.value),
 (SELECT json_group_array(j.key) FROM json_each(?6) j
  WHERE EXISTS (SELECT 1 FROM options o WHERE o.key >= j.value || ' ' AND o.key < j.value || '!')),
 *
FROM
 (SELECT group_concat(j.key), group_concat(s.expires), group_concat('[' || s.marks || ']')
  FROM json_each(?1) j CROSS JOIN settled s ON s.span = j.value WHERE s.expires > ?7),
 {USERS_BY_KEY.format(keys="?4")}
"""  # noqa: S608  constant text

_NO_DONE: Mapping[str, Collection[str]] = {}
_NO_MARKS: frozenset[str] = frozenset()
_NO_OWNER: list[str | None] = [None]

_indices = msgspec.json.Decoder(list[int]).decode
_done_hits = msgspec.json.Decoder(list[tuple[str, str, str, int]]).decode
_option_hits = msgspec.json.Decoder(list[tuple[int, int]]).decode


def admit(
    database: sqlite3.Connection,
    memory: Memory,
    batch: Sequence[Admit],
    now: int,
    *,
    expires: int | None,
    done_ttl: int,
) -> list[Admission]:
    """Answers in order. ``expires`` (epoch s) is the end of new claims; None claims nothing. ``done_ttl``, s."""
    found = _Found(database, memory, batch, now, done_ttl)
    claiming = [one for one in batch if not found.is_settled(one)] if found.marked else batch
    verdicts = claim(database, claiming, now, expires=expires)
    if verdicts is None and found.plain:
        return [
            Admission(settled=False, redelivered_of=None, receivers=(ReceiverFacts(user=user),))
            for user in found.users
        ]
    judged = iter(verdicts or ())
    users = iter(found.users)
    answers = []
    for one in batch:
        redelivered_of, owners = None, _NO_OWNER
        settled = found.is_settled(one)
        if verdicts is not None and not settled:
            redelivered_of, owners = next(judged)
        answers.append(
            Admission(
                settled=settled,
                redelivered_of=redelivered_of,
                receivers=found.receivers(one, users, owners or _NO_OWNER),
            )
        )
    return answers


class _Found:
    """What memory and file hold about a batch."""

    users: list[User]
    """One for each receiver of each record."""
    marked: dict[str, int]
    """Sources with a done mark of a whole record -> the end of the latest, epoch s."""
    plain: bool
    """Each record has one receiver, and of none is more known than the user."""

    def __init__(
        self, database: sqlite3.Connection, memory: Memory, batch: Sequence[Admit], now: int, done_ttl: int
    ) -> None:
        self._now = now
        self._done_ttl = done_ttl
        keys = [f"{one.app} {user}" for one in batch for user in one.receivers]  # user_key, for speed
        missing = memory.missing(keys)
        options = _option_keys(batch, memory.optioned, set(missing)) if missing or memory.optioned else []
        spans = list({one.source[:-MARK] for one in batch})
        tombstones = [key for one in batch for key in one.tombstones] if now < memory.buried_until else []
        row = database.execute(
            _ASK,
            (
                json_list(spans),
                json_list([one.source for one in batch] if now < memory.parted_until else []),
                json_list(tombstones),
                json_list(missing),
                json_list(options),
                json_list([option_prefix_of(key)[:-1] for key in missing]),
                now,
            ),
        ).fetchone()
        if missing:
            optioned = [missing[index] for index in _indices(row[3])]
            memory.learn(missing, decode_users(missing, row[7:]), optioned)
        self.users = list(map(memory.users.__getitem__, keys))
        self.marked = settled_sources(batch, spans, row[4], row[5], row[6])
        self._done: dict[str, list[tuple[str, str, int]]] = {}
        for source, name, device, end in _done_hits(row[0]):
            self._done.setdefault(source, []).append((name, device, end))
        self._buried = {tombstones[index] for index in _indices(row[1])}
        self._options = {options[index]: option for index, option in _option_hits(row[2])}
        others = [one for one in batch if len(one.receivers) != 1]
        self.plain = not (others or self.marked or self._done or self._buried or self._options)

    def is_settled(self, one: Admit) -> bool:
        """Whether this very record was settled as a whole."""
        end = self.marked.get(one.source)
        return end is not None and is_believed(end, one.created_ms, self._now, self._done_ttl)

    def receivers(
        self, one: Admit, users: Iterator[User], owners: Sequence[str | None]
    ) -> tuple[ReceiverFacts, ...]:
        """The facts of a record's receivers, whose users are next."""
        done = self._done_of(one) if one.source in self._done else _NO_DONE
        if not one.receivers:
            return (self._facts(one, 0, "", NOBODY, owners[0], done),)
        if len(owners) == 1:
            owners = [owners[0]] * len(one.receivers)
        return tuple(
            [
                self._facts(one, index, name, next(users), owners[index], done)
                for index, name in enumerate(one.receivers)
            ]
        )

    def _done_of(self, one: Admit) -> dict[str, set[str]]:
        """User -> devices of the record that are done."""
        done: dict[str, set[str]] = {}
        for name, device, end in self._done[one.source]:
            if is_believed(end, one.created_ms, self._now, self._done_ttl):
                done.setdefault(name, set()).add(device)
        return done

    def _facts(
        self,
        one: Admit,
        index: int,
        name: str,
        user: User,
        owner: str | None,
        done: Mapping[str, Collection[str]],
    ) -> ReceiverFacts:
        return ReceiverFacts(
            user=user,
            options=self._options_of(one, name) if self._options else NO_OPTIONS,
            claimed_by=owner,
            recalled=bool(self._buried) and self._is_recalled(one, index),
            done=frozenset(done.get(name, _NO_MARKS)) if done else _NO_MARKS,
        )

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


def _option_keys(batch: Sequence[Admit], optioned: Collection[str], missing: Collection[str]) -> list[str]:
    """Keys of the options that matter to the batch, of those users who have any, or of whom it is not known."""
    keys = []
    for one in batch:
        app, group_id, topic_id = one.app, one.group_id, one.topic_id
        for user in one.receivers:
            key = user_key(app, user)
            if key not in optioned and key not in missing:
                continue
            if group_id is None:
                keys.append(c2c_option_key(app, user, one.peer or ""))
                continue
            keys.append(group_option_key(app, user, group_id, None))
            if topic_id is not None:
                keys.append(group_option_key(app, user, group_id, topic_id))
    return keys
