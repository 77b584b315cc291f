"""`pushgw run --workers 2` in earnest: two gateways of one group share a Redis, one log, one endpoint."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections import Counter
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.redis, pytest.mark.parametrize("servers", ["embedded"], indirect=True)]
USERS = [f"u{n}" for n in range(40)]


def lines(rig: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in rig.log().splitlines()]


def said(rig: Any, event: str) -> list[dict[str, Any]]:
    return [line for line in lines(rig) if line.get("event") == event]


async def until(true: Any) -> Any:
    async with asyncio.timeout(60):
        while not (found := true()):
            await asyncio.sleep(0.05)
    return found


def two_workers(rig: Any, redis_server: Any, **more: str) -> tuple[Any, str]:
    """Start them; the process and the address of /readyz."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    state = rig.settings.state.model_copy(update={"url": redis_server.url})
    rig.settings = rig.settings.model_copy(update={"state": state})
    return rig.gateway("--workers", "2", "--json", PUSHGW_HTTP__LISTEN=address, **more), address


async def ready(address: str) -> dict[str, Any]:
    async with asyncio.timeout(60), httpx.AsyncClient(headers={"accept": "application/json"}) as client:
        while True:
            try:
                found = await client.get(f"http://{address}/readyz")
                if found.status_code == 200:
                    return dict(found.json())
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


def both_have_partitions(rig: Any) -> bool:
    """Whether each worker's newest assignment of the message topics is a part of them."""
    group = rig.settings.kafka.group_id
    assigned = [line for line in said(rig, "partitions_assigned") if line["group"] == group]
    newest = {line["worker"]: line["partitions"] for line in assigned}
    return set(newest) == {1, 2} and max(newest.values()) < 8


async def test_two_workers_share_the_work(rig: Any, message: Any, redis_server: Any) -> None:
    """Both push, each record once; every line of the log is whole and a worker's has its number; the sum is printed."""
    supervisor, address = two_workers(rig, redis_server)
    assert set((await ready(address))["workers"]) == {"1", "2"}
    await until(lambda: both_have_partitions(rig))
    await rig.put_devices(*USERS)
    await rig.publish(*[message(user, sender=f"s{n}") for n, user in enumerate(USERS * 5)])
    receipts = await rig.collect(200)
    await rig.until_committed(rig.topics.messages, 200)
    assert len({r["PushGateway"]["Source"] for r in receipts}) == 200
    assert {r["PushGateway"]["Verdict"] for r in receipts} == {"pushed"}
    assert rig.sandbox.journal.counts().accepted == 200
    assert await rig.stop(supervisor) == 0
    stopped = {line["worker"]: line["pushed"]["apns"] for line in said(rig, "gateway_stopped")}
    assert set(stopped) == {1, 2}
    assert min(stopped.values()) > 0
    summary = lines(rig)[-1]
    assert (summary["pushed"], summary["receipts"], summary["restarts"]) == ({"apns": 200}, 200, 0)
    ours = ("supervisor_", "worker_", "credentials", "topics_", "stopping")
    assert all("worker" in line or line["event"].startswith(ours) for line in lines(rig)[:-1])


async def test_a_killed_worker_loses_nothing(rig: Any, message: Any, redis_server: Any) -> None:
    """kill -9 of one of two workers with pushes in flight: it comes back, every record has its receipt, and a repeat has
    the vendor-side id of the first."""
    await rig.sandbox_again("apns=latency-1000")
    supervisor, address = two_workers(rig, redis_server)
    await ready(address)
    await until(lambda: both_have_partitions(rig))
    await rig.put_devices(*USERS)
    await rig.publish(*[message(user, sender=f"s{n}") for n, user in enumerate(USERS * 3)])
    await until(lambda: rig.sandbox.journal.counts().accepted > 20)
    pid = next(line["pid"] for line in said(rig, "worker_started") if line["worker"] == 1)
    os.kill(pid, signal.SIGKILL)
    await rig.until_committed_slow(120)
    await rig.quiet()
    sources = Counter(r["PushGateway"]["Source"] for r in rig.receipts)
    assert len(sources) == 120
    assert rig.sandbox.journal.counts().distinct == 120
    [died] = said(rig, "worker_died")
    assert (died["worker"], died["how"]) == (1, "SIGKILL")
    await ready(address)
    assert await rig.stop(supervisor) == 0
