"""What the store on Redis promises beside the common suite: several gateways, repeats, restarts, TTLs, held tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

from pushgw.messages.model import BadgeSet, C2COption, DevicePut, UserEvent, UserLogout
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import (
    Admit,
    Claim,
    DeadToken,
    Raise,
    Settlement,
    Shown,
    StateStore,
    StateUnavailable,
)
from pushgw.state.redis_keys import Shards
from pushgw.state.redis_scripts import CHANGE, Script
from pushgw.state.redis_store import RedisStore

pytestmark = pytest.mark.redis

NOW = 1_795_500_000.0
TTL = 86_400

Open = Callable[[], Awaitable[StateStore]]


def opens(url: str, **more: Any) -> Open:
    return lambda: open_store(StateSettings(url=url, claim_ttl=TTL, done_ttl=TTL, **more))


@pytest.fixture(params=["redis_server", "redis_cluster"])
def redis(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def stores(redis: Any) -> AsyncIterator[tuple[RedisStore, RedisStore]]:
    """Two gateways' stores."""
    opener = opens(redis.url)
    first, second = await opener(), await opener()
    assert isinstance(first, RedisStore)
    assert isinstance(second, RedisStore)
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def store(stores: tuple[RedisStore, RedisStore]) -> RedisStore:
    return stores[0]


def ask(
    source: str, *claims: Claim, to: str = "bob", event: str | None = None, tombstones: tuple[str, ...] = ()
) -> Admit:
    return Admit(
        app=0,
        source=source,
        event_key=event,
        receivers=(to,),
        claims=claims,
        tombstones=tombstones,
        peer="alice",
        group_id=None,
        topic_id=None,
    )


def put(user: str, time_ms: int, token: str = "t1", device: str = "d1") -> DevicePut:  # noqa: S107  a device token
    return DevicePut(app=0, user=user, time_ms=time_ms, device_id=device, business_id=6666, token=token)


async def holders(store: StateStore, *users: str) -> dict[str, bool]:
    """Who has devices, and whether their token is theirs."""
    found = {name: await store.user(0, name) for name in users}
    return {name: not user.devices[0].lost for name, user in found.items() if user and user.devices}


async def badge(store: StateStore) -> int:
    [answer] = await store.peek([ask("im/9/9")], NOW)
    return answer.receivers[0].user.badge


# --- several gateways ---------------------------------------------------------------------------------------


async def test_of_two_gateways_one_owns_each_key(stores: tuple[RedisStore, RedisStore]) -> None:
    """Two gateways that admit the same 400 keys at once, in batches, never both own one, and one always does."""
    keys = [f"k{n}" for n in range(400)]

    async def admit(store: RedisStore, partition: int) -> dict[str, str | None]:
        owners = {}
        for first in range(0, len(keys), 20):
            some = keys[first : first + 20]
            batch = [
                ask(f"im/{partition}/{first + n}", Claim(key, 100), event=f"e{key}")
                for n, key in enumerate(some)
            ]
            for key, answer in zip(some, await store.admit(batch, NOW), strict=True):
                owners[key] = answer.redelivered_of or answer.receivers[0].claimed_by
        return owners

    ours, theirs = await asyncio.gather(admit(stores[0], 0), admit(stores[1], 1))
    assert all((ours[key] is None) != (theirs[key] is None) for key in keys)
    assert {ours[key] or theirs[key] for key in keys} <= {f"im/{p}/{n}" for p in (0, 1) for n in range(400)}


async def test_what_one_gateway_settles_the_other_knows(stores: tuple[RedisStore, RedisStore]) -> None:
    """Nothing is remembered in a process: a partition that moves finds its done marks, badges and devices at once."""
    first, second = stores
    await second.admit([ask("im/0/1")], NOW)
    await first.apply([put("bob", 100), C2COption(app=0, user="bob", time_ms=1, peer="alice", option=2)])
    await first.settle([Settlement(source="im/0/1", complete=True, raises=(Raise(app=0, user="bob"),))], NOW)
    [answer] = await second.admit([ask("im/0/1")], NOW)
    facts = answer.receivers[0]
    assert (answer.settled, facts.user.badge, len(facts.user.devices), facts.options.c2c) == (True, 1, 1, 2)
    await first.apply(
        [put("bob", 200, "t2"), C2COption(app=0, user="bob", time_ms=2, peer="alice", option=0)]
    )
    [answer] = await second.admit([ask("im/0/2")], NOW)
    facts = answer.receivers[0]
    assert (facts.user.devices[0].token, facts.options.c2c, facts.user.badge) == ("t2", 0, 1)


