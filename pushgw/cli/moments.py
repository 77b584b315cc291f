"""Moments as people type them: so long ago, ISO 8601, or epoch seconds."""

from __future__ import annotations

import re
from datetime import datetime

from pushgw.cli.output import Exit, fail

_AGO = re.compile(r"(?P<number>\d{1,6})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ms(option: str, text: str | None, now: float) -> int | None:
    """Epoch ms of ``24h`` (ago), ``2026-11-24T10:00:00Z`` or ``1795500000``; exit 2 for anything else. ``now``: epoch s."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago:
        return int((now - int(ago["number"]) * _SECONDS[ago["unit"]]) * 1000)
    try:
        seconds = float(text) if re.fullmatch(r"\d{1,10}(\.\d+)?", text) else _iso(text)
    except ValueError:
        raise fail(
            Exit.USAGE,
            f"{option} {text}: expected how long ago (90s, 30m, 24h, 7d), ISO 8601 with zone such as "
            "2026-11-24T10:00:00+08:00, or epoch seconds",
        ) from None
    return int(seconds * 1000)


def _iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment.timestamp()
