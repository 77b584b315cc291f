"""``pushgw run``: the gateway."""

from __future__ import annotations

import asyncio
import signal

import structlog

from pushgw.assembly import assemble, credentials_of
from pushgw.cli.health import Health
from pushgw.cli.logs import set_up_logs
from pushgw.cli.loop import run_async, tune_collector
from pushgw.cli.output import Config, Exit, Json, fail, print_json, settings_or_exit
from pushgw.credentials import CredentialDirectory
from pushgw.kafka.client import ClientOptionsError, kafka_client_options
from pushgw.kafka.intake import IntakeError
from pushgw.kafka.outlet import OutletError
from pushgw.kafka.topics import TopicsError, ensure_topics
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import StateUnavailable

log = structlog.get_logger()


def run(config: Config = None, json: Json = False) -> None:
    """Run the gateway until SIGTERM or Ctrl-C.

    Example: PUSHGW_KAFKA__BOOTSTRAP_SERVERS=kafka:9092 pushgw run
    """
    settings = settings_or_exit(config)
    set_up_logs(settings.log, for_good=True)
    try:
        book = credentials_of(settings)
    except NotADirectoryError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    report_credentials(book)
    try:
        kafka_client_options(settings.kafka)
        summary = run_async(_serve(settings, book))
    except ClientOptionsError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    except (IntakeError, OutletError, TopicsError) as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    except StateUnavailable as error:
        raise fail(Exit.CONFIG, str(error)) from None
    if json:
        print_json(summary)


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
            mend="put <BusinessID>.toml files into credentials.directory; until then every push ends as C2 or C4",
        )
    log.info("credentials", usable=usable, unusable=sorted(set(book.entries) - set(usable)))


async def _serve(settings: Settings, book: CredentialDirectory) -> dict[str, object]:
    state = await open_store(settings.state)
    try:
        await ensure_topics(settings.kafka, settings.dispatch.retry_tiers)
        gateway = assemble(settings, book, state)
        loop = asyncio.get_running_loop()
        stops = 0

        def on_signal() -> None:
            nonlocal stops
            stops += 1
            if stops > 1:
                log.warning("stopped_at_once", why="second signal")
                raise SystemExit(1)
            log.info("stopping", grace_s=settings.shutdown.grace)
            gateway.stop()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, on_signal)
        log.info(
            "gateway_started",
            kafka=settings.kafka.bootstrap_servers,
            group=settings.kafka.group_id,
            state=settings.state.url,
            transport=settings.dispatch.transport,
        )
        tune_collector()
        async with Health(settings.http, gateway, book):
            await gateway.run()
        tally = gateway.tally
        summary: dict[str, object] = {
            "received": tally.received,
            "pushed": dict(tally.pushed),
            "suppressed": dict(tally.suppressed),
            "failed": {f"{vendor}:{how}": n for (vendor, how), n in tally.failed.items()},
            "dead_letters": tally.dead_letters,
            "receipts": tally.receipts,
        }
        log.info("gateway_stopped", **summary)
        return summary
    finally:
        await state.close()
