"""The connection to Redis, be it a single server, one that sentinels name, or a cluster: it runs scripts.

Errors that waiting can mend come out as StateUnavailable. redis-py repeats a call once where a connection broke, and we
repeat after any StateUnavailable, so a script may run twice; each of them is written for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import NoScriptError, RedisError

from pushgw.settings import StateSettings
from pushgw.state.protocol import StateUnavailable
from pushgw.state.redis_address import address_of
from pushgw.state.redis_cluster import Cluster
from pushgw.state.redis_connections import cluster_of, sentinel_of, server_of
from pushgw.state.redis_errors import cause_of
from pushgw.state.redis_scripts import Script

log = structlog.get_logger()

OLDEST = 7


class Link:
    """A pool of connections. `open` it, `run` scripts, `close` it."""

    def __init__(self, settings: StateSettings) -> None:
        self.address = address_of(settings)
        self._closed = False
        self._sentinel: Sentinel | None = None
        self._cluster: Cluster | None = None
        self._server: Redis | None = None
        match self.address.kind:
            case "cluster":
                self._cluster = cluster_of(self.address, settings)
            case "sentinel":
                self._sentinel, self._server = sentinel_of(self.address, settings)
            case _:
                self._server = server_of(self.address, settings)

    @property
    def clustered(self) -> bool:
        """Whether a script may only touch the keys of one shard."""
        return self._cluster is not None

    @property
    def where(self) -> str:
        """For people; without password."""
        return self.address.where

    async def open(self) -> None:
        """Reach it, and look at what it must be. Raises StateUnavailable."""
        try:
            for report in await self._reports():
                self._judge(report)
        except BaseException:
            await self.close()
            raise

    async def run(
        self, script: Script, tag: str, keys: Sequence[str], arguments: Sequence[bytes | int]
    ) -> Any:
        """Run the script with these keys, all of the shard that ``tag`` names."""
        if self._closed:
            raise StateUnavailable(f"{self.where} is closed")
        try:
            try:
                return await self._execute(tag, "EVALSHA", script.sha, len(keys), *keys, *arguments)
            except NoScriptError:  # a server that was restarted or has taken over knows no scripts
                return await self._execute(tag, "EVAL", script.text, len(keys), *keys, *arguments)
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def command(self, tag: str, *words: str | bytes | int) -> Any:
        """Run a plain command about a key of the shard that ``tag`` names."""
        if self._closed:
            raise StateUnavailable(f"{self.where} is closed")
        try:
            return await self._execute(tag, *words)
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def lasting(self, pattern: str) -> set[bytes]:
        """Keys on any master that match and have no TTL. It walks through all keys, some thousand at a time."""
        found: set[bytes] = set()
        try:
            for server in await self._servers():
                cursor: int | None = None
                while cursor != 0:
                    cursor, keys = await server.scan(cursor or 0, match=pattern, count=5_000)
                    async with server.pipeline(transaction=False) as pipeline:
                        for key in keys:
                            pipeline.ttl(key)
                        lives = await pipeline.execute()
                    lasting = [key for key, life in zip(keys, lives, strict=True) if life == -1]
                    found.update([key.encode() if isinstance(key, str) else key for key in lasting])
            return found
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def close(self) -> None:
        """Close all connections. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._cluster is not None:
            await self._cluster.close()
        if self._server is not None:
            await self._server.aclose()
        if self._sentinel is not None:
            for sentinel in self._sentinel.sentinels:
                await sentinel.aclose()

    async def _execute(self, tag: str, *words: Any) -> Any:
        if self._cluster is not None:
            return await self._cluster.execute(tag, *words)
        assert self._server is not None  # noqa: S101  one of both is made
        return await self._server.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py

    async def _reports(self) -> list[dict[str, str]]:
        """INFO of the server, or of each master of the cluster."""
        try:
            return [_report(await server.info()) for server in await self._servers()]
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    async def _servers(self) -> list[Redis]:
        if self._cluster is not None:
            return await self._cluster.masters()
        return [self._server] if self._server is not None else []

    def _judge(self, report: dict[str, str]) -> None:
        version = report.get("redis_version", "0")
        if int(version.partition(".")[0]) < OLDEST:
            raise StateUnavailable(
                f"{self.where} is Redis {version}: Redis {OLDEST} or newer, or Valkey, is needed"
            )
        if report.get("redis_mode") == "cluster" and not self.clustered:
            raise StateUnavailable(f"{self.where} is part of a cluster: write state.url as redis+cluster://…")
        policy = report.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            log.error(
                "state_evicts",
                redis=self.where,
                maxmemory_policy=policy,
                why="when memory is full it throws away claims, done marks and devices: then messages come twice or not at all",
                mend="CONFIG SET maxmemory-policy noeviction",
            )
        if report.get("aof_enabled") == "0":
            log.warning(
                "state_not_durable",
                redis=self.where,
                why="appendonly is off: a crash of Redis loses what came since its last snapshot",
                mend="CONFIG SET appendonly yes",
            )

    def _unavailable(self, error: Exception) -> Exception:
        cause = cause_of(error)
        if cause is None:
            return error
        return StateUnavailable(f"{self.where} {cause}")


def _report(answer: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in answer.items()}
