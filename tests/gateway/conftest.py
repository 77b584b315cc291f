"""A gateway between a topic of lists, a real SQLite store and vendors answered by a function."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.delivery.decide import Decider
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.gateway import Gateway
from pushgw.kafka.intake import Batch, Record
from pushgw.kafka.ledger import Ledger
from pushgw.kafka.outlet import OutletError
from pushgw.messages.model import Source
from pushgw.settings import DispatchSettings, PolicySettings, Settings, StateSettings, TokenSettings
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential
from pushgw.vendor.http import Request, Response, TransportError
from pushgw.vendor.mock_transport import MockTransport
from pushgw.vendor.push import Action, Outcome, Push

NOW = 1_795_500_000.0
MESSAGES, EVENTS = "im.offline-messages", "im.user-events"


class PlainAdapter(Adapter):
    """One token a request; the answer's body is an action."""

    vendor = "plain"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = Credential
    sends_badge = True

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        target, content = push.targets[0], push.notification
        headers = (
            ("x-token", target.token),
            ("x-id", target.vendor_id),
            ("x-badge", str(content.badge)),
            ("x-collapse", content.collapse_id),
        )
        return Request(url="https://plain.example/", headers=headers, body=content.body.encode())

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        word = response.body.decode() or "accepted"
        return [Outcome(action=Action(word), code=word, reason=f"said {word}")]


class ListIntake:
    """The intake's surface over lists; the real ledger decides what may be committed."""

    healthy = "ok"

    def __init__(self) -> None:
        self.batches: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.ledger = Ledger()
        self.committed: dict[tuple[str, int], int] = {}
        self.paused = False
        self.lost = 0
        self.untaken = 0
        self._offsets: dict[tuple[str, int], int] = {}
        self.ledger.assign([(MESSAGES, p) for p in range(3)] + [(EVENTS, p) for p in range(3)])

    def put_back(
        self, topic: str, record: Record, headers: Sequence[tuple[str, bytes | None]], at: int | None = None
    ) -> None:
        """One record on a topic of ours, with headers, as the outlet wrote it."""
        self._headers = tuple(headers)
        self.put(record.value or b"", topic=topic, at=at)
        key, first, raw, *_ = self.batches._queue.pop()  # type: ignore[attr-defined]  # the entry just made
        self.batches.put_nowait((key, first, raw, self._headers, NOW + 500))

    def put(
        self,
        *values: bytes | dict[str, Any],
        topic: str = MESSAGES,
        partition: int = 0,
        at: int | None = None,
        made: float = NOW,
    ) -> None:
        """One batch of records, ``made`` (epoch s) is their Kafka timestamp."""
        key = (topic, partition)
        first = self._offsets.get(key, 0) if at is None else at
        self._offsets[key] = first + len(values)
        raw = [v if isinstance(v, bytes) else json.dumps(v).encode() for v in values]
        self.batches.put_nowait((key, first, raw, (), made))
        self.untaken += 1

    def _taken(
        self, key: tuple[str, int], first: int, values: list[bytes], headers: Any, made: float
    ) -> Batch:
        epoch = self.ledger.open_many(key, range(first, first + len(values)))
        self.untaken -= 1
        return Batch(
            [
                Record(
                    source=Source(*key, first + n),
                    key=b"k",
                    value=value,
                    headers=headers,
                    timestamp_ms=int(made * 1000),
                    epoch=epoch,
                )
                for n, value in enumerate(values)
            ]
        )

    async def start(self, on_revoke: Any) -> None:
        self.on_revoke = on_revoke

    async def close(self) -> None:
        await self.commit()

    async def batch(self) -> Batch | None:
        if self.paused:
            await asyncio.sleep(0)
            return None
        try:
            taken = await asyncio.wait_for(self.batches.get(), 0.01)
        except TimeoutError:
            return None
        return self._taken(*taken)

    def settle(self, record: Record) -> None:
        self.ledger.settle((record.source.topic, record.source.partition), record.source.offset, record.epoch)

    async def commit(self) -> None:
        epochs = self.ledger.epochs()
        offsets = self.ledger.committable()
        self.committed.update(offsets)
        self.ledger.committed(offsets, epochs)

    def pause_all(self) -> None:
        self.paused = True

    def resume_all(self) -> None:
        self.paused = False

    def known_lag(self) -> dict[tuple[str, int], int | None]:
        return {
            key: self._offsets.get(key, 0) - (self.ledger.first_unsettled(key) or 0)
            for key in self.ledger.epochs()
        }

    def in_flight(self, partitions: Any = None) -> int:
        return self.ledger.in_flight(partitions)