async def test_a_token_wanted_by_many_at_once_has_one_owner(stores: tuple[RedisStore, RedisStore]) -> None:
    """Puts of one token on many users' devices through two gateways at once: the newest has it, all others lost it."""
    users = [f"user{n}" for n in range(12)]
    events = [put(user, 100 + n) for n, user in enumerate(users)]
    await asyncio.gather(*[stores[n % 2].apply([event]) for n, event in enumerate(events)])
    assert await holders(stores[0], *users) == {user: user == users[-1] for user in users}


async def test_events_of_one_user_through_two_gateways_at_once(
    stores: tuple[RedisStore, RedisStore],
) -> None:
    """No event is lost between another gateway's reading and writing."""
    events = [put("bob", 100 + n, f"t{n}", f"d{n}") for n in range(20)]
    await asyncio.gather(*[stores[n % 2].apply([event]) for n, event in enumerate(events)])
    bob = await stores[0].user(0, "bob")
    assert bob is not None
    assert {(d.device_id, d.token) for d in bob.devices} == {(f"d{n}", f"t{n}") for n in range(20)}


class Cut(Exception):
    """The gateway was killed here."""


def cut_after(store: RedisStore, calls: int, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store dies after so many calls of the script."""
    run = store._link.run
    left = calls

    async def dying(asked: Script, *arguments: Any) -> Any:
        nonlocal left
        if asked is script:
            if left == 0:
                raise Cut
            left -= 1
        return await run(asked, *arguments)

    monkeypatch.setattr(store._link, "run", dying)


@pytest.mark.parametrize("calls", range(4))
async def test_a_token_that_moves_survives_a_crash_on_the_way(
    redis_cluster: Any, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after any step of a token's move, the redelivered event ends it: the old owner has lost it, also when a
    third user's newer Put came in between. The two owners and the index are on shards of their own."""
    names = ("before", "after", "third")
    assert len({Shards(16).of(name) for name in ("0 before", "0 after", "0 6666 t1")}) == 3
    opener = opens(redis_cluster.url)
    for newer in (None, put("third", 300)):
        redis_cluster.flush()
        first, second = await opener(), await opener()
        assert isinstance(first, RedisStore)
        await second.apply([put("before", 100)])
        with monkeypatch.context() as patch:
            cut_after(first, calls, CHANGE, patch)
            with pytest.raises(Cut) if calls < 3 else nullcontext():
                await first.apply([put("after", 200)])
        if newer is not None:
            await second.apply([newer])
        await second.apply([put("after", 200)])
        owner = "after" if newer is None else "third"
        expected = {name: name == owner for name in names if newer or name != "third"}
        assert await holders(second, *names) == expected
        await first.close()
        await second.close()


async def test_a_put_between_reading_and_marking_saves_the_token(
    stores: tuple[RedisStore, RedisStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard of dead tokens holds for the state that is written upon: a Put that slips in before the mark wins."""
    first, second = stores
    await first.apply([put("bob", 100)])
    run = first._link.run
    late = [put("bob", 900)]

    async def slow(asked: Script, *arguments: Any) -> Any:
        if asked is CHANGE and late:
            await second.apply([late.pop()])
        return await run(asked, *arguments)

    monkeypatch.setattr(first._link, "run", slow)
    dead = DeadToken(app=0, user="bob", device_id="d1", token="t1", sent_ms=500, dead_since_ms=None)
    assert await first.mark_dead([dead]) == ["token_kept_newer"]
    bob = await second.user(0, "bob")
    assert bob is not None
    assert bob.devices[0].dead_ms is None


# --- repeats ------------------------------------------------------------------------------------------------


async def test_a_repeated_settlement_raises_once(store: RedisStore) -> None:
    """When it is unknown whether a settlement was written it is repeated: the badge does not count it twice."""
    await store.apply([put("bob", 100)])
    plus, to = Raise(app=0, user="bob"), Raise(app=0, user="bob", to=40)
    first = [Settlement(source="im/0/1", done=(("bob", "d1"),), complete=False, raises=(plus,))]
    await store.settle(first, NOW)
    await store.settle([Settlement(source="im/0/2", complete=True, raises=(plus,))], NOW)
    await store.settle(first, NOW)
    assert await badge(store) == 2
    number = [Settlement(source="im/0/3", complete=True, raises=(to,))]
    await store.settle(number, NOW)
    await store.settle([Settlement(source="im/0/4", complete=True, raises=(plus,))], NOW)
    await store.settle(number, NOW)
    assert await badge(store) == 41
    for n in range(10, 10 + 31):
        await store.settle([Settlement(source=f"im/0/{n}", complete=True, raises=(plus,))], NOW)
    await store.settle([Settlement(source="im/0/10", complete=True, raises=(plus,))], NOW)
    assert await badge(store) == 41 + 31


async def test_parts_and_the_whole_in_any_order(store: RedisStore) -> None:
    """A part that is written late or again does not undo that the record is settled."""
    part = Settlement(source="im/0/1", done=(("bob", "d1"),), complete=False)
    await store.settle([part], NOW)
    await store.settle([part], NOW)
    [answer] = await store.admit([ask("im/0/1")], NOW)
    assert (answer.settled, answer.receivers[0].done) == (False, {"d1"})
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    await store.settle([part], NOW)
    [answer] = await store.admit([ask("im/0/1")], NOW)
    assert answer.settled


async def test_a_half_done_admit_is_repeated_without_harm(
    redis_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a record claimed before its gateway died is its own at redelivery; of the rest it takes what is free."""
    opener = opens(redis_cluster.url)
    first, second = await opener(), await opener()
    assert isinstance(first, RedisStore)
    batch = [ask(f"im/0/{n}", Claim(f"k{n}", 100), event=f"e{n}") for n in range(40)]
    run, left = first._link.run, 20

    async def dying(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise StateUnavailable("gone")
        return await run(*arguments)

    monkeypatch.setattr(first._link, "run", dying)
    with pytest.raises(StateUnavailable):
        await first.admit(batch, NOW)
    answers = await second.admit(batch, NOW)
    assert [(a.redelivered_of, a.receivers[0].claimed_by) for a in answers] == [(None, None)] * 40
    others = await second.admit([replace(a, source="im/1/1", event_key=None) for a in batch], NOW)
    assert [a.receivers[0].claimed_by for a in others] == [f"im/0/{n}" for n in range(40)]
    await first.close()
    await second.close()


# --- restarts -----------------------------------------------------------------------------------------------


async def test_scripts_are_loaded_again(store: RedisStore, redis: Any) -> None:
    """A server that forgot the scripts gets them with the next call, each of them."""
    for node in getattr(redis, "masters", [redis]):
        node.ask("script", "flush")
    await store.apply([put("bob", 100)])
    await store.bury(["m"], NOW)
    await store.show([Shown("m", "bob", "d1")], NOW)
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    [answer] = await store.admit([ask("im/0/1", tombstones=("m",))], NOW)
    assert (answer.settled, answer.receivers[0].recalled) == (True, True)


async def test_killed_and_started_again(make_redis: Callable[..., Any]) -> None:
    """After kill -9 and a start from its append-only file (`appendfsync always`) all is there, and the store goes on."""
    server = make_redis("RedisServer", "appendfsync always")
    store = await opens(server.url)()
    await store.apply([put("bob", 100), BadgeSet(app=0, user="bob", time_ms=1, unread=3)])
    await store.admit([ask("im/0/1", Claim("k", 100), event="e")], NOW)
    await store.settle([Settlement(source="im/0/5", complete=True)], NOW)
    questions = [ask("im/0/2", Claim("k", 100)), ask("im/0/3", event="e"), ask("im/0/5")]
    before = await store.peek(questions, NOW)
    server.kill()
    with pytest.raises(StateUnavailable, match=f"Redis 127.0.0.1:{server.port} cannot be reached: start it"):
        await store.admit([ask("im/0/7")], NOW)
    server.start()
    assert await store.peek(questions, NOW) == before
    assert before[0].receivers[0].user.badge == 3
    await store.close()


# --- life ---------------------------------------------------------------------------------------------------


async def test_what_expires_has_a_ttl(redis: Any, stores: tuple[RedisStore, RedisStore]) -> None:
    """Redis lets go of everything by itself but of users and the tokens they hold; `expire` has nothing to count."""
    store = stores[0]
    await store.apply([put("bob", 100), put("eve", 200, "t2"), UserLogout(app=0, user="eve", time_ms=300)])
    await store.admit([ask("im/0/1", Claim("k", 100), Claim("w", 100, 300), event="e")], NOW)
    await store.settle([Settlement(source="im/0/1", complete=True, raises=(Raise(app=0, user="bob"),))], NOW)
    await store.settle([Settlement(source="im/1/1", complete=False, done=(("bob", "d1"),))], NOW)
    await store.bury(["m"], NOW)
    await store.show([Shown("m", "bob", "d1")], NOW)
    lives: dict[str, int] = {}
    for node in getattr(redis, "masters", [redis]):
        for key in node.ask("keys", "*").splitlines():
            lives[key.partition("}:")[2]] = int(node.ask("ttl", key))
    week = 7 * 86_400
    expected = {
        "u:0 bob": -1,
        "u:0 eve": -1,
        "k:0 6666 t1": -1,
        "k:0 6666 t2": week,
        "c:k": TTL,
        "c:w": TTL,
        "e:e": TTL,
        "s:im/0": TTL,
        "s:im/1": TTL,
        "t:m": week,
        "n:m": 86_400,
        "layout": -1,
    }
    lives = {key: life for key, life in lives.items() if key}
    assert lives.keys() == expected.keys()
    for key, life in expected.items():
        assert life - 60 <= lives[key] <= life, key
    assert await store.expire(NOW + 100 * TTL) == 0


async def test_what_was_shown(store: RedisStore) -> None:
    """Devices that show a message are remembered for a day, each once, by its tombstone."""
    shown = [Shown("m", "bob", "d1"), Shown("m", "b\x00\x1a b", "d 2"), Shown("n", "eve", "d1")]
    await store.show(shown, NOW)
    await store.show(shown[:1], NOW)
    found = await store.shown(["m", "o", "n"], NOW + 86_399)
    assert sorted(found, key=lambda one: (one.tombstone, one.user)) == [shown[1], shown[0], shown[2]]
    assert await store.shown(["m"], NOW + 86_400) == []
    assert await store.shown([], NOW) == []


async def test_many_questions_need_few_connections(redis: Any, store: RedisStore) -> None:
    """What a batch of recalls asks is one call for each shard, not one for each message."""
    shown = [Shown(f"m{n}", "bob", "d1") for n in range(1_000)]
    await store.show(shown, NOW)
    assert await store.shown([one.tombstone for one in shown], NOW) == shown
    for node in getattr(redis, "masters", [redis]):
        assert len(node.ask("client", "list", "type", "normal").splitlines()) < 30


async def test_a_large_settlement(store: RedisStore) -> None:
    """Thousands of records, and one record with thousands of devices, are settled in parts; in their order."""
    raises = [Raise(app=0, user="bob", to=40), *[Raise(app=0, user="bob")] * 4_999]
    batch = [Settlement(source=f"im/0/{n}", complete=True, raises=(r,)) for n, r in enumerate(raises, 1_000)]
    done = tuple([(f"user{n}", "d1") for n in range(6_000)])
    await store.apply([put("bob", 100)])
    await store.settle([*batch, Settlement(source="im/1/1", done=done, complete=False)], NOW)
    assert await badge(store) == 40 + 4_999
    answers = await store.admit([ask(f"im/0/{n}") for n in range(1_000, 6_000)], NOW)
    assert all(answer.settled for answer in answers)
    [part] = await store.admit([ask("im/1/1", to="user5999")], NOW)
    assert (part.settled, part.receivers[0].done) == (False, {"d1"})


async def test_a_batch_of_any_size(store: RedisStore) -> None:
    """Many receivers, many records with one span and many events go in parts, and come back in their order."""
    users = tuple([f"user{n}" for n in range(3_000)])
    events: list[UserEvent] = [put(user, 100, f"t{user}") for user in users]
    await store.apply(events)
    batch = [replace(ask(f"im/0/{n}", Claim(f"g{n}", 1, 300)), receivers=users) for n in range(3)]
    answers = await store.admit(
        [*batch, *[ask("x", to=users[n], tombstones=("m",)) for n in range(2_500)]], NOW
    )
    names = [[facts.user.devices[0].token for facts in answer.receivers] for answer in answers]
    assert names == [[f"t{user}" for user in users]] * 3 + [[f"t{user}"] for user in users[:2_500]]
    [again] = await store.admit([replace(batch[2], source="im/0/9")], NOW)
    assert {facts.claimed_by for facts in again.receivers} == {"im/0/2"}
