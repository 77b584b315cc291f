"""Clients for each kind of address, over connections whose scripts are packed in C: redis-py's asyncio side packs each
argument in Python, which is 2 us for a message.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from pushgw.settings import StateSettings
from pushgw.state.redis_address import Address
from pushgw.state.redis_cluster import Cluster

CONNECT_TIMEOUT_S = 3.0
MOST_CONNECTIONS = 500
"""To one server. A gateway has a few calls under way at once, in a cluster one for each shard."""
_OURS = frozenset({"EVALSHA", "EVAL"})


def server_of(address: Address, settings: StateSettings) -> Redis:
    """A client of one server."""
    return _client(*address.hosts[0], address, settings)


def sentinel_of(address: Address, settings: StateSettings) -> tuple[Sentinel, Redis]:
    """The sentinels, and a client of whatever server they call the master."""
    options = _options(address, settings)
    secret = settings.sentinel_password
    own = {"username": None, "password": secret.get_secret_value() if secret else None, "ssl": address.tls}
    asked = {name: value for name, value in options.items() if name != "db"} | own
    sentinel = Sentinels(address.hosts, sentinel_kwargs=asked, **options)
    kind = TlsOfSentinel if address.tls else PlainOfSentinel
    return sentinel, sentinel.master_for(address.service, connection_class=kind)


def cluster_of(address: Address, settings: StateSettings) -> Cluster:
    """The cluster. It finds its other nodes by those that are named."""
    return Cluster(address.hosts, lambda host, port: _client(host, port, address, settings))


def _client(host: str, port: int, address: Address, settings: StateSettings) -> Redis:
    kind = TlsConnection if address.tls else PlainConnection
    options = _options(address, settings)
    return Redis.from_pool(ConnectionPool(connection_class=kind, host=host, port=port, **options))


class Sentinels(Sentinel):
    """One caller at a time asks for the master: redis-py puts the sentinel that answered first in the list while others
    walk through it, and then one is in it twice and another not at all."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]  # redis-py does not say
        self._asking = asyncio.Lock()

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Address of the master. Raises MasterNotFoundError."""
        async with self._asking:
            host, port = await super().discover_master(service_name)
            return host, port


class _Packed(AbstractConnection):
    def pack_command(self, *words: Any) -> list[bytes]:
        if words[0] in _OURS:
            return [hiredis.pack_command(words)]
        return list(super().pack_command(*words))


class PlainConnection(_Packed, Connection):
    """To a server."""


class TlsConnection(_Packed, SSLConnection):
    """To a server, with TLS."""


class PlainOfSentinel(_Packed, SentinelManagedConnection):
    """To the master of the moment."""


class TlsOfSentinel(_Packed, SentinelManagedSSLConnection):
    """To the master of the moment, with TLS."""


def _options(address: Address, settings: StateSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": address.user,
        "password": address.password,
        "db": address.db,
        "protocol": 2,
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": min(CONNECT_TIMEOUT_S, settings.timeout),
        "socket_keepalive": True,
        "client_name": "pushgw",
        "max_connections": MOST_CONNECTIONS,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
    if address.tls:
        options |= {
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
            "ssl_ca_certs": str(settings.ca_file) if settings.ca_file else None,
            "ssl_certfile": str(settings.cert_file) if settings.cert_file else None,
            "ssl_keyfile": str(settings.key_file) if settings.key_file else None,
        }
    return options
