"""After the tests: no secret that any of them planted in a credential stands in what they left behind.

What is hunted: every secret of every credential file below pytest's temporary folder, and of the examples: fields that the
vendor's model calls secret, passwords, the lines of private keys. Where: in every file there that is no credential material
itself (logs of gateways, state files, journals, outputs), and in whatever tests printed and nobody read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest

from pushgw.credentials.form import is_secret
from pushgw.sandbox import example_directory
from pushgw.vendor.plugin import installed_vendors

SHORTEST = 10
"""Shorter words stand in many a file by chance."""
PRINTED = "printed-by-tests.txt"
_PRIVATE = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)-----END", re.DOTALL)
_LINE = re.compile(rb"[A-Za-z0-9+/]{40,}")
_SECRET_NAME = re.compile(r"secret|password")
_MATERIAL = frozenset({".toml", ".p8", ".p12", ".pfx", ".pem", ".key"})
_OUTPUT = frozenset({".log", ".db", ".db-wal", ".jsonl", ".txt", ".out"})


class Secret(msgspec.Struct, frozen=True):
    """One thing that must not be found; ``name`` says which, in its stead."""

    name: str
    forms: tuple[bytes, ...]
    """As it is, and as a form or a URL spells it."""


class Hit(msgspec.Struct, frozen=True):
    """A file that has a secret in it."""

    file: Path
    secret: str


def planted(root: Path) -> dict[bytes, Secret]:
    """Every secret of the credential directories at or below ``root``."""
    found: dict[bytes, Secret] = {}
    for directory in sorted({path.parent for path in root.rglob("*.toml") if path.stem.isdigit()}):
        for path in sorted(directory.iterdir()):
            if path.is_file():
                for name, value in _secrets_in(path):
                    found.setdefault(value, Secret(f"{path.name}: {name}", _forms(value)))
    return found


def hunt(root: Path, secrets: Iterable[Secret]) -> tuple[list[Hit], int]:
    """Where they stand below ``root``, and how many files were looked at."""
    wanted = list(secrets)
    hits: list[Hit] = []
    looked = 0
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or _is_material(path):
            continue
        content = path.read_bytes()
        looked += 1
        hits += [Hit(path, one.name) for one in wanted if any(form in content for form in one.forms)]
    return hits, looked


def _secrets_in(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for block in _PRIVATE.findall(content):
        for number, line in enumerate(_LINE.findall(block.replace(b"\\n", b"\n"))):
            yield f"line {number + 1} of a private key", line
    if path.suffix == ".toml":
        for name, text in _fields_of(content):
            if len(text) >= SHORTEST:
                yield name, text.encode()


def _fields_of(content: bytes) -> Iterator[tuple[str, str]]:
    try:
        data = tomllib.loads(content.decode())
    except ValueError:
        return
    fields = data.get("credential")
    vendor = installed_vendors().get(str(data.get("vendor")))
    for name, value in fields.items() if isinstance(fields, dict) else ():
        secret = (
            is_secret(name, vendor.adapter.credential_model) if vendor else bool(_SECRET_NAME.search(name))
        )
        if secret and isinstance(value, str):
            yield name, value


def _forms(value: bytes) -> tuple[bytes, ...]:
    text = value.decode()
    return tuple(dict.fromkeys((value, quote(text, safe="").encode(), quote_plus(text).encode())))


def _is_material(path: Path) -> bool:
    """Whether a test put it there for a credential to be made of."""
    if path.suffix in _MATERIAL:
        return True
    if path.suffix in _OUTPUT:
        return False
    return any(one.stem.isdigit() for one in path.parent.glob("*.toml")) or (
        path.suffix == ".json" and re.search(rb'"(private_key|client_secret)"', path.read_bytes()) is not None
    )


# --- pytest -----------------------------------------------------------------------------------------------

_ROOT = pytest.StashKey[Path]()
_RESULT = pytest.StashKey[tuple[list[Hit], int, int]]()


@pytest.fixture(scope="session", autouse=True)
def _left_behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    request.config.stash[_ROOT] = tmp_path_factory.getbasetemp()


class Hunter:
    """The plugin."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test printed, to be searched with the rest."""
        root = self._config.stash.get(_ROOT, None)
        if root is not None and report.when == "teardown" and report.sections:
            with (root / PRINTED).open("a", errors="replace") as sink:
                sink.writelines([report.nodeid, "\n", *(text for _, text in report.sections), "\n"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hunt; a hit fails the run."""
        root = self._config.stash.get(_ROOT, None)
        if root is None:
            return
        secrets = planted(example_directory()) | planted(root)
        hits, looked = hunt(root, secrets.values())
        self._config.stash[_RESULT] = hits, looked, len(secrets)
        if hits:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line, and one for each hit."""
        if (result := self._config.stash.get(_RESULT, None)) is None:
            return
        hits, looked, secrets = result
        terminalreporter.write_line(
            f"secret hunt: {secrets} planted secrets, {looked} files left by tests, {len(hits)} hits"
        )
        for hit in hits:
            terminalreporter.write_line(f"secret hunt: {hit.file} has {hit.secret}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    config.pluginmanager.register(Hunter(config), "secret-hunt")
