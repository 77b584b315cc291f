"""What the gateway remembers: users, devices, options, claims, tombstones, badges, done marks."""

from __future__ import annotations

from pushgw.settings import StateSettings
from pushgw.state.blobs import Blobs
from pushgw.state.protocol import StateStore
from pushgw.state.sqlite import SqliteStore
from pushgw.state.sqlite_blobs import SqliteBlobs

__all__ = ["blobs_of", "is_single_writer", "open_review", "open_store"]


def is_single_writer(settings: StateSettings) -> bool:
    """Whether only one process at a time may write to the store that ``state.url`` names."""
    return not settings.remote


async def open_store(settings: StateSettings, *, read_only: bool = False) -> StateStore:
    """The store that ``state.url`` names. Raises StateUnavailable, with the cause in one sentence.

    ``read_only`` serves the commands that only look (`peek`, `user`, `options`) while a gateway writes.
    """
    if settings.remote:
        from pushgw.state.redis_store import RedisStore  # who uses SQLite need not wait for the client

        return await RedisStore.open(settings, read_only=read_only)
    return await SqliteStore.open(
        settings.url, claim_ttl=settings.claim_ttl, done_ttl=settings.done_ttl, read_only=read_only
    )


async def open_review(settings: StateSettings) -> StateStore:
    """The same store beside a running gateway, to review what is held: `suspects` and `release`.

    Raises StateUnavailable, and StateMissing when no gateway has made the store yet.
    """
    if settings.remote:
        return await open_store(settings, read_only=True)
    return await SqliteStore.open_beside(settings.url)


def blobs_of(settings: StateSettings) -> Blobs:
    """Where ``state.url`` keeps sealed credentials. Nothing is asked yet."""
    if settings.remote:
        from pushgw.state.redis_blobs import RedisBlobs  # likewise

        return RedisBlobs(settings)
    return SqliteBlobs(settings.url)
