"""The way to a Redis: TLS, passwords, rights, what is wrong with a server, and one sentence for each trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from pushgw.messages.model import DevicePut
from pushgw.sandbox.authority import CA_FILE, make_authority
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import Admit, Settlement, StateMissing, StateStore, StateUnavailable, Suspect
from pushgw.state.redis_link import Link

pytestmark = pytest.mark.redis

NOW = 1_795_500_000.0
SECRET = "hunter2"

Make = Callable[..., Any]


async def opened(url: str, **more: Any) -> StateStore:
    return await open_store(StateSettings(url=url, **more))


async def refusal(url: str, **more: Any) -> str:
    with pytest.raises(StateUnavailable) as caught:
        await opened(url, **more)
    return str(caught.value)


def ask(source: str = "im/0/1") -> Admit:
    return Admit(
        app=0,
        source=source,
        event_key="e",
        receivers=("bob",),
        claims=(),
        tombstones=("m",),
        peer=None,
        group_id=None,
        topic_id=None,
    )


async def every_call(store: StateStore) -> None:
    """All that a gateway asks of its store."""
    put = DevicePut(app=0, user="bob", time_ms=1, device_id="d", business_id=1, token="t")
    held = Suspect(
        business_id=1,
        vendor="apns",
        app=0,
        user="bob",
        device_id="d",
        token="t",
        sent_ms=1,
        dead_since_ms=None,
        code="410",
        held_ms=1,
    )
    await store.apply([put])
    await store.bury(["m"], NOW)
    [answer] = await store.admit([ask()], NOW)
    assert answer.receivers[0].user.devices[0].token == "t"
    assert answer.receivers[0].recalled
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    await store.hold([held], NOW)
    assert await store.suspects() == [held]
    await store.expire(NOW)
    await store.options(0, "bob")
    await store.shown(["m"], NOW)


# --- TLS, passwords, rights ---------------------------------------------------------------------------------


async def test_tls(make_redis: Make, tmp_path: Path) -> None:
    """rediss:// trusts who `state.ca_file` names, and nobody else; a server without TLS does not answer."""
    make_authority(tmp_path)
    server = make_redis("RedisServer", tls=tmp_path)
    assert server.url.startswith("rediss://")
    store = await opened(server.url, ca_file=tmp_path / CA_FILE)
    await every_call(store)
    await store.close()
    assert "state.ca_file" in await refusal(server.url)
    assert "cannot be reached" in await refusal(server.url.replace("rediss:", "redis:"), timeout=1.0)
    plain = make_redis("RedisServer").url.replace("redis:", "rediss:")
    assert "did not answer" in await refusal(plain, ca_file=tmp_path / CA_FILE, timeout=0.5)


async def test_password(make_redis: Make) -> None:
    """The right password opens; a wrong one or none is said without repeating it."""
    server = make_redis("RedisServer", f"requirepass {SECRET}")
    url = server.url.replace("://", f"://:{SECRET}@")
    store = await opened(url)
    await every_call(store)
    await store.close()
    assert "wants a password" in await refusal(server.url)
    wrong = await refusal(url.replace(SECRET, "hunter3"))
    assert "refuses the user or password" in wrong
    assert "hunter" not in wrong


async def test_the_least_rights(make_redis: Make) -> None:
    """An ACL user with the rights that the sentence about missing ones names can do all; with fewer it is said which."""
    server = make_redis("RedisServer")
    rights = ["~pushgw:*", "+@read", "+@write", "+@connection", "+@scripting", "+info"]
    server.ask("acl", "setuser", "gateway", "on", f">{SECRET}", *rights)
    url = server.url.replace("://", f"://gateway:{SECRET}@")
    store = await opened(url)
    await every_call(store)
    server.ask("acl", "setuser", "gateway", "-@scripting")
    with pytest.raises(StateUnavailable) as caught:
        await store.admit([ask("im/0/9")], NOW)
    await store.close()
    assert " ".join(rights) in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_tls_and_password_of_sentinels(make_redis: Make) -> None:
    """Sentinels may want a password of their own."""
    sentinels = make_redis("RedisSentinel", sentinels=1)
    sentinels.sentinels[0].ask("config", "set", "requirepass", SECRET)
    sentinels.sentinels[0].ask("sentinel", "config", "set", "sentinel-pass", SECRET)
    store = await opened(sentinels.url)
    await store.close()


# --- troubles -----------------------------------------------------------------------------------------------


async def test_nobody_there(make_redis: Make) -> None:
    """Nothing listens, an unknown name, or an unknown service: each names the place and the mend."""
    server = make_redis("RedisServer")
    server.kill()
    port = server.port
    assert (
        await refusal(server.url)
        == f"Redis 127.0.0.1:{port} cannot be reached: start it, or correct state.url"
    )
    assert "host name is unknown" in await refusal("redis://no-such-host.invalid:1")
    assert "Redis Cluster" in await refusal(f"redis+cluster://127.0.0.1:{port}")
    assert "has no master" in await refusal(f"redis+sentinel://127.0.0.1:{port}/main")


async def test_a_wrong_database_and_a_part_of_a_cluster(redis_server: Any, redis_cluster: Any) -> None:
    """Both are told from a server that is down."""
    assert "no database of that number" in await refusal(redis_server.url.replace("/0", "/99"))
    node = redis_cluster.masters[0]
    assert "write state.url as redis+cluster://" in await refusal(node.url)
    assert "write state.url as redis://" in await refusal(f"redis+cluster://127.0.0.1:{redis_server.port}")


