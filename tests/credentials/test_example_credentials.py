"""certs.example: complete, fresh, and of no use but in the sandbox."""

from __future__ import annotations

import shutil
from pathlib import Path

from pushgw.credentials import load_directory
from pushgw.sandbox import example_directory
from pushgw.vendor.plugin import installed_vendors


def test_every_example_can_be_used(tmp_path: Path) -> None:
    """All examples load without a fault or a warning, at least one for each vendor, all aimed at localhost.

    From a directory that is closed to others: in a checkout everyone may read these keys, which are public anyway.
    """
    shutil.copytree(example_directory(), tmp_path / "certs")
    tmp_path.chmod(0o700)
    book = load_directory(tmp_path / "certs", installed_vendors())
    assert book.faults == []
    assert book.warnings == []
    assert {a.vendor for a in book.accounts} == set(installed_vendors())
    assert all(a.endpoint == "https://127.0.0.1:8443" for a in book.accounts)


def test_a_broken_example_costs_only_itself(tmp_path: Path) -> None:
    """With one key file gone all the others still load."""
    shutil.copytree(example_directory(), tmp_path / "certs")
    (tmp_path / "certs" / "AuthKey_EXAMPLEKY1.p8").unlink()
    book = load_directory(tmp_path / "certs", installed_vendors())
    assert [f.file for f in book.faults] == ["9001.toml"]
    assert len(book.accounts) == len(book.entries) - 1
    assert book.entries[9001].problem
