"""Claims on SQLite: all that a batch wants is put in at once; only where a key was taken it is looked up who has it.

So the usual batch, all of it new, costs one statement. The keys of a batch are noted beside the claims in one row with
their end, by which `drop_expired` finds them: an index on the end of each claim would cost as much as the claim.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from pushgw.policy.dedup import Claim
from pushgw.state.protocol import Admit
from pushgw.state.sqlite_rows import json_list, json_object, stored, write_rows

Verdict = tuple[str | None, list[str | None]]
"""Another record that owns the EventId, and for each claim another record that owns its key."""
Held = tuple[str, int | None]
"""The owner, and the time of its message where the claim has a window."""

_EVENT = "\x7f"
"""Before an EventId's key: events and dedup marks share a table, not names."""
_NO_BATCH = -1

_NOTE = "INSERT INTO claim_batches (expires, keys) VALUES (?, ?)"
_TAKE = "INSERT INTO claims (key, owner, batch) SELECT key, value, ?2 FROM json_each(?1) WHERE 1 ON CONFLICT DO NOTHING"
_TAKE_TIMED = (
    "INSERT INTO claims (key, owner, at, batch) "
    "SELECT key, substr(value, instr(value, ' ') + 1), CAST(value AS INTEGER), ?2 "
    "FROM json_each(?1) WHERE 1 ON CONFLICT DO NOTHING"
)
_TAKEN = (
    "SELECT json_group_array(json_array(j.key, c.owner, c.at, b.expires > ?3)) "
    "FROM json_each(?1) j CROSS JOIN claims c ON c.key = j.value CROSS JOIN claim_batches b ON b.id = c.batch "
    "WHERE c.batch <> ?2"
)
_GIVE_BACK = "DELETE FROM claims WHERE key IN (SELECT value FROM json_each(?1)) AND batch = ?2"
_REPLACE = "INSERT OR REPLACE INTO claims (key, owner, at, batch)"

_taken = msgspec.json.Decoder(list[tuple[int, str, int | None, int]]).decode


def claim(
    database: sqlite3.Connection, batch: Sequence[Admit], now: int, *, expires: int | None
) -> list[Verdict] | None:
    """A verdict for each record, in their order; None when all of it was free and is theirs now.

    ``expires`` (epoch s) is the end of new claims; None claims nothing and answers what a claim would.
    """
    wanted = _Wanted(batch)
    keys = [*wanted.plain, *wanted.timed]
    if not keys:
        return None
    listed = json_list(keys)
    number = _NO_BATCH
    if expires is not None:
        number = database.execute(_NOTE, (expires, listed)).lastrowid or 0
        if wanted.take(database, number) == wanted.count:
            return None
    taken = {
        keys[index]: ((owner, at), alive)
        for index, owner, at, alive in _taken(database.execute(_TAKEN, (listed, number, now)).fetchone()[0])
    }
    held = {key: holder for key, (holder, alive) in taken.items() if alive}
    new: dict[str, Held] = {}
    verdicts = [_judge(one, held, new) for one in batch]
    if expires is not None:
        put_in = {key: holder for key, holder in wanted.holders() if key not in taken}
        _correct(database, put_in, new, number)
    return verdicts


def drop_expired(database: sqlite3.Connection, now: int, limit: int) -> tuple[int, bool]:
    """Delete expired claims, about ``limit`` of them; how many went, and whether there are more."""
    gone = seen = 0
    while seen < limit:
        row = database.execute(
            "SELECT id, keys, json_array_length(keys) FROM claim_batches WHERE expires <= ? "
            "ORDER BY expires LIMIT 1",
            (now,),
        ).fetchone()
        if row is None:
            return gone, False
        number, keys, count = row
        gone += database.execute(_GIVE_BACK, (keys, number)).rowcount
        database.execute("DELETE FROM claim_batches WHERE id = ?", (number,))
        seen += count
    return gone, True


class _Wanted:
    """What a batch wants to claim, by key; where two of its records want the same, the later one's."""

    def __init__(self, batch: Sequence[Admit]) -> None:
        self.plain: dict[str, str] = {}
        """The key -> source."""
        self.timed: dict[str, str] = {}
        """The key of a claim with a window -> time of the message, a blank, source."""
        self.count = 0
        plain = self.plain
        for one in batch:
            source = one.source
            if one.event_key is not None:
                plain[_EVENT + one.event_key] = source
                self.count += 1
            for each in one.claims:
                if each.window is None:
                    plain[each.key] = source
                else:
                    self.timed[each.key] = f"{each.at} {source}"
                self.count += 1

    def take(self, database: sqlite3.Connection, number: int) -> int:
        """Put in what is free; how many claims that were."""
        got = 0
        if self.plain:
            got += database.execute(_TAKE, (json_object(self.plain), number)).rowcount
        if self.timed:
            got += database.execute(_TAKE_TIMED, (json_object(self.timed), number)).rowcount
        return got

    def holders(self) -> list[tuple[str, Held]]:
        """What `take` puts in, where the key is free. A key in both ways is put in without a time."""
        timed = [(key, value.partition(" ")) for key, value in self.timed.items() if key not in self.plain]
        return [
            *((key, (source, None)) for key, source in self.plain.items()),
            *((key, (source, int(at))) for key, (at, _, source) in timed),
        ]


def _judge(one: Admit, held: dict[str, Held], new: dict[str, Held]) -> Verdict:
    """In the records' order: what one claims counts for those after it. Whose EventId is another's claims no more."""
    if one.event_key is not None:
        other = _claim(Claim(_EVENT + one.event_key, 0), one.source, held, new)
        if other is not None:
            return other, [None] * len(one.claims)
    return None, [_claim(each, one.source, held, new) for each in one.claims]


def _claim(wanted: Claim, source: str, held: dict[str, Held], new: dict[str, Held]) -> str | None:
    """None when the key is this source's, from before or from now on; else its owner."""
    holder = held.get(wanted.key)
    if holder is not None:
        owner, first = holder
        if owner == source:
            return None
        if wanted.window is None or first is None or abs(wanted.at - first) < wanted.window:
            return owner
    held[wanted.key] = new[wanted.key] = (source, None if wanted.window is None else wanted.at)
    return None


def _correct(
    database: sqlite3.Connection, put_in: dict[str, Held], new: dict[str, Held], number: int
) -> None:
    """From what was put in to what the verdicts say. Where nothing is new the note goes, too."""
    surplus = [key for key in put_in if key not in new]
    if surplus:
        database.execute(_GIVE_BACK, (json_list(surplus), number))
    changed = [(stored(key), *holder, number) for key, holder in new.items() if put_in.get(key) != holder]
    write_rows(database, _REPLACE, changed)
    if not new:
        database.execute("DELETE FROM claim_batches WHERE id = ?", (number,))
