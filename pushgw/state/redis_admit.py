"""`admit` and `peek` on Redis: what each shard is asked, and the answers in the order of the records.

On a single server one call asks everything. In a cluster there are two rounds, each with one call per shard, all at once:
first done marks, EventIds, tombstones and users, each where it lives; then the claims of the records that are neither
settled nor redelivered. See `redis_store` for why that is as good as one transaction. One thing differs: in a cluster a
settled record takes its own EventId again, where that is free by now, so that others with it are still told of the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pushgw.policy.dedup import Claim
from pushgw.policy.facts import NO_OPTIONS, Options, ReceiverFacts, User
from pushgw.state.documents import c2c_mark, group_mark, user_key
from pushgw.state.marks import is_believed
from pushgw.state.protocol import Admission, Admit
from pushgw.state.redis_documents import Documents
from pushgw.state.redis_keys import CLAIM, EVENT, MARK, SPAN, TOMBSTONE, USER, Shards
from pushgw.state.redis_link import Link
from pushgw.state.redis_scripts import ADMIT, PEEK

MOST_RECEIVERS = 4_000
"""Of one call: a script holds up everybody else for as long as it runs, about 1 ms for 500 receivers."""

_encode = msgspec.msgpack.Encoder().encode
_lines = msgspec.json.Decoder(tuple[int, str, str]).decode_lines
_NO_MARKS: frozenset[str] = frozenset()


class Admitter:
    """Asks for one store."""

    def __init__(
        self, link: Link, shards: Shards, documents: Documents, claim_ttl: int, done_ttl: int
    ) -> None:
        self._link = link
        self._shards = shards
        self._documents = documents
        self._claim_ttl = claim_ttl
        self._done_ttl = done_ttl

    async def admit(self, batch: Sequence[Admit], now: int, *, peek: bool) -> list[Admission]:
        """Answers in order; ``peek`` claims nothing."""
        answers: list[Admission] = []
        for part in _parts(batch):
            asked = [_whole(part, self._shards.tags[0])] if len(self._shards) == 1 else self._spread(part)
            found = Found()
            await self._ask(asked, found, now, peek)
            if len(self._shards) > 1:
                blocked = {*found.redelivered, *[i for i, value in found.done.items() if not value]}
                await self._ask(self._claims(part, blocked), found, now, peek)
            answers += found.admissions(part, now, self._done_ttl)
        return answers

    async def _ask(self, asked: Sequence[Question], found: Found, now: int, peek: bool) -> None:
        head = (now, now + self._claim_ttl, self._claim_ttl, self._done_ttl, peek)
        replies = await in_parallel(
            [
                self._link.run(
                    PEEK if peek else ADMIT, question.tag, question.keys(), [question.header(*head)]
                )
                for question in asked
            ]
        )
        for question, reply in zip(asked, replies, strict=True):
            found.add(question, reply, self._documents)

    def _spread(self, batch: Sequence[Admit]) -> list[Question]:
        """Everything but the claims, by shard."""
        by_shard: dict[int, Question] = {}
        of, tags = self._shards.of, self._shards.tags

        def question(name: str) -> Question:
            number = of(name)
            if number not in by_shard:
                by_shard[number] = Question(tags[number])
            return by_shard[number]

        for index, one in enumerate(batch):
            span = one.source[:-MARK]
            asked = question(span)
            asked.spans.add(span)
            asked.sources.append(one.source)
            asked.created.append(one.created_ms)
            asked.records.append(index)
        for asked in by_shard.values():
            asked.checked = len(asked.sources)
        tombstone = receiver = 0
        for index, one in enumerate(batch):
            if one.event_key is not None:
                asked = question(one.event_key)
                asked.add_event(one.event_key, one.source, index)
            for key in one.tombstones:
                asked = question(key)
                asked.tombstones.append(key)
                asked.tombstone_at.append(tombstone)
                tombstone += 1
            marks = _option_marks(one) if one.receivers else []
            for user in one.receivers:
                key = user_key(one.app, user)
                asked = question(key)
                asked.users.append(key)
                asked.runs.append([1, *marks])
                asked.receiver_at.append(receiver)
                receiver += 1
        return list(by_shard.values())

    def _claims(self, batch: Sequence[Admit], blocked: set[int]) -> list[Question]:
        """The claims of those records that may claim, by shard."""
        by_shard: dict[int, Question] = {}
        at = 0
        for index, one in enumerate(batch):
            for n, claim in enumerate(one.claims if index not in blocked else ()):
                number = self._shards.of(claim.key)
                asked = by_shard.get(number)
                if asked is None:
                    asked = by_shard[number] = Question(self._shards.tags[number])
                asked.add_claim(claim, one.source, at + n)
            at += len(one.claims)
        return list(by_shard.values())


class Question:
    """What one shard is asked about a batch. Lists ending in ``_at``, and ``records``, say where an answer belongs."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.spans: set[str] = set()
        self.sources: list[str] = []
        self.checked = 0
        """So many of the sources are asked for done marks."""
        self.created: list[int] = []
        """When the records of these were made, epoch ms."""
        self.records: list[int] = []
        self.events: list[str] = []
        self.event_of: list[int] = []
        self.tombstones: list[str] = []
        self.tombstone_at: list[int] = []
        self.users: list[str] = []
        self.runs: list[list[int | str]] = []
        self.receiver_at: list[int] = []
        self.claims: list[str] = []
        self.claim_of: list[int] = []
        self.claim_at: list[int] = []
        self.timed: dict[int, tuple[int, int]] = {}

    def add_event(self, key: str, source: str, record: int) -> None:
        """An EventId that a record wants."""
        self.sources.append(source)
        self.records.append(record)
        self.events.append(key)
        self.event_of.append(len(self.sources))

    def add_claim(self, claim: Claim, source: str, at: int) -> None:
        """A claim that a record wants."""
        self.sources.append(source)
        self.claims.append(claim.key)
        self.claim_of.append(len(self.sources))
        self.claim_at.append(at)
        if claim.window is not None:
            self.timed[len(self.claims)] = (claim.at, claim.window)

    def keys(self) -> list[str]:
        """In the order that the script expects."""
        tag = self.tag
        span, event, tombstone, user, claim = (
            tag + SPAN,
            tag + EVENT,
            tag + TOMBSTONE,
            tag + USER,
            tag + CLAIM,
        )
        return [
            *[span + key for key in self.spans],
            *[event + key for key in self.events],
            *[tombstone + key for key in self.tombstones],
            *[user + key for key in self.users],
            *[claim + key for key in self.claims],
        ]

    def header(self, now: int, expires: int, ttl: int, done_ttl: int, peek: bool) -> bytes:
        """The script's argument."""
        return _encode(
            (
                self.tag,
                now,
                expires,
                ttl,
                done_ttl,
                peek,
                self.sources,
                self.created,
                self.checked,
                len(self.spans),
                self.event_of,
                len(self.tombstones),
                self.runs,
                self.claim_of,
                self.timed,
            )
        )


