"""`pushgw dlq` without a broker: wrong use, help, and what strangers' bytes may do to a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from pushgw.cli import app
from pushgw.cli.dlq import _print
from pushgw.messages.letters import Letter


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_help_has_an_example(command: str) -> None:
    """--help of each command shows an example."""
    assert "Example" in CliRunner().invoke(app, ["dlq", command, "--help"]).stdout


@pytest.mark.parametrize(
    "arguments", [["list", "--since", "yesterday"], ["show", "3:4"], ["replay", "--limit", "0"]]
)
def test_wrong_use(arguments: list[str]) -> None:
    """Wrong use is exit 2, before any broker is asked."""
    assert CliRunner().invoke(app, ["dlq", *arguments]).exit_code == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"a":[1,{"b":"\xe6\x9d\x8e"}]}', '{\n  "a": [\n    1,\n    {\n      "b": "李"\n    }\n  ]\n}'),
        (b"plain \x1b[31mred\x07", "plain \\x1b[31mred\\x07"),
        (b"[bold]no markup[/bold]", "[bold]no markup[/bold]"),
        (b"\xff\xfe", "(2 bytes that are no text; --json has them in base 64)"),
        (None, "(no bytes)"),
    ],
)
def test_bytes_of_strangers_are_shown_and_obeyed_not(
    value: bytes | None, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON is set out in lines, text is text with its control characters spelled out, anything else is counted."""
    headers: Any = (("pushgw-error", b"why\x1b[2J"), ("flag", None))
    _print(Letter(partition=0, offset=1, time_ms=0, key=b"k\x1b", value=value, headers=headers))
    printed = capsys.readouterr().out
    assert shown in printed
    assert "why\\x1b[2J" in printed
    assert "\x1b" not in printed
