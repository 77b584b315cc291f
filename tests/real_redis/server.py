"""Real Redis servers for tests and benchmarks: one alone, a cluster, or a master with sentinels; on free ports, with their data
in a folder that goes with them.

As a script it runs one until Ctrl-C, after printing its address:

    python tests/real_redis/server.py
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

from pushgw.sandbox.authority import CA_FILE, SERVER_FILE

START_TIMEOUT_S = 20.0
SLOTS = 16_384
SERVICE = "pushgw-test"
DOWN_AFTER_MS = 3000
"""A server that a busy machine keeps from answering for a second is not down. Sentinels make a replica of a master that
returns only after it has looked well for 8 s on end."""
_random = SystemRandom()


class RedisMissing(RuntimeError):
    """redis-server is missing, or did not start; the sentence says what to do."""


class RedisServer:
    """One server. `start` returns when it answers; `stop`, `kill` and `restart` keep its data until `close`."""

    def __init__(self, *options: str, sentinel: bool = False, tls: Path | None = None) -> None:
        """``options``: lines of redis.conf. ``tls``: a directory of `pushgw.sandbox.authority`."""
        self._program = _program()
        self._sentinel = sentinel
        self.tls = tls
        self.home = Path(tempfile.mkdtemp(prefix="pushgw-redis-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._config = self.home / "redis.conf"
        listen = (
            [f"port {self.port}"]
            if tls is None
            else [
                "port 0",
                f"tls-port {self.port}",
                f"tls-cert-file {tls / SERVER_FILE}",
                f"tls-key-file {tls / SERVER_FILE}",
                f"tls-ca-cert-file {tls / CA_FILE}",
                "tls-auth-clients no",
            ]
        )
        lines = [*listen, "bind 127.0.0.1", f"dir {self.home}", "daemonize no"]
        if not sentinel:
            lines += ["save ''", "appendonly yes", "appendfsync everysec"]
        lines += options
        self._config.write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        """For ``state.url``."""
        return f"redis{'s' if self.tls else ''}://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> RedisServer:
        """Start, and wait until it answers. Raises RedisMissing with its last words otherwise."""
        with (self.home / "redis.log").open("ab") as log:
            command = [self._program, str(self._config), *(["--sentinel"] if self._sentinel else [])]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while wait and not self._answers():
            if not self.running or time.monotonic() > deadline:
                words = self.last_words()
                self.kill()
                raise RedisMissing(f"redis-server did not start: {words}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def kill(self) -> None:
        """SIGKILL: nothing is flushed that was not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """SIGKILL and start again on the same data."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def ask(self, *words: str) -> str:
        """An answer of the server, as redis-cli prints it: errors, too. A password goes as ``-a``."""
        flags = ["--tls", "--cacert", str(self.tls / CA_FILE)] if self.tls else []
        command = ["redis-cli", "-p", str(self.port), *flags, "--no-auth-warning", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        return (done.stdout + done.stderr).strip()

    def last_words(self, lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join((self.home / "redis.log").read_text(errors="replace").splitlines()[-lines:])

    def _answers(self) -> bool:
        if self.tls is not None:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                answer = probe.recv(64)
        except OSError:
            return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))


class RedisCluster:
    """Masters that share the slots, and as many replicas of each as wanted."""

    def __init__(self, masters: int = 3, replicas: int = 0) -> None:
        options = (
            "cluster-enabled yes",
            "cluster-node-timeout 1000",
            "cluster-config-file nodes.conf",
            "repl-diskless-sync-delay 0",
            "cluster-replica-validity-factor 0",
        )
        self.masters = [RedisServer(*options) for _ in range(masters)]
        self.replicas = [RedisServer(*options) for _ in range(masters * replicas)]

    @property
    def nodes(self) -> list[RedisServer]:
        """All of them."""
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        """For ``state.url``."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> RedisCluster:
        """Start all and join them; returns when every node says that all is well."""
        for node in self.nodes:
            node.start()
        share = SLOTS // len(self.masters) + 1
        for n, node in enumerate(self.masters):
            node.ask("cluster", "addslotsrange", str(n * share), str(min((n + 1) * share, SLOTS) - 1))
            node.ask("cluster", "set-config-epoch", str(n + 1))
        for node in self.nodes[1:]:
            node.ask("cluster", "meet", "127.0.0.1", str(self.nodes[0].port))
        self._until(lambda: all(self._knows(node) == len(self.nodes) for node in self.nodes))
        for n, node in enumerate(self.replicas):
            master = self.masters[n % len(self.masters)].ask("cluster", "myid")
            self._until(lambda node=node, master=master: node.ask("cluster", "replicate", master) == "OK")
        self._until(lambda: all("cluster_state:ok" in node.ask("cluster", "info") for node in self.nodes))
        self._until(lambda: all("master_link_status:up" in node.ask("info") for node in self.replicas))
        return self

    def flush(self) -> None:
        """Forget all data."""
        for node in self.masters:
            node.ask("flushall")

    def last_words(self) -> str:
        """The ends of the nodes' logs."""
        return "\n\n".join(node.last_words() for node in self.nodes)

    def close(self) -> None:
        """Kill all."""
        for node in self.nodes:
            node.close()

    @staticmethod
    def _knows(node: RedisServer) -> int:
        return len([line for line in node.ask("cluster", "nodes").splitlines() if "handshake" not in line])

    @staticmethod
    def _until(condition: object) -> None:
        _until(condition)


class RedisSentinel:
    """A master, its replica, and sentinels that promote the replica when the master dies."""

    def __init__(self, sentinels: int = 3) -> None:
        self.master = RedisServer("repl-diskless-sync-delay 0")
        self.replica = RedisServer(f"replicaof 127.0.0.1 {self.master.port}", "repl-diskless-sync-delay 0")
        self.sentinels = [
            RedisServer(
                f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} {sentinels // 2 + 1}",
                f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
                f"sentinel failover-timeout {SERVICE} {3 * DOWN_AFTER_MS}",
                sentinel=True,
            )
            for _ in range(sentinels)
        ]

    @property
    def url(self) -> str:
        """For ``state.url``."""
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    def start(self) -> RedisSentinel:
        """Start all; returns when the replica follows and every sentinel knows it and its peers."""
        for one in (self.master, self.replica, *self.sentinels):
            one.start()
        peers = f"num-other-sentinels\n{len(self.sentinels) - 1}"
        _until(lambda: "master_link_status:up" in self.replica.ask("info"))
        _until(
            lambda: all(
                peers in (said := one.ask("sentinel", "master", SERVICE)) and "num-slaves\n1" in said
                for one in self.sentinels
            )
        )
        return self

    def last_words(self) -> str:
        """The ends of the sentinels' logs."""
        return "\n\n".join(sentinel.last_words() for sentinel in self.sentinels)

    def close(self) -> None:
        """Kill all."""
        for one in (*self.sentinels, self.replica, self.master):
            one.close()


def free_port() -> int:
    """A free port whose cluster bus port (10,000 above) is free, too."""
    while True:
        port = _random.randrange(20_000, 50_000)
        try:
            for number in (port, port + 10_000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port


def _program() -> str:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    raise RedisMissing(
        "redis-server was not found: install Redis 7 or newer, or Valkey (Debian: apt-get install redis-server); "
        "'make test' does without"
    )


def _until(condition: object, timeout: float = START_TIMEOUT_S) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise RedisMissing("the Redis servers did not find each other")
        time.sleep(0.05)


if __name__ == "__main__":
    server = RedisServer().start()
    try:
        print(server.url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()
