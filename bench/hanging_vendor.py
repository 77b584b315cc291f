"""Scenario ``hanging-vendor``: one vendor takes 2,000 requests and answers none of them; do the others notice, and what does it hold?

APNs and FCM get a steady stream while both work; then FCM is brought to 2,000 requests in flight, hangs from then on, and the
stream goes on. What is compared is the time from publishing a message to reading its receipt, of APNs messages alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.c2c_apns_sqlite import _cpu_of, _until_known
from pushgw.kafka.client import kafka_client_options
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.key import record_key
from pushgw.sandbox.broker import EmbeddedBroker
from pushgw.sandbox.sandbox import example_directory, with_endpoint
from pushgw.settings import load_settings

IN_FLIGHT = 2000
APNS_PER_S, FCM_PER_S = 100, 50
FILL_PER_S, FILL_S, FILL_LATENCY_MS = 1150, 20, 1800
"""What brings FCM to 2,000 requests in flight, and little more."""
SETTLE_IN_S, BEGIN_S = 30, 3
"""Not measured: until Kafka has warmed up; until what was in flight before the hang is answered."""
WITHOUT_S = 200
"""Enough for a p99 of what is steady."""
APNS, FCM = 9001, 9002
APNS_USERS, FCM_USERS = 200, 4000
"""A device has one push in flight at a time: many devices are needed for many in flight."""


async def run(home: Path, seconds: float, transport: str, kafka: str | None) -> dict[str, float]:
    """``kafka``: bootstrap servers; None: the embedded broker. p50 and p99 in ms without (for 200 s at most) and beside the vendor that hangs for ``seconds``; the gateway's largest resident memory in MB."""
    broker = None if kafka else await EmbeddedBroker.start(log_file=home / "broker.log")
    sandbox, url, ca_pem = await _sandbox()
    try:
        servers = broker.bootstrap_servers if broker else str(kafka)
        with_endpoint(example_directory(), home / "certs", url, ca_pem)
        for name, value in _environment(home, servers, transport).items():
            os.environ[name] = value
        async with _Stream(home) as stream:
            await _faults(url, ca_pem, [])
            await stream.flow(SETTLE_IN_S, "settle in", APNS_PER_S, FCM_PER_S)
            await stream.flow(min(seconds, WITHOUT_S), "without", APNS_PER_S, FCM_PER_S)
            await _faults(url, ca_pem, [f"fcm=latency-{FILL_LATENCY_MS}"])
            await stream.flow(FILL_S, "fill", 0, FILL_PER_S)
            await _faults(url, ca_pem, ["fcm=hang"])
            await stream.flow(BEGIN_S, "begin", 0, FCM_PER_S)
            await stream.flow(seconds, "beside", APNS_PER_S, FCM_PER_S)
            return {
                "without_p50_ms": stream.quantile(0.5, "without"),
                "beside_p50_ms": stream.quantile(0.5, "beside"),
                "without_p99_ms": stream.quantile(0.99, "without"),
                "beside_p99_ms": stream.quantile(0.99, "beside"),
                "p99_ratio": stream.quantile(0.99, "beside") / stream.quantile(0.99, "without"),
                "resident_mb": stream.resident_mb,
                "most_in_flight": await _most_in_flight(url, ca_pem),
                "apns_receipts": stream.count("without") + stream.count("beside"),
            }
    finally:
        sandbox.terminate()
        sandbox.wait()
        if broker:
            await broker.close()


