"""The hunt that follows every run of the tests finds what was planted, says its name alone, and fails the run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.secret_hunt import hunt, planted

HUNT = Path(__file__).resolve().parents[1] / "secret_hunt.py"
SECRET = "hidden/master+secret=="


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that the hunt after our own run does not see."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def home(elsewhere: Path) -> Path:
    """A credential directory with a secret and a key file."""
    certs = elsewhere / "run" / "certs"
    certs.mkdir(parents=True)
    (certs / "7.toml").write_text(
        f'business_id = 7\nvendor = "oppo"\n[credential]\napp_key = "open-to-everybody"\nmaster_secret = "{SECRET}"\n'
    )
    (certs / "key.p8").write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return elsewhere / "run"


@pytest.mark.parametrize("form", [SECRET, "hidden%2Fmaster%2Bsecret%3D%3D"])
@pytest.mark.parametrize("place", ["gateway.log", "certs/gateway.log", "state.db", "deep/down/answer.json"])
def test_a_secret_is_found_wherever_it_is_written(home: Path, form: str, place: str) -> None:
    """As it is or as a form spells it, in any file, beside the credentials too; the hit names the file and the field."""
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(f"asked with {form} and refused")
    hits, _ = hunt(home, planted(home).values())
    assert [(hit.file, hit.secret) for hit in hits] == [(home / place, "7.toml: master_secret")]


def test_a_line_of_a_private_key_is_found(home: Path) -> None:
    """Also inside a string of JSON, where its line ends are spelled."""
    (home / "gateway.log").write_text((home / "certs" / "key.p8").read_text().replace("\n", "\\n"))
    hits, _ = hunt(home, planted(home).values())
    assert {hit.secret.partition(":")[0] for hit in hits} == {"key.p8"}


def test_credentials_themselves_and_open_fields_are_no_hits(home: Path) -> None:
    """Nor is what a command is given to read."""
    (home / "console.json").write_text(f'{{"client_secret": "{SECRET}"}}')
    (home / "gateway.log").write_text("open-to-everybody")
    hits, looked = hunt(home, planted(home).values())
    assert (hits, looked) == ([], 1)


@pytest.mark.parametrize(
    ("leak", "hits", "code"),
    [("pass", 0, 0), ("(tmp_path / 'a.log').write_text(SECRET)", 1, 1), ("print(SECRET)", 1, 1)],
    ids=["nothing", "file", "print"],
)
def test_a_run_that_leaks_fails(elsewhere: Path, leak: str, hits: int, code: int) -> None:
    """All tests pass and yet the run does not: exit code 1, a line with the file, and never the secret."""
    (elsewhere / "test_leak.py").write_text(
        f"SECRET = {SECRET!r}\n"
        "def test_leak(tmp_path):\n"
        "    (tmp_path / '7.toml').write_text(f'vendor = \"oppo\"\\n[credential]\\nmaster_secret = \"{SECRET}\"')\n"
        f"    {leak}\n"
    )
    options = ["-q", "-c", "/dev/null", "--rootdir", str(elsewhere), "--basetemp", str(elsewhere / "left")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "tests.secret_hunt", "-p", "no:cacheprovider", "."],
        cwd=elsewhere,
        env={"PYTHONPATH": str(HUNT.parents[1]), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    assert f"{hits} hits" in run.stdout
    assert run.returncode == code
    assert SECRET not in run.stdout
    assert run.stdout.count("has 7.toml: master_secret") == hits
