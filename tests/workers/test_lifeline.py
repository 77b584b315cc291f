"""What comes down a worker's line."""

from __future__ import annotations

import asyncio
import os
from typing import BinaryIO

from pushgw.workers.lifeline import Lifeline, Word


def pipe() -> tuple[BinaryIO, int]:
    reading, writing = os.pipe()
    return open(reading, "rb", buffering=0), writing


async def test_words_arrive_whole_and_the_end_is_one_too() -> None:
    """Words are heard once their line is complete, strange ones are left alone, and a closed line is GONE."""
    heard: asyncio.Queue[Word] = asyncio.Queue()
    line, writing = pipe()
    with line:
        await Lifeline.hold(heard.put_nowait, line)
        for piece in (b"st", b"op\nhello\n", b"\nnow\nno"):
            os.write(writing, piece)
        assert [await heard.get(), await heard.get()] == [Word.STOP, Word.NOW]
        os.close(writing)
        assert await asyncio.wait_for(heard.get(), 30) is Word.GONE
    assert heard.empty()
