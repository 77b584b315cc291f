"""`pushgw certs`: what operators see, what is written, and how the commands end."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner, Result

from pushgw.cli import app, output
from pushgw.credentials import load_directory
from pushgw.messages.model import DeviceDelete, DevicePut, UserEvent
from pushgw.sandbox import Sandbox, example_directory, with_endpoint
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.vendor.plugin import installed_vendors

SECRET = "hush-hush-0123456789"
Run = Callable[..., Result]


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    """A copy of the examples, closed to others."""
    directory = tmp_path / "certs"
    with_endpoint(
        example_directory(),
        directory,
        "https://127.0.0.1:9",
        (example_directory() / "sandbox-ca.pem").read_bytes(),
    )
    directory.chmod(0o700)
    return directory


@pytest.fixture
def run(tmp_path: Path, certs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUSHGW_CREDENTIALS__DIRECTORY", str(certs))
    monkeypatch.setenv("PUSHGW_STATE__URL", f"sqlite:///{tmp_path / 'state.db'}")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(output.out, "_width", 200)  # as COLUMNS of the process may have fixed it already

    def call(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, ["certs", *arguments], input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield call
    structlog.reset_defaults()


@contextmanager
def sandbox(certs: Path) -> Iterator[Sandbox]:
    """A sandbox in a thread, and the directory aimed at it."""
    accounts = load_directory(example_directory(), installed_vendors()).accounts
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    served = asyncio.run_coroutine_threadsafe(Sandbox.start(accounts), loop).result(30)
    try:
        with_endpoint(example_directory(), certs, served.url, served.ca_pem)
        yield served
    finally:
        asyncio.run_coroutine_threadsafe(served.close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def written(certs: Path, business_id: int) -> dict[str, Any]:
    return tomllib.loads((certs / f"{business_id}.toml").read_text())


# --- list, show -------------------------------------------------------------------------------------------


def test_list_names_every_credential(run: Run) -> None:
    """Id, vendor, app, environment and state; none has pushed yet, and none of these expires."""
    result = run("list", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    rows = {row["BusinessID"]: row for row in answer["Credentials"]}
    assert rows[9001] == {
        "BusinessID": 9001,
        "File": "9001.toml",
        "Vendor": "apns",
        "Name": "Sandbox, APNs with a provider key",
        "App": "com.example.chat",
        "Environment": "sandbox",
        "ExpiresAt": None,
        "DaysLeft": None,
        "LastGoodPush": None,
        "State": "ok",
        "Detail": "",
    }
    assert {row["Vendor"] for row in rows.values()} == set(installed_vendors())
    assert all(row["App"] for row in rows.values())
    assert answer["Faults"] == []


def test_list_and_show_say_when_a_push_was_last_accepted(run: Run, tmp_path: Path) -> None:
    """As the gateway noted it; a credential that never pushed has none. A store that does not answer is said on stderr."""
    url = f"sqlite:///{tmp_path / 'state.db'}"

    async def noted() -> None:
        store = await open_store(StateSettings(url=url))
        await store.note_good_pushes({9001: 1_795_500_000.75})
        await store.close()

    asyncio.run(noted())
    rows = {r["BusinessID"]: r for r in json.loads(run("list", "--json").stdout)["Credentials"]}
    assert rows[9001]["LastGoodPush"] == "2026-11-24T06:00:00+00:00"
    assert rows[9002]["LastGoodPush"] is None
    assert "LastGoodPush: 2026-11-24T06:00:00+00:00" in run("show", "9001").stdout
    (tmp_path / "state.db").write_bytes(b"no database of anybody" * 100)
    broken = run("list", "--json")
    assert broken.exit_code == 0
    assert "last good pushes are not known" in broken.stderr


def test_list_says_what_is_wrong(run: Run, certs: Path) -> None:
    """For people: a table, then a sentence for each that is not well; a file that is no credential, too."""
    (certs / "9002.toml").write_text("business_id = ")
    (certs / "09003.toml").write_bytes((certs / "9003.toml").read_bytes())
    (certs / "draft.toml").write_text("business_id = 5")
    result = run("list")
    assert result.exit_code == 0
    assert "com.example.chat" in result.stdout
    assert "9002 unusable: 9002.toml: is no TOML" in result.stdout
    assert "- unusable: draft.toml: the name is no certificate id" in result.stdout
    assert "09003.toml: business_id: is a second file for the id 9003" in result.stdout


def test_show_has_everything_but_secrets(run: Run, certs: Path) -> None:
    """Fields as written, key ids, defaults; a secret, and a field that nobody knows, is ***."""
    path = certs / "9005.toml"
    path.write_text(path.read_text().replace("[credential]", f'[credential]\nappsecret = "{SECRET}"'))
    path.write_text(path.read_text().replace("https://127", "https://user:pass@127", 1))
    answer = json.loads(run("show", "9005", "--json").stdout)
    assert answer["Fields"] == {
        "appsecret": "***",
        "app_key": "throwawayappkey00000000000009005",
        "master_secret": "***",
    }
    assert answer["Endpoint"] == "https://***@127.0.0.1:9"
    assert answer["Defaults"] == {"channel_id": "im", "category": "IM"}
    for business_id in (9001, 9002, 9003, 9004, 9005, 9006, 9009, 9010, 9011, 9012):
        shown = run("show", str(business_id)).stdout + run("show", str(business_id), "--json").stdout
        for secret in (SECRET, "PRIVATE KEY", "throwawaymastersecret", "throw-away", "throwawayappsecret"):
            assert secret not in shown, business_id
    assert "Details.key_id: EXAMPLEKY1" in run("show", "9001").stdout


def test_show_hides_the_key_that_ends_an_address(run: Run, certs: Path) -> None:
    """An address for vendors' receipts is a secret from the credential's id on; a plain one is shown as it is."""
    path = certs / "9005.toml"
    callback = f"https://gw.example/reports/9005/{SECRET}"
    path.write_text(path.read_text() + f'callback = "{callback}"\n')
    shown = run("show", "9005").stdout + run("show", "9005", "--json").stdout
    assert SECRET not in shown
    assert "https://gw.example/reports/9005/***" in shown
    path.write_text(path.read_text().replace(f"/{SECRET}", ""))
    assert json.loads(run("show", "9005", "--json").stdout)["Defaults"]["callback"] == (
        "https://gw.example/reports/9005"
    )


def test_show_tells_env_and_file_apart(run: Run, certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret from elsewhere is shown by its place; its value is not."""
    monkeypatch.setenv("OPPO", SECRET)
    path = certs / "9005.toml"
    path.write_text(path.read_text().replace('"throwawaymastersecret00000009005"', '{ env = "OPPO" }'))
    result = run("show", "9005")
    assert "Fields.master_secret: env OPPO" in result.stdout
    assert SECRET not in result.stdout


