"""A gateway is a long-lived process: it does not carry the code of the other commands with it."""

from __future__ import annotations

import subprocess
import sys

import typer

from pushgw.cli import NOUNS, app

LOADED = """
import sys
import typer
from pushgw.cli import app
assert typer.main.get_command(app).commands.get("run").name == "run"
print(sorted(name for name in sys.modules if name.startswith(("pushgw.sandbox", "pushgw.cli.certs", "tomlkit"))))
"""


def test_run_does_not_load_the_sandbox_or_the_forms() -> None:
    """Asking for `run` imports neither the emulators nor what uploads certificates."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_noun_is_a_command() -> None:
    """Each name in the list is a command of that name, with help."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert list(group.commands) == list(NOUNS)
    found = {name: group.commands.get(name) for name in NOUNS}
    assert {name: one.name for name, one in found.items() if one is not None and one.help} == {
        name: name for name in NOUNS
    }
