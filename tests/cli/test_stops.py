"""Stop requests to a process that does not end by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

STUBBORN = """
import asyncio
from pushgw.cli import stops as module

module.FAREWELL_S = 0.2

class Gateway:
    open_records = 3

    def stop(self):
        print("drains", flush=True)

async def main():
    async with module.stops_of(600, None) as stops:
        if {has_gateway}:
            stops.gateway = Gateway()
        print("ready", flush=True)
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("cancelled", flush=True)

asyncio.run(main())
"""
"""A gateway whose closing hangs."""


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[subprocess.Popen[str]] = []

    def run(*, has_gateway: bool) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", STUBBORN.format(has_gateway=has_gateway)],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        while process.stdout.readline() != "ready\n":
            assert process.poll() is None
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(process: Any, word: str) -> None:
    while word not in (line := process.stdout.readline()):
        assert line, "it has ended"


def test_what_does_not_close_is_not_waited_for(start: Any) -> None:
    """After the second signal a gateway whose closing hangs is ended after a moment, with exit code 1."""
    process = start(has_gateway=True)
    process.send_signal(signal.SIGTERM)
    until(process, "drains")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    until(process, "cancelled")
    assert process.wait(30) == 1


def test_before_the_gateway_runs_there_is_nothing_to_finish(start: Any) -> None:
    """A signal while the gateway still waits for its store or its broker ends it, with exit code 0."""
    process = start(has_gateway=False)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