class Found:
    """What the shards answered about a batch, by the place of record, tombstone, receiver and claim in it."""

    def __init__(self) -> None:
        self.done: dict[int, bytes] = {}
        """Lines of what is done of a record; none at all: it is settled."""
        self.redelivered: dict[int, str] = {}
        self._buried: set[int] = set()
        self._users: list[User] | dict[int, User] = []
        self._options: dict[int, list[int | None]] = {}
        self._owners: dict[int, str] = {}

    def add(self, question: Question, reply: list[Any], documents: Documents) -> None:
        """One shard's answer."""
        done, redelivered, buried, texts, badges, options, owners = reply
        whole = not question.receiver_at and not question.claim_at and not question.tombstone_at
        for index, value in _pairs(done):
            self.done[question.records[index] if question.records else index] = value
        for index, owner in _pairs(redelivered):
            self.redelivered[question.records[index] if question.records else index] = owner.decode()
        self._buried.update(buried if whole else [question.tombstone_at[index] for index in buried])
        if whole and texts:
            self._users = documents.users(texts, badges)
        elif texts:
            users = self._users if isinstance(self._users, dict) else {}
            users.update(zip(question.receiver_at, documents.users(texts, badges), strict=True))
            self._users = users
        for at in range(0, len(options), 3):
            receiver = options[at] if whole else question.receiver_at[options[at]]
            self._options.setdefault(receiver, [None, None])[options[at + 1]] = options[at + 2]
        for index, owner in _pairs(owners):
            self._owners[index if whole else question.claim_at[index]] = owner.decode()

    def admissions(self, batch: Sequence[Admit], now: int, done_ttl: int) -> list[Admission]:
        """An answer to each record."""
        users = self._users
        plain = not (self.done or self.redelivered or self._buried or self._options or self._owners)
        if plain and isinstance(users, list) and all(len(one.receivers) == 1 for one in batch):
            return [
                Admission(settled=False, redelivered_of=None, receivers=(ReceiverFacts(user=user),))
                for user in users
            ]
        receiver, tombstone, claim = 0, 0, 0
        answers = []
        for index, one in enumerate(batch):
            done = self.done.get(index)
            marks = _marks(done, one.created_ms, now, done_ttl) if done else {}
            owners = self._of_each(one, claim, len(one.claims), self._owners.get)
            recalled = self._of_each(one, tombstone, len(one.tombstones), self._is_buried)
            receivers = [
                ReceiverFacts(
                    user=users[receiver + n],
                    options=self._options_of(receiver + n, one),
                    claimed_by=next(owners),
                    recalled=next(recalled),
                    done=marks.get(name, _NO_MARKS),
                )
                for n, name in enumerate(one.receivers)
            ] or [
                ReceiverFacts(claimed_by=next(owners), recalled=next(recalled), done=marks.get("", _NO_MARKS))
            ]
            answers.append(
                Admission(
                    settled=done is not None and not done,
                    redelivered_of=self.redelivered.get(index),
                    receivers=tuple(receivers),
                )
            )
            receiver += len(one.receivers)
            tombstone += len(one.tombstones)
            claim += len(one.claims)
        return answers

    def _is_buried(self, at: int) -> bool:
        return at in self._buried

    @staticmethod
    def _of_each(one: Admit, first: int, count: int, find: Any) -> Iterator[Any]:
        """What is found for each receiver, where there is one thing for all, one for each, or none."""
        for n in range(max(1, len(one.receivers))):
            if count == 0:
                yield find(-1)
            else:
                yield find(first + (n if count > 1 else 0))

    def _options_of(self, receiver: int, one: Admit) -> Options:
        found = self._options.get(receiver)
        if found is None:
            return NO_OPTIONS
        if one.group_id is None:
            return Options(c2c=found[0])
        return Options(group=found[0], topic=found[1])


