"""Moments on the command line."""

from __future__ import annotations

import pytest
import typer

from pushgw.cli.moments import moment_ms

NOW = 1_795_500_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("90s", 1_795_499_910_000),
        ("30m", 1_795_498_200_000),
        ("24h", 1_795_413_600_000),
        ("7d", 1_794_895_200_000),
        ("1795500001", 1_795_500_001_000),
        ("1795500001.5", 1_795_500_001_500),
        ("2026-11-24T10:00:00+08:00", 1_795_485_600_000),
        ("2026-11-24T02:00:00Z", 1_795_485_600_000),
    ],
)
def test_moments(text: str | None, expected: int | None) -> None:
    """How long ago, epoch seconds, or ISO 8601 with its zone."""
    assert moment_ms("--since", text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-24T10:00:00", "-5h", "1795500000000", "nan", "1e9"]
)
def test_no_moments(text: str) -> None:
    """What may be meant another way (no zone, milliseconds) is refused as wrong use."""
    with pytest.raises(typer.Exit) as caught:
        moment_ms("--since", text, NOW)
    assert caught.value.exit_code == 2
