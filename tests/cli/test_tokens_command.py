"""`pushgw tokens review`: what it says when nothing is held, and that nothing is deleted unless somebody says so."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushgw.cli import app
from pushgw.cli.tokens import _device_delete
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import Suspect

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'state.db'}"
    monkeypatch.setenv("PUSHGW_STATE__URL", url)
    return url


def suspect(**changes: Any) -> Suspect:
    fields: dict[str, Any] = {
        "business_id": 6666,
        "vendor": "apns",
        "app": 3,
        "user": "bob",
        "device_id": "d1",
        "token": TOKEN,
        "sent_ms": 1_795_500_000_500,
        "dead_since_ms": None,
        "code": "Unregistered",
        "held_ms": 1_795_500_000_700,
    }
    return Suspect(**(fields | changes))


def hold(url: str, *suspects: Suspect) -> None:
    async def fill() -> None:
        store = await open_store(StateSettings(url=url))
        await store.hold(suspects, 1_795_500_000.0)
        await store.close()

    asyncio.run(fill())


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["tokens", "review", *arguments])


def test_help_has_an_example() -> None:
    """--help shows an example."""
    assert "Example" in run("--help").stdout


def test_nothing_is_held_where_no_gateway_has_run(url: str) -> None:
    """The list is empty and that is fine (0); there is nothing to clear or to confirm (1)."""
    listed = run("--json")
    assert (listed.exit_code, json.loads(listed.stdout)) == (0, {"Held": 0, "Tokens": []})
    assert run("--clear").exit_code == 1


def test_one_answer_at_a_time(url: str) -> None:
    """--confirm and --clear together are wrong use."""
    assert run("--confirm", "--clear").exit_code == 2


def test_the_table_masks_tokens(url: str) -> None:
    """People see user, device and the vendor's word, and no token."""
    hold(url, suspect(), suspect(user="eve"))
    shown = run()
    assert shown.exit_code == 0
    assert "bob" in shown.stdout
    assert "eve" in shown.stdout
    assert TOKEN not in shown.stdout


def test_of_one_credential(url: str) -> None:
    """--credential clears what is held of that one alone."""
    hold(url, suspect(), suspect(business_id=7))
    assert run("--credential", "7", "--clear").exit_code == 0
    assert [t["BusinessID"] for t in json.loads(run("--json").stdout)["Tokens"]] == [6666]


@pytest.mark.parametrize("answer", [b"n\n", b"\n"])
def test_a_person_is_asked_before_anything_is_deleted(url: str, answer: bytes) -> None:
    """On a terminal --confirm asks; No, which is the default, deletes nothing and is exit 1."""
    hold(url, suspect())
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "pushgw", "tokens", "review", "--confirm"]
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.write(person, answer)
    _, said = process.communicate(timeout=60)
    os.close(person)
    os.close(terminal)
    assert process.returncode == 1, said
    assert b"Delete 1 devices of credential 6666?" in said
    assert json.loads(run("--json").stdout)["Held"] == 1


def test_no_broker_deletes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the events cannot be published everything is still held, and the exit is 4."""
    monkeypatch.setenv("PUSHGW_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    hold(url, suspect())
    result = run("--confirm", "--yes")
    assert result.exit_code == 4
    assert json.loads(run("--json").stdout)["Held"] == 1


@pytest.mark.parametrize(
    ("since", "moment"), [(None, 1_795_500_000_499), (1_795_499_000_000, 1_795_498_999_999)]
)
def test_a_device_that_reported_since_is_newer(since: int | None, moment: int) -> None:
    """The Delete is of the last ms before the push left, or before the vendor's own timestamp: a Put in that ms or later beats it."""
    event = json.loads(_device_delete(suspect(dead_since_ms=since)))
    assert event == {
        "Event": "Device.Delete",
        "To_Account": "bob",
        "DeviceID": "d1",
        "SdkAppId": 3,
        "EventTime": moment,
    }