async def in_parallel(calls: Sequence[Any]) -> list[Any]:
    """All of them at once; when all have ended the first error of them comes out."""
    if len(calls) == 1:
        return [await calls[0]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return list(answers)


def _whole(batch: Sequence[Admit], tag: str) -> Question:
    """All of it, for the only shard: every answer belongs where it stands."""
    question = Question(tag)
    sources = question.sources = [one.source for one in batch]
    question.created = [one.created_ms for one in batch]
    question.checked = len(batch)
    question.spans = {source[:-MARK] for source in sources}
    events = [(n, one.event_key) for n, one in enumerate(batch, 1) if one.event_key is not None]
    question.events = [key for _, key in events]
    question.event_of = [n for n, _ in events]
    question.tombstones = [key for one in batch for key in one.tombstones]
    question.users = [f"{one.app} {user}" for one in batch for user in one.receivers]  # user_key, for speed
    question.runs = [[len(one.receivers), *_option_marks(one)] for one in batch]
    claims = [claim for one in batch for claim in one.claims]
    question.claims = [claim.key for claim in claims]
    question.claim_of = [n for n, one in enumerate(batch, 1) for _ in one.claims]
    question.timed = {
        n: (claim.at, claim.window) for n, claim in enumerate(claims, 1) if claim.window is not None
    }
    return question


def _option_marks(one: Admit) -> list[str]:
    """The options that matter to the record's receivers: the sender's, or the group's and its topic's."""
    if one.group_id is None:
        return [c2c_mark(one.peer or "")]
    if one.topic_id is None:
        return [group_mark(one.group_id, None)]
    return [group_mark(one.group_id, None), group_mark(one.group_id, one.topic_id)]


def _parts(batch: Sequence[Admit]) -> Iterator[Sequence[Admit]]:
    """The batch in order, in parts that are not too much for one call."""
    if len(batch) <= 500 and sum([len(one.receivers) for one in batch]) <= MOST_RECEIVERS:
        yield batch
        return
    part: list[Admit] = []
    size = 0
    for one in batch:
        weight = max(1, len(one.receivers))
        if part and size + weight > MOST_RECEIVERS:
            yield part
            part, size = [], 0
        part.append(one)
        size += weight
    yield part


def _pairs(flat: list[Any]) -> Iterator[tuple[int, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _marks(lines: bytes, created_ms: int, now: int, done_ttl: int) -> dict[str, frozenset[str]]:
    """Device ids by user, of what is done of a record and still counts."""
    marks: dict[str, set[str]] = {}
    for expires, user, device in _lines(lines):
        if expires > now and is_believed(expires, created_ms, now, done_ttl):
            marks.setdefault(user, set()).add(device)
    return {user: frozenset(found) for user, found in marks.items()}
