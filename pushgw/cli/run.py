"""``pushgw run``: the gateway, in this process or in several workers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from pushgw.assembly import assemble, credentials_of, report_desk_of
from pushgw.cli.health import Health
from pushgw.cli.logs import set_up_logs
from pushgw.cli.loop import run_async, tune_collector
from pushgw.cli.output import Config, Exit, Json, config_path, fail, print_json, settings_or_exit
from pushgw.cli.stops import Stops, stops_of
from pushgw.cli.supervise import WorkersRefusedError, check_workers, commands, settings_of_worker, supervise
from pushgw.credentials import CredentialDirectory
from pushgw.credentials.material import StoreError
from pushgw.gateway import Gateway
from pushgw.kafka.client import ClientOptionsError, kafka_client_options
from pushgw.kafka.intake import IntakeError
from pushgw.kafka.outlet import OutletError
from pushgw.kafka.topics import TopicsError, ensure_topics
from pushgw.reports import Door
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable
from pushgw.vendor.plugin import installed_vendors

log = structlog.get_logger()


def run(
    config: Config = None,
    json: Json = False,
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, help="Processes of one consumer group; above 1, state in Redis."),
    ] = 1,
    worker: Annotated[int | None, typer.Option("--worker", hidden=True)] = None,
    socket: Annotated[Path | None, typer.Option("--socket", hidden=True)] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C: what is in flight is finished within shutdown.grace. A second signal ends
    it at once (exit code 1); what was in flight is then delivered again, with the same vendor-side ids.

    Examples: PUSHGW_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 pushgw run

    PUSHGW_STATE__URL=redis://redis:6379 pushgw run --workers 4

    PUSHGW_KAFKA__GROUP_INSTANCE_ID=$HOSTNAME PUSHGW_KAFKA__SESSION_TIMEOUT=45 pushgw run
    """
    settings = settings_or_exit(config)
    set_up_logs(settings.log, for_good=True, worker=worker)
    if worker is not None:
        settings = settings_of_worker(settings, worker, socket)
    try:
        book = credentials_of(settings)
        kafka_client_options(settings.kafka)
        if worker is None:
            report_credentials(book)
        if workers > 1:
            check_workers(settings)
            code, summary = run_async(supervise(settings, commands(workers, config_path(config))))
        else:
            code, summary = run_async(_serve(settings, book, worker))
    except (NotADirectoryError, StoreError, ClientOptionsError, WorkersRefusedError) as error:
        raise _end(Exit.CONFIG, error, worker) from None
    except StateUnavailable as error:
        raise _end(Exit.UNREACHABLE if settings.state.remote else Exit.CONFIG, error, worker) from None
    except (IntakeError, OutletError, TopicsError) as error:
        raise _end(Exit.UNREACHABLE, error, worker) from None
    if json:
        print_json(summary)
    if code:
        raise typer.Exit(code)


def report_credentials(book: CredentialDirectory) -> None:
    """Say at the start what is wrong with credentials, all of it, and what can be used."""
    for fault in book.faults:
        log.error("credential_fault", file=fault.file, field=fault.field, fault=fault.sentence)
    for warning in book.warnings:
        log.warning("credential_warning", file=warning.file, field=warning.field, warning=warning.sentence)
    usable = {e.business_id: e.vendor for e in book.entries.values() if e.problem is None}
    if not usable:
        log.warning(
            "no_credentials",
            mend="add them with `pushgw certs add`; until then every push ends as C2 or C4",
        )
    log.info("credentials", usable=usable, unusable=sorted(set(book.entries) - set(usable)))


def _end(code: Exit, error: Exception, worker: int | None) -> typer.Exit:
    """Say why; a worker says it in the one log of all."""
    if worker is None:
        return fail(code, *str(error).split("\n"))
    log.error("cannot_run", why=str(error), exit_code=int(code))
    return typer.Exit(int(code))


async def _serve(
    settings: Settings, book: CredentialDirectory, worker: int | None
) -> tuple[int, dict[str, Any]]:
    """The gateway in this process; exit code and summary."""
    async with stops_of(settings.shutdown.grace, worker) as stops:
        try:
            summary = await _work(settings, book, worker, stops)
        except asyncio.CancelledError:
            if stops.gateway is None or not stops.hurried:
                raise
            summary = _summary(stops.gateway)
    log.info("gateway_stopped", **summary)
    return (1 if stops.hurried else 0), summary


async def _work(
    settings: Settings, book: CredentialDirectory, worker: int | None, stops: Stops
) -> dict[str, Any]:
    state = await open_store(settings.state)
    try:
        await ensure_topics(settings.kafka, settings.dispatch.retry_tiers)
        gateway = stops.gateway = assemble(settings, book, state)
        log.info(
            "gateway_started",
            kafka=settings.kafka.bootstrap_servers,
            group=settings.kafka.group_id,
            state=settings.state.shown,
            transport=settings.dispatch.transport,
        )
        tune_collector()
        desk = report_desk_of(settings, book, state, gateway)
        door = Door(settings.http.reports_listen, desk.answer, shared=worker is not None)
        async with Health(settings.http, gateway, book, vendors=installed_vendors()), door:
            await gateway.run()
        return _summary(gateway)
    finally:
        await state.close()


def _summary(gateway: Gateway) -> dict[str, Any]:
    tally = gateway.tally
    return {
        "received": tally.received.total(),
        "pushed": dict(tally.pushed),
        "suppressed": dict(tally.suppressed),
        "failed": {f"{vendor}:{how}": n for (vendor, how), n in tally.failed.items()},
        "dead_letters": tally.dead_letters.total(),
        "receipts": tally.receipts,
    }
