"""`pushgw certs` on a sealed store: the key, the way in, the same commands as on a directory, and no secret anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from pushgw.cli import app
from pushgw.credentials.seal_key import SealKey
from pushgw.messages.model import DevicePut
from pushgw.sandbox import example_directory
from pushgw.settings import StateSettings
from pushgw.state import open_store

SECRET = "hush-hush-0123456789"
OLD, NEW = bytes(range(32)), bytes(range(100, 132))
IDS = [9001, 9002, 9003, 9004, 9005, 9006, 9009, 9010, 9011, 9012]
Run = Callable[..., Result]


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """``state.url`` of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("redis_server").url)


@pytest.fixture
def run(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A command, with the sealed store and its key in ``old.key``."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.key").write_text(base64.b64encode(key).decode() + "\n")
        (tmp_path / f"{name}.key").chmod(0o600)
    monkeypatch.setenv("PUSHGW_STATE__URL", url)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__STORE", "sealed")
    monkeypatch.setenv("PUSHGW_CREDENTIALS__SEAL_KEY", "file:old.key")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str, command: str = "certs", **environ: str) -> Result:
        result = CliRunner().invoke(app, [command, *arguments], env=environ)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield call
    structlog.reset_defaults()


def listed(run: Run, **environ: str) -> dict[int, dict[str, Any]]:
    result = run("list", "--json", **environ)
    assert result.exit_code == 0, result.stderr
    return {row["BusinessID"]: row for row in json.loads(result.stdout)["Credentials"]}


def filled(run: Run) -> None:
    result = run("import", "--from", str(example_directory()))
    assert result.exit_code == 0, result.output


ROTATED = {
    "PUSHGW_CREDENTIALS__SEAL_KEY": "file:new.key",
    "PUSHGW_CREDENTIALS__SEAL_KEYS_OLD": "file:old.key",
}
WRONG = {"PUSHGW_CREDENTIALS__SEAL_KEY": "file:new.key"}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_keygen(run: Run, tmp_path: Path) -> None:
    """32 random bytes, to stdout or into a new file for its owner only; never over another. It opens what it sealed."""
    first, second = (run("keygen").stdout.strip() for _ in range(2))
    assert len(base64.b64decode(first, validate=True)) == 32
    assert first != second
    result = run("keygen", "--out", "k", "--json")
    assert result.exit_code == 0
    text = (tmp_path / "k").read_text().strip()
    assert json.loads(result.stdout) == {"KeyID": SealKey(base64.b64decode(text)).id, "File": "k"}
    assert text not in result.output
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    again = run("keygen", "--out", "k")
    assert again.exit_code == 3
    assert "a key is never overwritten" in again.stderr
    assert (tmp_path / "k").read_text().strip() == text


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_key_is_a_place_and_not_a_key(run: Run) -> None:
    """A key pasted where its place belongs, none at all, or a variable that looks like a setting: exit code 3, and it is not repeated."""
    pasted = base64.b64encode(OLD).decode()
    for given, sentence in (
        (pasted, "the key itself is never a setting"),
        ("", "there is no key; make one with `pushgw certs keygen"),
        ("env:PUSHGW_SEAL", "give it another name"),
    ):
        for command in (["certs", "list"], ["run"]):
            result = run(*command[1:], command=command[0], PUSHGW_CREDENTIALS__SEAL_KEY=given)
            assert result.exit_code == 3
            assert sentence in result.stderr
            assert pasted not in result.output
    result = run("list", PUSHGW_CREDENTIALS__SEAL_KEYS_OLD=f"file:old.key,{pasted}")
    assert result.exit_code == 3
    assert pasted not in result.output


def test_a_directory_moves_in(run: Run, tmp_path: Path) -> None:
    """Every credential, which list and check then know without the directory; again: all are there; another content is left alone."""
    certs = tmp_path / "certs"
    shutil.copytree(example_directory(), certs)
    first = run("import", "--json")
    assert first.exit_code == 0, first.stderr
    rows = json.loads(first.stdout)["Credentials"]
    assert [(row["BusinessID"], row["Done"]) for row in rows] == [(i, "imported") for i in IDS]
    again = json.loads(run("import", "--json").stdout)["Credentials"]
    assert {row["Done"] for row in again} == {"was there already"}
    toml = certs / "9005.toml"
    toml.write_text(toml.read_text().replace("Sandbox, OPPO", "Another"))
    other = run("import")
    assert other.exit_code == 1
    assert "9005 left out another one has this id in the sealed store" in other.stdout
    assert run("import", "--replace").exit_code == 0
    shutil.rmtree(certs)
    assert listed(run)[9005]["Name"] == "Another"
    assert {row["State"] for row in listed(run).values()} == {"ok"}
    checked = run("check", "--offline")
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_has_faults_does_not_move_in(run: Run, tmp_path: Path) -> None:
    """It is named, the others come in; a directory that is none, and a store that is not sealed, are said."""
    shutil.copytree(example_directory(), tmp_path / "certs")
    (tmp_path / "certs" / "9005.toml").write_text("<html>")
    (tmp_path / "certs" / "AuthKey_EXAMPLEKY1.p8").unlink()
    result = run("import")
    assert result.exit_code == 1
    assert "9001 left out 9001.toml: credential.key_file:" in result.stdout
    assert "9005 left out 9005.toml: is no TOML" in result.stdout
    assert sorted(listed(run)) == [i for i in IDS if i not in (9001, 9005)]
    assert run("import", "--from", "nowhere").exit_code == 3
    plain = run("import", PUSHGW_CREDENTIALS__STORE="directory")
    assert plain.exit_code == 3
    assert 'credentials.store is "directory"' in plain.stderr


