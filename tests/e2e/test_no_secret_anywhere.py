"""Secrets of all vendors are planted, used, refused and asked about: none of them stands in anything that comes out."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import string
import time
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from typer.testing import CliRunner

from pushgw.assembly import credentials_of
from pushgw.cli import app
from pushgw.credentials.form import is_secret
from pushgw.sandbox import Sandbox
from pushgw.settings import CredentialSettings, Settings
from pushgw.vendor.plugin import installed_vendors
from tests.e2e.certificate import write_certificate_credential
from tests.secret_hunt import Secret, hunt, planted

pytestmark = pytest.mark.parametrize("servers", ["embedded"], indirect=True)
P12 = 9101
IN_AN_ADDRESS = "planted-in-an-address-0"
ERRORS = ("500", "401", "drop", "expired-auth")
"""What the emulators say in turn once all is well no more."""


def fresh(old: str) -> str:
    """Another secret of the same shape."""
    return "".join(secrets.choice(string.ascii_lowercase) if c.isalpha() else c for c in old)


def pem(key: Any) -> str:
    no = serialization.NoEncryption()
    encoded: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no)
    return encoded.decode()


def plant_secrets(certs: Path) -> None:
    """In place of every secret of the examples one that is known to nobody."""
    for path in certs.glob("*.toml"):
        text = path.read_text()
        data = tomllib.loads(text)
        model = installed_vendors()[data["vendor"]].adapter.credential_model
        for name, value in data["credential"].items():
            if is_secret(name, model):
                text = text.replace(json.dumps(value), json.dumps(fresh(value)))
        path.write_text(text)
    for path in certs.glob("*.json"):
        file = json.loads(path.read_text())
        path.write_text(json.dumps(file | {"private_key": pem(rsa.generate_private_key(65537, 2048))}))
    [p8] = certs.glob("*.p8")
    p8.write_text(pem(ec.generate_private_key(ec.SECP256R1())))


def break_credentials(good: Path, bad: Path) -> None:
    """The same secrets in files that are wrong in one way each."""
    bad.mkdir()
    for path in good.iterdir():
        (bad / path.name).write_bytes(path.read_bytes())
    for path in bad.glob("*.toml"):
        data = tomllib.loads(path.read_text())
        model = installed_vendors()[data["vendor"]].adapter.credential_model
        text = path.read_text()
        for name, value in data["credential"].items():
            if is_secret(name, model):
                text = text.replace(json.dumps(value), json.dumps(f"{value} with blanks"))
        text = text.replace("[credential]\n", '[credential]\nunheard_of = "planted-in-an-unknown-field"\n')
        below = "" if "[defaults]" in text else "[defaults]\n"
        path.write_text(text + below + 'app_secret = "planted-among-defaults"\n')
    for path in (*bad.glob("*.json"), *bad.glob("*.p8")):
        path.write_text(path.read_text()[:-80])
    (bad / "9999.toml").write_text(
        'business_id = 9999\nvendor = "oppo"\n[credential\nmaster_secret = "planted-in-no-toml"'
    )


class Outputs:
    """Runs commands one after the other, and keeps all that they say."""

    def __init__(self, rig: Any) -> None:
        self.directory = rig.home / "outputs"
        self.directory.mkdir()
        self._environ = {
            "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": rig.servers,
            "PUSHGW_KAFKA__TOPICS__MESSAGES": rig.topics.messages,
            "PUSHGW_KAFKA__TOPICS__RECEIPTS": rig.topics.receipts,
            "PUSHGW_KAFKA__TOPICS__DEAD_LETTERS": rig.topics.dead_letters,
            "PUSHGW_STATE__URL": rig.settings.state.url,
            "PUSHGW_CREDENTIALS__DIRECTORY": str(rig.home / "certs"),
        }

    async def run(self, *command: str, stdin: str = "", **environ: str) -> int:
        """Its exit code."""
        call = partial(CliRunner().invoke, app, command, input=stdin, env=self._environ | environ)
        done = await asyncio.to_thread(call)
        self.keep("-".join(command), (done.output + repr(done.exception)).encode())
        return done.exit_code

    def keep(self, name: str, said: bytes) -> None:
        number = len(list(self.directory.iterdir()))
        short = re.sub(r"[^a-z0-9]+", "-", name.lower())[:60]
        (self.directory / f"{number:03}-{short}.txt").write_bytes(said)


def devices(ids: list[int]) -> list[dict[str, Any]]:
    """A user of each credential, by the name of its id."""
    platforms = {9001: "ios", P12: "ios", 9009: "harmony"}
    return [
        {
            "Event": "Device.Put",
            "To_Account": f"u{number}",
            "EventTime": int(time.time() * 1000),
            "DeviceID": "d1",
            "BusinessID": number,
            "Platform": platforms.get(number, "android"),
            "Token": f"{number:064x}",
        }
        for number in ids
    ]


@pytest.fixture
def logs() -> Iterator[None]:
    """Commands set up logs for their process, which is ours."""
    yield
    structlog.reset_defaults()


async def test_no_planted_secret_comes_out(
    rig: Any, message: Any, unused_tcp_port: int, logs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway's log at level debug, receipts, dead letters, state, /metrics, /readyz; `certs`, `explain`, `send`, `dlq`
    and what they say of broken files and vendors; a fault of every kind. The secrets were in use meanwhile."""
    certs = rig.home / "certs"
    plant_secrets(certs)
    write_certificate_credential(certs, P12, days=9, password="planted-" + secrets.token_hex(8))
    accounts = credentials_of(Settings(credentials=CredentialSettings(directory=certs))).accounts
    port = rig.sandbox.port
    await rig.sandbox.close()
    rig.sandbox = await Sandbox.start(accounts, port=port)
    vendors = sorted({account.vendor for account in accounts})
    assert vendors == sorted(installed_vendors())
    ids = sorted(account.business_id for account in accounts)
    users = [f"u{number}" for number in ids]
    listen = f"127.0.0.1:{unused_tcp_port}"
    rig.gateway(PUSHGW_HTTP__LISTEN=listen, PUSHGW_LOG__LEVEL="debug", PUSHGW_DISPATCH__BACKOFF="0.01")
    await rig.publish(*devices(ids), topic=rig.topics.user_events)
    async with asyncio.timeout(60):
        while not await rig._known(tuple(users)):
            await asyncio.sleep(0.1)
    await rig.publish(*(message(user) for user in users), b"no json", b"{}")
    await rig.collect(len(users), dead_letters=2)
    assert {r["PushGateway"]["Verdict"] for r in rig.receipts} == {"pushed"}, rig.receipts
    monkeypatch.chdir(rig.home)
    out = Outputs(rig)
    body = json.dumps(message(users))
    asked = [("certs", "list"), ("certs", "check"), ("dlq", "list"), ("explain", "-")]
    asked += [("certs", "show", str(number)) for number in ids]
    asked += [
        ("send", "--credential", str(n), "--token", f"{n:064x}", *dry)
        for n in ids
        for dry in ((), ("--dry-run",))
    ]
    codes = {one: await out.run(*one, "--json", stdin=body) for one in asked}
    assert set(codes.values()) == {0}, codes
    for fault in ERRORS:
        signing = {"xiaomi", "meizu"} if fault == "expired-auth" else set()
        await rig.set_faults(*(f"{vendor}={fault}" for vendor in vendors if vendor not in signing))
        await rig.publish(*(message(user) for user in users))
        assert await out.run("certs", "check") != 0
        for number in ids if fault == "401" else ():
            await out.run("send", "--credential", str(number), "--token", "ab" * 32)
    bad = rig.home / "bad"
    break_credentials(certs, bad)
    worse = {"PUSHGW_CREDENTIALS__DIRECTORY": str(bad)}
    for what in (("list",), ("check",), *(("show", str(number)) for number in ids)):
        await out.run("certs", *what, **worse)
    there = f"user:{IN_AN_ADDRESS}"
    for wrong in (f"redis://{there}1@127.0.0.1:1/0", f"nothing://{there}2@127.0.0.1/0"):
        await out.run("certs", "list", PUSHGW_STATE__URL=wrong)
        await out.run("send", "--credential", str(P12), "--user", "bob", PUSHGW_STATE__URL=wrong)
    sasl = {"PUSHGW_KAFKA__SECURITY_PROTOCOL": "X", "PUSHGW_KAFKA__SASL_PASSWORD": f"{IN_AN_ADDRESS}3"}
    assert await out.run("dlq", "list", **sasl) == 3
    async with httpx.AsyncClient(base_url=f"http://{listen}", trust_env=False) as client:
        for page in ("/metrics", "/readyz"):
            out.keep(page, (await client.get(page)).content)
            out.keep(page, (await client.get(page, headers={"accept": "application/json"})).content)
    await rig.quiet()
    assert await rig.stop(rig.gateways[0]) == 0
    out.keep("receipts", json.dumps(rig.receipts).encode())
    out.keep("dead letters", repr(rig.dead_letters).encode())
    found = planted(certs)
    assert {secret.name.partition(":")[0] for secret in found.values()} >= {
        *(f"{n}.toml" for n in ids if n not in (9001, 9002, 9009)),
        *("AuthKey_EXAMPLEKY1.p8", "fcm-service-account.json", "harmony-service-account.json"),
    }
    planted_too = [
        *(f"{IN_AN_ADDRESS}{n}" for n in range(1, 4)),
        "planted-in-an-unknown-field",
        "planted-among-defaults",
        "planted-in-no-toml",
    ]
    extra = [Secret(word, (word.encode(),)) for word in planted_too]
    hits, looked = hunt(rig.home, [*found.values(), *extra])
    print(f"{len(found) + len(extra)} secrets, {looked} files: {len(hits)} hits")
    assert hits == []
    assert looked > 70
