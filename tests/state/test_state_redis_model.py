"""The two kinds of store are one thing: whatever happens, in whatever order, they answer the same."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pushgw.messages.model import (
    AlwaysWindow,
    BadgeSet,
    C2COption,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GlobalOption,
    GroupOption,
    PushSwitch,
    UserDisconnect,
    UserLogin,
    UserLogout,
)
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import Admission, Admit, Claim, DeadToken, Raise, Settlement, StateStore

pytestmark = pytest.mark.redis

NOW = 1_795_500_000
users = st.sampled_from(["bob", "eve", "b c"])
devices = st.sampled_from(["d1", "d2"])
tokens = st.sampled_from(["t1", "t2", " "])
times = st.integers(1, 12).map(lambda n: n * 100)
common = {"app": st.sampled_from([0, 1]), "user": users, "time_ms": times}

events = st.one_of(
    st.builds(
        DevicePut, device_id=devices, business_id=st.just(6), token=tokens, platform=st.just("ios"), **common
    ),
    st.builds(DeviceDelete, device_id=devices, **common),
    st.builds(
        DeviceGround,
        device_id=devices,
        background=st.booleans(),
        unread=st.none() | st.integers(0, 9),
        **common,
    ),
    st.builds(UserLogin, device_id=st.none(), **common),
    st.builds(UserLogout, device_id=st.none() | devices, platforms=st.just(frozenset()), **common),
    st.builds(UserDisconnect, **common),
    st.builds(PushSwitch, enabled=st.booleans(), **common),
    st.builds(
        GlobalOption, window=st.none() | st.just(AlwaysWindow()), time_zone=st.just("Asia/Tokyo"), **common
    ),
    st.builds(C2COption, peer=st.just("alice"), option=st.integers(0, 2), **common),
    st.builds(
        GroupOption,
        group_id=st.just("g"),
        topic_id=st.none() | st.just("t"),
        option=st.integers(0, 4),
        **common,
    ),
    st.builds(BadgeSet, unread=st.integers(0, 9), **common),
)
created = st.sampled_from([0, NOW + 61, NOW + 63, NOW + 66]).map(lambda s: s * 1000)
"""With a minute's tolerance between the steps: some believe a mark, some do not, some are in the future."""
sources = st.integers(0, 5).map(lambda n: f"im/0/{n}")
claims = st.builds(
    Claim,
    key=st.sampled_from(["k1", "k2", "k3"]),
    at=st.integers(0, 3).map(lambda n: 1000 + n * 150),
    window=st.none() | st.just(300),
)


@st.composite
def questions(draw: st.DrawFn) -> Admit:
    """A record of any shape: claims and tombstones one for all, one each, or none."""
    receivers = tuple(draw(st.lists(users, max_size=3, unique=True)))
    each = len(receivers) if len(receivers) > 1 else 1
    some = (0, 1, each)
    return Admit(
        app=draw(st.sampled_from([0, 1])),
        source=draw(sources),
        created_ms=draw(created),
        event_key=draw(st.none() | st.sampled_from(["e1", "e2"])),
        receivers=receivers,
        claims=tuple([draw(claims) for _ in range(draw(st.sampled_from(some)))]),
        tombstones=tuple([draw(st.sampled_from(["m1", "m2"])) for _ in range(draw(st.sampled_from(some)))]),
        peer="alice",
        group_id=draw(st.none() | st.just("g")),
        topic_id=draw(st.none() | st.just("t")),
    )


@st.composite
def settlements(draw: st.DrawFn) -> Settlement:
    """Done marks in whole or in part. Raises are made unique by the test: a record raises a user once."""
    complete = draw(st.booleans())
    done = () if complete else tuple(draw(st.lists(st.tuples(users, devices | st.just("")), max_size=2)))
    raises = draw(
        st.lists(
            st.builds(Raise, app=st.just(0), user=users, to=st.none() | st.integers(0, 50)),
            max_size=2,
            unique_by=lambda r: r.user,
        )
    )
    return Settlement(source=draw(sources), done=done, complete=complete, raises=tuple(raises))


