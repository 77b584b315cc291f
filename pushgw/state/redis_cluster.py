"""A Redis Cluster: which master has which shard, and a client for each.

redis-py's own cluster client closes connections that others are using when the cluster changes; here each node has a client
of its own, and only the map is thrown away. It is read anew after a redirection and after any error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    TryAgainError,
)

Node = tuple[str, int]
MOST_REDIRECTIONS = 3
_OF_A_HEALTHY_MASTER = (NoScriptError, TryAgainError, OutOfMemoryError, NoPermissionError)
"""With other errors another node may be the master by now."""


class Cluster:
    """Runs commands at the master of a shard."""

    def __init__(self, nodes: tuple[Node, ...], client: Callable[[str, int], Redis]) -> None:
        self._candidates = deque(nodes)
        """Whom to ask for the map, the next one first."""
        self._make_client = client
        self._clients: dict[Node, Redis] = {}
        self._slots: list[tuple[int, int, Node]] = []
        self._masters: dict[str, Node] = {}
        """By the tag of a shard; filled as they are asked for."""
        self._reading = asyncio.Lock()

    async def execute(self, tag: str, *words: Any) -> Any:
        """The answer of the master that has the shard. Raises what redis-py raises."""
        for _ in range(MOST_REDIRECTIONS):
            master = self._masters.get(tag) or await self._find(tag)
            try:
                return await self._client(master).execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py
            except MovedError as moved:
                self._forget()
                self._masters[tag] = (moved.host or master[0], moved.port)
            except AskError:
                raise TryAgainError("TRYAGAIN") from None  # half of the shard's keys are there, half here
            except (RedisError, OSError) as error:
                if not isinstance(error, _OF_A_HEALTHY_MASTER):
                    self._forget()
                raise
        raise ClusterDownError("CLUSTERDOWN")

    async def masters(self) -> list[Redis]:
        """A client of each master."""
        await self._read(self._slots)
        return [self._client(node) for node in dict.fromkeys([node for _, _, node in self._slots])]

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    def _forget(self) -> None:
        self._slots = []
        self._masters = {}

    async def _find(self, tag: str) -> Node:
        if not self._slots:
            await self._read(self._slots)
        slot = key_slot(tag.encode())
        for first, last, node in self._slots:
            if first <= slot <= last:
                self._masters[tag] = node
                return node
        self._forget()
        raise ClusterDownError("CLUSTERDOWN")

    async def _read(self, known: list[tuple[int, int, Node]]) -> None:
        """Read the map from the first node that answers; each time another one begins."""
        async with self._reading:
            if self._slots is not known and self._slots:
                return  # another has read it while we waited
            self._candidates.rotate(-1)
            trouble: Exception = ClusterDownError("CLUSTERDOWN")
            for host, port in [*self._candidates]:
                try:
                    answer = await self._client((host, port)).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]  # redis-py
                except (RedisError, OSError) as error:
                    trouble = error
                    continue
                self._slots = [
                    (int(first), int(last), (_text(master[0]) or host, int(master[1])))
                    for first, last, master, *_ in answer
                ]
                for _, _, node in self._slots:
                    if node not in self._candidates:
                        self._candidates.append(node)
                if self._slots:
                    return
            raise trouble

    def _client(self, node: Node) -> Redis:
        if node not in self._clients:
            self._clients[node] = self._make_client(*node)
        return self._clients[node]


def _text(raw: bytes | str | None) -> str:
    return raw.decode() if isinstance(raw, bytes) else raw or ""
