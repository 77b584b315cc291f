"""Fixtures for every folder: one real Apache Kafka for the whole run (`make test-kafka`, or `pytest -m kafka`)."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
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


broker_module = _load(Path(__file__).parent / "real_kafka" / "broker.py")


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
