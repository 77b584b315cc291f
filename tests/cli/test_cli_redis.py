"""The commands on a Redis: they look at what the gateways share, and say what is wrong with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from pushgw.cli import app
from pushgw.messages.model import C2COption, DevicePut
from pushgw.sandbox import example_directory
from pushgw.settings import StateSettings
from pushgw.state import open_store

pytestmark = pytest.mark.redis

AT = 1_795_500_100
SECRET = "hunter2"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(example_directory()))

    def call(*arguments: str, url: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin, env={"PUSHGW_STATE__URL": url})

    yield call
    structlog.reset_defaults()


def fill(url: str) -> None:
    async def fill() -> None:
        store = await open_store(StateSettings(url=url))
        put = DevicePut(
            app=0,
            user="bob",
            time_ms=(AT - 500) * 1000,
            device_id="iphone",
            business_id=9001,
            token="ab" * 32,
            platform="ios",
        )
        await store.apply([put, C2COption(app=0, user="bob", time_ms=1, peer="mallory", option=2)])
        await store.close()

    asyncio.run(fill())


def message(sender: str) -> bytes:
    body = {
        "From_Account": sender,
        "To_Account": "bob",
        "MsgSeq": 1,
        "MsgRandom": 2,
        "MsgTimeStamp": AT,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}],
    }
    return json.dumps(body).encode()


@pytest.mark.parametrize("kind", ["redis_server", "redis_cluster"])
def test_devices_and_explain(run: Any, request: pytest.FixtureRequest, kind: str) -> None:
    """`devices list` and `explain` see devices and options; nothing is claimed by looking twice."""
    url = request.getfixturevalue(kind).url
    fill(url)
    listed = run("devices", "list", "bob", "--json", url=url)
    assert listed.exit_code == 0
    assert json.loads(listed.stdout)["Devices"][0]["DeviceID"] == "iphone"
    for sender, verdict in (("alice", "push"), ("mallory", "suppress"), ("alice", "push")):
        told = run("explain", "--at", str(AT), "--json", url=url, stdin=message(sender))
        assert json.loads(told.stdout)["receivers"][0]["Verdict"] == verdict, told.output


def test_before_the_first_gateway(run: Any, redis_server: Any) -> None:
    """An empty Redis knows nobody yet, and stays empty."""
    listed = run("devices", "list", "bob", url=redis_server.url)
    assert listed.exit_code == 1
    assert "holds no state yet" in listed.output
    assert redis_server.ask("dbsize") == "0"


@pytest.mark.parametrize("command", [["run"], ["devices", "list", "bob"], ["demo", "--state"]])
def test_a_redis_that_is_away(run: Any, make_redis: Callable[..., Any], command: list[str]) -> None:
    """Exit code 4 and one sentence, without the password."""
    server = make_redis("RedisServer")
    server.kill()
    url = f"redis://me:{SECRET}@127.0.0.1:{server.port}/0"
    arguments = [*command, url] if command[0] == "demo" else command
    ended = run(*arguments, url=url)
    assert ended.exit_code == (1 if command[0] == "demo" else 4)
    assert f"Redis 127.0.0.1:{server.port} cannot be reached" in " ".join(ended.output.split())
    assert SECRET not in ended.output


def test_the_demo_takes_no_redis_in_use(run: Any, redis_server: Any) -> None:
    """Its records have coordinates of their own broker: marks of other records must not meet them."""
    fill(redis_server.url)
    ended = run("demo", "--state", redis_server.url, url=redis_server.url)
    assert ended.exit_code == 1
    assert "a gateway's state is there already" in " ".join(ended.output.split())
    ended = run("demo", "--state", f"mysql://me:{SECRET}@x", url=redis_server.url)
    assert "expected sqlite" in " ".join(ended.output.split())
    assert SECRET not in ended.output


def test_the_demo_on_a_redis(run: Any, redis_server: Any) -> None:
    """The whole story ends as it should with a Redis for a store."""
    ended = run("demo", "--json", "--state", redis_server.url, url=redis_server.url)
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["ok"]
    assert int(redis_server.ask("dbsize")) > 50
