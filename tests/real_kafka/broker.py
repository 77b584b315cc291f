"""A real Apache Kafka for tests and benchmarks: one KRaft node on free ports, its data in a folder that goes with it.

As a script it runs one until Ctrl-C, after printing where it listens:

    python tests/real_kafka/broker.py
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
JARS = CHECKOUT / ".kafka" / "lib"
POM = CHECKOUT / "tests" / "kafka" / "pom.xml"
START_TIMEOUT_S = 60.0
USER, PASSWORD = "pushgw", "not-a-secret"
_API_VERSIONS_V0 = b"\x00\x00\x00\x0a" + b"\x00\x12" + b"\x00\x00" + b"\x00\x00\x00\x01" + b"\xff\xff"


class KafkaMissing(RuntimeError):
    """A tool is missing, or the broker did not start; the sentence says what to do."""


def jars() -> Path:
    """The folder with the broker's jars; fetched with Maven the first time. Raises KafkaMissing."""
    _tool("java", "a Java runtime, 17 or later")
    if any(JARS.glob("kafka_2.13-*.jar")) and any(JARS.glob("kafka-tools-*.jar")):
        return JARS
    mvn = _tool("mvn", "Maven, which fetches the broker's jars once")
    fetch = [mvn, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
    done = subprocess.run(fetch, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KafkaMissing(
            f"Maven could not fetch Apache Kafka: {(done.stdout + done.stderr).strip()[-800:]}"
        )
    return JARS


class ApacheKafka:
    """One broker. `start` returns when it answers; `stop`, `kill` and `restart` keep its data until `close`."""

    def __init__(
        self,
        *,
        ports: tuple[int, int, int] | None = None,
        cluster_id: str | None = None,
        memory: str = "512m",
        **properties: str,
    ) -> None:
        """``properties``: of server.properties, with `_` for `.`. ``ports``: without login, with login, controller's."""
        self._lib = jars()
        self._memory = memory
        self._home = Path(tempfile.mkdtemp(prefix="pushgw-kafka-"))
        self._port, self._sasl_port, self._controller_port = ports or free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._config = self._home / "server.properties"
        self._config.write_text(self._properties(properties))
        self._format(cluster_id or new_cluster_id())

    @property
    def servers(self) -> str:
        """Bootstrap address, without login."""
        return f"127.0.0.1:{self._port}"

    @property
    def sasl_servers(self) -> str:
        """Bootstrap address for SASL_PLAINTEXT, mechanism PLAIN, `USER` and `PASSWORD`."""
        return f"127.0.0.1:{self._sasl_port}"

    def start(self) -> None:
        """Start the node and wait until it answers requests. Raises KafkaMissing with its last words otherwise."""
        with (self._home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)), stdout=log, stderr=log, cwd=self._home
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                words = (self._home / "broker.log").read_text(errors="replace")[-1500:]
                self.kill()
                raise KafkaMissing(f"Apache Kafka did not start: {words}")
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM: a controlled shutdown."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """SIGKILL: a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop and start, on the same ports with the same data."""
        self.stop()
        self.start()

    @property
    def data(self) -> Path:
        """Where its logs lie; to be touched while it does not run."""
        return self._home / "data"

    def tool(self, main: str, *arguments: str) -> str:
        """The output of one of Kafka's own commands, by its class. Raises CalledProcessError."""
        done = subprocess.run(
            self._java(main, *arguments), capture_output=True, text=True, check=True, cwd=self._home
        )
        return done.stdout

    def close(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> ApacheKafka:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _java(self, main: str, *arguments: str) -> list[str]:
        memory = self._memory if main == "kafka.Kafka" else "128m"
        return ["java", f"-Xmx{memory}", "-cp", f"{self._lib}{os.sep}*", main, *arguments]

    def _format(self, cluster_id: str) -> None:
        command = self._java(
            "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", f"--config={self._config}"
        )
        if "controller.quorum.voters" not in self._config.read_text():
            command.append("--standalone")
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._home)
        if done.returncode != 0:
            self.close()
            raise KafkaMissing(
                f"Apache Kafka's storage could not be formatted: {(done.stdout + done.stderr)[-800:]}"
            )

    def _properties(self, more: dict[str, str]) -> str:
        login = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}";'
        )
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": (
                f"PLAINTEXT://127.0.0.1:{self._port},SASL_PLAINTEXT://127.0.0.1:{self._sasl_port},"
                f"CONTROLLER://127.0.0.1:{self._controller_port}"
            ),
            "advertised.listeners": (
                f"PLAINTEXT://127.0.0.1:{self._port},SASL_PLAINTEXT://127.0.0.1:{self._sasl_port}"
            ),
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": login,
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller_port}",
            "log.dirs": str(self._home / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "3",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "3",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
        }
        properties.update({name.replace("_", "."): value for name, value in more.items()})
        if "controller.quorum.voters" in properties:
            del properties["controller.quorum.bootstrap.servers"]
        return "".join(f"{name}={value}\n" for name, value in properties.items())


def _tool(name: str, what: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise KafkaMissing(f"`{name}` is not on the PATH; the tests on a real Apache Kafka need {what}")
    return found


def new_cluster_id() -> str:
    """What a cluster's storage is formatted with."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _answers(port: int) -> bool:
    """Whether the broker answers an ApiVersions request: it accepts connections before it serves them."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_API_VERSIONS_V0)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


def main() -> int:
    """Run a broker until Ctrl-C."""
    try:
        with ApacheKafka() as kafka:
            print(kafka.servers, flush=True)
            try:
                while True:
                    time.sleep(3600)
            except KeyboardInterrupt:
                return 0
    except KafkaMissing as missing:
        print(missing, file=sys.stderr)
        return 4


if __name__ == "__main__":
    raise SystemExit(main())
