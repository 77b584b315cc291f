"""What the SQLite store keeps in memory never says anything else than the file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pushgw.messages.model import (
    BadgeSet,
    C2COption,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GroupOption,
    UserEvent,
    UserLogout,
)
from pushgw.policy.facts import NOBODY, User
from pushgw.state.protocol import Admit, Claim, DeadToken, Raise, Settlement, StateUnavailable
from pushgw.state.sqlite import SqliteStore
from pushgw.state.sqlite_memory import Memory
from pushgw.state.sqlite_settle import settle

NOW = 1_795_500_000
TTL = 86_400
USERS = ("ann", "bob", "cid", "dan", "eve")


async def open_at(path: Path, *, read_only: bool = False) -> SqliteStore:
    return await SqliteStore.open(f"sqlite:///{path}", claim_ttl=TTL, done_ttl=TTL, read_only=read_only)


def question(source: str, receivers: tuple[str, ...], **changes: object) -> Admit:
    blank = Admit(
        app=0,
        source=source,
        event_key=None,
        receivers=receivers,
        claims=(),
        tombstones=(),
        peer=None,
        group_id=None,
        topic_id=None,
    )
    return replace(blank, **changes)


# --- the same as a fresh look ----------------------------------------------------------------------------------

names = st.sampled_from(USERS)
times = st.integers(100, 130)
tokens = st.sampled_from(["t1", "t2", "t3"])
devices = st.sampled_from(["d1", "d2"])
sources = st.sampled_from(["im/0/998", "im/0/999", "im/0/1000", "im/1/7"])
tombstones = st.sampled_from(["m1", "m2", "m3"])

events: st.SearchStrategy[UserEvent] = st.one_of(
    st.builds(
        DevicePut,
        app=st.just(0),
        user=names,
        time_ms=times,
        device_id=devices,
        business_id=st.just(1),
        token=tokens,
    ),
    st.builds(
        DeviceGround,
        app=st.just(0),
        user=names,
        time_ms=times,
        device_id=devices,
        background=st.booleans(),
        unread=st.none() | st.integers(0, 9),
    ),
    st.builds(DeviceDelete, app=st.just(0), user=names, time_ms=times, device_id=devices),
    st.builds(UserLogout, app=st.just(0), user=names, time_ms=times),
    st.builds(BadgeSet, app=st.just(0), user=names, time_ms=times, unread=st.integers(0, 9)),
    st.builds(
        C2COption, app=st.just(0), user=names, time_ms=times, peer=st.just("p"), option=st.integers(0, 2)
    ),
    st.builds(
        GroupOption,
        app=st.just(0),
        user=names,
        time_ms=times,
        group_id=st.just("g"),
        topic_id=st.sampled_from([None, "t"]),
        option=st.integers(0, 4),
    ),
)
raises = st.builds(Raise, app=st.just(0), user=names, to=st.none() | st.integers(0, 99))
settlements = st.builds(
    Settlement,
    source=sources,
    complete=st.booleans(),
    done=st.lists(st.tuples(names, devices), max_size=2).map(tuple),
    raises=st.lists(raises, max_size=3).map(tuple),
)
dead_tokens = st.builds(
    DeadToken,
    app=st.just(0),
    user=names,
    device_id=devices,
    token=tokens,
    sent_ms=times,
    dead_since_ms=st.none(),
)
questions = st.builds(
    question,
    source=sources,
    receivers=st.lists(names, max_size=3, unique=True).map(tuple),
    peer=st.just("p"),
    group_id=st.sampled_from([None, "g"]),
    topic_id=st.sampled_from([None, "t"]),
    tombstones=st.lists(tombstones, max_size=1).map(tuple),
)
steps = st.one_of(
    st.tuples(st.just("apply"), st.lists(events, min_size=1, max_size=3)),
    st.tuples(st.just("settle"), st.lists(settlements, min_size=1, max_size=3)),
    st.tuples(st.just("mark_dead"), st.lists(dead_tokens, min_size=1, max_size=2)),
    st.tuples(st.just("bury"), st.lists(tombstones, min_size=1, max_size=2)),
    st.tuples(st.just("expire"), st.just([])),
    st.tuples(st.just("admit"), st.lists(questions, min_size=1, max_size=3)),
)


async def do(store: SqliteStore, step: tuple[str, Sequence[object]], now: int) -> None:
    name, batch = step
    call = getattr(store, name)
    if name == "expire":
        await call(now)
    elif name in {"apply", "mark_dead"}:
        await call(batch)
    else:
        await call(batch, now)


async def compare(run: Sequence[tuple[int, tuple[str, Sequence[object]]]], asked: Sequence[Admit]) -> None:
    """After each step the writer's answers are those of a reader that keeps nothing."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "state.db"
        writer = await open_at(path)
        writer._memory._limit = 3
        reader = await open_at(path, read_only=True)
        now = NOW
        try:
            for pause, step in run:
                now += pause
                await do(writer, step, now)
                assert await writer.admit(asked, now) == await reader.peek(asked, now)
        finally:
            await reader.close()
            await writer.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, TTL, 700_000]), steps), min_size=1, max_size=8),
    st.lists(questions, min_size=1, max_size=4),
)
def test_answers_are_those_of_the_file(
    run: list[tuple[int, tuple[str, Sequence[object]]]], asked: list[Admit]
) -> None:
    """Whatever was done before, a store with much in memory and one that knows nothing read the same from the file."""
    asyncio.run(compare(run, asked))


