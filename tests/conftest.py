"""Fixtures for every folder: one real Apache Kafka for the whole run (`make test-kafka`, or `pytest -m kafka`), and
real Redis servers (`make test-redis`, or `pytest -m redis`). At the end secret_hunt.py searches what tests left behind."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pushgw_tests_real_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


redis_module = _load(Path(__file__).parent / "real_redis" / "server.py")
broker_module = _load(Path(__file__).parent / "real_kafka" / "broker.py")
hunt_module = _load(Path(__file__).parent / "secret_hunt.py")


def pytest_configure(config: pytest.Config) -> None:
    """The hunt is a plugin of its own."""
    config.pluginmanager.register(hunt_module, "secret-hunt-hooks")


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Any]:
    """A running ApacheKafka (broker.py). Without Java or Maven the run fails with a sentence; nothing is skipped."""
    try:
        broker = broker_module.ApacheKafka()
        broker.start()
    except broker_module.KafkaMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of promtool. Without it the run fails with a sentence; nothing is skipped."""
    return _program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> str:
    """Path of Prometheus, likewise."""
    return _program("prometheus")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"no {name} found; Debian: apt-get install prometheus", pytrace=False)
    return path


@pytest.fixture(scope="session")
def apache_kafka(kafka_broker: Any) -> str:
    """Its bootstrap servers."""
    servers: str = kafka_broker.servers
    return servers


@pytest.fixture(scope="session")
def kafka_login(kafka_broker: Any) -> dict[str, str]:
    """Settings under `kafka` for the listener that wants a login."""
    return {
        "bootstrap_servers": kafka_broker.sasl_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_username": broker_module.USER,
        "sasl_password": broker_module.PASSWORD,
    }


def _started(make: Callable[[], Any]) -> Any:
    """Without redis-server the run fails with a sentence; nothing is skipped."""
    try:
        return make().start()
    except redis_module.RedisMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def one_redis() -> Iterator[Any]:
    """A running RedisServer (server.py) for the whole run."""
    server = _started(redis_module.RedisServer)
    yield server
    server.close()


@pytest.fixture(scope="session")
def one_redis_cluster() -> Iterator[Any]:
    """A running RedisCluster of three masters for the whole run."""
    cluster = _started(redis_module.RedisCluster)
    yield cluster
    cluster.close()


@pytest.fixture
def redis_server(one_redis: Any) -> Any:
    """The server, empty."""
    one_redis.ask("flushall")
    return one_redis


@pytest.fixture
def redis_cluster(one_redis_cluster: Any) -> Any:
    """The cluster, empty."""
    one_redis_cluster.flush()
    return one_redis_cluster


@pytest.fixture
def make_redis() -> Iterator[Callable[..., Any]]:
    """Makes and starts any class of server.py by its name; all are closed in the end."""
    made: list[Any] = []

    def make(name: str, *arguments: Any, **options: Any) -> Any:
        thing = _started(lambda: getattr(redis_module, name)(*arguments, **options))
        made.append(thing)
        return thing

    yield make
    for thing in made:
        thing.close()
