"""The rig: a broker (embedded, or a real Apache Kafka with ``-m kafka``), the sandbox, and `pushgw run` as processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pushgw.assembly import credentials_of
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.key import record_key
from pushgw.sandbox import EmbeddedBroker, Sandbox, example_directory, with_endpoint
from pushgw.settings import CredentialSettings, KafkaSettings, Settings, StateSettings, Topics
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable

WAIT_S = 60.0


@pytest.fixture(scope="session")
def embedded_servers() -> Iterable[str]:
    """One embedded broker for all tests; each rig has topics of its own."""
    broker = asyncio.run(EmbeddedBroker.start())
    yield broker.bootstrap_servers
    asyncio.run(broker.close())


class Rig:
    """What a test drives: publish, gateways, receipts, the emulators' journal."""

    def __init__(self, servers: str, home: Path, session: float) -> None:
        mark = uuid.uuid4().hex[:8]
        self.home = home
        self.topics = Topics(
            messages=f"m-{mark}",
            user_events=f"u-{mark}",
            receipts=f"r-{mark}",
            retries=f"t-{mark}",
            dead_letters=f"d-{mark}",
        )
        kafka = KafkaSettings(
            bootstrap_servers=servers,
            group_id=f"g-{mark}",
            topics=self.topics,
            partitions=4,
            session_timeout=6,
        )
        self.settings = Settings(
            kafka=kafka,
            state=StateSettings(url=f"sqlite:///{home / 'pushgw.db'}"),
            credentials=CredentialSettings(directory=home / "certs"),
        )
        self.servers = servers
        self.gateways: list[subprocess.Popen[bytes]] = []
        self.receipts: list[dict[str, Any]] = []
        self.dead_letters: list[tuple[bytes | None, dict[str, str]]] = []
        self.sandbox: Sandbox

    async def start(self, faults: tuple[str, ...] = ()) -> None:
        self.sandbox = await Sandbox.start(self._example_accounts(), faults=faults)
        with_endpoint(example_directory(), self.home / "certs", self.sandbox.url, self.sandbox.ca_pem)
        await ensure_topics(self.settings.kafka)
        self.producer = AIOKafkaProducer(bootstrap_servers=self.servers, acks="all")
        await self.producer.start()
        self.consumer = AIOKafkaConsumer(
            self.topics.receipts,
            self.topics.dead_letters,
            bootstrap_servers=self.servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await self.consumer.start()

    def _example_accounts(self) -> Any:
        settings = Settings(credentials=CredentialSettings(directory=example_directory()))
        return credentials_of(settings).accounts

    async def close(self) -> None:
        for gateway in self.gateways:
            if gateway.poll() is None:
                gateway.kill()
                gateway.wait()
            if gateway.stdin is not None:
                gateway.stdin.close()
        await self.consumer.stop()
        await self.producer.stop()
        await self.sandbox.close()

    async def sandbox_again(self, *faults: str, reports_to: str | None = None) -> None:
        """Another sandbox at the same address, with these faults and a new journal."""
        port = self.sandbox.port
        await self.sandbox.close()
        self.sandbox = await Sandbox.start(
            self._example_accounts(), faults=faults, port=port, reports_to=reports_to
        )

    def gateway(
        self, *arguments: str, command: tuple[str, ...] = ("-m", "pushgw", "run"), **environ: str
    ) -> subprocess.Popen[bytes]:
        """Start `pushgw run` with these arguments; extra settings as environment variables. Its stdin is a pipe."""
        t = self.topics
        variables = {
            "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "PUSHGW_KAFKA__GROUP_ID": self.settings.kafka.group_id,
            "PUSHGW_KAFKA__SESSION_TIMEOUT": str(self.settings.kafka.session_timeout),
            "PUSHGW_KAFKA__TOPICS__MESSAGES": t.messages,
            "PUSHGW_KAFKA__TOPICS__USER_EVENTS": t.user_events,
            "PUSHGW_KAFKA__TOPICS__RECEIPTS": t.receipts,
            "PUSHGW_KAFKA__TOPICS__RETRIES": t.retries,
            "PUSHGW_KAFKA__TOPICS__DEAD_LETTERS": t.dead_letters,
            "PUSHGW_KAFKA__PARTITIONS": "4",
            "PUSHGW_STATE__URL": self.settings.state.url,
            "PUSHGW_CREDENTIALS__DIRECTORY": str(self.home / "certs"),
            "PUSHGW_HTTP__LISTEN": "",
            "PUSHGW_LOG__FORMAT": "json",
            **environ,
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
        with (self.home / f"gateway-{len(self.gateways)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command, *arguments],
                env={**clean, **variables},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.gateways.append(process)
        return process

    def log(self, number: int = -1) -> str:
        count = len(self.gateways)
        return (self.home / f"gateway-{number % count}.log").read_text()

    async def set_faults(self, *faults: str) -> None:
        """From now on the emulators deal these faults, instead of those before."""
        trust = ssl.create_default_context(cadata=self.sandbox.ca_pem.decode())
        async with httpx.AsyncClient(verify=trust) as client:
            answer = await client.put(f"{self.sandbox.url}/_sandbox/faults", json={"faults": list(faults)})
            answer.raise_for_status()

    async def stop(self, gateway: subprocess.Popen[bytes]) -> int:
        """SIGTERM, and its exit code."""
        gateway.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(gateway.wait, 60)

    async def publish(self, *bodies: dict[str, Any] | bytes, topic: str | None = None) -> list[str]:
        """Publish to the message topic; the records' coordinates."""
        futures = []
        for body in bodies:
            value = body if isinstance(body, bytes) else json.dumps(body).encode()
            futures.append(
                await self.producer.send(topic or self.topics.messages, value, key=record_key(value))
            )
        done = [await f for f in futures]
        return [f"{m.topic}/{m.partition}/{m.offset}" for m in done]

    async def put_devices(self, *users: str, business_id: int = 9001, token: str = "") -> None:
        """Publish Device.Put for each user and wait until the gateway has stored the last ones."""
        events = [
            {
                "Event": "Device.Put",
                "To_Account": user,
                "EventTime": int(time.time() * 1000),
                "DeviceID": "d1",
                "BusinessID": business_id,
                "Platform": "ios",
                "Token": token or f"{number + 1:064x}",
            }
            for number, user in enumerate(users)
        ]
        await self.publish(*events, topic=self.topics.user_events)
        async with asyncio.timeout(WAIT_S):
            while not await self._known(users):
                await asyncio.sleep(0.1)

    async def _known(self, users: tuple[str, ...]) -> bool:
        try:
            store = await open_store(self.settings.state, read_only=True)
        except StateUnavailable:
            return False
        try:
            return all([await store.user(0, user) is not None for user in users])
        finally:
            await store.close()

    async def collect(
        self, receipts: int, dead_letters: int = 0, wait: float = WAIT_S
    ) -> list[dict[str, Any]]:
        """Receipts until there are so many (and dead letters), or fail with the gateway's log."""
        deadline = time.monotonic() + wait
        while len(self.receipts) < receipts or len(self.dead_letters) < dead_letters:
            if time.monotonic() > deadline:
                tail = self.log()[-3000:] if self.gateways else ""
                raise AssertionError(
                    f"{len(self.receipts)} of {receipts} receipts, {len(self.dead_letters)} dead letters\n{tail}"
                )
            await self._poll(200)
        return self.receipts

    async def _poll(self, timeout_ms: int) -> None:
        for partition, records in (await self.consumer.getmany(timeout_ms=timeout_ms)).items():
            for record in records:
                if partition.topic == self.topics.receipts:
                    self.receipts.append(json.loads(record.value))
                else:
                    self.dead_letters.append((record.value, {k: v.decode() for k, v in record.headers}))

    async def quiet(self) -> None:
        """Read what else may come: two polls of half a second."""
        for _ in range(2):
            await self._poll(500)

    async def committed(self, topic: str) -> int:
        """Sum of the group's committed offsets of a topic, asked as a bystander who joins nothing."""
        bystander = AIOKafkaConsumer(
            bootstrap_servers=self.servers, group_id=self.settings.kafka.group_id, enable_auto_commit=False
        )
        await bystander.start()
        try:
            partitions = [TopicPartition(topic, p) for p in range(4)]
            bystander.assign(partitions)
            return sum([await bystander.committed(p) or 0 for p in partitions])
        finally:
            await bystander.stop()

    async def until_committed_slow(self, count: int) -> None:
        """Until all of the message topic is committed, reading receipts meanwhile."""
        deadline = time.monotonic() + 240
        while await self.committed(self.topics.messages) < count:
            assert time.monotonic() < deadline, self.log()[-3000:]
            await self._poll(500)

    async def until_committed(self, topic: str, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await self.committed(topic) < count:
                await asyncio.sleep(0.1)


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def servers(request: pytest.FixtureRequest) -> str:
    """The broker's address."""
    name = "embedded_servers" if request.param == "embedded" else "apache_kafka"
    return str(request.getfixturevalue(name))


@pytest.fixture
async def rig(request: pytest.FixtureRequest, servers: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """Real Kafka allows no session timeout under 6 s; the embedded broker makes a lone restarted member wait for it."""
    session = 6.0 if "apache" in request.node.name else 1.5
    rig = Rig(servers, tmp_path, session)
    await rig.start()
    yield rig
    await rig.close()


@pytest.fixture
def message() -> Any:
    numbers = iter(range(1, 1_000_000))

    def make(to: str | list[str], sender: str = "alice", **more: Any) -> dict[str, Any]:
        number = next(numbers)
        return {
            "From_Account": sender,
            "To_Account": to,
            "MsgSeq": number,
            "MsgRandom": number,
            "MsgTimeStamp": int(time.time()),
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"text {number}"}}],
            **more,
        }

    return make
