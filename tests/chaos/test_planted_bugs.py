"""The chaos run is proven: bugs that are planted in a copy of the tree are caught by it, and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TREE = HERE.parents[1]
COPIED = ("pushgw", "vendors", "tests", "certs.example", "pyproject.toml")
RUN = ("--profile", "short", "--state", "sqlite", "--records", "2500", "--duration", "22", "--seed", "11")

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    ("bug", "more", "sins"),
    [
        ("commit-early", (), ("premature commits", "lost")),
        ("drop-claim-check", (), ("doubles", "wrongly sent")),
        ("remove-token-on-500", ("--fault", "apns=500:15%"), ("tokens wrongly removed",)),
    ],
)
def test_a_planted_bug_is_caught(
    bug: str, more: tuple[str, ...], sins: tuple[str, ...], tmp_path: Path, tree: Path
) -> None:
    """With the patch the short run ends with code 1 and names these sins; a patch that does not fit is a failure."""
    patch = HERE / "planted" / f"{bug}.patch"
    no_repository = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    subprocess.run(["git", "apply", str(patch)], check=True, cwd=tree, env=no_repository)
    code, facts = _chaos(tree, tmp_path, *more)
    assert code == 1
    for sin in sins:
        assert facts[sin] > 0, facts


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkout. It goes again: the tests in it have secrets written in them, and the hunt would find these."""
    tree = _copy(tmp_path / "tree")
    yield tree
    shutil.rmtree(tree)


def _copy(tree: Path) -> Path:
    tree.mkdir()
    for name in COPIED:
        source = TREE / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree)
    (tree / ".kafka").symlink_to(TREE / ".kafka")
    return tree


def _chaos(tree: Path, home: Path, *more: str) -> tuple[int, dict[str, int]]:
    """The run in the copy: what it imports, and what it starts, is the copy's."""
    facts = home / "facts.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.chaos", *RUN, *more),
            *("--keep", str(home / "run"), "--json-file", str(facts)),
        ],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert facts.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, int] = json.loads(facts.read_text())
    return done.returncode, found
