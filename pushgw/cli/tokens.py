"""``pushgw tokens``: the tokens that were not removed, because too many of a credential's were called dead at once."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.markup import escape
from rich.table import Table

from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.kafka.client import ClientOptionsError, kafka_client_options
from pushgw.messages.key import record_key
from pushgw.messages.receipts import mask_token
from pushgw.settings import Settings
from pushgw.state import open_review
from pushgw.state.protocol import StateMissing, StateStore, StateUnavailable, Suspect

app = typer.Typer(help="Tokens that are held because too many died at once.", no_args_is_help=True)

SHOWN = 50
"""Rows of the table for people; --json has all."""


@app.callback()
def _tokens() -> None:
    """Tokens that are held because too many died at once."""


@app.command()
def review(
    credential: Annotated[
        int | None, typer.Option("--credential", help="Only this certificate id (BusinessID).")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="They are dead: delete these devices and open the guard.")
    ] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="They are alive: keep these devices and open the guard.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --confirm.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the devices that are held for review, tokens masked; confirm that they are dead, or clear them.

    A device that has reported itself anew since the vendor called its token dead is left alone by --confirm.

    Example: pushgw tokens review --credential 6666 --clear
    """
    settings = settings_or_exit(config)
    if confirm and clear:
        raise fail(Exit.USAGE, "give either --confirm or --clear")
    try:
        code = run_async(
            _review(settings, credential, "confirm" if confirm else "clear" if clear else "", yes, json)
        )
    except ClientOptionsError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    except KafkaError as error:
        broker = settings.kafka.bootstrap_servers
        raise fail(
            Exit.UNREACHABLE,
            f"Kafka at {broker}: {error}; what was not deleted is still held: run the command again",
        ) from None
    raise typer.Exit(int(code))


async def _review(settings: Settings, credential: int | None, what: str, yes: bool, json: bool) -> Exit:
    try:
        store = await open_review(settings.state)
    except StateMissing as error:
        err.print(f"pushgw: {error}", markup=False, soft_wrap=True)
        _show([], json)
        return Exit.NO if what else Exit.DONE
    try:
        held = await store.suspects(credential)
        if not what:
            _show(held, json)
            return Exit.DONE
        if not held:
            raise fail(Exit.NO, "no token is held" + (f" of credential {credential}" if credential else ""))
        if what == "confirm":
            if not yes:
                _ask(held)
            await _delete(settings, store, held)
        else:
            await store.release(held)
    finally:
        await store.close()
    word = "deleted" if what == "confirm" else "cleared"
    if json:
        print_json({"Done": word, "Devices": len(held), "Credentials": sorted({s.business_id for s in held})})
    else:
        out.print(f"{len(held)} devices {word}; gateways open the guard within seconds.", markup=False)
    return Exit.DONE


def _ask(held: list[Suspect]) -> None:
    """Deleting is asked for on a terminal; elsewhere --yes must say so."""
    if not sys.stdin.isatty():
        raise fail(Exit.USAGE, f"--confirm deletes {len(held)} devices: nobody to ask here, so add --yes")
    credentials = ", ".join(str(b) for b in sorted({s.business_id for s in held}))
    if not typer.confirm(f"Delete {len(held)} devices of credential {credentials}?", err=True):
        raise fail(Exit.NO, "nothing was deleted")


async def _delete(settings: Settings, store: StateStore, held: list[Suspect]) -> None:
    """Through the topic of user events, so that each store hears of it in its order; only then they are forgotten."""
    producer = AIOKafkaProducer(acks="all", **kafka_client_options(settings.kafka))
    topic = settings.kafka.topics.user_events
    try:
        await producer.start()
        values = [_device_delete(suspect) for suspect in held]
        sent = [await producer.send(topic, value, key=record_key(value)) for value in values]
        for acknowledged in sent:
            await acknowledged
    finally:
        await producer.stop()
    await store.release(held)


def _device_delete(suspect: Suspect) -> bytes:
    """Its EventTime is the last ms before the dead result: who reported the device in that ms or later is newer."""
    told = suspect.sent_ms if suspect.dead_since_ms is None else min(suspect.sent_ms, suspect.dead_since_ms)
    return msgspec.json.encode(
        {
            "Event": "Device.Delete",
            "To_Account": suspect.user,
            "DeviceID": suspect.device_id,
            "SdkAppId": suspect.app,
            "EventTime": told - 1,
        }
    )


def _show(held: list[Suspect], json: bool) -> None:
    if json:
        print_json({"Held": len(held), "Tokens": [_row(s) for s in held]})
    elif not held:
        out.print("No token is held.", markup=False)
    else:
        out.print(_table(held))
        if len(held) > SHOWN:
            out.print(f"... and {len(held) - SHOWN} more; --json shows all.", markup=False)
        out.print("--confirm deletes these devices, --clear keeps them; both open the guard.", markup=False)


def _row(suspect: Suspect) -> dict[str, Any]:
    return {
        "BusinessID": suspect.business_id,
        "Vendor": suspect.vendor,
        "SdkAppId": suspect.app,
        "To_Account": suspect.user,
        "DeviceID": suspect.device_id,
        "Token": mask_token(suspect.token),
        "VendorCode": suspect.code,
        "SentMs": suspect.sent_ms,
        "DeadSinceMs": suspect.dead_since_ms,
        "HeldMs": suspect.held_ms,
    }


def _table(held: list[Suspect]) -> Table:
    table = Table(title=f"{len(held)} devices are held and are still pushed to", title_justify="left")
    for column in ("certificate id", "vendor", "user", "device", "token", "the vendor said", "held since"):
        table.add_column(column)
    for s in held[:SHOWN]:
        since = datetime.fromtimestamp(s.held_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        table.add_row(
            str(s.business_id),
            s.vendor,
            escape(s.user),
            escape(s.device_id),
            escape(mask_token(s.token)),
            escape(s.code),
            since,
        )
    return table
