"""The demo: the story comes true, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path


async def _demo(*arguments: str) -> asyncio.subprocess.Process:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pushgw",
        "demo",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )


async def test_the_demo_ends_as_the_story_says() -> None:
    """`pushgw demo --json`: exit 0, every expected receipt and no other, every reason that can be shown, all nine vendors."""
    process = await _demo("--json")
    out, errors = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, errors.decode()
    summary = json.loads(out)
    assert summary["ok"] is True
    assert summary["records"] >= 60
    assert summary["receipts"] == summary["receipts_expected"]
    assert summary["receipts_missing"] == []
    assert set(summary["pushed"]) == {
        *("apns", "fcm", "huawei", "harmony", "honor", "xiaomi", "oppo", "vivo", "meizu"),
    }
    shown = {word.split()[0] for word in summary["suppressed"]}
    every = {f"A{n}" for n in range(2, 13)} | {f"B{n}" for n in range(1, 10)} | {f"C{n}" for n in range(1, 7)}
    assert shown == every


async def test_ctrl_c_cleans_up(tmp_path: Path) -> None:
    """Interrupted in the middle, the demo ends with a sentence and no process of it is left."""
    process = await _demo("--keep", str(tmp_path / "kept"))
    async with asyncio.timeout(60):
        while not (tmp_path / "kept" / "run.log").exists():
            await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"interrupted" in errors
    kept = str(tmp_path / "kept")
    left = [line for line in _commands() if kept in line]
    assert left == []


def _commands() -> list[str]:
    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines.append(
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    + os.readlink(entry / "cwd")
                )
            except OSError:
                continue
    return lines
