"""examples/vendor-webhook: a third party's package is equal to ours, and it stays true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pushgw.vendor import installed_vendors

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "vendor-webhook"


def python(*arguments: str, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example in it, installed by pip beside nothing else; without a network."""
    work = tmp_path_factory.mktemp("example")
    ignored = shutil.ignore_patterns("__pycache__", ".*cache", "dist")
    source = shutil.copytree(EXAMPLE, work / "source", ignore=ignored)
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    done = python(*pip, "--disable-pip-version-check", "--target", str(work / "site"), str(source), path=work)
    assert done.returncode == 0, done.stderr
    return work / "site"


def test_its_own_tests_pass() -> None:
    """The example's tests, the conformance kit among them, pass against this SDK."""
    done = python("-m", "pytest", str(EXAMPLE / "tests"), "-p", "no:cacheprovider", path=EXAMPLE / "src")
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout


def test_once_installed_it_is_found(installed: Path) -> None:
    """Installing is all: its two vendors stand beside ours, under the same roof."""
    code = "from pushgw.vendor import installed_vendors as found; print(*found())"
    done = python("-c", code, path=installed)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {*installed_vendors(), "webhook", "webpush"}


def test_pushgw_send_knows_it(installed: Path) -> None:
    """``pushgw send --dry-run`` shows the exact request of the example's credential, and no secret."""
    done = python(
        *("-m", "pushgw", "send", "--credential", "7001", "--token", "device-1"),
        *("--title", "Alice", "--body", "Hi", "--dry-run", "--json"),
        path=installed,
        PUSHGW_CREDENTIALS__DIRECTORY=str(EXAMPLE / "certs.example"),
    )
    assert done.returncode == 0, done.stderr
    request = json.loads(done.stdout)["Request"]
    assert (request["method"], request["url"]) == ("POST", "https://im.example.com/hooks/push?app=chat")
    assert json.loads(request["body"])["notification"]["title"] == "Alice"
    assert request["headers"]["x-pushgw-signature"].startswith("v1=")
    assert "throw-away" not in done.stdout + done.stderr


def test_pushgw_send_refuses_what_it_refuses(installed: Path) -> None:
    """Its ``token_fault`` counts: half a subscription is C6, CHANNEL_REJECT, before anything is sent."""
    done = python(
        *("-m", "pushgw", "send", "--credential", "7002", "--token", '{"endpoint":"https://127.0.0.1/"}'),
        *("--dry-run", "--json"),
        path=installed,
        PUSHGW_CREDENTIALS__DIRECTORY=str(EXAMPLE / "certs.example"),
    )
    assert json.loads(done.stdout)["Code"] == "C6", done.stderr
