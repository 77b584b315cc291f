"""Real processes in the place of gateways: each life of a worker follows the next word of its script."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushgw.workers.restarts import Restarts
from pushgw.workers.worker import Worker

FAKE = """
import os, signal, socket, sys

home, number, script, path = sys.argv[1:5]
life = len([name for name in os.listdir(home) if name.startswith(f"{number}.")])
open(os.path.join(home, f"{number}.{life}"), "w").close()
words = script.split(",")
word = words[min(life, len(words) - 1)]
if word.startswith("exit:"):
    sys.exit(int(word[5:]))
if word == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if word == "mute":
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
if word == "deaf":
    while True:
        signal.pause()
print("ready", file=sys.stderr, flush=True)
for line in sys.stdin:
    if line == "stop\\n":
        print('{"received": 2, "pushed": {"apns": 1}}')
        sys.exit(0)
    if line == "now\\n":
        sys.exit(1)
open(os.path.join(home, f"orphan-{number}"), "w").close()
"""


class Rack:
    """Makes fake workers, and knows how many lives each has had."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._fake = home.parent / "fake.py"
        self._fake.write_text(FAKE)

    def worker(self, number: int, script: str, **restarts: float) -> Worker:
        """``script``: obey, deaf, mute, killed, exit:N; one a life, the last for all further ones."""
        socket = self.home.parent / f"{number}.sock"
        command = [sys.executable, "-S", str(self._fake), str(self.home), str(number), script, str(socket)]
        return Worker(number, command, socket, Restarts(**{"first_wait": 0.01, **restarts}))

    def lives(self, number: int) -> int:
        return len(list(self.home.glob(f"{number}.*")))

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.01)


@pytest.fixture
def rack(tmp_path: Path) -> Rack:
    home = tmp_path / "lives"
    home.mkdir()
    return Rack(home)