dead = st.builds(
    DeadToken,
    app=st.just(0),
    user=users,
    device_id=devices,
    token=tokens,
    sent_ms=times,
    dead_since_ms=st.none() | times,
)
steps = st.one_of(
    st.tuples(st.just("apply"), st.lists(events, min_size=1, max_size=6)),
    st.tuples(st.just("admit"), st.lists(questions(), min_size=1, max_size=4)),
    st.tuples(st.just("peek"), st.lists(questions(), min_size=1, max_size=4)),
    st.tuples(st.just("settle"), st.lists(settlements(), min_size=1, max_size=3)),
    st.tuples(st.just("bury"), st.lists(st.sampled_from(["m1", "m2", "m3"]), min_size=1, max_size=2)),
    st.tuples(st.just("mark_dead"), st.lists(dead, min_size=1, max_size=3)),
)
TIMED = ("admit", "peek", "settle", "bury")
_numbers = itertools.count()


async def act(store: StateStore, steps: list[tuple[str, Any]]) -> list[Any]:
    """What the store answers, and what it knows in the end."""
    raised: set[tuple[str, str]] = set()
    answers = []
    for n, (name, batch) in enumerate(steps):
        if name == "settle":
            batch = [_raising_once(one, raised) for one in batch]
        arguments = (batch, NOW + n) if name in TIMED else (batch,)
        answer = await getattr(store, name)(*arguments)
        answers.append([_counting(one) for one in answer] if name in ("admit", "peek") else answer)
    for app in (0, 1):
        for user in ("bob", "eve", "b c"):
            answers += [await store.user(app, user), await store.options(app, user)]
    return answers


def _counting(one: Admission) -> Admission:
    """Of a record that is settled as a whole nobody asks for parts."""
    if not one.settled:
        return one
    receivers = tuple([replace(facts, done=frozenset()) for facts in one.receivers])
    return replace(one, receivers=receivers)


def _raising_once(one: Settlement, raised: set[tuple[str, str]]) -> Settlement:
    new = [r for r in one.raises if (one.source, r.user) not in raised]
    raised.update((one.source, r.user) for r in new)
    return Settlement(source=one.source, done=one.done, complete=one.complete, raises=tuple(new))


async def compare(steps: list[tuple[str, Any]], url: str, directory: Path) -> None:
    sqlite = await open_store(StateSettings(url=f"sqlite:///{directory / f'{next(_numbers)}.db'}"))
    redis = await open_store(StateSettings(url=url))
    try:
        ours, theirs = await act(redis, steps), await act(sqlite, steps)
    finally:
        await sqlite.close()
        await redis.close()
    for step, our, their in itertools.zip_longest(steps, ours, theirs):
        assert our == their, step


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(steps, min_size=1, max_size=12))
def test_redis_answers_as_sqlite_does(one_redis: Any, tmp_path: Path, steps: list[tuple[str, Any]]) -> None:
    """Random histories of events, records, settlements, recalls and dead tokens: answer by answer the same."""
    one_redis.ask("flushall")
    asyncio.run(compare(steps, one_redis.url, tmp_path))


def without_events(steps: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """In a cluster a settled record takes its own EventId again, where it is free: there alone the answers may differ."""
    return [
        (name, [replace(one, event_key=None) for one in batch] if name in ("admit", "peek") else batch)
        for name, batch in steps
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(steps, min_size=1, max_size=12))
def test_a_cluster_answers_as_sqlite_does(
    one_redis_cluster: Any, tmp_path: Path, steps: list[tuple[str, Any]]
) -> None:
    """The same over the shards of a cluster."""
    one_redis_cluster.flush()
    asyncio.run(compare(without_events(steps), one_redis_cluster.url, tmp_path))
