"""What commands print and how they end. Answers go to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from pushgw.settings import Settings, SettingsError, load_settings


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    NO = 1
    """The answer is no: suppressed, refused by the vendor, unhealthy."""
    USAGE = 2
    CONFIG = 3
    UNREACHABLE = 4


Json = Annotated[
    bool, typer.Option("--json", help="For machines: one JSON object, or one a line for streams.")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; default pushgw.toml here, where it exists.")
]

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """One object on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def fail(code: Exit, *sentences: str) -> typer.Exit:
    """Say why on stderr; raise what this returns."""
    for sentence in sentences:
        err.print(f"pushgw: {sentence}", markup=False, soft_wrap=True)
    return typer.Exit(int(code))


def config_path(config: Path | None) -> Path | None:
    """The settings file that the command line names, before or after the command."""
    return config or _global_config


def settings_or_exit(config: Path | None, **overrides: Any) -> Settings:
    """The settings, or exit 3 with every fault."""
    try:
        return load_settings(config_path(config), **overrides)
    except SettingsError as error:
        raise fail(Exit.CONFIG, *error.faults) from None


_global_config: Path | None = None


def set_global_config(config: Path | None) -> None:
    """``pushgw --config FILE COMMAND`` is the same as ``pushgw COMMAND --config FILE``."""
    global _global_config  # one process, one command line
    _global_config = config


@contextmanager
def reachable(what: str) -> Iterator[None]:
    """Turn a failed connection into exit 4 with a sentence."""
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise fail(
            Exit.UNREACHABLE, f"{what}: not reachable ({error}); check that it runs and its address"
        ) from None
