"""The SQLite store's own promises: one writer, readers beside it, crashes, damage, a full disk, real deletion."""

# ruff: noqa: ASYNC220, ASYNC240  nothing else runs on the loop while a test looks at its files

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from pushgw.messages.model import C2COption, DevicePut, UserLogout
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import Admit, Claim, Settlement, StateMissing, StateUnavailable
from pushgw.state.sqlite import EXPIRE_CHUNK, SqliteStore
from pushgw.state.sqlite_claims import drop_expired
from pushgw.state.sqlite_schema import SCHEMA_VERSION

NOW = 1_795_500_000.0
TTL = 86_400


async def open_at(path: Path, *, read_only: bool = False) -> SqliteStore:
    return await SqliteStore.open(f"sqlite:///{path}", claim_ttl=TTL, done_ttl=TTL, read_only=read_only)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await open_at(path)
    yield opened
    await opened.close()


def ask(source: str, key: str) -> Admit:
    return Admit(
        app=0,
        source=source,
        event_key=None,
        receivers=("bob",),
        claims=(Claim(key, 100),),
        tombstones=(),
        peer=None,
        group_id=None,
        topic_id=None,
    )


def put(user: str, time_ms: int) -> DevicePut:
    return DevicePut(app=0, user=user, time_ms=time_ms, device_id="d1", business_id=6666, token="t1")


def rows(path: Path, table: str) -> int:
    with sqlite3.connect(path) as database:
        count = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  names of this test
    database.close()
    return int(count)


async def test_expire_deletes_rows_from_the_file(store: SqliteStore, path: Path) -> None:
    """Expired claims, tombstones, done marks and given-up tokens are gone from the file, in however many chunks."""
    count = 6012
    for start in range(0, count, 1002):
        await store.admit([ask(f"im/0/{n}", f"k{n}") for n in range(start, start + 1002)], NOW)
    await store.settle([Settlement(source=f"im/0/{n}", complete=True) for n in range(2000, 2999)], NOW)
    await store.settle([Settlement(source="im/0/7", complete=False, done=(("bob", "d1"),))], NOW)
    await store.bury([f"m{n}" for n in range(20)], NOW)
    ms = int(NOW * 1000)
    await store.apply([put("bob", ms), UserLogout(app=0, user="bob", time_ms=ms)])
    assert count > EXPIRE_CHUNK
    tables = ("claims", "claim_batches", "settled", "done", "tombstones", "tokens")
    assert [rows(path, t) for t in tables] == [count, 6, 1, 1, 20, 1]
    assert await store.expire(NOW + TTL - 1) == 0
    assert await store.expire(NOW + TTL) == count + 2
    assert [rows(path, t) for t in tables] == [0, 0, 0, 0, 20, 1]
    assert await store.expire(NOW + 604_800) == 21
    assert [rows(path, t) for t in tables] == [0, 0, 0, 0, 0, 0]


async def test_expired_claims_go_in_short_transactions(store: SqliteStore) -> None:
    """A transaction of expiry ends at the batch that fills it, and says whether there is more to do."""
    for start in (0, 10, 20):
        await store.admit([ask(f"im/0/{n}", f"k{n}") for n in range(start, start + 10)], NOW)
    due = int(NOW) + TTL
    assert await store._write(lambda db: drop_expired(db, due - 1, 15)) == (0, False)
    assert await store._write(lambda db: drop_expired(db, due, 15)) == (20, True)
    assert await store._write(lambda db: drop_expired(db, due, 15)) == (10, False)


async def test_expired_claims_are_held_no_more(store: SqliteStore) -> None:
    """The number of claims, which /metrics shows, falls when they have been swept."""
    await store.admit([ask("im/0/1", "a"), ask("im/0/2", "b")], NOW)
    assert await store.claims_held() == 2
    await store.expire(NOW + 10 * 86_400)
    assert await store.claims_held() == 0


async def test_expire_leaves_what_was_claimed_anew(store: SqliteStore, path: Path) -> None:
    """A claim that its key's next owner took in the meantime stays until its own end, and goes then."""
    again = replace(ask("im/0/1", "g"), claims=(Claim("g", 1000, 300),))
    await store.admit([again, ask("im/0/2", "k")], NOW)
    await store.admit([replace(again, source="im/0/3", claims=(Claim("g", 1300, 300),))], NOW + 300)
    assert await store.expire(NOW + TTL) == 1
    [looked] = await store.peek([replace(again, source="im/0/4", claims=(Claim("g", 1599, 300),))], NOW + TTL)
    assert looked.receivers[0].claimed_by == "im/0/3"
    assert await store.expire(NOW + TTL + 300) == 1
    assert [rows(path, t) for t in ("claims", "claim_batches")] == [0, 0]