TROUBLES = {
    "memory is full": (("config", "set", "maxmemory", "1"), "has reached maxmemory"),
    "it became a replica": (("replicaof", "127.0.0.1", "1"), "takes no writes"),
    "too few replicas": (("config", "set", "min-replicas-to-write", "1"), "fewer replicas"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_server_that_takes_no_writes(make_redis: Make, trouble: str) -> None:
    """Nothing is half done and nothing guessed: the call ends in a sentence, and works again when the cause is gone."""
    words, sentence = TROUBLES[trouble]
    server = make_redis("RedisServer")
    store = await opened(server.url)
    await store.admit([ask()], NOW)
    assert server.ask(*words) == "OK"
    with pytest.raises(StateUnavailable, match=sentence):
        await store.admit([ask("im/0/2")], NOW)
    with pytest.raises(StateUnavailable, match=sentence):
        await store.settle([Settlement(source="im/0/2", complete=True)], NOW)
    server.ask("replicaof", "no", "one")
    server.ask("config", "set", "maxmemory", "0")
    server.ask("config", "set", "min-replicas-to-write", "0")
    [answer] = await store.admit([ask("im/0/2")], NOW)
    assert (answer.settled, answer.redelivered_of) == (False, "im/0/1")
    await store.close()


async def test_a_server_that_still_loads(make_redis: Make) -> None:
    """After a restart with much data: said as such."""
    server = make_redis("RedisServer")
    store = await opened(server.url)
    for n in range(40):
        server.ask("set", f"other:{n}", os.urandom(2000).hex())
    server.ask("bgrewriteaof")
    while "aof_rewrite_in_progress:1" in server.ask("info", "persistence"):
        await asyncio.sleep(0.02)
    server.kill()
    with server._config.open("a") as config:
        config.write("key-load-delay 50000\nloading-process-events-interval-bytes 1024\n")
    server.start(wait=False)
    said = set()
    deadline = time.monotonic() + 20
    while "is still reading its data from disk" not in " ".join(said) and time.monotonic() < deadline:
        try:
            await store.admit([ask()], NOW)
        except StateUnavailable as error:
            said.add(str(error))
        else:
            break
    assert "is still reading its data from disk" in " ".join(said)
    await store.close()


async def test_a_server_that_hangs(make_redis: Make) -> None:
    """A call is bounded by `state.timeout`; when the server goes on, so does the store, with its own answers."""
    server = make_redis("RedisServer")
    store = await opened(server.url, timeout=0.3)
    await store.admit([ask()], NOW)
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StateUnavailable, match=r"did not answer within state\.timeout"):
            await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    finally:
        os.kill(server._process.pid, signal.SIGCONT)
    [first, second] = await store.admit([ask("im/0/2"), ask("im/0/3")], NOW)
    assert (first.redelivered_of, second.redelivered_of) == ("im/0/1", "im/0/1")
    await store.close()


# --- what is looked at at the start -------------------------------------------------------------------------


async def test_eviction_and_volatility_are_said_loudly(make_redis: Make) -> None:
    """A policy that evicts, and a server without append-only file, are logged at the start with the mend."""
    server = make_redis("RedisServer")
    with structlog.testing.capture_logs() as logs:
        await (await opened(server.url)).close()
    assert logs == []
    server.ask("config", "set", "maxmemory-policy", "allkeys-lru")
    server.ask("config", "set", "appendonly", "no")
    with structlog.testing.capture_logs() as logs:
        await (await opened(server.url)).close()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("state_evicts", "error"),
        ("state_not_durable", "warning"),
    ]
    assert "noeviction" in logs[0]["mend"]


async def test_an_old_server_is_refused() -> None:
    """Redis before 7 lacks what the scripts need."""
    link = Link(StateSettings(url="redis://127.0.0.1:1"))
    with pytest.raises(StateUnavailable, match=r"is Redis 6\.2\.14: Redis 7 or newer"):
        link._judge({"redis_version": "6.2.14"})
    link._judge({"redis_version": "7.2.4", "valkey_version": "8.0.1", "aof_enabled": "1"})
    await link.close()


async def test_another_number_of_shards_finds_nothing_and_is_refused(redis_cluster: Any) -> None:
    """The number of shards is fixed once there is data; the sentence has the right one. So is the layout's version."""
    await (await opened(redis_cluster.url, shards=4)).close()
    assert "set state.shards = 4" in await refusal(redis_cluster.url)
    await (await opened(redis_cluster.url, shards=4)).close()


async def test_a_later_layout_is_refused(redis_server: Any) -> None:
    """What a later pushgw wrote is left alone. A command that only looks writes nothing into an empty Redis, and says so."""
    with pytest.raises(StateMissing, match="holds no state yet"):
        await open_store(StateSettings(url=redis_server.url), read_only=True)
    assert redis_server.ask("dbsize") == "0"
    redis_server.ask("set", "pushgw:{0}:layout", "2 1")
    assert "another version of pushgw (layout 2)" in await refusal(redis_server.url)


def test_without_a_server_make_says_so(tmp_path: Path) -> None:
    """`make test-redis` on a machine without redis-server ends with a sentence, not with skipped tests."""
    checkout = Path(__file__).resolve().parents[2]
    for tool in ("make", "sh", "bash", "touch", "awk", "echo"):
        found = subprocess.run(["which", tool], capture_output=True, text=True, check=False).stdout.strip()
        if found:
            (tmp_path / tool).symlink_to(found)
    done = subprocess.run(
        ["make", "-o", ".venv/.installed", "test-redis"],
        cwd=checkout,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "make test-redis: needs redis-server 7 or newer" in done.stdout + done.stderr