class ListOutlet:
    """Receipts and dead letters in lists; `broken` refuses them."""

    healthy = "ok"

    def __init__(self) -> None:
        self.receipts: list[dict[str, Any]] = []
        self.letters: list[tuple[Record, dict[str, str]]] = []
        self.deferred: list[tuple[int, Record, list[tuple[str, bytes | None]]]] = []
        self.broken = False
        self.too_large: bytes | None = None
        """A retry whose value has this in it is larger than its topic takes."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, receipts: Sequence[tuple[bytes | None, bytes]]) -> None:
        if self.broken:
            raise OutletError("the broker does not take receipts")
        self.receipts += [json.loads(value) for _, value in receipts]

    async def dead_letters(self, letters: Sequence[tuple[Record, list[tuple[str, bytes]]]]) -> None:
        if self.broken:
            raise OutletError("the broker does not take dead letters")
        self.letters += [(record, {k: v.decode() for k, v in headers}) for record, headers in letters]

    async def retries(self, rows: Sequence[Any]) -> dict[int, str]:
        if self.broken:
            raise OutletError("the broker does not take retries")
        large = self.too_large
        too_large = {n for n, row in enumerate(rows) if large is not None and large in row[1].value}
        self.deferred += [row for n, row in enumerate(rows) if n not in too_large]
        return dict.fromkeys(too_large, "topic x takes no record of 9 bytes; raise its max.message.bytes")


class Flaky:
    """A store that is away while `away` is set, and else the real one."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.away = False
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        async def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if self.away:
                raise StateUnavailable("the store is away")
            return await method(*arguments)

        return call


class Plant:
    """A running gateway and everything around it."""

    def __init__(self, home: Path, **policy: Any) -> None:
        self.home = home
        self.state_url = ""
        """Of another store than the SQLite file in ``home``."""
        self.policy = policy
        self.tokens = TokenSettings()
        self.now = NOW
        self.answers: dict[str, list[Response | TransportError]] = {}
        self.mock = MockTransport(self._answer)
        self.intake = ListIntake()
        self.retries = ListIntake()
        self.retries.ledger.assign([(f"im.push-retries.{tier}", 0) for tier in (5, 30, 300, 1800)])
        self.outlet = ListOutlet()
        self.adapter = type("OwnAdapter", (PlainAdapter,), {})()

    def _answer(self, request: Request) -> Response | TransportError:
        waiting = self.answers.get(dict(request.headers)["x-token"])
        return waiting.pop(0) if waiting else Response(status=200)

    @property
    def sent(self) -> list[Request]:
        return self.mock.requests

    async def start(self) -> None:
        self.state = Flaky(
            await open_store(StateSettings(url=self.state_url or f"sqlite:///{self.home / 'state.db'}"))
        )
        settings = Settings(
            policy=PolicySettings(**self.policy),
            tokens=self.tokens,
            dispatch=DispatchSettings(backoff=0.001, backoff_max=0.002),
        )
        account = Account(business_id=1, vendor="plain", credential=Credential(), cache={})
        entry = CredentialEntry(1, "plain", adapter=self.adapter, account=account)
        self.book = book = CredentialDirectory({1: entry}, [], [])

        def make_dispatcher(on_endings: Any) -> Dispatcher:
            return Dispatcher(
                settings.dispatch,
                self.mock,
                self.mock,
                on_endings=on_endings,
                clock=lambda: self.now,
                rng=random.Random(1),
            )

        self.gateway = Gateway(
            settings,
            intake=self.intake,  # type: ignore[arg-type]  # the surface that the gateway uses
            retries=self.retries,  # type: ignore[arg-type]  # as above
            outlet=self.outlet,  # type: ignore[arg-type]  # as above
            state=self.state,  # type: ignore[arg-type]  # as above
            decider=Decider(settings.policy, book),
            make_dispatcher=make_dispatcher,
            clock=lambda: self.now,
        )
        self.running = asyncio.create_task(self.gateway.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                if self.running.done():
                    self.running.result()
                await asyncio.sleep(0.002)

    async def until_idle(self) -> None:
        """Until everything that was put is taken and settled."""
        await self.until(
            lambda: all(i.untaken == 0 and i.in_flight() == 0 for i in (self.intake, self.retries))
        )

    async def come_back(self, *, at: int | None = None) -> None:
        """What was deferred so far is due now."""
        rows, self.outlet.deferred = self.outlet.deferred, []
        for tier, record, headers in rows:
            self.retries.put_back(f"im.push-retries.{tier}", record, headers, at)
        await self.until_idle()

    async def stop(self) -> None:
        self.gateway.stop()
        await asyncio.wait_for(self.running, 30)
        await self.state.store.close()

    async def crash(self) -> None:
        """Stop without finishing anything, as kill -9 would; the store's file stays."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.state.store.close()

    def device(self, user: str, token: str = "", device: str = "d") -> dict[str, Any]:
        return {
            "Event": "Device.Put",
            "To_Account": user,
            "DeviceID": device,
            "BusinessID": 1,
            "Platform": "android",
            "Token": token or f"token-{user}-{device}",
            "EventTime": int(NOW * 1000) - 1000,
        }

    async def with_devices(self, *users: str) -> None:
        self.intake.put(*(self.device(u) for u in users), topic=EVENTS)
        await self.until_idle()


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    plant = Plant(tmp_path)
    await plant.start()
    yield plant
    if not plant.running.done():
        await plant.stop()


@pytest.fixture
def make_plant(tmp_path: Path) -> Callable[..., Plant]:
    return lambda **policy: Plant(tmp_path, **policy)


@pytest.fixture
def message() -> Callable[..., dict[str, Any]]:
    numbers = iter(range(1, 100_000))

    def make(to: str | list[str] = "bob", **more: Any) -> dict[str, Any]:
        number = next(numbers)
        return {
            "From_Account": "alice",
            "To_Account": to,
            "MsgSeq": number,
            "MsgRandom": number,
            "MsgTimeStamp": int(NOW),
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"text {number}"}}],
            **more,
        }

    return make