def put(user: str, time_ms: int) -> DevicePut:
    return DevicePut(app=0, user=user, time_ms=time_ms, device_id="d1", business_id=1, token="t1")


def raising(to: int | None) -> Settlement:
    return Settlement(source="im/0/2", complete=True, raises=(Raise(app=0, user="bob", to=to),))


CHANGES: dict[str, tuple[str, Sequence[object]]] = {
    "own event": ("apply", [BadgeSet(app=0, user="bob", time_ms=100, unread=3)]),
    "option": ("apply", [C2COption(app=0, user="bob", time_ms=100, peer="p", option=2)]),
    "token lost to another": ("apply", [put("eve", 200)]),
    "token dead": (
        "mark_dead",
        [DeadToken(app=0, user="bob", device_id="d1", token="t1", sent_ms=300, dead_since_ms=None)],
    ),
    "badge raised": ("settle", [raising(None)]),
    "badge set": ("settle", [raising(40)]),
    "settled": ("settle", [Settlement(source="im/0/1", complete=True)]),
    "settled in part": ("settle", [Settlement(source="im/0/1", complete=False, done=(("bob", "d1"),))]),
    "settled without receivers": ("settle", [Settlement(source="im/0/1", complete=False, done=(("", ""),))]),
    "recalled": ("bury", ["m"]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("where", ["newest", "old", "not kept", "restarted"])
async def test_each_change_is_answered(tmp_path: Path, change: str, where: str) -> None:
    """Whatever can change an answer changes the next one, wherever in memory the user is, and after a restart too."""
    path = tmp_path / "state.db"
    store = await open_at(path)
    store._memory._limit = 2
    await store.apply([put("bob", 100)])
    asked = question("im/0/1", ("bob",), peer="p", tombstones=("m",))
    [before] = await store.admit([asked], NOW)
    for n in range({"newest": 0, "old": 2}.get(where, 4)):
        await store.admit([question("im/1/1", (f"other{n}",))], NOW)
    await do(store, CHANGES[change], NOW)
    if where == "restarted":
        await store.close()
        store = await open_at(path)
    [after] = await store.admit([asked], NOW)
    reader = await open_at(path, read_only=True)
    [fresh] = await reader.peek([asked], NOW)
    await reader.close()
    await store.close()
    assert after == fresh
    assert after != before


# --- what is kept, and how long ---------------------------------------------------------------------------------


def test_memory_is_bounded() -> None:
    """However many users are asked for, two generations are kept, and with them the marks of who has options."""
    memory = Memory(limit=10)
    for n in range(0, 1000, 5):
        missing = memory.missing([f"0 user{m}" for m in range(n, n + 5)])
        memory.learn(missing, {}, missing)
        kept = len(memory.users) + len(memory._old)
        assert len(missing) == 5
        assert kept <= 20
        assert len(memory.optioned) <= 20


def test_who_is_asked_for_stays() -> None:
    """A user in every batch is read from the file once, however many others pass by."""
    memory = Memory(limit=4)
    user = User(login_ms=1)
    memory.learn(memory.missing(["0 bob"]), {"0 bob": user}, ["0 bob"])
    for n in range(50):
        missing = memory.missing(["0 bob", f"0 user{n}"])
        assert missing == [f"0 user{n}"]
        memory.learn(missing, {}, [])
        assert memory.users["0 bob"] is user
        assert "0 bob" in memory.optioned


def test_badges_of_unknown_users_wait() -> None:
    """A badge that is raised before anything is stored of its user leaves that user nobody."""
    memory = Memory()
    memory.learn(memory.missing(["0 bob"]), {}, [])
    memory.badges({"0 bob": 1}, {})
    assert memory.users["0 bob"] is NOBODY


async def test_a_failed_transaction_is_forgotten(tmp_path: Path) -> None:
    """What a transaction had changed in memory before it failed is not answered."""
    store = await open_at(tmp_path / "state.db")
    await store.apply([BadgeSet(app=0, user="bob", time_ms=100, unread=5)])
    asked = question("im/0/1", ("bob",))
    [before] = await store.admit([asked], NOW)
    raised = Settlement(source="im/0/2", complete=True, raises=(Raise(app=0, user="bob"),))

    def fail(database: object) -> None:
        settle(database, store._memory, [raised], NOW + TTL)  # type: ignore[arg-type]  # the store's own connection
        assert store._memory.users["0 bob"].badge == 6
        raise StateUnavailable("the commit fails")

    with pytest.raises(StateUnavailable):
        await store._write(fail)
    [after] = await store.admit([asked], NOW)
    await store.close()
    assert before.receivers[0].user.badge == 5
    assert after == before


async def test_readers_keep_nothing(tmp_path: Path) -> None:
    """A reader sees each change of the writer at its next look."""
    writer = await open_at(tmp_path / "state.db")
    reader = await open_at(tmp_path / "state.db", read_only=True)
    asked = question("im/0/1", ("bob",), peer="p")
    seen = []
    for n in range(3):
        await writer.apply(
            [
                BadgeSet(app=0, user="bob", time_ms=n, unread=n),
                C2COption(app=0, user="bob", time_ms=n, peer="p", option=n),
            ]
        )
        [looked] = await reader.peek([asked], NOW)
        seen.append((looked.receivers[0].user.badge, looked.receivers[0].options.c2c))
    await reader.close()
    await writer.close()
    assert seen == [(0, 0), (1, 1), (2, 2)]


# --- claims: many at once are as one after the other ------------------------------------------------------------


class Model:
    """Claims by the book: record after record, key after key."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, int | None, int]] = {}
        """The key -> (owner, time of a claim with a window, end)."""

    def admit(self, one: Admit, now: int) -> tuple[str | None, list[str | None]]:
        """(redelivered of, owners of the keys)."""
        if one.event_key is not None:
            other = self.take(Claim("event " + one.event_key, 0), one.source, now)
            if other is not None:
                return other, [None] * len(one.claims)
        return None, [self.take(claim, one.source, now) for claim in one.claims]

    def take(self, claim: Claim, source: str, now: int) -> str | None:
        """None, or the other who has the key."""
        owner, at, end = self.held.get(claim.key, ("", None, 0))
        if end > now:
            if owner == source:
                return None
            if claim.window is None or at is None or abs(claim.at - at) < claim.window:
                return owner
        self.held[claim.key] = (source, None if claim.window is None else claim.at, now + TTL)
        return None


claims = st.one_of(
    st.builds(Claim, st.sampled_from(["k1", "k2", "k3"]), st.just(1)),
    st.builds(Claim, st.sampled_from(["g1", "g2", "k1"]), st.sampled_from([0, 200, 300, 600]), st.just(300)),
)
records = st.builds(
    lambda source, event, wanted: question(
        f"im/0/{source}", tuple(f"u{n}" for n in range(len(wanted))), event_key=event, claims=tuple(wanted)
    ),
    st.integers(1, 6),
    st.sampled_from([None, "e1", "e2", "e3"]),
    st.lists(claims, max_size=3),
)


async def claim_all(batches: Sequence[tuple[int, Sequence[Admit]]]) -> None:
    """Each batch is answered as the model answers its records, and a look says the same before."""
    with tempfile.TemporaryDirectory() as home:
        store = await open_at(Path(home) / "state.db")
        model = Model()
        now = NOW
        try:
            for pause, batch in batches:
                now += pause
                looked = await store.peek(batch, now)
                answers = await store.admit(batch, now)
                expected = [model.admit(one, now) for one in batch]
                found = [
                    (a.redelivered_of, [f.claimed_by for f in a.receivers] if one.receivers else [])
                    for one, a in zip(batch, answers, strict=True)
                ]
                assert found == expected
                assert looked == answers
                await store.expire(now)
            assert await store.expire(now + TTL - 1) + await store.expire(now + TTL) == len(
                [end for _, _, end in model.held.values() if end > now]
            )
            assert store._database is not None
            for table in ("claims", "claim_batches"):
                assert store._database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
        finally:
            await store.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, TTL - 1, TTL]), st.lists(records, min_size=1, max_size=6)),
        min_size=1,
        max_size=5,
    )
)
def test_claims_of_a_batch_are_claims_in_order(batches: list[tuple[int, list[Admit]]]) -> None:
    """A batch ends as if its records had come one after the other, whoever has the keys; and all of it expires."""
    asyncio.run(claim_all(batches))
