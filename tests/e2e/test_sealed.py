"""Sealed credentials under a running gateway: commands change them, every worker follows, and nothing shows a secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pushgw.sandbox import Sandbox, example_directory, with_endpoint

OLD, NEW = bytes(range(32)), bytes(range(100, 132))
SECRET = "hush-hush-0123456789"


def secrets_of(directory: Path) -> set[bytes]:
    """Every secret of a credential directory as it would be seen: texts of secret fields, and lines of key files."""
    found: set[bytes] = set()
    for path in directory.iterdir():
        content = path.read_bytes()
        found.update(re.findall(rb'(?:secret|password)\s*=\s*"([^"]+)"', content))
        if path.name != "sandbox-ca.pem":
            found.update(re.findall(rb"[A-Za-z0-9+/]{40,}", content))
    return found


class Sealed:
    """Settings of the sealed store, commands under them, and all that they said."""

    def __init__(self, rig: Any, keys: Path) -> None:
        self.rig = rig
        self.said: list[bytes] = []
        for name, key in (("old", OLD), ("new", NEW)):
            (keys / name).write_text(base64.b64encode(key).decode())
            (keys / name).chmod(0o600)
        self.environ = {
            "PUSHGW_STATE__URL": rig.settings.state.url,
            "PUSHGW_CREDENTIALS__STORE": "sealed",
            "PUSHGW_CREDENTIALS__SEAL_KEY": f"file:{keys / 'new'}",
            "PUSHGW_CREDENTIALS__SEAL_KEYS_OLD": f"file:{keys / 'old'}",
        }
        self.first = {
            "PUSHGW_CREDENTIALS__SEAL_KEY": f"file:{keys / 'old'}",
            "PUSHGW_CREDENTIALS__SEAL_KEYS_OLD": "",
        }

    async def certs(self, *words: str, code: int = 0, **environ: str) -> str:
        """`pushgw certs`, as a process of its own."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "pushgw", "certs", *words],
            env={**clean, **self.environ, **environ},
            cwd=self.rig.home,
            capture_output=True,
            check=False,
        )
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout.decode()

    async def until_logged(self, event: str, count: int) -> float:
        """Until the log has the event so often; how long it took, s."""
        begin = time.monotonic()
        async with asyncio.timeout(30):
            while self.rig.log().count(f'"{event}"') < count:
                await asyncio.sleep(0.02)
        return time.monotonic() - begin


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.redis)])
def place(request: pytest.FixtureRequest, rig: Any) -> Any:
    """Where the state is; the Redis server, or None."""
    if request.param == "sqlite":
        return None
    server = request.getfixturevalue("redis_server")
    state = rig.settings.state.model_copy(update={"url": server.url})
    rig.settings = rig.settings.model_copy(update={"state": state})
    return server


@pytest.fixture
async def other(rig: Any) -> AsyncIterator[Sandbox]:
    """A second server of the vendors."""
    sandbox = await Sandbox.start(rig._example_accounts())
    yield sandbox
    await sandbox.close()


