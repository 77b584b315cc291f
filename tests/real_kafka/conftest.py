"""What the floor's tests on a real Apache Kafka share; the broker itself is a fixture of tests/conftest.py."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pushgw.kafka.intake import Intake
from pushgw.kafka.topics import ensure_topics
from pushgw.settings import KafkaSettings

HERE = Path(__file__).parent


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pushgw_tests_real_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


kit_module = _load(HERE.parent / "kafka" / "kit.py")


@pytest.fixture
def fresh_settings(apache_kafka: str) -> KafkaSettings:
    """Settings with topics, which do not exist yet, and a group of the test's own."""
    made: KafkaSettings = kit_module.settings_of(apache_kafka, session_timeout=6.0)
    return made


@pytest.fixture
async def settings(fresh_settings: KafkaSettings) -> KafkaSettings:
    """The same; the topics exist, with four partitions."""
    await ensure_topics(fresh_settings)
    return fresh_settings


@pytest.fixture
def kit(settings: KafkaSettings) -> Any:
    """What a test does to Kafka from outside."""
    return kit_module.Kit(settings)


@pytest.fixture
def kit_of() -> Any:
    """`kit`, of the settings that are given to it."""
    return kit_module.Kit


@pytest.fixture
async def start_intake(settings: KafkaSettings) -> AsyncIterator[Callable[..., Awaitable[Intake]]]:
    """Starts intakes on the test's topics, and closes them at the end."""
    started: list[Intake] = []

    async def start(on_revoke: Any = None, **options: Any) -> Intake:
        intake = Intake(settings, **options)
        started.append(intake)
        await intake.start(on_revoke)
        return intake

    yield start
    for intake in started:
        await intake.close()