def test_texts_are_shown_as_they_are(run: Run, certs: Path) -> None:
    """Colons and brackets are text: a fingerprint with :ab: in it is no pictogram, a name in brackets no markup."""
    path = certs / "9005.toml"
    path.write_text(path.read_text().replace('"Sandbox, OPPO"', '"a:ab:c [b]x[/b]"'))
    assert "Name: a:ab:c [b]x[/b]" in run("show", "9005").stdout
    assert "a:ab:c [b]x[/b]" in run("list").stdout


def test_an_unknown_id_is_a_no(run: Run) -> None:
    """Exit 1, with the ids that there are; nothing on stdout."""
    for arguments in (("show", "1"), ("check", "1", "--offline"), ("remove", "1")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "there is no credential 1; there are: 9001, 9002" in result.stderr


# --- check ------------------------------------------------------------------------------------------------


def test_check_offline_is_a_line_a_check(run: Run) -> None:
    """Without a network: exit 0 when all is well."""
    result = run("check", "--offline")
    assert result.exit_code == 0, result.stdout
    lines = result.stdout.splitlines()
    assert all(" pass " in line for line in lines)
    assert [line.split()[0] for line in lines if " file " in line] == sorted(
        {line.split()[0] for line in lines}
    )


def test_check_asks_the_vendors(run: Run, certs: Path) -> None:
    """All examples pass in the sandbox: exit 0. With AppSecret for MasterSecret: exit 1 and the mend."""
    with sandbox(certs):
        result = run("check", "--json")
        answer = json.loads(result.stdout)
        assert (result.exit_code, answer["Result"]) == (0, "pass"), answer
        online = {
            c["BusinessID"] for c in answer["Checks"] if c["Check"] in ("token server", "harmless push")
        }
        assert len(online) == 10
        path = certs / "9005.toml"
        path.write_text(path.read_text().replace("throwawaymastersecret", "throwawayappsecret000"))
        result = run("check", "9005")
        assert result.exit_code == 1
        assert "check that MasterSecret, not AppSecret, is configured" in result.stdout


def test_check_of_a_vendor_that_is_away_is_exit_4(run: Run, certs: Path) -> None:
    """Neither good nor bad; but one that is bad makes it exit 1."""
    result = run("check", "9004", "9005")
    assert result.exit_code == 4
    assert result.stdout.count("unreachable") == 2
    (certs / "9004.toml").write_text("vendor = 7")
    result = run("check", "9004", "9005")
    assert result.exit_code == 1
    assert "not tried    the file must be mended first" in result.stdout


# --- add --------------------------------------------------------------------------------------------------


def test_add_takes_a_flag_a_field(run: Run, certs: Path) -> None:
    """The file is as an operator would write it, for its owner only, and loads."""
    result = run(
        "add", "--vendor", "oppo", "--id", "6005", "--app-key", "a1b2", f"--master-secret={SECRET}",
        "--name", "Example IM", "--default", "channel_id=im", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {
        "BusinessID": 6005,
        "Vendor": "oppo",
        "Done": "added",
        "Warnings": [],
    }
    assert written(certs, 6005) == {
        "business_id": 6005,
        "vendor": "oppo",
        "name": "Example IM",
        "credential": {"app_key": "a1b2", "master_secret": SECRET},
        "defaults": {"channel_id": "im"},
    }
    assert (certs / "6005.toml").stat().st_mode & 0o777 == 0o600
    assert load_directory(certs, installed_vendors()).entries[6005].problem is None
    assert SECRET not in result.output


def test_add_chooses_the_next_id(run: Run, certs: Path) -> None:
    """Where none is given."""
    result = run("add", "--vendor", "meizu", "--set", "app_id=110011", "--set", f"app_secret={SECRET}")
    assert result.exit_code == 0, result.stderr
    assert "9013 (meizu) added" in result.stdout
    assert (certs / "9013.toml").exists()


def test_add_recognises_a_provider_key(run: Run, certs: Path, tmp_path: Path) -> None:
    """Vendor and key id come out of the file; it is copied beside the TOML, for its owner only."""
    key = tmp_path / "AuthKey_ABC123DEFG.p8"
    key.write_bytes((certs / "AuthKey_EXAMPLEKY1.p8").read_bytes().replace(b"\n", b"\r\n"))
    result = run(
        "add", "--from", str(key), "--team-id", "DEF123GHIJ", "--bundle-id", "com.example.im", "--id", "6666"
    )
    assert result.exit_code == 0, result.stderr
    assert written(certs, 6666)["credential"] == {
        "key_id": "ABC123DEFG",
        "key_file": "AuthKey_ABC123DEFG.p8",
        "team_id": "DEF123GHIJ",
        "bundle_id": "com.example.im",
    }
    assert (certs / key.name).stat().st_mode & 0o777 == 0o600
    assert b"\r" not in (certs / key.name).read_bytes()


def test_add_puts_several_files_together(run: Run, certs: Path, tmp_path: Path) -> None:
    """agconnect-services.json and a service account of Huawei's: with --vendor, since HarmonyOS has the same."""
    account = tmp_path / "huawei-service-account.json"
    account.write_bytes((certs / "huawei-service-account.json").read_bytes())
    project = json.loads(account.read_bytes())["project_id"]
    agconnect = tmp_path / "agconnect-services.json"
    client = {"app_id": "104", "project_id": project, "package_name": "com.example.im"}
    agconnect.write_text(json.dumps({"agcgw": {}, "client": client}))
    result = run("add", "--from", str(account), "--id", "6000")
    assert result.exit_code == 2
    assert "may be of harmony or huawei; say which with --vendor" in result.stderr
    result = run("add", "--from", str(account), "--from", str(agconnect), "--id", "6000")
    assert result.exit_code == 0, result.stderr
    assert written(certs, 6000)["credential"] == {
        "project_id": project,
        "service_account_file": "huawei-service-account.json",
        "app_id": "104",
        "package": "com.example.im",
    }


def test_add_never_overwrites(run: Run, certs: Path, tmp_path: Path) -> None:
    """Neither an id, nor another credential's file of the same name."""
    before = files(certs)
    result = run("add", "--vendor", "oppo", "--id", "9005", "--app-key", "a", "--master-secret", "b")
    assert result.exit_code == 2
    assert "`pushgw certs rotate 9005` replaces it" in result.stderr
    assert files(certs) == before
    other = tmp_path / "fcm-service-account.json"
    content = json.loads(before["fcm-service-account.json"])
    other.write_text(json.dumps({**content, "project_id": "another-project"}))
    assert run("add", "--from", str(other), "--id", "6002").exit_code == 0
    name = written(certs, 6002)["credential"]["service_account_file"]
    assert name.endswith("-fcm-service-account.json")
    after = files(certs)
    assert {n: after[n] for n in before} == before
    assert after[name] == other.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--vendor", "opo"), 2, "none is called opo; did you mean oppo?"),
        ((), 2, "--vendor is missing; it is one of apns"),
        (
            ("--vendor", "oppo", "--app-kee", "x"),
            2,
            "--app-kee: oppo has no such field; did you mean app_key?",
        ),
        (
            ("--vendor", "oppo", "--app-key"),
            2,
            "--app-key: the value of app_key is missing; write --app-key VALUE",
        ),
        (("--vendor", "apns", "--key-file", "--no-form"), 2, "--key-file: the value of key_file is missing"),
        (("--vendor", "oppo", "--set", "app_key"), 2, "--set: expected field=value"),
        (("--vendor", "oppo", "stray"), 2, "stray belongs to no option"),
        (("--vendor", "oppo", "--app-key", "x"), 3, "credential.master_secret: is missing"),
        (("--vendor", "apns", "--key-file", "gone.p8"), 3, "key_file: gone.p8 does not exist"),
        (("--from", "gone.p8"), 3, "gone.p8 does not exist"),
        (("--vendor", "oppo", "--app-key", "x", "--master-secret", "env:NOPE"), 3, "NOPE is not set"),
        (("--vendor", "oppo", "--app-key", "same", "--master-secret", "same"), 3, "hold the same text"),
    ],
)
def test_add_refuses_what_would_not_work(
    run: Run, certs: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Wrong use is 2, a credential that cannot be good is 3; nothing was written."""
    before = files(certs)
    result = run("add", *arguments, "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr
    assert files(certs) == before


def test_add_lists_a_vendors_fields(run: Run) -> None:
    """In the words of the vendor's console, made from its model: a third party's vendor has them, too."""
    shown = run("add", "--vendor", "oppo", "--fields").stdout
    assert "--app-key" in shown
    assert "MasterSecret (not AppSecret); required. (secret)" in shown
    answer = json.loads(run("add", "--vendor", "apns", "--fields", "--json").stdout)
    by_name = {field["Field"]: field for field in answer["Fields"]}
    assert by_name["key_file"]["File"]
    assert by_name["password"]["Secret"]
    assert by_name["bundle_id"]["Required"]


def test_a_secret_may_stay_in_the_environment(run: Run, certs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """env:NAME: the file holds the name alone."""
    monkeypatch.setenv("OPPO", SECRET)
    assert (
        run(
            "add", "--vendor", "oppo", "--id", "6005", "--app-key", "a1", "--master-secret", "env:OPPO"
        ).exit_code
        == 0
    )
    assert written(certs, 6005)["credential"]["master_secret"] == {"env": "OPPO"}
    assert SECRET not in (certs / "6005.toml").read_text()


def test_the_form_asks_for_what_is_missing(run: Run, certs: Path, tmp_path: Path) -> None:
    """Field by field; a file that is not there is asked for again; Enter leaves an optional field out."""
    key = tmp_path / "AuthKey_ABC123DEFG.p8"
    key.write_bytes((certs / "AuthKey_EXAMPLEKY1.p8").read_bytes())
    answers = ["com.example.im", "sandbox", "ABC123DEFG", "DEF123GHIJ", "gone.p8", str(key), "", ""]
    result = run("add", "--vendor", "apns", "--id", "6666", "--form", stdin="\n".join(answers) + "\n")
    assert result.exit_code == 0, result.stderr
    assert "gone.p8 does not exist" in result.stderr
    assert written(certs, 6666)["credential"] == {
        "bundle_id": "com.example.im",
        "environment": "sandbox",
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "key_file": "AuthKey_ABC123DEFG.p8",
    }


def test_on_a_terminal_the_form_hides_secrets(certs: Path, tmp_path: Path) -> None:
    """A real terminal: the form comes by itself, in the console's words, and what is typed as a secret is not echoed."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PUSHGW_CREDENTIALS__DIRECTORY": str(certs)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pushgw", "certs", "add", "--vendor", "oppo", "--id", "6005"],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=tmp_path,
    )  # fmt: skip
    try:
        os.close(theirs)
        seen = _until(ours, b"  app_key:")
        os.write(ours, b"a1b2\n")
        seen += _until(ours, b"  master_secret:")
        _until_silent(ours)
        os.write(ours, SECRET.encode() + b"\n")
        seen += _until(ours, b"  receipt_key:")
        _until_silent(ours)
        os.write(ours, b"\n")
        seen += _until(ours, b"added")
        assert process.wait(60) == 0
    finally:
        process.kill()  # a form that asks for more than the test answers waits for ever
        process.wait()
    os.close(ours)
    assert b"MasterSecret (not AppSecret)" in seen
    assert b"a1b2" in seen
    assert SECRET.encode() not in seen
    assert written(certs, 6005)["credential"] == {"app_key": "a1b2", "master_secret": SECRET}


