"""The supervisor with real processes: restarts, give-ups, stops, and what the log says of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio import wait_for
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from pushgw.workers import supervisor as supervisor_module
from pushgw.workers.lifeline import Word
from pushgw.workers.supervisor import Supervisor
from pushgw.workers.worker import Stage


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def of(logs: list[Any], event: str) -> list[Any]:
    return [line for line in logs if line["event"] == event]


async def test_workers_run_until_they_are_told_to_stop(rack: Any, logs: list[Any]) -> None:
    """Every worker is started once, finishes at `stop`, and the supervisor ends with 0 and what each printed."""
    supervisor = Supervisor([rack.worker(n, "obey") for n in (1, 2, 3)], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1) == rack.lives(2) == rack.lives(3) == 1)
    assert len({worker.pid for worker in supervisor.workers}) == 3
    supervisor.stop()
    assert await wait_for(running, 60) == 0
    assert [line["worker"] for line in of(logs, "worker_started")] == [1, 2, 3]
    assert {n: b'"received": 2' in death.stdout for n, death in supervisor.deaths.items()} == {
        1: True,
        2: True,
        3: True,
    }


async def test_a_dead_worker_is_started_again_and_said(rack: Any, logs: list[Any]) -> None:
    """A worker that is killed, then exits by itself, comes back each time, later; the log has signal, code and wait."""
    supervisor = Supervisor([rack.worker(1, "killed,exit:1,exit:0,obey"), rack.worker(2, "obey")], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1) == 4 and supervisor.workers[0].pid)
    assert rack.lives(2) == 1
    supervisor.stop()
    assert await wait_for(running, 60) == 0
    died = of(logs, "worker_died")
    assert [(line["worker"], line["how"]) for line in died] == [
        (1, "SIGKILL"),
        (1, "exit code 1"),
        (1, "exit code 0"),
    ]
    assert [line["starts_again_in_s"] for line in died] == [0.01, 0.02, 0.04]


async def test_a_worker_that_cannot_live_does_not_end_the_others(rack: Any, logs: list[Any]) -> None:
    """While one worker lives, another that dies again and again is tried on, and called failing."""
    supervisor = Supervisor([rack.worker(1, "exit:1", first_wait=0.001), rack.worker(2, "obey")], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1) == 7)
    assert not running.done()
    assert of(logs, "worker_failing")[0]["how"] == "exit code 1"
    assert len(of(logs, "worker_died")) == 4
    supervisor.stop()
    await wait_for(running, 60)
    assert rack.lives(2) == 1


async def test_when_no_worker_can_live_the_supervisor_ends(rack: Any, logs: list[Any]) -> None:
    """All workers die at once, five times each: the supervisor says so and ends with their exit code."""
    workers = [rack.worker(n, "exit:4", first_wait=0.001) for n in (1, 2)]
    assert await wait_for(Supervisor(workers, grace=30).run(), 60) == 4
    assert min(rack.lives(1), rack.lives(2)) == 5
    [said] = of(logs, "no_worker_can_live")
    assert (said["workers"], said["last"], said["exit_code"]) == (2, "exit code 4", 4)


async def test_a_worker_that_a_signal_ends_again_and_again_is_exit_1(rack: Any) -> None:
    """An end without an exit code of ours becomes 1."""
    assert await wait_for(Supervisor([rack.worker(1, "killed", first_wait=0.001)], grace=30).run(), 60) == 1


async def test_wrong_configuration_is_not_tried_again(rack: Any, logs: list[Any]) -> None:
    """Exit code 3 ends a worker for good; when none is left the supervisor ends with 3."""
    supervisor = Supervisor([rack.worker(1, "exit:3"), rack.worker(2, "obey")], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: supervisor.workers[0].stage is Stage.ENDED and rack.lives(2))
    assert not running.done()
    os.kill(supervisor.workers[1].pid or 0, signal.SIGKILL)
    await rack.until(lambda: rack.lives(2) == 2)
    supervisor.stop()
    await wait_for(running, 60)
    assert rack.lives(1) == 1
    assert of(logs, "worker_given_up")[0]["worker"] == 1
    assert await wait_for(Supervisor([rack.worker(n, "exit:3") for n in (3, 4)], grace=30).run(), 60) == 3


async def test_the_second_stop_ends_them_at_once(rack: Any) -> None:
    """`stop_now` reaches workers that are still finishing, and the exit code says that it was not a clean end."""
    supervisor = Supervisor([rack.worker(1, "obey"), rack.worker(2, "obey")], grace=1000)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1) == rack.lives(2) == 1)
    supervisor.stop_now()
    assert await wait_for(running, 60) == 1
    assert {death.code for death in supervisor.deaths.values()} == {1}


async def test_a_worker_that_does_not_end_is_killed(
    rack: Any, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that ignores the stop is killed when the grace and a farewell are over, and that is said."""
    monkeypatch.setattr(supervisor_module, "FAREWELL_S", 0.1)
    supervisor = Supervisor([rack.worker(1, "deaf")], grace=0.1)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1))
    supervisor.stop()
    assert await wait_for(running, 60) == 1
    assert of(logs, "worker_killed")[0]["worker"] == 1
    assert of(logs, "worker_ended")[0]["how"] == "SIGKILL"


async def test_a_stop_while_a_worker_waits_for_its_next_start(rack: Any) -> None:
    """A worker that is dead at the stop is not started again, and its wait holds nothing up."""
    supervisor = Supervisor([rack.worker(1, "exit:1", first_wait=1000.0)], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: supervisor.workers[0].last)
    supervisor.stop()
    assert await wait_for(running, 15) == 0  # it would have waited for 30
    assert rack.lives(1) == 1


async def test_a_command_that_cannot_be_started_counts_as_a_death(rack: Any, logs: list[Any]) -> None:
    """When the system makes no process the worker is waited for like one that died, with the system's words."""
    worker = rack.worker(1, "obey", first_wait=0.001)
    worker._command = ["/does/not/exist"]
    assert await wait_for(Supervisor([worker], grace=30).run(), 60) == 1
    assert "No such file" in of(logs, "worker_died")[0]["how"]


async def test_a_supervisor_that_is_cancelled_leaves_no_process(rack: Any) -> None:
    """Cancelling `run` kills what it had started."""
    supervisor = Supervisor([rack.worker(1, "deaf")], grace=30)
    running = asyncio.create_task(supervisor.run())
    await rack.until(lambda: rack.lives(1))
    pid = supervisor.workers[0].pid
    assert pid is not None
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait_for(running, 60)
    await rack.until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


PARENT = """
import asyncio, sys
from pathlib import Path
from pushgw.workers.restarts import Restarts
from pushgw.workers.supervisor import Supervisor
from pushgw.workers.worker import Worker

command = sys.argv[1:]
asyncio.run(Supervisor([Worker(1, command, Path("none.sock"), Restarts())], grace=30).run())
"""


async def test_workers_notice_that_their_supervisor_was_killed(rack: Any) -> None:
    """After kill -9 of the supervisor each worker sees the end of its line and stops by itself."""
    command = rack.worker(1, "obey")._command
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, *command, cwd=rack.home.parent, stderr=asyncio.subprocess.DEVNULL
    )
    await rack.until(lambda: rack.lives(1))
    parent.kill()
    await parent.wait()
    await rack.until(lambda: (rack.home / "orphan-1").exists())


def test_words_are_what_the_lifeline_understands() -> None:
    """The words that a supervisor writes, one a line; the end of the line has no word."""
    assert [word.value for word in Word] == ["stop", "now", ""]
