"""A gateway whose disk is full: it says so, waits, loses nothing, and goes on when there is room again."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
_BALLAST = "ballast"


class SmallDisk:
    """A file system of 48 MB that can be filled and freed. Only root may mount one."""

    cause = "the disk is full; make room for it, and what waits goes on by itself"

    def __init__(self, where: Path) -> None:
        self._ballast = where / _BALLAST

    def fill(self, _process: subprocess.Popen[bytes], _wal: Path) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                return

    def free(self, _process: subprocess.Popen[bytes]) -> None:
        self._ballast.unlink()


class Quota:
    """The same for anybody: no file of the process may grow beyond the size that its journal has."""

    cause = "reading or writing failed; check the disk, its quota and limits on the size of files"

    def fill(self, process: subprocess.Popen[bytes], wal: Path) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, resource.RLIM_INFINITY))

    def free(self, process: subprocess.Popen[bytes]) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


@pytest.fixture(params=["quota", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    """Where the state goes, and what fills it."""
    where = tmp_path / "small"
    where.mkdir()
    if request.param == "quota":
        yield where, Quota()
        return
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system; the quota shows the same way out")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "none", where], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield where, SmallDisk(where)
    subprocess.run(["umount", "--lazy", where], check=True)


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_a_full_disk_pauses_and_loses_nothing(rig: Any, message: Any, disk: tuple[Path, Any]) -> None:
    """With a full disk nothing is pushed, reported or committed; log and /readyz name file, cause and mend; with room
    again every record gets its one receipt, without a restart."""
    where, filler = disk
    database = where / "state.db"
    rig.settings = rig.settings.model_copy(
        update={"state": rig.settings.state.model_copy(update={"url": f"sqlite:///{database}"})}
    )
    port = free_port()
    gateway = rig.gateway(PUSHGW_HTTP__LISTEN=f"127.0.0.1:{port}")
    await rig.put_devices("bob")
    await rig.publish(*[message("bob") for _ in range(5)])
    await rig.collect(5)
    await rig.until_committed(rig.topics.messages, 5)
    filler.fill(gateway, database.with_name("state.db-wal"))
    records = [message("bob") for _ in range(400)]
    await rig.publish(*records)
    await until(lambda: '"paused"' in rig.log())
    [paused] = [json.loads(line) for line in rig.log().splitlines() if '"event": "paused"' in line]
    assert paused["why"] == f"{database}: {filler.cause}"
    async with httpx.AsyncClient() as client:
        found = await client.get(f"http://127.0.0.1:{port}/readyz")
    assert found.status_code == 503
    assert filler.cause in found.text
    await rig.quiet()
    before = len({r["PushGateway"]["Source"] for r in rig.receipts})
    assert await rig.committed(rig.topics.messages) <= before < 405
    filler.free(gateway)
    await rig.until_committed(rig.topics.messages, 405)
    await rig.quiet()
    assert '"resumed"' in rig.log()
    sources = [r["PushGateway"]["Source"] for r in rig.receipts]
    assert len(sources) == len(set(sources)) == 405
    assert {r["PushGateway"]["Verdict"] for r in rig.receipts} == {"pushed"}
    assert rig.sandbox.journal.counts().accepted == 405
    assert await rig.stop(gateway) == 0
