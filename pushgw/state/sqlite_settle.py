"""Settlements on SQLite: which records, or parts of one, are done, and the badges of those who were pushed.

Records settled together have neighbouring offsets, and done marks matter to redelivered records only: so a thousand
offsets share a row for each second in which some of them were settled. Marks of a part of a record, which only records
with many devices have, are rows of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pushgw.state.protocol import Admit, Settlement
from pushgw.state.sqlite_memory import Memory
from pushgw.state.sqlite_rows import json_list, json_object, stored, write_rows

MARK = 3
"""So many characters at the end of a source are its mark, what is before them its span: a span has 1000 offsets."""

_SETTLED = "INSERT INTO settled (span, expires, marks)"
_MORE = "ON CONFLICT (span, expires) DO UPDATE SET marks = marks || ',' || excluded.marks"
_DONE = "INSERT OR REPLACE INTO done (source, user, device, expires)"
_RAISE = (
    "INSERT INTO badges (key, badge) SELECT key, value FROM json_each(?1) WHERE 1 "
    "ON CONFLICT (key) DO UPDATE SET badge = badge + excluded.badge"
)
_SET = (
    "INSERT INTO badges (key, badge) SELECT key, value FROM json_each(?1) WHERE 1 "
    "ON CONFLICT (key) DO UPDATE SET badge = excluded.badge"
)
_WHOLE = ("", "")
"""What a record without receivers has as its only part."""

_integers = msgspec.json.Decoder(list[int]).decode
_marks = msgspec.json.Decoder(list[list[str]]).decode


def settled_sources(
    batch: Sequence[Admit], spans: Sequence[str], indices: str | None, expires: str | None, marks: str | None
) -> dict[str, int]:
    """The settled sources of a batch and the end (epoch s) of each one's latest mark, by the rows of its spans: the span of
    each as an index, the end of its marks, and these."""
    if not marks:
        return {}
    sources = {one.source for one in batch}
    rows = zip(_integers(f"[{indices}]"), _integers(f"[{expires}]"), _marks(f"[{marks}]"), strict=True)
    hits = [
        (source, end)
        for index, end, marks_of in rows
        for mark in marks_of
        if (source := spans[index] + mark) in sources
    ]
    latest: dict[str, int] = {}
    for source, end in hits:
        latest[source] = max(end, latest.get(source, 0))
    return latest


def settle(database: sqlite3.Connection, memory: Memory, batch: Sequence[Settlement], expires: int) -> None:
    """Done marks until ``expires`` (epoch s), and badges."""
    whole: dict[str, list[str]] = {}
    parts: list[tuple[str, str, str, int]] = []
    plus: dict[str, int] = {}
    to: dict[str, int] = {}
    for one in batch:
        source = one.source
        if one.complete or _WHOLE in one.done:
            span, mark = source[:-MARK], source[-MARK:]
            if span in whole:
                whole[span].append(mark)
            else:
                whole[span] = [mark]
        else:
            parts += [(source, user, device, expires) for user, device in one.done]
        for r in one.raises:
            key = f"{r.app} {r.user}"
            if r.to is not None:
                to[key] = r.to
                plus.pop(key, None)
            elif key in to:
                to[key] += 1
            else:
                plus[key] = plus.get(key, 0) + 1
    write_rows(
        database, _SETTLED, [(stored(span), expires, json_list(m)[1:-1]) for span, m in whole.items()], _MORE
    )
    if parts:
        memory.parted_until = max(memory.parted_until, expires)
        write_rows(database, _DONE, parts)
    if plus:
        database.execute(_RAISE, (json_object(plus),))
    if to:
        database.execute(_SET, (json_object(to),))
    memory.badges(plus, to)
