"""The running parts of a chaos run: Kafka, the sandbox, the state, gateways; each can be killed and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from pushgw.sandbox.authority import make_authority
from pushgw.sandbox.sandbox import example_directory, with_endpoint
from pushgw.settings import CredentialSettings, DispatchSettings, KafkaSettings, Settings, StateSettings
from tests.chaos.history import ENDED, STARTED_IN_VAIN, Deed
from tests.real_kafka.broker import ApacheKafka
from tests.real_redis.server import RedisServer

SESSION_S = 3.0
"""Session timeout of the group: a killed gateway's partitions are free so soon."""
PARTITIONS = 6
RETRY_TIERS = (1, 3, 8)
"""Waits of the retry topics, s: short, so that a run is soon quiet."""
STARTED = b"gateway_started"
"""In the log of a gateway that listens to signals."""


UNREACHABLE = 4
"""Exit code of a gateway that found no Kafka, or no state, at its start."""


class StageError(RuntimeError):
    """A part did not come up."""


class Gateway:
    """One `pushgw run`."""

    def __init__(self, process: subprocess.Popen[bytes], number: int, log_file: Path) -> None:
        self.process = process
        self.number = number
        self.log_file = log_file
        self.expected_to_end = False


class Stage:
    """Everything of one run, in one folder."""

    def __init__(self, home: Path, state: str) -> None:
        """``state``: ``sqlite``, ``redis`` (a server of the run's own), or a ``state.url``."""
        self.home = home
        self._redis = RedisServer("appendfsync always") if state == "redis" else None
        self.shared_state = state != "sqlite"
        state_url = {"sqlite": f"sqlite:///{home / 'pushgw.db'}"}.get(state, state)
        if self._redis is not None:
            state_url = self._redis.url
        self.deeds: list[Deed] = []
        self.gateways: list[Gateway] = []
        self._started = 0
        self._state_url = state_url
        self._kafka = ApacheKafka(group_min_session_timeout_ms="1000", log_retention_hours="-1")
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._client: httpx.AsyncClient | None = None
        self.settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=self._kafka.servers,
                partitions=PARTITIONS,
                session_timeout=SESSION_S,
            ),
            state=StateSettings(url=state_url),
            credentials=CredentialSettings(directory=home / "certs"),
            dispatch=DispatchSettings(retry_tiers=RETRY_TIERS),
        )

    @property
    def journal(self) -> Path:
        """What the vendors took."""
        return self.home / "journal.jsonl"

    def note(self, what: str, detail: str = "") -> None:
        """Take down what happened."""
        self.deeds.append(Deed(time.time(), what, detail))

    async def start(self) -> None:
        """Kafka, sandbox and the state's server, where it has one; gateways are started one by one."""
        if self._redis is not None:
            await asyncio.to_thread(self._redis.start)
        await asyncio.to_thread(self._kafka.start)
        authority = make_authority(self.home / "authority")
        url = await asyncio.to_thread(self._start_sandbox)
        with_endpoint(example_directory(), self.home / "certs", url, authority.ca_pem)
        trust = ssl.create_default_context(cadata=authority.ca_pem.decode())
        self._client = httpx.AsyncClient(base_url=url, verify=trust, timeout=10)

    async def close(self) -> None:
        """End everything that still runs."""
        for gateway in self.gateways:
            gateway.expected_to_end = True
            if gateway.process.poll() is None:
                gateway.process.kill()
                gateway.process.wait()
        if self._client is not None:
            await self._client.aclose()
        if self._sandbox is not None:
            self._sandbox.terminate()
            self._sandbox.wait()
        if self._redis is not None:
            self._redis.close()
        await asyncio.to_thread(self._kafka.close)

    # --- gateways ----------------------------------------------------------------------------------------

    def start_gateway(self) -> Gateway:
        """One more."""
        self._started += 1
        log_file = self.home / f"gateway-{self._started}.log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pushgw", "run"], env=self._environment(), stdout=log, stderr=log
            )
        gateway = Gateway(process, self._started, log_file)
        self.gateways.append(gateway)
        return gateway

    async def kill_gateway(self, gateway: Gateway) -> None:
        """SIGKILL."""
        self._leave(gateway)
        gateway.process.kill()
        await asyncio.to_thread(gateway.process.wait)

    async def end_gateway(self, gateway: Gateway) -> None:
        """SIGTERM; it must end by itself with code 0, or by the signal while it is only just starting."""
        self._leave(gateway)
        gateway.process.terminate()
        try:
            code = await asyncio.to_thread(gateway.process.wait, 60)
        except subprocess.TimeoutExpired:
            gateway.process.kill()
            code = -9
        newborn = code == -signal.SIGTERM and STARTED not in gateway.log_file.read_bytes()
        if code != 0 and not newborn:
            self.note(ENDED, f"gateway {gateway.number}: code {code} after SIGTERM; see {gateway.log_file}")

    def revive(self) -> None:
        """Start again what ended on its own, and say so."""
        for gateway in list(self.gateways):
            code = gateway.process.poll()
            if code is None or gateway.expected_to_end:
                continue
            what = STARTED_IN_VAIN if code == UNREACHABLE else ENDED
            self.note(what, f"gateway {gateway.number}: code {code}; see {gateway.log_file}")
            self._leave(gateway)
            self.start_gateway()

    def _leave(self, gateway: Gateway) -> None:
        gateway.expected_to_end = True
        self.gateways.remove(gateway)

    def _environment(self) -> dict[str, str]:
        variables = {
            "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": self._kafka.servers,
            "PUSHGW_KAFKA__PARTITIONS": str(PARTITIONS),
            "PUSHGW_KAFKA__SESSION_TIMEOUT": str(SESSION_S),
            "PUSHGW_STATE__URL": self._state_url,
            "PUSHGW_CREDENTIALS__DIRECTORY": str(self.home / "certs"),
            "PUSHGW_DISPATCH__TIMEOUT": "2",
            "PUSHGW_DISPATCH__BACKOFF": "0.2",
            "PUSHGW_DISPATCH__BACKOFF_MAX": "2",
            "PUSHGW_DISPATCH__RETRY_TIERS": ",".join(map(str, RETRY_TIERS)),
            "PUSHGW_DISPATCH__BREAKER_AFTER": "1",
            "PUSHGW_DISPATCH__BREAKER_PAUSE": "1",
            "PUSHGW_DISPATCH__BREAKER_PAUSE_MAX": "4",
            "PUSHGW_SHUTDOWN__GRACE": "8",
            "PUSHGW_HTTP__LISTEN": "",
            "PUSHGW_LOG__FORMAT": "json",
        }
        return {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")} | variables

    # --- Kafka -------------------------------------------------------------------------------------------

    async def restart_kafka(self, *, away: float) -> None:
        """A controlled stop, and a start after ``away`` s."""
        await asyncio.to_thread(self._kafka.stop)
        await self._back(away)

    async def kill_kafka(self, *, away: float) -> None:
        """SIGKILL, and a start after ``away`` s."""
        await asyncio.to_thread(self._kafka.kill)
        await self._back(away)

    async def _back(self, away: float) -> None:
        await asyncio.sleep(away)
        await asyncio.to_thread(self._kafka.start)

    # --- state -------------------------------------------------------------------------------------------

    async def restart_state(self, *, away: float) -> None:
        """A controlled stop of the state's server, and a start after ``away`` s."""
        server = self._state_server()
        await asyncio.to_thread(server.stop)
        await asyncio.sleep(away)
        await asyncio.to_thread(server.start)

    async def kill_state(self, *, away: float) -> None:
        """SIGKILL of the state's server, and a start after ``away`` s."""
        server = self._state_server()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(away)
        await asyncio.to_thread(server.start)

    def _state_server(self) -> RedisServer:
        if self._redis is None:
            raise StageError("this state has no server of ours")
        return self._redis

    # --- vendors -----------------------------------------------------------------------------------------

    async def faults(self, spellings: tuple[str, ...]) -> None:
        """What the vendors do wrong from now on."""
        assert self._client is not None
        answer = await self._client.put("/_sandbox/faults", json={"faults": list(spellings)})
        if answer.status_code != 200:
            raise StageError(f"the sandbox refuses faults: {answer.text}")

    async def fault_counts(self) -> tuple[int, dict[str, int]]:
        """Requests of all vendors so far, and how many met which fault."""
        assert self._client is not None
        counts = (await self._client.get("/_sandbox/journal/count")).json()["vendors"].values()
        dealt: dict[str, int] = {}
        for vendor in counts:
            for fault, number in vendor["faults"].items():
                name = fault.partition("=")[2].partition(":")[0]
                dealt[name] = dealt.get(name, 0) + number
        return sum(vendor["requests"] for vendor in counts), dealt

    def _start_sandbox(self) -> str:
        command = [sys.executable, "-m", "pushgw", "sandbox", "--listen", "127.0.0.1:0", "--json"]
        command += ["--tls", str(self.home / "authority"), "--journal", str(self.journal)]
        with (self.home / "sandbox.log").open("wb") as log:
            self._sandbox = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert self._sandbox.stdout is not None
        greeting: dict[str, Any] = json.loads(self._sandbox.stdout.readline() or b"{}")
        if "url" not in greeting:
            raise StageError(f"the sandbox did not start; see {self.home / 'sandbox.log'}")
        return str(greeting["url"])
