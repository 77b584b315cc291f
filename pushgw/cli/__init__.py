"""The command line: one file a noun, no logic of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from pushgw import __version__
from pushgw.cli.certs import app as certs
from pushgw.cli.demo import demo
from pushgw.cli.devices import app as devices
from pushgw.cli.dlq import app as dlq
from pushgw.cli.explain import explain
from pushgw.cli.logs import set_up_logs
from pushgw.cli.output import Config, set_global_config
from pushgw.cli.publish import publish
from pushgw.cli.run import run
from pushgw.cli.sandbox import sandbox
from pushgw.cli.schema import app as schema
from pushgw.cli.send import send
from pushgw.cli.tokens import app as tokens
from pushgw.settings import LogSettings

app = typer.Typer(
    name="pushgw",
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


app.command()(demo)
app.command()(run)
app.command()(send)
app.command()(explain)
app.command()(publish)
app.add_typer(certs, name="certs")
app.add_typer(devices, name="devices")
app.add_typer(tokens, name="tokens")
app.add_typer(dlq, name="dlq")
app.command()(sandbox)
app.add_typer(schema, name="schema")


def main() -> None:
    """Entry point of the `pushgw` script."""
    app()
