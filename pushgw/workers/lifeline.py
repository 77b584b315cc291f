"""A worker's line to its supervisor: its stdin. Words come down it, and its end means that the supervisor is gone.

Signals do not do for this: a terminal or systemd sends them to every process, and each worker would count the
supervisor's as a second one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO


class Word(StrEnum):
    """What a supervisor says."""

    STOP = "stop"
    """Finish what is in flight, then end."""
    NOW = "now"
    """End at once."""
    GONE = ""
    """Nothing any more: the supervisor has died."""


class Lifeline(asyncio.Protocol):
    """Calls ``heard`` for each word, in the event loop."""

    def __init__(self, heard: Callable[[Word], None]) -> None:
        self._heard = heard
        self._begun = b""

    @classmethod
    async def hold(cls, heard: Callable[[Word], None], line: BinaryIO | None = None) -> asyncio.ReadTransport:
        """Listen on ``line``, a pipe (default: stdin); close what this returns."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: cls(heard), line or sys.stdin.buffer)
        return transport

    def data_received(self, data: bytes) -> None:
        """Whole lines are words; unknown ones are left alone."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if line in (Word.STOP.encode(), Word.NOW.encode()):
                self._heard(Word(line.decode()))

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed from the other side, or by us."""
        self._heard(Word.GONE)