async def test_a_redelivered_batch_leaves_no_notes(store: SqliteStore, path: Path) -> None:
    """A batch of which nothing is new adds no row, however often it is delivered."""
    batch = [ask(f"im/0/{n}", f"k{n}") for n in range(10)]
    for _ in range(3):
        await store.admit(batch, NOW)
    assert [rows(path, t) for t in ("claims", "claim_batches")] == [10, 1]


async def test_marks_of_a_thousand_records_share_a_row(store: SqliteStore, path: Path) -> None:
    """A thousand neighbours settled within a second are one row, and each of them is found, and no other."""
    sources = [f"im/0/{n}" for n in range(3000, 4000)]
    for source in sources[:-1]:
        await store.settle([Settlement(source=source, complete=True)], NOW)
    assert rows(path, "settled") == 1
    asked = [
        replace(ask(source, "k"), claims=()) for source in [*sources, "im/0/2999", "im/0/13000", "im/1/3000"]
    ]
    settled = [
        answer.source
        for answer, found in zip(asked, await store.admit(asked, NOW), strict=True)
        if found.settled
    ]
    assert settled == sources[:-1]


async def test_peek_writes_nothing(store: SqliteStore, path: Path) -> None:
    """After a look the file has no more rows than before."""
    await store.peek([ask("im/0/1", "k")], NOW)
    assert rows(path, "claims") == 0


async def test_second_writer_is_refused(store: SqliteStore, path: Path) -> None:
    """A second writer is told who has the database, where and since when, and the first one is not disturbed."""
    with pytest.raises(StateUnavailable) as refused:
        await open_at(path)
    who = f"pid {os.getpid()} on {socket.gethostname()} since "
    assert str(refused.value).startswith(f"{path} is in use by {who}")
    since = str(refused.value).removeprefix(f"{path} is in use by {who}").partition(": one process")[0]
    assert abs(datetime.fromisoformat(since).timestamp() - time.time()) < 600
    await store.admit([ask("im/0/1", "k")], NOW)


async def test_lock_ends_with_its_holder(path: Path) -> None:
    """After a close, and after an opening that failed, the next writer gets the database."""
    await (await open_at(path)).close()
    await (await open_at(path)).close()
    other = path.with_name("other.db")
    other.write_text("no database, but some text that is long enough to be looked at" * 20)
    with pytest.raises(StateUnavailable):
        await open_at(other)
    other.unlink()
    await (await open_at(other)).close()


async def test_reader_beside_the_writer(store: SqliteStore, path: Path) -> None:
    """While a gateway has the database a reader sees what is committed, and does not hold it up."""
    await store.apply([put("bob", 100), C2COption(app=0, user="bob", time_ms=1, peer="alice", option=2)])
    await store.admit([ask("im/0/1", "k")], NOW)
    reader = await open_at(path, read_only=True)
    [looked] = await reader.peek([ask("im/0/2", "k")], NOW)
    assert looked.receivers[0].claimed_by == "im/0/1"
    assert len(looked.receivers[0].user.devices) == 1
    assert await reader.options(0, "bob") == {"c2c:alice": 2}
    await store.apply([put("eve", 200)])
    eve = await reader.user(0, "eve")
    assert eve is not None
    with pytest.raises(StateUnavailable, match="may not be written to"):
        await reader.apply([put("dan", 300)])
    await reader.close()


async def test_reader_after_the_writer(path: Path) -> None:
    """A reader needs no running gateway, and leaves the database free for one."""
    writer = await open_at(path)
    await writer.apply([put("bob", 100)])
    await writer.close()
    reader = await open_at(path, read_only=True)
    assert await reader.user(0, "bob") is not None
    writer = await open_at(path)
    await writer.close()
    await reader.close()


async def test_reader_before_any_writer(path: Path) -> None:
    """A reader creates nothing: where no gateway has been it says so."""
    with pytest.raises(StateMissing, match="does not exist"):
        await open_at(path, read_only=True)
    assert list(path.parent.iterdir()) == []
    path.touch()
    with pytest.raises(StateMissing, match="is empty"):
        await open_at(path, read_only=True)


WRITER = """
import asyncio, sys
from pushgw.state.protocol import Admit, Claim
from pushgw.state.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1], claim_ttl=86400, done_ttl=86400)
    for n in range(10**9):
        batch = [
            Admit(app=0, source=f"im/{n}/{i}", event_key=None, receivers=("bob",), claims=(Claim(f"{i} {n}", 1),),
                  tombstones=(), peer=None, group_id=None, topic_id=None)
            for i in range(200)
        ]
        await store.admit(batch, 1795500000.0)
        print(n, flush=True)

asyncio.run(main())
"""


