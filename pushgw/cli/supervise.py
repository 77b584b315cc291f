"""`pushgw run --workers N`: what a worker is started with, and the supervisor's own life."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import structlog

from pushgw.cli.stops import on_signals
from pushgw.kafka.topics import ensure_topics
from pushgw.listener import UNIX, Listener
from pushgw.metrics import sum_expositions
from pushgw.settings import Settings
from pushgw.state import is_single_writer
from pushgw.workers.panel import Panel
from pushgw.workers.restarts import Restarts
from pushgw.workers.supervisor import Supervisor
from pushgw.workers.worker import Worker

log = structlog.get_logger()


class WorkersRefusedError(ValueError):
    """`--workers` cannot be had with these settings, or here."""


def check_workers(settings: Settings) -> None:
    if sys.platform == "win32":
        raise WorkersRefusedError(
            "--workers above 1 needs Linux or macOS; run one gateway, or several machines"
        )
    if is_single_writer(settings.state):
        raise WorkersRefusedError(
            f"--workers above 1 needs a state store that several processes may write to, and state.url is "
            f"{settings.state.url}; set state.url to redis://HOST:6379, or run one worker"
        )


def settings_of_worker(settings: Settings, number: int, socket: Path | None) -> Settings:
    """Its own names in the group, its own health; the supervisor has http.listen."""
    kafka, instance = settings.kafka, settings.kafka.group_instance_id
    names = {
        "client_id": f"{kafka.client_id}-{number}",
        "group_instance_id": f"{instance}-{number}" if instance else None,
    }
    listen = f"{UNIX}{socket}" if socket is not None else None
    return settings.model_copy(
        update={
            "kafka": kafka.model_copy(update=names),
            "http": settings.http.model_copy(update={"listen": listen}),
        }
    )


def commands(count: int, config: Path | None) -> list[list[str]]:
    """The command line of each worker; it lacks the path of its socket."""
    base = [sys.executable, "-m", "pushgw", "run", "--json"]
    named = ["--config", str(config)] if config is not None else []
    return [[*base, *named, "--worker", str(number)] for number in range(1, count + 1)]


async def supervise(settings: Settings, commands: list[list[str]]) -> tuple[int, dict[str, Any]]:
    """Workers under a supervisor, which answers for them at http.listen; exit code and the sum of their summaries."""
    await ensure_topics(settings.kafka)
    with tempfile.TemporaryDirectory(prefix="pushgw-") as folder:
        workers = []
        for number, command in enumerate(commands, 1):
            socket = Path(folder) / f"{number}.sock"
            workers.append(Worker(number, [*command, "--socket", str(socket)], socket, Restarts()))
        supervisor = Supervisor(workers, grace=settings.shutdown.grace)
        stops = 0

        def on_signal() -> None:
            nonlocal stops
            stops += 1
            log.info("stopping" if stops == 1 else "stopping_at_once", workers=len(workers))
            (supervisor.stop if stops == 1 else supervisor.stop_now)()

        on_signals(on_signal)
        log.info("supervisor_started", workers=len(workers), group=settings.kafka.group_id)
        async with Listener(settings.http.listen, Panel(supervisor.workers, sum_expositions).page):
            code = await supervisor.run()
    summary = _sum_of([death.stdout for death in supervisor.deaths.values()])
    summary["restarts"] = sum(worker.restarts.total for worker in workers)
    log.info("supervisor_stopped", exit_code=code, **summary)
    return code, summary


def _sum_of(outputs: list[bytes]) -> dict[str, Any]:
    """Of the summaries that workers printed at their end. One that was killed printed none."""
    total: dict[str, Any] = {}
    for output in outputs:
        try:
            summary = msgspec.json.decode(output or b"{}", type=dict[str, int | dict[str, int]])
        except msgspec.DecodeError:
            continue
        for key, value in summary.items():
            if isinstance(value, dict):
                into = total.setdefault(key, {})
                for name, count in value.items():
                    into[name] = into.get(name, 0) + count
            else:
                total[key] = total.get(key, 0) + value
    return total
