"""Sealed credentials in Redis: one hash, so that a cluster has all of it on one node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from pushgw.settings import StateSettings
from pushgw.state.blobs import BlobsUnavailable
from pushgw.state.protocol import StateUnavailable
from pushgw.state.redis_link import Link
from pushgw.state.redis_scripts import Script

KEY = "pushgw:{credentials}"
_VERSION = b"version"
_SWAP = Script("swap")

T = TypeVar("T")


class RedisBlobs:
    """`Blobs` on a Redis, through the gateway's own client, which is asynchronous: each call has a loop and a connection
    for itself. So it cannot be called where a loop runs already; a thread is the place."""

    def __init__(self, settings: StateSettings) -> None:
        self._settings = settings

    def all(self) -> dict[int, bytes]:
        """Every envelope."""
        fields = self._ask(lambda link: link.command(KEY, "HGETALL", KEY))
        if not isinstance(fields, dict):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        return {int(name): bytes(value) for name, value in fields.items() if name != _VERSION}

    def version(self) -> int:
        """0 before the first change."""
        return int(self._ask(lambda link: link.command(KEY, "HGET", KEY, _VERSION)) or 0)

    def swap(self, business_id: int, old: bytes | None, new: bytes | None) -> bool:
        """One script. Repeated after a connection broke, it answers as the first time."""
        arguments: list[bytes | int] = [business_id, old or b"", new or b""]
        return bool(self._ask(lambda link: link.run(_SWAP, KEY, [KEY], arguments)))

    def _ask(self, ask: Callable[[Link], Awaitable[Any]]) -> Any:
        return asyncio.run(self._asked(ask))

    async def _asked(self, ask: Callable[[Link], Awaitable[T]]) -> T:
        try:
            link = Link(self._settings)
            try:
                return await ask(link)
            except RedisError:
                await link.open()  # a server that is too old, or part of a cluster, has its sentence there
                raise
            finally:
                await link.close()
        except StateUnavailable as error:
            raise BlobsUnavailable(str(error)) from None
