"""The default store: one SQLite file, one process, one thread that owns the connection.

Every call is one transaction in that thread. A caller that is cancelled stops waiting; its transaction still ends as a
whole. Errors of the file or the disk come out as StateUnavailable.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pushgw.messages.model import UserEvent
from pushgw.policy.facts import User
from pushgw.state import sqlite_pushes, sqlite_suspects, sqlite_users
from pushgw.state.lock import DatabaseLock
from pushgw.state.protocol import (
    Admission,
    Admit,
    DeadToken,
    Owner,
    Settlement,
    Shown,
    StateUnavailable,
    Suspect,
)
from pushgw.state.sqlite_admit import admit
from pushgw.state.sqlite_claims import drop_expired
from pushgw.state.sqlite_memory import Memory
from pushgw.state.sqlite_rows import option_name, option_prefix, stored, user_key, write_rows
from pushgw.state.sqlite_schema import EXPIRING, cause_of, connect, path_of
from pushgw.state.sqlite_settle import settle

TOMBSTONE_TTL_S = 604_800
SHOWN_TTL_S = 86_400
EXPIRE_CHUNK = 5_000
CLAIMS_COUNTED = 1_000_000

_SHOW = "INSERT OR REPLACE INTO shown (key, user, device, expires)"
_SHOWN = "SELECT user, device FROM shown WHERE key = ? AND expires > ?"
_TOMBSTONE = "INSERT OR REPLACE INTO tombstones (key, expires)"
_CLAIMS = "SELECT count(*) FROM (SELECT 1 FROM claims LIMIT ?)"
_DEVICES_OF = "SELECT count(*) FROM tokens WHERE expires IS NULL AND substr(key, instr(key, ' ') + 1) GLOB ?"
_EXPIRE = "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires <= ? LIMIT ?)"

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class SqliteStore:
    """StateStore on one SQLite file. `open` it; `close` it in the end."""

    def __init__(self, path: Path, *, claim_ttl: int, done_ttl: int) -> None:
        self._path = path
        self._claim_ttl = claim_ttl
        self._done_ttl = done_ttl
        self._lock = DatabaseLock(path)
        self._database: sqlite3.Connection | None = None
        self._memory = Memory()
        self._beside = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")

    @classmethod
    async def open(cls, url: str, *, claim_ttl: int, done_ttl: int, read_only: bool = False) -> SqliteStore:
        """Open ``sqlite:///PATH``, creating what is missing; TTLs in s.

        Takes the database's lock, unless ``read_only``: then a gateway may go on writing meanwhile, and only `peek`,
        `user`, `options`, `devices_of`, `suspects` and `good_pushes` work. Raises StateUnavailable: in use, unwritable, damaged, no database of ours.
        """
        return await cls._opened(url, claim_ttl, done_ttl, lambda store: store._open(read_only))

    @classmethod
    async def open_beside(cls, url: str) -> SqliteStore:
        """Open an existing file beside the gateway that has its lock: only `suspects`, `hold` and `release` write and
        read. Raises StateUnavailable, StateMissing."""
        return await cls._opened(url, 0, 0, lambda store: store._open_beside())

    @classmethod
    async def _opened(
        cls, url: str, claim_ttl: int, done_ttl: int, how: Callable[[SqliteStore], None]
    ) -> SqliteStore:
        store = cls(path_of(url), claim_ttl=claim_ttl, done_ttl=done_ttl)
        try:
            await store._in_thread(lambda: how(store))
        except BaseException:
            store._thread.submit(store._close)  # after a cancelled open, too, that thread ends what it began
            store._thread.shutdown(wait=False)
            raise
        return store

    async def apply(self, events: Sequence[UserEvent]) -> None:
        """Apply user events in order; stale ones change nothing."""
        if events:
            await self._write(lambda db: sqlite_users.apply(db, self._memory, events))

    async def bury(self, tombstones: Sequence[str], now: float) -> None:
        """Write recall tombstones, kept seven days."""
        if tombstones:
            expires = int(now) + TOMBSTONE_TTL_S
            await self._write(lambda db: self._bury(db, tombstones, expires))

    async def admit(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """Claim, and answer everything that the rules will ask."""
        if not batch:
            return []
        expires = int(now) + self._claim_ttl
        return await self._write(
            lambda db: admit(db, self._memory, batch, int(now), expires=expires, done_ttl=self._done_ttl)
        )

    async def peek(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """The same answers; nothing is claimed."""
        if not batch:
            return []
        return await self._read(
            lambda db: admit(db, Memory(), batch, int(now), expires=None, done_ttl=self._done_ttl)
        )

    async def settle(self, batch: Sequence[Settlement], now: float) -> None:
        """Done marks and badges."""
        if batch:
            expires = int(now) + self._done_ttl
            await self._write(lambda db: settle(db, self._memory, batch, expires))

    async def show(self, shown: Sequence[Shown], now: float) -> None:
        """Remember what was pushed, for 24 hours."""
        if shown:
            expires = int(now) + SHOWN_TTL_S
            rows = [
                (stored(one.tombstone), stored(one.user), stored(one.device_id), expires) for one in shown
            ]
            await self._write(lambda db: write_rows(db, _SHOW, rows))

    async def shown(self, tombstones: Sequence[str], now: float) -> list[Shown]:
        """What devices may be showing of messages with these tombstones."""
        return await self._read(lambda db: _shown(db, tombstones, int(now)))

    async def mark_dead(self, tokens: Sequence[DeadToken]) -> list[str]:
        """Mark tokens dead where `fate_of_token` lets it be; its word per token."""
        if not tokens:
            return []
        return await self._write(lambda db: sqlite_users.mark_all_dead(db, self._memory, tokens))

    async def hold(self, suspects: Sequence[Suspect], now: float) -> None:
        """Remember devices for review, 30 days."""
        if suspects:
            expires = int(now) + sqlite_suspects.SUSPECT_TTL_S
            await self._write_beside(lambda db: sqlite_suspects.hold(db, suspects, expires))

    async def suspects(self, business_id: int | None = None) -> list[Suspect]:
        """What is held for review."""
        return await self._read(lambda db: sqlite_suspects.held(db, business_id))

    async def release(self, suspects: Sequence[Suspect]) -> None:
        """Hold these devices no longer."""
        if suspects:
            await self._write_beside(lambda db: sqlite_suspects.release(db, suspects))

    async def note_good_pushes(self, times: Mapping[int, float]) -> None:
        """Credential -> when a push of it was last accepted; a newer time stays."""
        if times:
            await self._write_beside(lambda db: sqlite_pushes.note(db, times))

    async def good_pushes(self) -> dict[int, float]:
        """Credential -> when a push of it was last accepted."""
        return await self._read(sqlite_pushes.known)

    async def user(self, app: int, user: str) -> User | None:
        """What is stored of one user."""
        key = user_key(app, user)
        return (await self._read(lambda db: sqlite_users.read_users(db, [key]))).get(key)

    async def owners(self, keys: Sequence[str]) -> dict[str, Owner]:
        """Who owns these tokens."""
        return await self._read(lambda db: sqlite_users.read_owners(db, keys)) if keys else {}

    async def options(self, app: int, user: str) -> dict[str, int]:
        """Stored receive options of one user: ``c2c:<peer>`` or ``group:<id>[:<topic>]`` -> option."""
        prefix = stored(option_prefix(app, user))
        return await self._read(lambda db: _options(db, prefix))

    async def devices_of(self, business_id: int) -> int:
        """How many devices have this certificate id. Looks at every token: for a command, not for a gateway."""
        return await self._read(lambda db: _count_devices(db, business_id))

    async def expire(self, now: float) -> int:
        """Delete what has expired, in short transactions between which others get their turn; how many rows went."""
        gone, more = 0, True
        while more:
            claims, more = await self._write(lambda db: drop_expired(db, int(now), EXPIRE_CHUNK))
            gone += claims
        for table, key in EXPIRING:
            while deleted := await self._delete_expired(_EXPIRE.format(table=table, key=key), int(now)):
                gone += deleted
        return gone

    async def claims_held(self) -> int:
        """How many dedup claims there are; counted up to `CLAIMS_COUNTED`, so that counting never holds up a batch."""
        row: tuple[int] = await self._read(lambda db: db.execute(_CLAIMS, (CLAIMS_COUNTED,)).fetchone())
        return row[0]

    async def close(self) -> None:
        """Finish what is running and close. A second call does nothing."""
        if self._database is not None:
            await self._in_thread(self._close)
        self._thread.shutdown(wait=True)

    async def _delete_expired(self, statement: str, now: int) -> int:
        return await self._write(lambda db: db.execute(statement, (now, EXPIRE_CHUNK)).rowcount)

    def _bury(self, database: sqlite3.Connection, tombstones: Sequence[str], expires: int) -> None:
        self._memory.buried_until = max(self._memory.buried_until, expires)
        write_rows(database, _TOMBSTONE, [(stored(key), expires) for key in tombstones])

    # --- the thread --------------------------------------------------------------------------------------

    async def _write(self, work: Work[T]) -> T:
        if self._beside:
            raise StateUnavailable(f"{self._path} is open beside a gateway, which alone may write this")
        return await self._write_beside(work)

    async def _write_beside(self, work: Work[T]) -> T:
        """What nobody keeps in memory may be written without the lock."""
        return await self._in_thread(lambda: self._transaction(work, "BEGIN IMMEDIATE"))

    async def _read(self, work: Work[T]) -> T:
        return await self._in_thread(lambda: self._transaction(work, "BEGIN"))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        try:
            future = self._thread.submit(self._translated, call)
        except RuntimeError:
            raise StateUnavailable(f"{self._path} is closed") from None
        return await asyncio.shield(asyncio.wrap_future(future))

    def _translated(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
                raise  # a defect of ours: waiting would not mend it
            raise StateUnavailable(f"{self._path}: {cause_of(error)}") from error
        except OSError as error:
            raise StateUnavailable(
                f"{self._path} cannot be opened ({error.strerror}); check that its directory exists and may be "
                "written to"
            ) from error

    def _transaction(self, work: Work[T], begin: str) -> T:
        database = self._connection()
        database.execute(begin)
        try:
            answer = work(database)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._memory.forget_all()
            raise
        return answer

    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise StateUnavailable(f"{self._path} is closed")
        return self._database

    def _open(self, read_only: bool) -> None:
        if not read_only:
            self._lock.take()
        try:
            self._database = connect(self._path, read_only=read_only)
            if not read_only:
                self._memory.load(self._database)
        except BaseException:
            self._lock.release()
            raise

    def _open_beside(self) -> None:
        self._beside = True
        self._database = connect(self._path, read_only=False, create=False)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        self._lock.release()


def _options(database: sqlite3.Connection, prefix: str) -> dict[str, int]:
    beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    rows = database.execute("SELECT key, option FROM options WHERE key >= ? AND key < ?", (prefix, beyond))
    return {option_name(key, prefix): option for key, option in rows}


def _count_devices(database: sqlite3.Connection, business_id: int) -> int:
    """By the index of tokens, whose keys begin with SdkAppId and certificate id; released ones have an end."""
    return int(database.execute(_DEVICES_OF, (f"{business_id} *",)).fetchone()[0])


def _shown(database: sqlite3.Connection, tombstones: Sequence[str], now: int) -> list[Shown]:
    found = []
    for key in tombstones:
        for user, device in database.execute(_SHOWN, (stored(key), now)).fetchall():
            found.append(Shown(key, user, device))
    return found
