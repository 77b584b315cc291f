"""Runs a coroutine on uvloop where it exists, else on asyncio's own loop."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def tune_collector() -> None:
    """For a long-lived process that makes many small objects and hardly any cycles: what start-up made is never looked at
    again, and the collector does not run by itself in the middle of batches: `Gateway` runs it once a minute."""
    gc.collect()
    gc.freeze()
    gc.disable()


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
