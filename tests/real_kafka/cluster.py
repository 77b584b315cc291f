"""Three brokers that are one cluster: each can be killed, and what it led moves to another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

SIZE = 3


class KafkaCluster:
    """Replication 3, two in sync are enough. Use it as a context manager; ``broker`` is the module beside this one."""

    def __init__(self, broker: ModuleType) -> None:
        ports = broker.free_ports(3 * SIZE)
        each = [tuple(ports[3 * n : 3 * n + 3]) for n in range(SIZE)]
        voters = ",".join(f"{n + 1}@127.0.0.1:{controller}" for n, (_, _, controller) in enumerate(each))
        cluster_id = broker.new_cluster_id()

        def make(number: int) -> Any:
            return broker.ApacheKafka(
                ports=each[number],
                cluster_id=cluster_id,
                memory="256m",
                node_id=str(number + 1),
                controller_quorum_voters=voters,
                default_replication_factor="3",
                min_insync_replicas="2",
                offsets_topic_replication_factor="3",
                transaction_state_log_replication_factor="3",
                broker_session_timeout_ms="3000",
                broker_heartbeat_interval_ms="500",
                group_min_session_timeout_ms="1000",
            )

        with ThreadPoolExecutor(SIZE) as pool:
            self.nodes: dict[int, Any] = dict(enumerate(pool.map(make, range(SIZE)), start=1))

    @property
    def servers(self) -> str:
        """Bootstrap addresses of all."""
        return ",".join(node.servers for node in self.nodes.values())

    def __enter__(self) -> KafkaCluster:
        with ThreadPoolExecutor(SIZE) as pool:
            list(pool.map(lambda node: node.start(), self.nodes.values()))
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.close()