@pytest.mark.parametrize("servers", ["embedded"], indirect=True)
async def test_commands_change_what_a_gateway_pushes_with(
    rig: Any, message: Any, place: Any, other: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Imported, added, rotated, resealed and removed while one gateway (on SQLite) or two workers (on Redis) push: each
    change is in force within seconds in each of them, no push fails. Then all that the processes wrote is searched
    for every secret: 0 hits."""
    workers = 1 if place is None else 2
    sealed = Sealed(rig, tmp_path_factory.mktemp("keys"))
    directory = rig.home / "certs"
    forms = [form for key in (OLD, NEW) for form in (key, key.hex().encode(), base64.b64encode(key))]
    secrets = secrets_of(directory) | {SECRET.encode(), *forms}
    assert len(secrets) > 30
    mounted = b"".join(path.read_bytes() for path in directory.iterdir())
    assert sum(secret in mounted for secret in secrets) == len(secrets) - len(forms) - 1

    await sealed.certs("import", "--from", str(directory), **sealed.first)
    key = tmp_path_factory.mktemp("downloads") / "AuthKey_EXAMPLEKY1.p8"
    shutil.copy(directory / key.name, key)
    ca = key.with_name("ca.pem")
    ca.write_bytes(rig.sandbox.ca_pem)
    shutil.rmtree(directory)
    rig.gateway(*(["--workers", "2"] if workers > 1 else []), **sealed.environ)
    await rig.put_devices("bob")
    await rig.put_devices("dave", business_id=7001)
    await rig.publish(message("bob"), message("dave"))
    codes = {r["To_Account"]: r["PushGateway"].get("Code") for r in await rig.collect(2)}
    assert codes == {"bob": None, "dave": "C2"}

    fields = ["--from", str(key), "--team-id", "EXAMPLETM1", "--bundle-id", "com.example.chat"]
    fields += ["--environment", "sandbox", "--endpoint", rig.sandbox.url, "--ca-file", str(ca)]
    await sealed.certs("add", "--id", "7001", *fields)
    waits = {"added": await sealed.until_logged("credential_added", workers)}
    await rig.publish(message("dave"))
    assert (await rig.collect(3))[-1]["PushGateway"]["Verdict"] == "pushed"

    ca.write_bytes(other.ca_pem)
    await sealed.certs("rotate", "7001", "--endpoint", other.url, "--ca-file", str(ca))
    waits["rotated"] = await sealed.until_logged("credential_replaced", workers)
    await rig.publish(message("dave"))
    assert (await rig.collect(4))[-1]["PushGateway"]["Verdict"] == "pushed"
    assert other.journal.of("apns").accepted == 1

    await sealed.certs(
        "add", "--vendor", "oppo", "--id", "7002", "--app-key", "a1b2", "--master-secret", SECRET
    )
    assert "10 resealed, 2 were already" in await sealed.certs("reseal")
    await rig.publish(message("bob"), message("dave"))
    receipts = (await rig.collect(6))[-2:]
    assert [r["PushGateway"]["Verdict"] for r in receipts] == ["pushed", "pushed"]

    for words in (
        ["list"],
        ["list", "--json"],
        ["show", "7002"],
        ["show", "9001", "--json"],
        ["check", "9001"],
    ):
        await sealed.certs(*words)
    await sealed.certs("check", "7002", "--offline")
    assert "is sealed with the key" in await sealed.certs("check", "--offline", code=1, **sealed.first)
    await sealed.certs("remove", "7001", "--force")
    waits["removed"] = await sealed.until_logged("credential_removed", workers)
    await rig.publish(message("dave"))
    assert (await rig.collect(7))[-1]["PushGateway"]["Code"] == "C2"
    print({change: f"{wait:.2f} s" for change, wait in waits.items()})

    assert rig.log().count("credential_not_replaced") == 0
    assert await rig.stop(rig.gateways[0]) == 0
    if place is not None:
        assert place.ask("save") == "OK"
    homes = [rig.home, *([place.home] if place is not None else [])]
    wrote = {str(path): path.read_bytes() for home in homes for path in home.rglob("*") if path.is_file()}
    wrote |= {"commands": b"".join(sealed.said), "receipts": json.dumps(rig.receipts).encode()}
    hits = [(name, secret) for name, content in wrote.items() for secret in secrets if secret in content]
    print(
        f"{len(secrets)} secrets, {len(wrote)} places, {sum(map(len, wrote.values())):,} bytes: {len(hits)} hits"
    )
    assert any(b"pushgw-seal-1" in content for content in wrote.values())
    assert hits == []


@pytest.mark.parametrize("servers", ["embedded"], indirect=True)
async def test_a_start_with_the_wrong_key_is_refused(
    rig: Any, place: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Exit code 3 with every credential's line, alone and as workers; Kafka was not asked, and no secret is told."""
    sealed = Sealed(rig, tmp_path_factory.mktemp("keys"))
    with_endpoint(example_directory(), rig.home / "certs", rig.sandbox.url, rig.sandbox.ca_pem)
    secrets = secrets_of(rig.home / "certs")
    await sealed.certs("import", "--from", str(rig.home / "certs"), **sealed.first)
    wrong = {**sealed.environ, "PUSHGW_CREDENTIALS__SEAL_KEYS_OLD": ""}
    for workers in ([], ["--workers", "2"]):
        gateway = rig.gateway(*workers, **wrong)
        assert await asyncio.to_thread(gateway.wait, 60) == 3
        assert rig.log().count("is sealed with the key") == 10
        assert "gateway_started" not in rig.log()
        assert not [s for s in secrets if s in rig.log().encode()]
