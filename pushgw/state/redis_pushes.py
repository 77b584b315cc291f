"""When each credential last had a push accepted, in one hash: a field for each credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushgw.state.redis_link import Link
from pushgw.state.redis_scripts import NEWER


class GoodPushes:
    """The times of one store."""

    def __init__(self, link: Link, tag: str) -> None:
        self._link = link
        self._tag = tag
        self._key = f"{tag}pushed"

    async def note(self, times: Mapping[int, float]) -> None:
        """Remember these times, epoch s, where they are newer than what is known."""
        rows = [word for one, at in times.items() for word in (one, repr(at).encode())]
        await self._link.run(NEWER, self._tag, [self._key], rows)

    async def known(self) -> dict[int, float]:
        """All of them."""
        answer: Any = await self._link.command(self._tag, "HGETALL", self._key)
        pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
        return {int(one): float(at) for one, at in pairs}