def test_add_show_rotate_remove(run: Run, url: str) -> None:
    """As on a directory; what a rotation does not name stays."""
    added = run(
        "add",
        "--vendor",
        "oppo",
        "--id",
        "6005",
        "--app-key",
        "a1b2",
        "--master-secret",
        SECRET,
        "--name",
        "Im",
    )
    assert added.exit_code == 0, added.stderr
    assert "6005 (oppo) added" in added.stdout
    assert run("add", "--vendor", "oppo", "--id", "6005", "--app-key", "a").exit_code == 2
    shown = json.loads(run("show", "6005", "--json").stdout)
    assert shown["Fields"]["master_secret"] == "***"
    rotated = run("rotate", "6005", "--master-secret", SECRET[::-1], "--offline")
    assert rotated.exit_code == 0, rotated.stderr
    assert listed(run)[6005]["Name"] == "Im"

    async def use() -> None:
        state = await open_store(StateSettings(url=url))
        put = DevicePut(
            app=0, user="bob", time_ms=1, device_id="d", business_id=6005, token="t", platform="android"
        )
        await state.apply([put])
        await state.close()

    asyncio.run(use())
    refused = run("remove", "6005")
    assert refused.exit_code == 1
    assert "1 device refer to 6005" in refused.stderr
    assert run("remove", "6005", "--force").exit_code == 0
    assert listed(run) == {}
    assert run("rotate", "6005", "--master-secret", "x").exit_code == 3


def test_a_wrong_key_is_refused(run: Run) -> None:
    """`run`, `send` and `explain` do not begin: exit code 3, one line for each credential with the key it wants and those
    given. `list` and `check` show it, `add` writes nothing, and `remove` still works."""
    filled(run)
    wanted, given = SealKey(OLD).id, SealKey(NEW).id
    for command in (["run"], ["send", "--credential", "9001", "--token", "ab" * 32, "--dry-run"]):
        result = run(*command[1:], command=command[0], **WRONG)
        assert result.exit_code == 3, command
        for business_id in IDS:
            assert (
                f"credential {business_id} is sealed with the key {wanted}, which is not given"
                in result.stderr
            )
        assert f"credentials.seal_key is {given}" in result.stderr
    assert {row["State"] for row in listed(run, **WRONG).values()} == {"unusable"}
    assert run("check", "--offline", **WRONG).exit_code == 1
    added = run(
        "add", "--vendor", "oppo", "--id", "1", "--app-key", "a1b2", "--master-secret", SECRET, **WRONG
    )
    assert added.exit_code == 3
    assert f"sealed with the key {wanted}" in added.stderr
    assert run("remove", "9012", "--force", **WRONG).exit_code == 0
    assert sorted(listed(run)) == IDS[:-1]


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_check_warns_of_a_key_that_everyone_can_read(run: Run) -> None:
    """Beside the credentials' own checks; the exit code stays 0."""
    filled(run)
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        Path(home).chmod(0o755)
        key = shutil.copy("old.key", home)
        Path(key).chmod(0o644)
        checked = run("check", "--offline", PUSHGW_CREDENTIALS__SEAL_KEY=f"file:{key}")
    assert checked.exit_code == 0
    assert f"credentials.seal_key: {key}: everyone on this machine can read it (mode 0644)" in checked.stdout


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_one_that_cannot_be_opened_stops_the_start(run: Run, tmp_path: Path) -> None:
    """No half-open start: of ten one was altered, and `run` names that one and ends."""
    filled(run)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute(
            "UPDATE sealed SET envelope = (SELECT envelope FROM sealed WHERE business_id = 9006) WHERE business_id = 9003"
        )
        database.commit()
    result = run(command="run")
    assert result.exit_code == 3
    assert result.stderr.count("pushgw: ") == 1
    assert "credential 9003 is not what was sealed under this id" in " ".join(result.stderr.split())
    assert {i: row["State"] for i, row in listed(run).items()} == dict.fromkeys(IDS, "ok") | {
        9003: "unusable"
    }


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["certs", "list"],
        ["certs", "add", "--vendor", "meizu", "--app-id", "110011", "--app-secret", SECRET],
    ],
)
def test_a_key_that_is_away(run: Run, command: list[str]) -> None:
    """Exit code 3, with the file."""
    result = run(*command[1:], command=command[0], PUSHGW_CREDENTIALS__SEAL_KEY="file:none.key")
    assert result.exit_code == 3
    assert "credentials.seal_key: none.key does not exist" in result.stderr
    assert SECRET not in result.output


def test_the_key_is_rotated(run: Run) -> None:
    """reseal under both keys, then the new one alone; not without the old one."""
    filled(run)
    assert run("reseal", **WRONG).exit_code == 3
    done = json.loads(run("reseal", "--json", **ROTATED).stdout)
    assert done == {"Resealed": IDS, "WereAlready": []}
    assert "0 resealed, 10 were already" in run("reseal", **ROTATED).stdout
    assert {row["State"] for row in listed(run, **WRONG).values()} == {"ok"}
    assert {row["State"] for row in listed(run).values()} == {"unusable"}


@pytest.mark.redis
def test_a_redis_that_is_away_is_exit_code_4(
    run: Run, make_redis: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every command that needs the credentials; without the password."""
    server = make_redis("RedisServer")
    server.kill()
    monkeypatch.setenv("PUSHGW_STATE__URL", f"redis://me:{SECRET}@127.0.0.1:{server.port}/0")
    for command in (
        ["run"],
        ["certs", "list"],
        ["certs", "remove", "1"],
        ["certs", "reseal"],
        ["certs", "import", "--from", str(example_directory())],
    ):
        result = run(*command[1:], command=command[0])
        assert result.exit_code == 4, command
        assert "cannot be reached" in " ".join(result.stderr.split())
        assert SECRET not in result.output