class _Stream:
    """A gateway, what is published to it, and when the receipts came."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._sent: dict[int, tuple[str, float]] = {}
        self._took: dict[str, list[float]] = {}
        self._number = 0
        self.resident_mb = 0.0

    async def __aenter__(self) -> _Stream:
        settings = load_settings()
        options = kafka_client_options(settings.kafka)
        await ensure_topics(settings.kafka, settings.dispatch.retry_tiers)
        self._topics = settings.kafka.topics
        log = (self._home / "gateway.log").open("wb")
        self._gateway = subprocess.Popen(
            [sys.executable, "-m", "pushgw", "run"], env={**os.environ}, stdout=log, stderr=log
        )
        self._producer = AIOKafkaProducer(acks="all", linger_ms=1, **options)
        self._consumer = AIOKafkaConsumer(self._topics.receipts, auto_offset_reset="earliest", **options)
        await asyncio.gather(self._producer.start(), self._consumer.start())
        for event in _devices():
            await self._producer.send(self._topics.user_events, event, key=record_key(event))
        await _until_known(settings, f"fcm{FCM_USERS - 1}")
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._gateway.terminate()
        await asyncio.to_thread(self._gateway.wait, 60)
        await asyncio.gather(self._producer.stop(), self._consumer.stop())

    async def flow(self, seconds: float, phase: str, apns: int, fcm: int) -> None:
        """Publish at these rates for so long, then wait for the receipts of APNs."""
        started, busy = time.perf_counter(), _cpu_of(self._gateway.pid)
        sent = {"apns": 0, "fcm": 0}
        while (elapsed := time.perf_counter() - started) < seconds:
            for vendor, rate in (("apns", apns), ("fcm", fcm)):
                while sent[vendor] < elapsed * rate:
                    sent[vendor] += 1
                    await self._publish(vendor, phase)
            self.resident_mb = max(self.resident_mb, _resident_mb(self._gateway.pid))
            await asyncio.sleep(0.005)
        deadline = time.perf_counter() + 30
        while apns and len(self._took.get(phase, ())) < sent["apns"]:
            if time.perf_counter() > deadline:
                raise SystemExit(
                    f"only {len(self._took.get(phase, ()))} of {sent['apns']} receipts in phase {phase}"
                )
            await asyncio.sleep(0.05)
        cpu = (_cpu_of(self._gateway.pid) - busy) / (time.perf_counter() - started)
        print(f"{phase:10} {seconds:5.0f} s  apns {sent['apns']:6}  fcm {sent['fcm']:6}  CPU {cpu:4.0%}  "
              f"resident {self.resident_mb:.0f} MB", file=sys.stderr)  # fmt: skip

    async def _publish(self, vendor: str, phase: str) -> None:
        self._number += 1
        if vendor == "apns":
            self._sent[self._number] = (phase, time.perf_counter())
        value = json.dumps(
            {
                "From_Account": "alice",
                "To_Account": f"{vendor}{self._number % (APNS_USERS if vendor == 'apns' else FCM_USERS)}",
                "MsgSeq": self._number,
                "MsgRandom": self._number,
                "MsgTimeStamp": int(time.time()),
                "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"Number {self._number}"}}],
            }
        ).encode()
        await self._producer.send(self._topics.messages, value, key=record_key(value))

    async def _read(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=20)).values():
                now = time.perf_counter()
                for record in records:
                    found = self._sent.pop(json.loads(record.value)["MsgRandom"], None)
                    if found is not None:
                        self._took.setdefault(found[0], []).append(now - found[1])

    def quantile(self, share: float, phase: str) -> float:
        times = sorted(self._took[phase])
        return times[int(len(times) * share)] * 1000

    def count(self, phase: str) -> int:
        return len(self._took[phase])


async def _sandbox() -> tuple[subprocess.Popen[bytes], str, bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "pushgw", "sandbox", "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    first = json.loads(await asyncio.to_thread(process.stdout.readline))
    return process, first["url"], (example_directory() / "sandbox-ca.pem").read_bytes()


async def _faults(url: str, ca_pem: bytes, faults: list[str]) -> None:
    async with _client(ca_pem) as client:
        (await client.put(f"{url}/_sandbox/faults", json={"faults": faults})).raise_for_status()


async def _most_in_flight(url: str, ca_pem: bytes) -> float:
    """Requests to FCM that got no answer at all: those were in flight when it began to hang, and the probes since."""
    async with _client(ca_pem) as client:
        counts: Any = (await client.get(f"{url}/_sandbox/journal/count")).json()
    return float(counts["vendors"]["fcm"]["faults"].get("fcm=hang", 0))


def _client(ca_pem: bytes) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=ssl.create_default_context(cadata=ca_pem.decode()))


def _environment(home: Path, servers: str, transport: str) -> dict[str, str]:
    return {
        "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": servers,
        "PUSHGW_KAFKA__SESSION_TIMEOUT": "60",
        "PUSHGW_STATE__URL": f"sqlite:///{home / 'bench.db'}",
        "PUSHGW_CREDENTIALS__DIRECTORY": str(home / "certs"),
        "PUSHGW_DISPATCH__IN_FLIGHT": str(IN_FLIGHT),
        "PUSHGW_DISPATCH__TRANSPORT": transport,
        "PUSHGW_HTTP__LISTEN": "",
        "PUSHGW_LOG__LEVEL": "warning",
    }


def _devices() -> list[bytes]:
    now_ms = int(time.time() * 1000)
    return [
        json.dumps(
            {
                "Event": "Device.Put",
                "To_Account": f"{vendor}{n}",
                "EventTime": now_ms,
                "DeviceID": "d1",
                "BusinessID": business_id,
                "Platform": platform,
                "Token": token.format(n=n + 1),
            }
        ).encode()
        for vendor, business_id, platform, token, users in (
            ("apns", APNS, "ios", "{n:064x}", APNS_USERS),
            ("fcm", FCM, "android", "fcm-token:{n:08}", FCM_USERS),
        )
        for n in range(users)
    ]


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
