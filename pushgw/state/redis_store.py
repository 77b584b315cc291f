"""State on Redis or Valkey, shared by all gateways. Nothing of it is remembered here between two calls.

How a batch stays right though it is no transaction over all shards:

* On a single server (or one behind sentinels) it is one: a batch is one script, and scripts run one after the other.
* In a cluster each key lives on one shard, and each script decides about its keys there and then. `admit` first asks for
  done marks and takes EventIds, then takes the dedup claims of those records that are still in the running. A record
  that waits between the two rounds holds nothing that another could take for an accepted message but its own EventId,
  and whoever meets that is told which record owns it.
* Claims carry their owner: the source coordinate, the same for each delivery of the record. So a half-done admit is
  repeated without harm: what it took it still owns. The same holds for done marks, and badges remember who raised them.
* `settle` raises badges before it writes done marks; `redis_users` says how tokens move.

Claims and done marks live as long as their TTL; the end also stands in the value and is judged by the caller's clock. When
a failover loses the last second, a record may be admitted twice: its repeat then carries the same vendor-side id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from pushgw.messages.model import UserEvent
from pushgw.policy.facts import User
from pushgw.settings import StateSettings
from pushgw.state.documents import option_of_mark, user_key
from pushgw.state.protocol import (
    Admission,
    Admit,
    DeadToken,
    Owner,
    Settlement,
    Shown,
    StateMissing,
    StateUnavailable,
    Suspect,
)
from pushgw.state.redis_admit import Admitter, in_parallel
from pushgw.state.redis_documents import Documents
from pushgw.state.redis_keys import CLAIM, EVENT, SHOWN, TOKEN, TOMBSTONE, USER, Shards
from pushgw.state.redis_link import Link
from pushgw.state.redis_pushes import GoodPushes
from pushgw.state.redis_scripts import REMEMBER, SHOWING
from pushgw.state.redis_settle import settle
from pushgw.state.redis_suspects import SuspectList
from pushgw.state.redis_users import UserBook

LAYOUT = 1
TOMBSTONE_TTL_S = 604_800
SHOWN_TTL_S = 86_400
CLAIMS_SAMPLED = 1_000

_encode = msgspec.msgpack.Encoder().encode
_device = msgspec.json.Decoder(tuple[str, str]).decode
_line = msgspec.json.Encoder().encode

T = TypeVar("T")


class RedisStore:
    """StateStore on Redis. `open` it; `close` it in the end."""

    def __init__(self, settings: StateSettings) -> None:
        self._settings = settings
        self._link = Link(settings)
        self._shards = Shards(settings.shards if self._link.clustered else 1)
        documents = Documents()
        self._documents = documents
        self._admitter = Admitter(self._link, self._shards, documents, settings.claim_ttl, settings.done_ttl)
        self._users = UserBook(self._link, self._shards, documents)
        self._suspects = SuspectList(self._link, self._shards.tags[0])
        self._good_pushes = GoodPushes(self._link, self._shards.tags[0])
        self._running: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, settings: StateSettings, *, read_only: bool = False) -> RedisStore:
        """Reach the Redis of ``state.url``. Raises StateUnavailable: not reached, too old, laid out otherwise.

        ``read_only`` writes nothing. Raises StateMissing where no gateway has begun.
        """
        store = cls(settings)
        await store._link.open()
        try:
            await store._check_layout(read_only)
        except BaseException:
            await store._link.close()
            raise
        return store

    async def apply(self, events: Sequence[UserEvent]) -> None:
        """Apply user events in order; stale ones change nothing."""
        if events:
            await self._whole(self._users.apply(events))

    async def bury(self, tombstones: Sequence[str], now: float) -> None:
        """Write recall tombstones, kept seven days."""
        if tombstones:
            await self._whole(self._remember(tombstones, [], int(now)))

    async def admit(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """Claim, and answer everything that the rules will ask."""
        if not batch:
            return []
        return await self._whole(self._admitter.admit(batch, int(now), peek=False))

    async def peek(self, batch: Sequence[Admit], now: float) -> list[Admission]:
        """The same answers; nothing is claimed."""
        if not batch:
            return []
        return await self._whole(self._admitter.admit(batch, int(now), peek=True))

    async def settle(self, batch: Sequence[Settlement], now: float) -> None:
        """Done marks and badges."""
        if batch:
            await self._whole(settle(self._link, self._shards, batch, int(now), self._settings.done_ttl))

    async def show(self, shown: Sequence[Shown], now: float) -> None:
        """Remember what was pushed, for 24 hours."""
        if shown:
            await self._whole(self._remember([], shown, int(now)))

    async def shown(self, tombstones: Sequence[str], now: float) -> list[Shown]:
        """What devices may be showing of messages with these tombstones."""
        by_shard: dict[int, list[str]] = {}
        for key in tombstones:
            by_shard.setdefault(self._shards.of(key), []).append(key)
        replies = await in_parallel(
            [
                self._link.run(SHOWING, tag, [tag + SHOWN + key for key in keys], [])
                for tag, keys in [(self._shards.tags[n], keys) for n, keys in by_shard.items()]
            ]
        )
        found = {
            key: devices
            for keys, reply in zip(by_shard.values(), replies, strict=True)
            for key, devices in zip(keys, reply, strict=True)
        }
        return [
            Shown(key, *_device(device))
            for key in tombstones
            for device, ending in _fields(found[key])
            if int(ending) > int(now)
        ]

    async def mark_dead(self, tokens: Sequence[DeadToken]) -> list[str]:
        """Mark tokens dead under the guard of `tokens.judge_dead`; an action per token."""
        if not tokens:
            return []
        return await self._whole(self._users.mark_dead(tokens))

    async def hold(self, suspects: Sequence[Suspect], now: float) -> None:
        """Remember tokens whose removal was held back, for 30 days."""
        if suspects:
            await self._whole(self._suspects.hold(suspects, int(now)))

    async def suspects(self, business_id: int | None = None) -> list[Suspect]:
        """Tokens whose removal was held back, of one credential or of all."""
        return await self._suspects.read(business_id)

    async def release(self, suspects: Sequence[Suspect]) -> None:
        """Forget that these were held back."""
        if suspects:
            await self._whole(self._suspects.release(suspects))

    async def note_good_pushes(self, times: Mapping[int, float]) -> None:
        """Credential -> when a push of it was last accepted; a newer time stays."""
        if times:
            await self._whole(self._good_pushes.note(times))

    async def good_pushes(self) -> dict[int, float]:
        """Credential -> when a push of it was last accepted."""
        return await self._good_pushes.known()

    async def user(self, app: int, user: str) -> User | None:
        """What is stored of one user."""
        key = user_key(app, user)
        return (await self._users.read([key], ())).users.get(key)

    async def owners(self, keys: Sequence[str]) -> dict[str, Owner]:
        """Who owns these tokens."""
        return await self._users.owners(keys) if keys else {}

    async def options(self, app: int, user: str) -> dict[str, int]:
        """Stored receive options of one user: ``c2c:<peer>`` or ``group:<id>[:<topic>]`` -> option."""
        key = user_key(app, user)
        tag = self._shards.tags[self._shards.of(key)]
        fields = _fields(await self._link.command(tag, "HGETALL", tag + USER + key))
        return {
            option_of_mark(mark.decode()): int(value.split()[0])
            for mark, value in fields
            if mark[:1] in (b"c", b"g", b"t")
        }

    async def devices_of(self, business_id: int) -> int:
        """How many devices have this certificate id. Looks at every key: for a command, not for a gateway."""
        keys = await self._link.lasting(f"pushgw:{{*}}:{TOKEN}* {business_id} *")
        names = [key.partition(b"}:" + TOKEN.encode())[2] for key in keys]
        return [name.split(b" ", 2)[1] for name in names].count(str(business_id).encode())

    async def expire(self, now: float) -> int:
        """Redis lets go of what has a TTL by itself; this deletes what has none: how many tokens held back went."""
        return await self._whole(self._suspects.expire(int(now)))

    async def claims_held(self) -> int | None:
        """Reckoned from a thousand keys: they lie in no order, so that some stand for all. None on a cluster."""
        if self._link.clustered:
            return None
        tag = self._shards.tags[0]
        size = await self._link.command(tag, "DBSIZE")
        _, some = await self._link.command(tag, "SCAN", 0, "COUNT", CLAIMS_SAMPLED)
        ours = tuple((tag + kind).encode() for kind in (CLAIM, EVENT))
        held = sum(key.startswith(ours) for key in some)
        return round(size * held / len(some)) if some else 0

    async def close(self) -> None:
        """Finish what is running and close. A second call does nothing."""
        if self._running:
            await asyncio.wait(self._running)
        await self._link.close()

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Who is cancelled stops waiting; the work goes on to its end, as in a transaction."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # its waiter may have left: nobody else looks

    async def _remember(self, tombstones: Sequence[str], shown: Sequence[Shown], now: int) -> None:
        by_shard: dict[int, tuple[list[str], list[Shown]]] = {}
        for key in tombstones:
            by_shard.setdefault(self._shards.of(key), ([], []))[0].append(key)
        for one in shown:
            by_shard.setdefault(self._shards.of(one.tombstone), ([], []))[1].append(one)
        await in_parallel(
            [self._remember_in(self._shards.tags[n], *rows, now) for n, rows in by_shard.items()]
        )

    async def _remember_in(self, tag: str, tombstones: list[str], shown: list[Shown], now: int) -> None:
        keys = [tag + TOMBSTONE + key for key in tombstones] + [tag + SHOWN + one.tombstone for one in shown]
        devices = [_line((one.user, one.device_id)).decode() for one in shown]
        rows = (
            now + TOMBSTONE_TTL_S,
            TOMBSTONE_TTL_S,
            len(tombstones),
            devices,
            now + SHOWN_TTL_S,
            SHOWN_TTL_S,
        )
        await self._link.run(REMEMBER, tag, keys, [_encode(rows)])

    async def _check_layout(self, read_only: bool) -> None:
        """Another number of shards would find nothing of what is there."""
        tag = self._shards.tags[0]
        ours = f"{LAYOUT} {len(self._shards)}"
        if not read_only:
            await self._link.command(tag, "SET", f"{tag}layout", ours, "NX")
        found = await self._link.command(tag, "GET", f"{tag}layout")
        if found is None:
            raise StateMissing(
                f"{self._link.where} holds no state yet: `pushgw run` begins it at its first start"
            )
        layout, shards = [int(part) for part in found.split()]
        if layout != LAYOUT:
            raise StateUnavailable(
                f"{self._link.where} was written by another version of pushgw (layout {layout}); use that, or another DB"
            )
        if shards != len(self._shards):
            raise StateUnavailable(
                f"{self._link.where} was laid out for {shards} shards, not {len(self._shards)}; set state.shards = {shards}"
            )


def _fields(answer: Any) -> list[tuple[bytes, bytes]]:
    if isinstance(answer, dict):
        return list(answer.items())
    return list(zip(answer[::2], answer[1::2], strict=True))