async def test_killed_in_the_middle_of_writing(path: Path) -> None:
    """After kill -9 the database opens, is whole, and holds every batch that was answered, none in part."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(5):
        answered = int(process.stdout.readline())
    with pytest.raises(StateUnavailable, match=f"in use by pid {process.pid} "):
        await open_at(path)
    process.send_signal(signal.SIGKILL)
    answered = max([answered, *[int(line) for line in process.stdout]])
    process.wait()
    process.stdout.close()
    store = await open_at(path)
    [answer] = await store.admit([ask("im/x/0", f"199 {answered}")], NOW)
    await store.close()
    assert answer.receivers[0].claimed_by == f"im/{answered}/199"
    assert rows(path, "claims") % 200 == 0
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


async def test_a_full_disk(store: SqliteStore, path: Path) -> None:
    """When the disk is full the batch fails as a whole with the file and the cause; with room again all goes on."""
    assert store._database is not None
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 1}")
    batch = [ask(f"im/0/{n}", f"k{n}") for n in range(2000)]
    with pytest.raises(StateUnavailable) as full:
        await store.admit(batch, NOW)
    assert str(full.value) == f"{path}: the disk is full; make room for it, and what waits goes on by itself"
    assert rows(path, "claims") == 0
    store._database.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    await store.admit(batch, NOW)
    assert rows(path, "claims") == 2000


async def test_another_programs_lock(store: SqliteStore, path: Path) -> None:
    """A foreign lock on the file is a temporary failure that names itself."""
    assert store._database is not None
    store._database.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailable, match="another program holds a lock"):
        await store.admit([ask("im/0/1", "k")], NOW)
    other.execute("ROLLBACK")
    other.close()
    [answer] = await store.admit([ask("im/0/2", "k")], NOW)
    assert answer.receivers[0].claimed_by is None


@pytest.mark.parametrize("read_only", [True, False])
async def test_no_database(path: Path, read_only: bool) -> None:
    """A file that is no database is refused with its name and the mend, and not touched."""
    text = "this is a text file, and has been one for ever. " * 50
    path.write_text(text)
    with pytest.raises(StateUnavailable, match="is no SQLite database") as refused:
        await open_at(path, read_only=read_only)
    assert str(path) in str(refused.value)
    assert path.read_text() == text


async def admit_and_close(path: Path) -> None:
    store = await open_at(path)
    try:
        await store.admit([ask("im/0/1", "k1")], NOW)
    finally:
        await store.close()


async def test_damaged_database(path: Path) -> None:
    """A damaged file is a StateUnavailable with the mend, not a stray exception."""
    store = await open_at(path)
    await store.admit([ask(f"im/0/{n}", f"k{n}") for n in range(5000)], NOW)
    await store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StateUnavailable, match="is damaged"):
        await admit_and_close(path)


async def test_foreign_newer_and_older_databases(path: Path) -> None:
    """Another program's database, and one of another schema, are refused and left alone."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(StateUnavailable, match="another program's"):
        await open_at(path)
    newer = path.with_name("newer.db")
    await (await open_at(newer)).close()
    with sqlite3.connect(newer) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    with pytest.raises(StateUnavailable, match="newer pushgw"):
        await open_at(newer)
    with sqlite3.connect(newer) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    database.close()
    with pytest.raises(StateUnavailable, match="older pushgw"):
        await open_at(newer)


@pytest.mark.parametrize("where", ["missing/state.db", "file/state.db", "directory"])
async def test_unusable_paths(tmp_path: Path, where: str) -> None:
    """A directory that is missing, a file in its place, a directory in the database's: each is said with the path."""
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    with pytest.raises(StateUnavailable) as refused:
        await open_at(tmp_path / where)
    assert str(tmp_path / where) in str(refused.value)
    assert "directory" in str(refused.value)


async def test_file_is_for_its_owner(store: SqliteStore, path: Path) -> None:
    """Device tokens are in the file: others may not read it."""
    await store.apply([put("bob", 100)])
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


async def test_open_store_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL with three slashes is relative to the working directory, one with four is absolute."""
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///here.db", f"sqlite:///{tmp_path}/there.db"):
        store = await open_store(StateSettings(url=url))
        await store.apply([put("bob", 100)])
        reader = await open_store(StateSettings(url=url), read_only=True)
        assert await reader.user(0, "bob") is not None
        await reader.close()
        await store.close()
    assert {p.name for p in tmp_path.glob("*.db")} == {"here.db", "there.db"}


async def test_odd_file_names(tmp_path: Path) -> None:
    """Characters with a meaning in URLs are ordinary ones in a file's name."""
    odd = tmp_path / "a?b#c%20 d.db"
    store = await open_at(odd)
    await store.close()
    assert odd.exists()
