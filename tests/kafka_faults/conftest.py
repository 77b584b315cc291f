"""What goes wrong with a real Kafka: a cluster whose brokers die, and single brokers made for one fault each."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pushgw.kafka.intake import Intake
from pushgw.kafka.outlet import Outlet
from pushgw.settings import KafkaSettings

TESTS = Path(__file__).parents[1]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pushgw_tests_faults_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


broker_module = _load(TESTS / "real_kafka" / "broker.py")
cluster_module = _load(TESTS / "real_kafka" / "cluster.py")
kit_module = _load(TESTS / "kafka" / "kit.py")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Three brokers, all up. Without Java or Maven the run fails with a sentence."""
    try:
        made = cluster_module.KafkaCluster(broker_module)
        with made:
            yield made
    except broker_module.KafkaMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def broker_of() -> Any:
    """Makes a broker of a test's own, not yet started; whoever makes one closes it."""
    try:
        broker_module.jars()
    except broker_module.KafkaMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    return broker_module.ApacheKafka


@pytest.fixture(scope="session")
def kafka_user() -> dict[str, str]:
    """Settings under `kafka` for the listener that wants a login; the servers are not among them."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_username": broker_module.USER,
        "sasl_password": broker_module.PASSWORD,
    }


@pytest.fixture
def settings_of() -> Callable[..., KafkaSettings]:
    """Settings with topics and a group of the test's own, for these servers."""

    def make(servers: str, **more: Any) -> KafkaSettings:
        made: KafkaSettings = kit_module.settings_of(servers, **{"session_timeout": 3.0, **more})
        return made

    return make


@pytest.fixture
def kit_of() -> Any:
    """What a test does to Kafka from outside."""
    return kit_module.Kit


@pytest.fixture
async def start_intake() -> AsyncIterator[Callable[..., Awaitable[Intake]]]:
    """Starts intakes, and closes them at the end."""
    started: list[Intake] = []

    async def start(settings: KafkaSettings, **options: Any) -> Intake:
        intake = Intake(settings, **options)
        started.append(intake)
        await intake.start()
        return intake

    yield start
    for intake in started:
        await intake.close()


@pytest.fixture
async def start_outlet() -> AsyncIterator[Callable[..., Awaitable[Outlet]]]:
    """Starts outlets, and closes them at the end."""
    started: list[Outlet] = []

    async def start(settings: KafkaSettings, **options: Any) -> Outlet:
        outlet = Outlet(settings, **options)
        started.append(outlet)
        await outlet.start()
        return outlet

    yield start
    for outlet in started:
        await outlet.close()
