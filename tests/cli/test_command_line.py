"""The command line: answers on stdout, exit codes as promised, nothing changed by `explain`."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pushgw.cli import app
from pushgw.messages.model import C2COption, DevicePut
from pushgw.sandbox import example_directory
from pushgw.settings import StateSettings
from pushgw.state import open_store

AT = 1_795_500_100
VENDORS = {9001: "apns", 9002: "fcm", 9003: "huawei", 9004: "xiaomi", 9005: "oppo", 9006: "huawei"}
TOKENS = {
    9001: "ab" * 32,
    9002: "fcm:token",
    9003: "IQAAhms",
    9004: "regid==",
    9005: "OPPO_CN_x",
    9006: "IQAAhms2",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(example_directory()))
    url = f"sqlite:///{tmp_path / 'state.db'}"
    monkeypatch.setenv("PUSHGW_STATE__URL", url)

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
        muted = C2COption(app=0, user="bob", time_ms=1, peer="mallory", option=2)
        await store.apply([put, muted])
        await store.close()

    asyncio.run(fill())

    def call(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return call


def message(**more: Any) -> bytes:
    body = {
        "From_Account": "alice",
        "To_Account": "bob",
        "MsgSeq": 1,
        "MsgRandom": 1,
        "MsgTimeStamp": AT - 100,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Lunch at noon?"}}],
        **more,
    }
    return json.dumps(body).encode()


def test_explain_shows_every_check_and_the_request(run: Any) -> None:
    """For a message that would be pushed every check passes, and the exact request is there with its secret masked."""
    result = run("explain", "-", "--user", "bob", "--at", str(AT), "--json", stdin=message())
    assert result.exit_code == 0, result.output
    [receiver] = json.loads(result.stdout)["receivers"]
    assert receiver["Verdict"] == "push"
    codes = [c["Code"] for c in receiver["Checks"]]
    assert codes[0] == "A2" or codes[0] == "A1"
    assert {"A5", "A12", "B3", "B9"} <= set(codes)
    assert {c["Result"] for c in receiver["Checks"]} == {"pass"}
    [device] = receiver["Devices"]
    assert device["Verdict"] == "push"
    assert {"C2", "C3", "C4", "C5", "C6"} <= {c["Code"] for c in device["Checks"]}
    assert device["Request"]["url"].endswith("/3/device/" + "ab" * 32)
    assert "***" in json.dumps(device["Request"]["headers"])


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"MsgLifeTime": 0}, "A7"),
        ({"OfflinePushInfo": {"PushFlag": 1}}, "A9"),
        ({"From_Account": "mallory"}, "B7"),
        ({"To_Account": "nobody"}, "B3"),
        ({"MsgTimeStamp": AT - 700_000}, "A11"),
    ],
)
def test_explain_says_the_reason_and_what_was_not_reached(run: Any, more: dict[str, Any], code: str) -> None:
    """The first check that fails is the reason, later ones are not reached; the exit code is 1."""
    result = run("explain", "-", "--at", str(AT), "--json", stdin=message(**more))
    assert result.exit_code == 1
    [receiver] = json.loads(result.stdout)["receivers"]
    assert (receiver["Verdict"], receiver["Code"]) == ("suppress", code)
    results = [c["Result"] for c in receiver["Checks"]]
    at = results.index("fail")
    assert receiver["Checks"][at]["Code"] == code
    assert set(results[at + 1 :]) <= {"not reached"}
    assert set(results[:at]) <= {"pass"}


def test_explain_changes_nothing(run: Any, tmp_path: Path) -> None:
    """Asked twice it answers the same, and the store's file has no claim afterwards."""
    first = run("explain", "-", "--at", str(AT), "--json", stdin=message()).stdout
    assert run("explain", "-", "--at", str(AT), "--json", stdin=message()).stdout == first
    with sqlite3.connect(tmp_path / "state.db") as database:
        assert database.execute("select count(*) from claims").fetchone() == (0,)
    database.close()


