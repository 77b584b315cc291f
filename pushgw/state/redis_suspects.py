"""Tokens whose removal was held back, in one hash: they are few, and an operator looks at all of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pushgw.state.protocol import Suspect
from pushgw.state.redis_link import Link

KEPT_S = 30 * 86_400

_write = msgspec.json.Encoder().encode


class _Held(msgspec.Struct, frozen=True):
    expires: int
    suspect: Suspect


_read = msgspec.json.Decoder(_Held).decode


class SuspectList:
    """The list of one store."""

    def __init__(self, link: Link, tag: str) -> None:
        self._link = link
        self._tag = tag
        self._key = f"{tag}held"

    async def hold(self, suspects: Sequence[Suspect], now: int) -> None:
        """Remember them; the same device of the same credential replaces."""
        rows: list[bytes] = []
        for one in suspects:
            rows += [_name(one), _write(_Held(now + KEPT_S, one))]
        await self._link.command(self._tag, "HSET", self._key, *rows)

    async def read(self, business_id: int | None) -> list[Suspect]:
        """Those of one credential, or all, in the order in which they were held."""
        found = [held.suspect for held in await self._all()]
        wanted = [one for one in found if business_id is None or one.business_id == business_id]
        return sorted(
            wanted, key=lambda one: (one.held_ms, one.business_id, one.app, one.user, one.device_id)
        )

    async def release(self, suspects: Sequence[Suspect]) -> None:
        """Forget them."""
        await self._link.command(self._tag, "HDEL", self._key, *[_name(one) for one in suspects])

    async def expire(self, now: int) -> int:
        """Forget those whose 30 days are over; how many went."""
        old = [held.suspect for held in await self._all() if held.expires <= now]
        if not old:
            return 0
        return int(await self._link.command(self._tag, "HDEL", self._key, *[_name(one) for one in old]))

    async def _all(self) -> list[_Held]:
        return [_read(value) for value in await self._link.command(self._tag, "HVALS", self._key)]


def _name(one: Suspect) -> bytes:
    return _write((one.business_id, one.app, one.user, one.device_id))
