"""The master is killed in the middle of the work: the store says so for a while, then goes on by itself, with right answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from pushgw.messages.model import DevicePut
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import Admit, Claim, Raise, Settlement, StateStore, StateUnavailable
from pushgw.state.redis_keys import Shards
from pushgw.state.redis_link import Link

pytestmark = pytest.mark.redis

NOW = 1_795_500_000.0
USERS = [f"user{n}" for n in range(16)]
BATCH = 40
PAUSE_S = 0.01
"""Between two batches of a worker: sentinels and servers want to run, too."""
PATIENCE_S = 60.0
RETURN_PATIENCE_S = 180.0
"""Sentinels turn to a master that has returned when it has looked well for 8 s on end; a busy machine lets it flicker."""
T = TypeVar("T")

Make = Callable[..., Any]


class Gateways:
    """Work for the store without end, repeated where it is unavailable, as `Patience` does; and what it answered."""

    def __init__(self, store: StateStore, servers: Any) -> None:
        self.store = store
        self.servers = servers
        self.troubles: set[str] = set()
        self.admitted: list[str] = []
        self.wrong: list[object] = []
        self.stopping = False

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except StateUnavailable as error:
                self.troubles.add(str(error))
                await asyncio.sleep(0.05)

    async def work(self, partition: int) -> None:
        """Admit and settle one batch after the other; each key is wanted by one record only, so all must pass."""
        offset = 0
        while not self.stopping:
            batch = [self.question(f"im/{partition}/{offset + n}") for n in range(BATCH)]
            answers = await self.ask(lambda batch=batch: self.store.admit(batch, NOW))  # type: ignore[misc]  # bound now
            for one, answer in zip(batch, answers, strict=True):
                facts = answer.receivers[0]
                if answer.redelivered_of or facts.claimed_by or not facts.user.devices:
                    self.wrong.append((one.source, answer))
                self.admitted.append(one.source)
            settled = [
                Settlement(source=one.source, complete=True, raises=(Raise(app=0, user=one.receivers[0]),))
                for one in batch
            ]
            await self.ask(lambda settled=settled: self.store.settle(settled, NOW))  # type: ignore[misc]  # as above
            offset += BATCH
            await asyncio.sleep(PAUSE_S)

    def question(self, source: str, owner_of: str | None = None) -> Admit:
        key = owner_of or source
        return Admit(
            app=0,
            source=source,
            event_key=f"e{key}",
            receivers=(USERS[hash(key) % len(USERS)],),
            claims=(Claim(key, 100),),
            tombstones=(),
            peer="alice",
            group_id=None,
            topic_id=None,
        )

    async def owners(self, sources: list[str]) -> list[str | None]:
        """Whom a stranger is told for each of these records' EventIds."""
        questions = [self.question("other/0/1", source) for source in sources]
        answers = await self.ask(lambda: self.store.peek(questions, NOW))
        return [answer.redelivered_of for answer in answers]

    async def until(self, what: str, condition: Callable[[], bool], patience: float = PATIENCE_S) -> None:
        """Until the condition holds, or fail with the servers' last words."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            troubles = sorted(self.troubles)
            words = self.servers.last_words()
            raise AssertionError(f"not within {patience:g} s: {what}; {troubles}\n{words}") from None


@asynccontextmanager
async def working(servers: Any, **settings: Any) -> AsyncIterator[Gateways]:
    """Gateways on a store at these servers, which is closed whatever happens."""
    store = await open_store(StateSettings(url=servers.url, **settings))
    try:
        yield Gateways(store, servers)
    finally:
        await store.close()


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_the_master_dies_in_the_middle(make_redis: Make, kind: str) -> None:
    """Two workers go on over the death of a master: what replicas had is answered as before, nobody is told of an owner
    who is none, no user is forgotten; the dead one returns as a replica and nothing changes."""
    if kind == "sentinel":
        redis = make_redis("RedisSentinel")
        master, replica = redis.master, redis.replica
    else:
        redis = make_redis("RedisCluster", masters=3, replicas=1)
        master, replica = redis.masters[0], redis.replicas[0]
    async with working(redis, timeout=1.0) as gateways:
        store = gateways.store
        await store.apply(
            [
                DevicePut(app=0, user=user, time_ms=1, device_id="d", business_id=1, token=f"t{user}")
                for user in USERS
            ]
        )
        before = await over_a_death(gateways, master, replica, kind)
        assert gateways.wrong == []
        assert all("Redis" in trouble for trouble in gateways.troubles)
        assert await gateways.owners(before) == before
        assert set(await gateways.owners(gateways.admitted)) <= {*gateways.admitted, None}
        settled = await store.peek([gateways.question(source) for source in before[: -2 * BATCH]], NOW)
        assert all(answer.settled for answer in settled)


async def over_a_death(gateways: Gateways, master: Any, replica: Any, kind: str) -> list[str]:
    """Two workers while the master is killed, its replica takes over and it returns; what was admitted before."""

    def ten_batches_after(count: int) -> Callable[[], bool]:
        return lambda: len(gateways.admitted) > count + 10 * BATCH

    async with asyncio.TaskGroup() as group:
        for partition in range(2):
            group.create_task(gateways.work(partition))
        await gateways.until("work before", ten_batches_after(0))
        before = list(gateways.admitted)
        assert await asyncio.to_thread(replicated, gateways.servers, kind)
        await asyncio.to_thread(master.kill)
        await gateways.until("a trouble is said", lambda: bool(gateways.troubles))
        await gateways.until(
            "the replica is master", lambda: "role:master" in replica.ask("info", "replication")
        )
        await gateways.until("work after the failover", ten_batches_after(len(gateways.admitted)))
        await asyncio.to_thread(master.start)
        await gateways.until(
            "the dead one is a replica",
            lambda: "role:slave" in master.ask("info", "replication"),
            RETURN_PATIENCE_S,
        )
        await gateways.until("work after the return", ten_batches_after(len(gateways.admitted)))
        gateways.stopping = True
    return before


async def test_no_sentinel_is_forgotten(make_redis: Make) -> None:
    """Many connections at once ask for the master, the first sentinels being away: afterwards all are still known."""
    redis = make_redis("RedisSentinel")
    redis.sentinels[0].kill()
    link = Link(StateSettings(url=redis.url))
    try:
        assert link._sentinel is not None
        known = {id(one) for one in link._sentinel.sentinels}
        for _ in range(5):
            found = await asyncio.gather(*[link._sentinel.discover_master("pushgw-test") for _ in range(20)])
            assert set(found) == {("127.0.0.1", redis.master.port)}
        assert {id(one) for one in link._sentinel.sentinels} == known
    finally:
        await link.close()


def replicated(redis: Any, kind: str) -> bool:
    """Whether all that was written until now is on the replicas."""
    masters = [redis.master] if kind == "sentinel" else redis.masters
    return all(int(master.ask("wait", "1", "5000")) == 1 for master in masters)


async def test_a_cluster_without_one_master_says_which(make_redis: Make) -> None:
    """Without a replica nothing is guessed for the lost shards: all that touches them waits, and goes on after a restart."""
    cluster = make_redis("RedisCluster")
    async with working(cluster, timeout=1.0) as gateways:
        store = gateways.store
        batch = [gateways.question(f"im/0/{n}") for n in range(200)]
        await store.admit(batch, NOW)
        cluster.masters[1].stop()
        for _ in range(3):
            with pytest.raises(StateUnavailable, match="Redis Cluster"):
                await store.admit(batch, NOW)
        cluster.masters[1].start()
        assert await gateways.owners([one.source for one in batch]) == [one.source for one in batch]


async def test_shards_move_to_another_node(make_redis: Make) -> None:
    """While a shard's slot moves, with half of its keys here and half there, nothing is answered from one half: calls
    wait, and afterwards every owner is known."""
    cluster = make_redis("RedisCluster")
    async with working(cluster, shards=1 + 1) as gateways:
        store = gateways.store
        sources = [f"im/0/{n}" for n in range(60)]
        await store.admit([gateways.question(source) for source in sources], NOW)
        tag = Shards(2).tags[1]
        slot = cluster.masters[0].ask("cluster", "keyslot", tag)
        source, target = holder_and_other(cluster, tag)
        ids = {node: node.ask("cluster", "myid") for node in (source, target)}
        assert target.ask("cluster", "setslot", slot, "importing", ids[source]) == "OK"
        assert source.ask("cluster", "setslot", slot, "migrating", ids[target]) == "OK"
        keys = source.ask("cluster", "getkeysinslot", slot, "10000").splitlines()
        move(source, target, keys[: len(keys) // 2])
        with pytest.raises(StateUnavailable, match="moves these keys to another node"):
            await store.admit([gateways.question("other/0/1", one) for one in sources], NOW)
        move(source, target, keys[len(keys) // 2 :])
        for node in (target, source, *[n for n in cluster.masters if n not in ids]):
            assert node.ask("cluster", "setslot", slot, "node", ids[target]) == "OK"
        assert await gateways.owners(sources) == sources


def holder_and_other(cluster: Any, tag: str) -> tuple[Any, Any]:
    """The node that has keys of this tag, and one that has none."""
    with_keys = [node for node in cluster.masters if node.ask("keys", f"{tag}*")]
    return with_keys[0], next(node for node in cluster.masters if node is not with_keys[0])


def move(source: Any, target: Any, keys: list[str]) -> None:
    moved = source.ask("migrate", "127.0.0.1", str(target.port), "", "0", "5000", "keys", *keys)
    assert moved in ("OK", "NOKEY")
