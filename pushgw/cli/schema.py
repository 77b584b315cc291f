"""``pushgw schema``: the contract, machine-readable."""

from __future__ import annotations

import json as jsonlib

import typer

from pushgw.cli.output import Json, print_json
from pushgw.messages.schema import message_schema

app = typer.Typer(help="The contract, machine-readable.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `message` a sub-command while it is the only one."""


@app.command("message")
def message(json: Json = False) -> None:
    """JSON Schema (2020-12) of a record on the message topic.

    Example: pushgw schema message > im-message.schema.json
    """
    if json:
        print_json(message_schema())
    else:
        typer.echo(jsonlib.dumps(message_schema(), indent=2, ensure_ascii=False))