def test_explain_for_people_and_for_a_stranger(run: Any) -> None:
    """Without --json it is readable; a user that the record does not name is B1."""
    result = run("explain", "-", "--at", str(AT), stdin=message())
    assert "C6" in result.stdout
    result = run("explain", "-", "--user", "zoe", "--json", stdin=message())
    assert result.exit_code == 1
    assert json.loads(result.stdout)["receivers"][0]["Code"] == "B1"


def test_explain_names_what_cannot_be_decoded(run: Any) -> None:
    """Malformed input is A1 with code and path, exit 1; a bad --at is wrong use, exit 2."""
    result = run("explain", "-", "--json", stdin=message(MsgRandom="x"))
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["Code"], answer["ErrorCode"], answer["Path"]) == ("A1", 90005, "MsgRandom")
    assert run("explain", "-", "--at", "yesterday", stdin=message()).exit_code == 2
    assert run("explain", "-", "--at", "2026-11-24T12:00:00", stdin=message()).exit_code == 2


@pytest.mark.parametrize("credential", sorted(VENDORS))
def test_send_dry_run_prints_the_exact_request(run: Any, credential: int) -> None:
    """For each vendor the request is printed with the token shown and every secret masked."""
    result = run(
        "send", "--credential", str(credential), "--token", TOKENS[credential], "--title", "Alice", "--body", "Hi", "--dry-run", "--json"
    )  # fmt: skip
    assert result.exit_code == 0, result.output + result.stderr
    request = json.loads(result.stdout)["Request"]
    assert request["method"] == "POST"
    assert request["url"].startswith("https://127.0.0.1:8443/")
    assert TOKENS[credential] in json.dumps(request) or TOKENS[credential].replace("=", "%3D") in json.dumps(
        request
    )
    for secret in _secrets(credential):
        assert secret not in result.stdout


def _secrets(credential: int) -> list[str]:
    lines = (example_directory() / f"{credential}.toml").read_text("utf-8").splitlines()
    return [line.split('"')[1] for line in lines if line.startswith(("app_secret", "master_secret"))]


def test_send_refuses_wrong_use_and_unknown_credentials(run: Any) -> None:
    """Neither or both of --token and --user is exit 2; an unknown credential exit 3; a token without shape exit 1 and C6."""
    assert run("send", "--credential", "9001").exit_code == 2
    assert run("send", "--credential", "1", "--token", "ab").exit_code == 3
    assert run("send", "--credential", "9001", "--token", "ab", "--extra", "[]").exit_code == 2
    result = run("send", "--credential", "9001", "--token", "not hex\r\nx: y", "--dry-run", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["Code"] == "C6"


def test_wrong_settings_stop_with_one_list(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wrong setting is named at once, with the nearest right one; exit 3."""
    monkeypatch.setenv("PUSHGW_KAFKA__GROUPID", "x")
    monkeypatch.setenv("PUSHGW_POLICY__TIME_ZONE", "Mars/Olympus")
    result = run("run")
    assert result.exit_code == 3
    assert "PUSHGW_KAFKA__GROUP_ID" in result.stderr
    assert "policy.time_zone" in result.stderr


def test_devices_list_masks_tokens(run: Any) -> None:
    """Stored devices are shown without the token; an unknown user is exit 1."""
    result = run("devices", "list", "bob", "--json")
    assert result.exit_code == 0
    [device] = json.loads(result.stdout)["Devices"]
    assert device["DeviceID"] == "iphone"
    assert "ab" * 32 not in result.stdout
    assert run("devices", "list", "nobody").exit_code == 1
    assert "iphone" in run("devices", "list", "bob").stdout


def test_schema_message_is_a_json_schema(run: Any) -> None:
    """The schema of the message topic comes as JSON."""
    result = run("schema", "message")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["$schema"].startswith("https://json-schema.org/")


def test_every_command_has_help_with_an_example(run: Any) -> None:
    """--help of each command shows an example."""
    for command in ("demo", "run", "send", "explain", "publish", "sandbox"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Example" in result.stdout, command
