"""Gathering: completions of one turn of the event loop go up in one call."""

from __future__ import annotations

import asyncio

from pushgw.vendor.http import Completion, OnComplete


class Gathering:
    """Collects completions and hands them to ``on_complete`` as one list in the loop's next turn.

    Made and used in the event loop. A lane pays for one call in each turn, however many answers came in it.
    """

    def __init__(self, on_complete: OnComplete) -> None:
        self._on_complete = on_complete
        self._loop = asyncio.get_running_loop()
        self._completions: list[Completion] = []

    def add(self, completion: Completion) -> None:
        """Deliver this one with the others of this turn."""
        if not self._completions:
            self._loop.call_soon(self.deliver)
        self._completions.append(completion)

    def deliver(self) -> None:
        """Hand over what has gathered, now; nothing happens where nothing has."""
        if self._completions:
            completions, self._completions = self._completions, []
            self._on_complete(completions)
