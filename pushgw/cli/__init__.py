"""The command line: one file a noun, no logic of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pushgw import __version__
from pushgw.cli.logs import set_up_logs
from pushgw.cli.output import Config, set_global_config
from pushgw.settings import LogSettings

NOUNS = (
    "demo",
    "run",
    "send",
    "explain",
    "publish",
    "certs",
    "devices",
    "tokens",
    "dlq",
    "sandbox",
    "schema",
)
"""The commands, each in the module of its name: a function of that name, or an ``app`` of several."""


class _Commands(dict[str, Any]):
    """Loads a command's module when it is asked for: a gateway does not carry the other commands with it."""

    def get(self, name: str, default: Any = None) -> Any:
        if name in self and self[name] is None:
            module = import_module(f"{__name__}.{name}")
            several = getattr(module, "app", None)
            if several is None:
                alone = typer.Typer(add_completion=False)
                alone.command()(getattr(module, name))
                self[name] = typer.main.get_command(alone)
            else:
                self[name] = typer.main.get_group(several)
            self[name].name = name
        return super().get(name, default)


class _Group(TyperGroup):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.commands = _Commands((name, None) for name in NOUNS)


app = typer.Typer(
    name="pushgw",
    cls=_Group,
    help="Offline push gateway for instant-messaging backends: Kafka in, vendors out, a reason for everything else.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pushgw {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    config: Config = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    set_global_config(config)
    set_up_logs(LogSettings(level="warning"))


def main() -> None:
    """Entry point of the `pushgw` script."""
    app()
