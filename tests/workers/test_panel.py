"""/livez, /readyz and /metrics of the supervisor, asked over TCP; the workers answer on their socket files."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from pushgw.listener import Listener, Page, page_of
from pushgw.metrics import sum_expositions
from pushgw.workers.panel import Panel
from pushgw.workers.restarts import Restarts
from pushgw.workers.worker import Death, Stage, Worker


class House:
    """Workers as the supervisor sees them, and what each answers."""

    def __init__(self, home: Path, stack: AsyncExitStack) -> None:
        self._home = home
        self._stack = stack
        self.workers: list[Worker] = []
        self.answers: dict[int, dict[str, Page]] = {}

    async def add(self, *, serving: bool = True) -> Worker:
        number = len(self.workers) + 1
        worker = Worker(number, [], self._home / f"{number}.sock", Restarts())
        worker.stage, worker.life = Stage.RUNNING, 1
        self.workers.append(worker)
        self.answers[number] = {
            "/livez": page_of(200, {"live": True}, True),
            "/readyz": page_of(200, {"ready": True, "kafka": "ok"}, True),
            "/metrics": Page(
                200, "text/plain; version=0.0.4", b"# TYPE pushed_total counter\npushed_total 1\n"
            ),
        }

        async def pages(path: str, as_json: bool) -> Page:
            assert as_json
            return self.answers[number][path]

        if serving:
            await self._stack.enter_async_context(Listener(f"unix:{worker.socket}", pages))
        return worker

    async def panel(self, **options: Any) -> httpx.AsyncClient:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        panel = Panel(tuple(self.workers), sum_expositions, **options)
        await self._stack.enter_async_context(Listener(f"127.0.0.1:{port}", panel.page))
        return await self._stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"accept": "application/json"})
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(tmp_path, stack)


async def test_all_ready(house: House) -> None:
    """Every worker ready: 200, and each worker's own sentences by its number."""
    await house.add()
    await house.add()
    found = await (await house.panel()).get("/readyz")
    one = {"ready": True, "process": "running", "kafka": "ok"}
    assert (found.status_code, found.json()) == (200, {"ready": True, "workers": {"1": one, "2": one}})


async def test_the_worst_worker_decides(house: House) -> None:
    """One worker that is not ready makes 503, with that worker's sentence."""
    await house.add()
    second = await house.add()
    house.answers[2]["/readyz"] = page_of(503, {"ready": False, "kafka": "no answer from Kafka"}, True)
    client = await house.panel()
    found = await client.get("/readyz")
    assert found.status_code == 503
    assert found.json()["ready"] is False
    assert found.json()["workers"]["2"] == {
        "ready": False,
        "process": second.state,
        "kafka": "no answer from Kafka",
    }
    assert (await client.get("/livez")).status_code == 200


async def test_a_dead_worker_is_not_ready_but_live(house: House) -> None:
    """A worker that waits for its next start: /readyz 503 says how it died; /livez 200, for the supervisor sees to it."""
    await house.add()
    dead = await house.add(serving=False)
    dead.stage, dead.last = Stage.WAITING, Death(-9, 3.0)
    client = await house.panel()
    found = await client.get("/readyz")
    assert found.status_code == 503
    assert found.json()["workers"]["2"] == {"ready": False, "process": "died (SIGKILL) and starts again"}
    assert (await client.get("/livez")).status_code == 200
    dead.stage = Stage.ENDED
    said = (await client.get("/livez")).json()["workers"]["2"]
    assert said == {"live": True, "process": "ended (SIGKILL)"}


async def test_a_worker_that_starts_is_not_ready_but_live(house: House) -> None:
    """A process without a socket yet is starting."""
    await house.add(serving=False)
    client = await house.panel()
    found = await client.get("/readyz")
    assert (found.status_code, found.json()["workers"]["1"]["process"]) == (503, "starting")
    assert (await client.get("/livez")).status_code == 200


async def test_a_worker_that_hangs_is_not_live(house: House) -> None:
    """A process that takes questions and never answers makes /livez and /readyz 503, within the timeout."""
    await house.add()
    hanging = await house.add(serving=False)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(hanging.socket))
        server.listen()
        client = await house.panel(timeout=0.2)
        found = await client.get("/livez")
        assert found.status_code == 503
        assert found.json()["workers"]["1"]["live"] is True
        assert found.json()["workers"]["2"] == {"live": False, "process": "no answer within 0.2 s"}
        assert (await client.get("/readyz")).status_code == 503


async def test_one_endpoint_shows_the_sum(house: House) -> None:
    """/metrics adds up what the workers count, as Prometheus' text."""
    await house.add()
    await house.add()
    house.answers[2]["/metrics"] = Page(
        200, "text/plain; version=0.0.4", b"# TYPE pushed_total counter\npushed_total 41\n"
    )
    found = await (await house.panel()).get("/metrics")
    assert "# TYPE pushed_total counter\npushed_total 42.0\n" in found.text
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_the_sum_does_not_fall_with_a_worker(house: House) -> None:
    """A worker that is dead, and its next life that counts from 0, take nothing from the counters; its gauges are gone."""
    await house.add()
    second = await house.add()
    text = b"# TYPE pushed_total counter\npushed_total %d\n# TYPE in_flight gauge\nin_flight %d\n"
    house.answers[1]["/metrics"] = Page(200, "text/plain; version=0.0.4", text % (100, 7))
    house.answers[2]["/metrics"] = Page(200, "text/plain; version=0.0.4", text % (50, 5))
    client = await house.panel()

    async def sums() -> tuple[str, ...]:
        lines = (await client.get("/metrics")).text.splitlines()
        return tuple(line for line in lines if not line.startswith("#"))

    assert await sums() == ("pushed_total 150.0", "in_flight 12.0")
    second.stage = Stage.WAITING
    assert await sums() == ("pushed_total 150.0", "in_flight 7.0")
    second.stage, second.life = Stage.RUNNING, 2
    house.answers[2]["/metrics"] = Page(200, "text/plain; version=0.0.4", text % (3, 1))
    assert await sums() == ("pushed_total 153.0", "in_flight 8.0")
    second.life = 3
    house.answers[2]["/metrics"] = Page(200, "text/plain; version=0.0.4", text % (4, 0))
    assert await sums() == ("pushed_total 157.0", "in_flight 7.0")


async def test_people_read_lines(house: House) -> None:
    """Without asking for JSON there is a line for each fact of each worker."""
    await house.add()
    dead = await house.add(serving=False)
    dead.stage, dead.last = Stage.WAITING, Death(1, 3.0)
    found = await (await house.panel()).get("/readyz", headers={"accept": "*/*"})
    assert found.text.splitlines() == [
        "ready: no",
        "worker 1 ready: yes",
        "worker 1 process: running",
        "worker 1 kafka: ok",
        "worker 2 ready: no",
        "worker 2 process: died (exit code 1) and starts again",
    ]


async def test_other_paths(house: House) -> None:
    """What is not there is said with what is."""
    await house.add()
    found = await (await house.panel()).get("/")
    assert (found.status_code, found.json()) == (404, {"error": "there are /livez, /readyz and /metrics"})
