"""Scenario ``c2c-apns-sqlite``: real messages through broker, policy, SQLite and APNs over HTTP/2, to receipts and commits.

The gateway is `pushgw run` in its own process, pinned to one core; broker, vendor and this program have the other.
It is stopped (SIGSTOP) while the messages are published, so that it then works through a full topic.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from pushgw.kafka.client import kafka_client_options
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.key import record_key
from pushgw.sandbox.authority import make_authority
from pushgw.sandbox.broker import EmbeddedBroker
from pushgw.sandbox.sandbox import example_directory
from pushgw.settings import Settings, load_settings
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable

USERS = 2000
IN_FLIGHT = 256
LIMIT_S = 300.0
GATEWAY_CORE, OTHER_CORE = 0, 1


async def run(home: Path, count: int, transport: str) -> dict[str, float]:
    """CPU us per push and pushes/s of the gateway and of the raw loop."""
    _pin(os.getpid(), OTHER_CORE)
    broker = await EmbeddedBroker.start(log_file=home / "broker.log")
    authority = make_authority(home / "authority")
    tokens = [f"{n:064x}" for n in range(1, USERS + 1)]
    port, server = _vendor(home, tokens)
    try:
        url = f"https://127.0.0.1:{port}"
        _credential(home, url, authority.ca_pem)
        ca_file = home / "certs" / "sandbox-ca.pem"
        before = await asyncio.to_thread(_raw, home, url, ca_file, count)
        environ = _environment(home, broker.bootstrap_servers, transport)
        gateway = await _gateway(home, environ, broker.bootstrap_servers, tokens, count)
        # A machine's clock rate drifts by a quarter within a minute: the baseline is taken on both sides of what it measures.
        after = await asyncio.to_thread(_raw, home, url, ca_file, count)
        raw = {name: (before[name] + after[name]) / 2 for name in before}
    finally:
        server.terminate()
        server.wait()
        await broker.close()
    return {
        "raw_cpu_us": raw["cpu_us"],
        "raw_per_s": raw["per_s"],
        "gateway_cpu_us": gateway[0],
        "gateway_per_s": gateway[1],
        "ratio_to_raw": gateway[0] / raw["cpu_us"],
    }


def _vendor(home: Path, tokens: list[str]) -> tuple[int, subprocess.Popen[bytes]]:
    """nghttpd with an empty file for each token: it answers 200 with no body, as APNs does."""
    nghttpd = shutil.which("nghttpd")
    if nghttpd is None:
        raise SystemExit(
            "make bench: needs nghttpd (Debian: apt-get install nghttp2-server; macOS: brew install nghttp2)"
        )
    device = home / "htdocs" / "3" / "device"
    device.mkdir(parents=True)
    for token in tokens:
        (device / token).touch()
    port = _free_port()
    pem = str(home / "authority" / "sandbox-server.pem")
    server = subprocess.Popen(
        [nghttpd, "-d", str(home / "htdocs"), "-a", "127.0.0.1", str(port), pem, pem],
        stdout=subprocess.DEVNULL,
    )
    _pin(server.pid, OTHER_CORE)
    return port, server


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _credential(home: Path, url: str, ca_pem: bytes) -> None:
    certs = home / "certs"
    certs.mkdir()
    for path in example_directory().glob("*"):
        if path.suffix == ".p8":
            shutil.copy(path, certs)
    (certs / "sandbox-ca.pem").write_bytes(ca_pem)
    lines = (example_directory() / "9001.toml").read_text("utf-8").splitlines()
    lines = [f'endpoint = "{url}"' if line.startswith("endpoint") else line for line in lines]
    (certs / "9001.toml").write_text("\n".join(lines) + "\n", "utf-8")


def _raw(home: Path, url: str, ca_file: Path, count: int) -> dict[str, float]:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.raw",
            url,
            str(ca_file),
            str(count),
            str(IN_FLIGHT),
            str(home / "htdocs" / "3" / "device"),
        ],
        check=True,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {GATEWAY_CORE}),
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


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


async def _gateway(
    home: Path, environ: dict[str, str], servers: str, tokens: list[str], count: int
) -> tuple[float, float]:
    for name, value in environ.items():
        os.environ[name] = value
    settings = load_settings()
    options = kafka_client_options(settings.kafka)
    await ensure_topics(settings.kafka)
    now = int(time.time())
    users = [
        json.dumps(
            {
                "Event": "Device.Put",
                "To_Account": f"user{n}",
                "EventTime": now * 1000,
                "DeviceID": "d1",
                "BusinessID": 9001,
                "Platform": "ios",
                "Token": token,
            }
        ).encode()
        for n, token in enumerate(tokens)
    ]
    log = (home / "gateway.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "pushgw", "run"], env={**os.environ}, stdout=log, stderr=log
    )
    _pin(process.pid, GATEWAY_CORE)
    try:
        producer = AIOKafkaProducer(acks="all", linger_ms=5, **options)
        await producer.start()
        await _produce(producer, settings.kafka.topics.user_events, users)
        await _until_known(settings, f"user{USERS - 1}")
        process.send_signal(signal.SIGSTOP)
        await _produce(producer, settings.kafka.topics.messages, [_message(n, now) for n in range(count)])
        await producer.stop()
        before, started = _cpu_of(process.pid), time.perf_counter()
        process.send_signal(signal.SIGCONT)
        await _until_receipts(settings, options, count, process)
        wall, cpu = time.perf_counter() - started, _cpu_of(process.pid) - before
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        if process.wait(30) != 0:
            raise SystemExit(
                f"the gateway ended with {process.returncode}; its log:\n{(home / 'gateway.log').read_text()}"
            )
    return cpu / count * 1e6, count / wall


def _message(number: int, now: int) -> bytes:
    return json.dumps(
        {
            "From_Account": f"peer{number % 97}",
            "To_Account": f"user{number % USERS}",
            "MsgSeq": number,
            "MsgRandom": number,
            "MsgTimeStamp": now,
            "MsgBody": [
                {"MsgType": "TIMTextElem", "MsgContent": {"Text": f"Lunch at noon? Number {number}"}}
            ],
            "OfflinePushInfo": {"PushFlag": 0, "Ext": '{"chat":1}'},
            "PushGateway": {"SchemaVersion": 1, "EventId": f"bench-{number}", "Sender": {"Nick": "Alice"}},
        }
    ).encode()


async def _produce(producer: AIOKafkaProducer, topic: str, values: list[bytes]) -> None:
    sent = [await producer.send(topic, value, key=record_key(value)) for value in values]
    await asyncio.gather(*sent)


async def _until_known(settings: Settings, user: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            store = await open_store(settings.state, read_only=True)
        except StateUnavailable:
            await asyncio.sleep(0.2)
            continue
        known = await store.user(0, user)
        await store.close()
        if known is not None:
            await asyncio.sleep(1.0)
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the gateway did not take the devices; see gateway.log")


async def _until_receipts(
    settings: Settings, options: dict[str, Any], count: int, process: subprocess.Popen[bytes]
) -> None:
    """Read until there are so many receipts; all of them must say pushed."""
    consumer = AIOKafkaConsumer(settings.kafka.topics.receipts, auto_offset_reset="earliest", **options)
    await consumer.start()
    seen = 0
    try:
        deadline = time.monotonic() + LIMIT_S
        while seen < count and time.monotonic() < deadline and process.poll() is None:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                seen += len(records)
                wrong = next((r.value for r in records if b'"Verdict":"pushed"' not in r.value), None)
                if wrong is not None:
                    raise SystemExit(f"a receipt does not say pushed: {wrong!r}")
        if seen < count:
            raise SystemExit(f"only {seen} of {count} receipts came; see gateway.log")
    finally:
        await consumer.stop()


def _pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(pid, {core})


def _cpu_of(pid: int) -> float:
    """User and system time of a process and all its threads, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
