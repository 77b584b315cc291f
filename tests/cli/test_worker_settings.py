"""What a worker has of its own, and what it is started with."""

from __future__ import annotations

import sys
from pathlib import Path

from pushgw.cli.supervise import commands, settings_of_worker
from pushgw.settings import KafkaSettings, Settings


def test_a_worker_has_its_own_names_and_its_own_health() -> None:
    """Client and static member get the worker's number, health its socket; all else is as for one gateway."""
    settings = Settings(kafka=KafkaSettings(client_id="gw", group_instance_id="host-a", group_id="g"))
    own = settings_of_worker(settings, 3, Path("/run/3.sock"))
    assert (own.kafka.client_id, own.kafka.group_instance_id) == ("gw-3", "host-a-3")
    assert own.http.listen == "unix:/run/3.sock"
    assert own.kafka.group_id == "g"
    assert own.model_copy(update={"kafka": settings.kafka, "http": settings.http}) == settings


def test_without_static_membership_there_is_none() -> None:
    """A number alone is no name: workers of two machines would share it."""
    own = settings_of_worker(Settings(), 1, None)
    assert own.kafka.group_instance_id is None
    assert own.http.listen is None


def test_workers_are_started_with_the_same_settings_file() -> None:
    """Each runs this interpreter's pushgw, with --config where the operator gave one."""
    first, second = commands(2, Path("a.toml"))
    assert first[:4] == [sys.executable, "-m", "pushgw", "run"]
    assert first[first.index("--config") + 1] == "a.toml"
    assert (first[-2:], second[-2:]) == (["--worker", "1"], ["--worker", "2"])
    assert "--config" not in commands(1, None)[0]
