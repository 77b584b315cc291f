"""`pushgw publish --wait` against a running gateway: receipts on stdout, what makes none is not waited for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any


async def publish(rig: Any, *bodies: Any, topic: str | None = None) -> subprocess.CompletedProcess[bytes]:
    t = rig.topics
    variables = {
        "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": rig.servers,
        "PUSHGW_KAFKA__TOPICS__MESSAGES": t.messages,
        "PUSHGW_KAFKA__TOPICS__USER_EVENTS": t.user_events,
        "PUSHGW_KAFKA__TOPICS__RECEIPTS": t.receipts,
        "PUSHGW_KAFKA__TOPICS__DEAD_LETTERS": t.dead_letters,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
    lines = "\n".join(json.dumps(body) for body in bodies).encode()
    arguments = [*(("--topic", topic) if topic else ()), "--wait", "--json", "--timeout", "60"]
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pushgw", "publish", "-", *arguments],
        input=lines,
        capture_output=True,
        env={**clean, **variables},
        timeout=120,
        check=False,
    )


async def test_publish_waits_for_what_is_answered(rig: Any, message: Any) -> None:
    """Receipts are lines on stdout; a dead letter is told on stderr and a recall or a user event not waited for at all; exit 0 when something was pushed, else 1."""
    rig.gateway()
    await rig.put_devices("bob")
    body = message("bob")
    recall = {"From_Account": "alice", "To_Account": "bob", "MsgKey": "1_2_3"}
    done = await publish(rig, body, recall, {**body, "MsgRandom": "x"})
    assert done.returncode == 0, done.stderr
    [receipt] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (receipt["To_Account"], receipt["PushGateway"]["Verdict"]) == ("bob", "pushed")
    assert b"90005 at MsgRandom" in done.stderr
    again = await publish(rig, body)
    assert again.returncode == 1
    assert json.loads(again.stdout)["PushGateway"]["Code"] == "A5"
    event = {"Event": "User.Login", "To_Account": "eve"}
    quiet = await publish(rig, event, topic=rig.topics.user_events)
    assert (quiet.returncode, quiet.stdout) == (0, b"")
