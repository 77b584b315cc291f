"""The list of error codes, from which /metrics takes its rows."""

from __future__ import annotations

import re
from pathlib import Path

from pushgw.messages.errors import CODES

SOURCES = Path(__file__).resolve().parents[2] / "pushgw"


def test_every_code_in_the_sources_is_listed() -> None:
    """A code that is not listed would have no row before its first dead letter, and no alert would see that one come."""
    sources = [*(SOURCES / "messages").glob("*.py"), SOURCES / "gateway.py"]
    written = [path.read_text("utf-8") for path in sources if path.name != "errors.py"]
    used = {int(code) for text in written for code in re.findall(r"\b(?:9\d{4}|20001)\b", text)}
    assert used == set(CODES)