def _until(terminal: int, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen


def _until_silent(terminal: int) -> None:
    """The prompt comes just before the echo goes; what is typed between the two is lost."""
    end = time.monotonic() + 60
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        assert time.monotonic() < end, "the terminal still echoes"
        time.sleep(0.01)


def push_certificate(days: int, password: str) -> tuple[bytes, str]:
    """A push certificate of production that ends in so many days and an hour, as .p12; and its SHA-256."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.USER_ID, "com.example.im")])
    production = x509.ObjectIdentifier("1.2.840.113635.100.6.3.2")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .add_extension(x509.UnrecognizedExtension(production, b"\x05\x00"), critical=False)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password.encode())
    content = pkcs12.serialize_key_and_certificates(b"push", key, certificate, None, lock)
    return content, certificate.fingerprint(hashes.SHA256()).hex(":")


def test_a_certificate_from_file_to_list(
    run: Run, certs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added with its password in the environment: app and environment out of it; list counts the days and warns below 30,
    show has subject, dates and fingerprint; expired, it is refused and nothing is written."""
    monkeypatch.setenv("P12", SECRET)
    (tmp_path / "push.p12").write_bytes(push_certificate(-1, SECRET)[0])
    arguments = ("add", "--from", "push.p12", "--password", "env:P12", "--id", "6666")
    result = run(*arguments)
    assert result.exit_code == 3
    assert "push.p12: the certificate expired on" in result.stderr
    assert not (certs / "6666.toml").exists()
    content, fingerprint = push_certificate(13, SECRET)
    (tmp_path / "push.p12").write_bytes(content)
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "expires in 13 days" in result.stderr
    [row] = [r for r in json.loads(run("list", "--json").stdout)["Credentials"] if r["BusinessID"] == 6666]
    assert (row["App"], row["Environment"], row["DaysLeft"]) == ("com.example.im", "production", 13)
    assert row["State"] == "warning"
    assert "get a new one in the vendor's console" in row["Detail"]
    shown = run("show", "6666").stdout
    assert f"Details.sha256: {fingerprint}" in shown
    assert "Details.subject: UID=com.example.im" in shown
    assert "Details.not_after: 20" in shown
    assert "Fields.password: env P12" in shown
    assert SECRET not in shown + result.output


# --- rotate -----------------------------------------------------------------------------------------------


def test_rotate_replaces_after_the_vendor_took_it(run: Run, certs: Path) -> None:
    """What the vendor refuses is not written, and the old one serves on; what it takes replaces the old, which is kept."""
    with sandbox(certs):
        before = files(certs)
        result = run("rotate", "9005", "--master-secret", SECRET)
        assert result.exit_code == 1
        assert "the vendor refuses it" in result.stderr
        assert "MasterSecret, not AppSecret" in result.stderr
        assert files(certs) == before
        path = certs / "9005.toml"
        good = path.read_bytes()
        path.write_bytes(good.replace(b"throwawaymastersecret00000009005", SECRET.encode()))
        broken = path.read_bytes()
        result = run("rotate", "9005", "--master-secret", "throwawaymastersecret00000009005", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["Done"] == "rotated"
    assert path.read_bytes() == good  # comments, order and all
    assert (certs / "9005.toml.previous").read_bytes() == broken
    assert (certs / "9005.toml.previous").stat().st_mode & 0o777 == 0o600


def test_rotate_waits_for_no_vendor_when_told_so(run: Run, certs: Path) -> None:
    """A vendor that is away: exit 4 and nothing changed; with --offline it is replaced."""
    before = files(certs)
    result = run("rotate", "9005", "--master-secret", SECRET)
    assert result.exit_code == 4
    assert "say --offline" in result.stderr
    assert files(certs) == before
    assert run("rotate", "9005", "--master-secret", SECRET, "--offline").exit_code == 0
    assert written(certs, 9005)["credential"]["master_secret"] == SECRET


def test_rotate_refuses_another_apps_key(run: Run, certs: Path, tmp_path: Path) -> None:
    """The configured project stands: a key file of another one is noticed, not adopted."""
    other = tmp_path / "account.json"
    content = json.loads((certs / "harmony-service-account.json").read_bytes())
    other.write_text(json.dumps({**content, "project_id": "1234"}))
    before = files(certs)
    result = run("rotate", "9009", "--from", str(other), "--offline")
    assert result.exit_code == 3
    assert "use the key file of the same project" in result.stderr
    assert files(certs) == before


def test_rotate_takes_a_new_key_with_its_id(run: Run, certs: Path, tmp_path: Path) -> None:
    """The key id changes with the key; the old key stays for the previous one, and goes with the next rotation."""
    for name in ("AuthKey_NEWKEY0001.p8", "AuthKey_NEWKEY0002.p8"):
        (tmp_path / name).write_bytes((certs / "AuthKey_EXAMPLEKY1.p8").read_bytes())
        assert run("rotate", "9001", "--from", str(tmp_path / name), "--offline").exit_code == 0
    credential = written(certs, 9001)["credential"]
    assert (credential["key_id"], credential["key_file"]) == ("NEWKEY0002", "AuthKey_NEWKEY0002.p8")
    assert {path.name for path in certs.glob("*.p8")} == {"AuthKey_NEWKEY0001.p8", "AuthKey_NEWKEY0002.p8"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("1", "--app-key", "x"), 3, "no credential 1 in"),
        (("9005",), 2, "nothing is new"),
        (("9005", "--package", "x"), 2, "oppo has no such field"),
        (("9005", "--no-form"), 2, "--no-form: oppo has no such field; it has app_key, master_secret"),
        (
            ("9005", "--master-secret", "--no-form"),
            2,
            "--master-secret: the value of master_secret is missing; write --master-secret VALUE",
        ),
        (("9001", "--key-id", "NEWKEY0001", "--key-file"), 2, "--key-file: the value of key_file is missing"),
        (
            ("9005", "--from", "AuthKey_EXAMPLEKY1.p8"),
            2,
            "is a provider key of Apple's: nothing that oppo takes",
        ),
        (("9005", "--unset", "master-secret"), 3, "credential.master_secret: is missing"),
    ],
)
def test_rotate_refuses_wrong_use(
    run: Run, certs: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """With a sentence; nothing was written."""
    monkeypatch.chdir(certs)
    before = files(certs)
    result = run("rotate", *arguments, "--offline", "--json")
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert words in result.stderr
    assert files(certs) == before


# --- remove -----------------------------------------------------------------------------------------------


def remember(tmp_path: Path, *events: UserEvent) -> None:
    async def fill() -> None:
        store = await open_store(StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}"))
        await store.apply(events)
        await store.close()

    asyncio.run(fill())


def put(user: str, business_id: int = 9005) -> DevicePut:
    return DevicePut(
        app=0,
        user=user,
        time_ms=1,
        device_id="d",
        business_id=business_id,
        token=f"t-{user}",
        platform="android",
    )


def test_remove_is_refused_while_devices_refer_to_it(run: Run, certs: Path, tmp_path: Path) -> None:
    """How many, and what would become of them; forced, it goes. Another credential's devices do not count."""
    remember(tmp_path, put("bob"), put("carol"), put("dave", 9004))
    before = files(certs)
    result = run("remove", "9005")
    assert result.exit_code == 1
    assert "2 devices refer to 9005, and would not be pushed any more (C2)" in result.stderr
    assert files(certs) == before
    result = run("remove", "9005", "--force", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"BusinessID": 9005, "Done": "removed"})
    assert set(before) - set(files(certs)) == {"9005.toml"}


def test_remove_goes_through_when_no_device_is_left(run: Run, certs: Path, tmp_path: Path) -> None:
    """The device was deleted, or nobody was ever known."""
    assert run("remove", "9004").exit_code == 0
    remember(tmp_path, put("bob"), DeviceDelete(app=0, user="bob", time_ms=2, device_id="d"))
    assert run("remove", "9005").exit_code == 0
    assert not (certs / "9005.toml").exists()


def test_remove_asks_a_store_that_is_none(run: Run, certs: Path, tmp_path: Path) -> None:
    """Who does not know whether devices refer to it does not remove it: exit 4."""
    (tmp_path / "state.db").write_bytes(b"this is no database" * 100)
    result = run("remove", "9005")
    assert result.exit_code == 4
    assert "--force removes it all the same" in result.stderr
    assert (certs / "9005.toml").exists()


def test_every_certs_command_has_an_example(run: Run) -> None:
    """--help shows one."""
    for command in ("list", "show", "check", "add", "rotate", "remove"):
        assert f"Example: pushgw certs {command}" in run(command, "--help").stdout.replace("\n", " ")
