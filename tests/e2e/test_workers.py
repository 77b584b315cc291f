"""`pushgw run` as a worker, and under its supervisor, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from typing import Any

import httpx

PATIENT = {"PUSHGW_DISPATCH__TIMEOUT": "120", "PUSHGW_SHUTDOWN__GRACE": "600"}
SUPERVISED = """
import sys
from pushgw.cli.logs import set_up_logs
from pushgw.cli.loop import run_async
from pushgw.cli.output import print_json
from pushgw.cli.supervise import commands, supervise
from pushgw.settings import load_settings

settings = load_settings()
set_up_logs(settings.log, for_good=True)
code, summary = run_async(supervise(settings, commands(1, None)))
print_json(summary)
sys.exit(code)
"""
"""What `--workers` does, with a single worker: so it is shown on SQLite too."""


def lines(rig: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in rig.log().splitlines()]


async def until_said(rig: Any, event: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while len(found := [line for line in lines(rig) if line.get("event") == event]) < count:
            await asyncio.sleep(0.05)
    return found


async def in_flight(rig: Any, count: int) -> None:
    async with asyncio.timeout(60):
        while rig.sandbox.journal.of("apns").accepted < count:
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def ready(address: str, status: int = 200, **transport: Any) -> dict[str, Any]:
    """/readyz, once it answers with this status."""
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(**transport)) as client,
    ):
        while True:
            try:
                found = await client.get(f"http://{address}/readyz", headers={"accept": "application/json"})
                if found.status_code == status:
                    return dict(found.json())
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_a_worker_answers_on_its_socket_and_names_itself(rig: Any, message: Any) -> None:
    """A worker serves its health on the socket it was given, and each line of its log has its number."""
    path = rig.home / "one.sock"
    worker = rig.gateway("--worker", "7", "--socket", str(path))
    await rig.put_devices("bob")
    await rig.publish(message("bob"))
    await rig.collect(1)
    assert (await ready("worker", uds=str(path)))["kafka"] == "ok"
    assert await rig.stop(worker) == 0
    assert {line["worker"] for line in lines(rig)} == {7}


async def test_a_worker_without_supervisor_finishes_and_ends(rig: Any, message: Any) -> None:
    """When the line to the supervisor breaks, a worker drains as at SIGTERM: receipts and commits come, exit code 0."""
    await rig.sandbox_again("apns=latency-2000")
    worker = rig.gateway("--worker", "1")
    await rig.put_devices("bob")
    await rig.publish(message("bob"))
    await in_flight(rig, 1)
    worker.stdin.close()
    assert await asyncio.to_thread(worker.wait, 60) == 0
    assert len(await until_said(rig, "supervisor_gone")) == 1
    assert await rig.committed(rig.topics.messages) == 1


async def test_two_signals_to_a_worker_are_not_a_second_stop(rig: Any, message: Any) -> None:
    """systemd signals supervisor and workers alike: a worker that got SIGTERM twice still drains; only the word `now`
    of its supervisor ends it at once."""
    await rig.sandbox_again("apns=latency-100000")
    worker = rig.gateway("--worker", "1", **PATIENT)
    await rig.put_devices("bob")
    await rig.publish(message("bob"))
    await in_flight(rig, 1)
    worker.send_signal(signal.SIGTERM)
    await until_said(rig, "stopping")
    worker.send_signal(signal.SIGTERM)
    worker.stdin.write(b"stop\n")
    worker.stdin.flush()
    assert await asyncio.to_thread(_alive_after_a_moment, worker)
    worker.stdin.write(b"now\n")
    worker.stdin.flush()
    assert await asyncio.to_thread(worker.wait, 60) == 1
    assert [line["event"] for line in lines(rig) if line["event"].startswith("stopping")] == [
        "stopping",
        "stopping_at_once",
    ]


def _alive_after_a_moment(process: Any) -> bool:
    """Whether it outlives what an immediate end would take, the time to close included."""
    try:
        process.wait(4)
    except subprocess.TimeoutExpired:
        return True
    return False


async def test_a_killed_worker_comes_back_and_goes_on(rig: Any, message: Any) -> None:
    """kill -9 of a worker: said with its signal, /readyz 503 meanwhile and 200 again, its records are delivered by the
    next process with one vendor-side id each; SIGTERM of the supervisor ends all with 0, and one sum is printed."""
    port = free_port()
    supervisor = rig.gateway(command=("-c", SUPERVISED), PUSHGW_HTTP__LISTEN=f"127.0.0.1:{port}")
    first = await ready(f"127.0.0.1:{port}")
    assert first["workers"]["1"]["kafka"] == "ok"
    await rig.put_devices("bob")
    await rig.publish(*[message("bob") for _ in range(10)])
    await rig.collect(10)
    [started] = await until_said(rig, "worker_started")
    os.kill(started["pid"], signal.SIGKILL)
    [died] = await until_said(rig, "worker_died")
    assert (died["worker"], died["how"]) == (1, "SIGKILL")
    await rig.publish(*[message("bob") for _ in range(10)])
    receipts = await rig.collect(20)
    while len({r["PushGateway"]["Source"] for r in receipts}) < 20:
        receipts = await rig.collect(len(receipts) + 1)  # one whose mark the kill forestalled came twice
    assert len({r["PushID"] for r in receipts}) == 20
    assert rig.sandbox.journal.counts().distinct == 20
    await rig.until_committed(rig.topics.messages, 20)
    assert (await ready(f"127.0.0.1:{port}"))["workers"]["1"]["process"] == "running"
    assert await rig.stop(supervisor) == 0
    summary = lines(rig)[-1]
    assert summary["restarts"] == 1
    assert summary["pushed"]["apns"] >= 10


async def test_the_second_signal_reaches_the_workers(rig: Any, message: Any) -> None:
    """The supervisor's first SIGTERM drains its worker, the second ends it at once, with exit code 1; nothing is lost."""
    await rig.sandbox_again("apns=latency-100000")
    supervisor = rig.gateway(command=("-c", SUPERVISED), **PATIENT)
    await rig.put_devices("bob")
    await rig.publish(message("bob"))
    await in_flight(rig, 1)
    supervisor.send_signal(signal.SIGTERM)
    await until_said(rig, "stopping", 2)
    assert supervisor.poll() is None
    assert await rig.stop(supervisor) == 1
    [ended] = await until_said(rig, "worker_ended")
    assert ended["how"] == "exit code 1"
    await rig.sandbox_again()
    rig.gateway()
    assert len(await rig.collect(1)) == 1
    await rig.until_committed(rig.topics.messages, 1)


async def test_workers_outlive_no_supervisor(rig: Any) -> None:
    """kill -9 of the supervisor: its worker says so and ends by itself."""
    supervisor = rig.gateway(command=("-c", SUPERVISED))
    await rig.put_devices("bob")
    [started] = await until_said(rig, "worker_started")
    supervisor.kill()
    await until_said(rig, "supervisor_gone")
    await until_said(rig, "gateway_stopped")
    async with asyncio.timeout(30):
        while _exists(started["pid"]):
            await asyncio.sleep(0.05)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
