"""`settle` on Redis: badges first, then done marks, so that a crash in between repeats, and never forgets.

A repeated settlement raises no badge twice: each user's key remembers the last 32 records that raised it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pushgw.state.protocol import Settlement
from pushgw.state.redis_admit import in_parallel
from pushgw.state.redis_keys import MARK, SPAN, USER, Shards
from pushgw.state.redis_link import Link
from pushgw.state.redis_scripts import SETTLE

MOST_MARKS = 4_000
"""Of one call: a script holds up everybody else for as long as it runs."""

_WHOLE = ("", "")
"""What a record without receivers has as its only part."""
_encode = msgspec.msgpack.Encoder().encode
_line = msgspec.json.Encoder().encode

_Part = tuple[str, str]


async def settle(link: Link, shards: Shards, batch: Sequence[Settlement], now: int, done_ttl: int) -> None:
    """Done marks until ``now + done_ttl`` (epoch s), and badges; a large batch in parts, in their order."""
    part: list[Settlement] = []
    size = 0
    for one in batch:
        weight = 1 + len(one.done) + len(one.raises)
        if part and size + weight > MOST_MARKS:
            await _settle(link, shards, part, now, done_ttl)
            part, size = [], 0
        part.append(one)
        size += weight
    await _settle(link, shards, part, now, done_ttl)


async def _settle(link: Link, shards: Shards, batch: Sequence[Settlement], now: int, done_ttl: int) -> None:
    expires = now + done_ttl
    whole: list[str] = []
    parts: list[_Part] = []
    users: list[str] = []
    sources: list[str] = []
    numbers: list[int | bool] = []
    for one in batch:
        source = one.source
        if one.complete or _WHOLE in one.done:
            whole.append(source)
        elif one.done:
            lines = b"\n".join([_line((expires, user, device)) for user, device in one.done]) + b"\n"
            parts.append((source, lines.decode()))
        for r in one.raises:
            users.append(f"{r.app} {r.user}")
            sources.append(source)
            numbers.append(False if r.to is None else r.to)
    head = (expires, done_ttl)
    if len(shards) == 1:
        await _call(link, shards.tags[0], head, whole, parts, users, sources, numbers)
        return
    raises: dict[int, list[int]] = {}
    for n, key in enumerate(users):
        raises.setdefault(shards.of(key), []).append(n)
    await in_parallel(
        [
            _call(
                link,
                shards.tags[shard],
                head,
                [],
                [],
                [users[n] for n in at],
                [sources[n] for n in at],
                [numbers[n] for n in at],
            )
            for shard, at in raises.items()
        ]
    )
    marks: dict[int, tuple[list[str], list[_Part]]] = {}
    for source in whole:
        marks.setdefault(shards.of(source[:-MARK]), ([], []))[0].append(source)
    for part in parts:
        marks.setdefault(shards.of(part[0][:-MARK]), ([], []))[1].append(part)
    await in_parallel(
        [_call(link, shards.tags[shard], head, w, p, [], [], []) for shard, (w, p) in marks.items()]
    )


async def _call(
    link: Link,
    tag: str,
    head: tuple[int, int],
    whole: list[str],
    parts: list[_Part],
    users: list[str],
    sources: list[str],
    numbers: list[int | bool],
) -> None:
    spans = {source[:-MARK] for source in whole} | {part[0][:-MARK] for part in parts}
    user, span = tag + USER, tag + SPAN
    keys = [*[user + key for key in users], *[span + key for key in spans]]
    await link.run(SETTLE, tag, keys, [_encode((tag, *head, whole, parts, sources, numbers))])
