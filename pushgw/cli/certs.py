"""``pushgw certs``: the credentials, what is wrong with them, and how they are changed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pushgw.assembly import credential_place_of
from pushgw.cli.book import book_or_exit
from pushgw.cli.certs_change import add, rotate
from pushgw.cli.certs_checks import check, reading_or_exit
from pushgw.cli.certs_pushes import good_pushes_of, moment_of
from pushgw.cli.certs_remove import remove
from pushgw.cli.certs_seal import import_directory, keygen, reseal
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Json, out, print_json, settings_or_exit
from pushgw.credentials.check import offline_checks, state_of
from pushgw.credentials.expiry import days_left
from pushgw.credentials.form import is_secret, toml_fields
from pushgw.credentials.reader import Reading
from pushgw.vendor.checks import Summary
from pushgw.vendor.mask import MASK, without_login
from pushgw.vendor.plugin import installed_vendors

_SECRET_NAME = re.compile(r"secret|password|private_key", re.IGNORECASE)
_REPORT_KEY = re.compile(r"(/reports/[0-9]+/).+")

app = typer.Typer(help="Credentials: list, check, add, rotate, remove; seal them.", no_args_is_help=True)
app.command("check")(check)
_WITH_FIELDS = {"allow_extra_args": True, "ignore_unknown_options": True}
app.command("add", context_settings=_WITH_FIELDS)(add)
app.command("rotate", context_settings=_WITH_FIELDS)(rotate)
app.command("remove")(remove)
app.command("keygen")(keygen)
app.command("reseal")(reseal)
app.command("import")(import_directory)


@app.command("list")
def list_credentials(config: Config = None, json: Json = False) -> None:
    """Every credential with its app, how long it still lives, when the gateway last had a push accepted, and its state as
    far as it is seen offline.

    Example: pushgw certs list
    """
    settings = settings_or_exit(config)
    book = book_or_exit(settings, whole=False)
    now = time.time()
    pushes = run_async(good_pushes_of(settings)) if book.readings else {}
    rows = [_row(reading, now, pushes) for reading in book.readings]
    said = {fault for reading in book.readings for fault in reading.faults}
    others = [str(fault) for fault in book.faults if fault not in said]
    if json:
        print_json({"Credentials": rows, "Faults": others})
        return
    out.print(_table(rows) if rows else f"There is no credential in {credential_place_of(settings)}.")
    for row in rows:
        if row["Detail"]:
            out.print(
                f"{_shown(row['BusinessID'])} {row['State']}: {row['Detail']}", markup=False, soft_wrap=True
            )
    for fault in others:
        out.print(fault, markup=False, soft_wrap=True)


@app.command("show")
def show(
    business_id: Annotated[int, typer.Argument(metavar="ID", help="Certificate id.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """All fields of one credential, secrets masked; key ids, subject, fingerprint and dates of what it holds.

    Example: pushgw certs show 6666
    """
    settings = settings_or_exit(config)
    reading = reading_or_exit(book_or_exit(settings, whole=False), business_id)
    answer = _row(reading, time.time(), run_async(good_pushes_of(settings)))
    answer |= {
        "Endpoint": _endpoint(reading, "endpoint"),
        "AuthEndpoint": _endpoint(reading, "auth_endpoint"),
        "Proxy": _endpoint(reading, "proxy"),
        "Fields": _fields(reading),
        "Details": dict(_summary(reading).details),
        "Defaults": _defaults(reading),
    }
    if json:
        print_json(answer)
        return
    for key, value in answer.items():
        if isinstance(value, dict):
            for name, part in value.items():
                out.print(f"{key}.{name}: {part}", markup=False, soft_wrap=True)
        else:
            out.print(f"{key}: {_shown(value)}", markup=False, soft_wrap=True)


def _row(reading: Reading, now: float, pushes: dict[int, float]) -> dict[str, Any]:
    summary = _summary(reading)
    state, detail = state_of(offline_checks(reading, now))
    end = summary.expires_at
    return {
        "BusinessID": reading.business_id,
        "File": reading.file,
        "Vendor": reading.entry.vendor if reading.entry else "",
        "Name": str(reading.data.get("name", "")),
        "App": summary.app,
        "Environment": summary.environment,
        "ExpiresAt": None if end is None else datetime.fromtimestamp(end, UTC).isoformat(),
        "DaysLeft": None if end is None else days_left(end, now),
        "LastGoodPush": moment_of(
            pushes.get(reading.business_id) if reading.business_id is not None else None
        ),
        "State": state,
        "Detail": detail,
    }


def _summary(reading: Reading) -> Summary:
    account = reading.entry.account if reading.entry else None
    return account.credential.summary() if account is not None else Summary()


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table()
    for column in ("id", "vendor", "name", "app", "environment", "expires in", "last good push", "state"):
        table.add_column(column)
    for row in rows:
        left = row["DaysLeft"]
        cells = [row[key] for key in ("BusinessID", "Vendor", "Name", "App", "Environment")]
        cells += [None if left is None else f"{left} days", row["LastGoodPush"], row["State"]]
        table.add_row(*(escape(_shown(cell)) for cell in cells))
    return table


def _fields(reading: Reading) -> dict[str, str]:
    """``[credential]`` as it was written: a secret, and a field that nobody knows, is masked."""
    table = reading.data.get("credential")
    vendor = installed_vendors().get(reading.entry.vendor) if reading.entry else None
    if not isinstance(table, dict):
        return {}
    model = vendor.adapter.credential_model if vendor else None
    known = toml_fields(model) if model else ()
    shown: dict[str, str] = {}
    for field, value in table.items():
        if isinstance(value, dict):
            shown[field] = _place(value)
        else:
            open_field = model is not None and field in known and not is_secret(field, model)
            shown[field] = str(value) if open_field else MASK
    return shown


def _place(value: dict[str, Any]) -> str:
    """Where a secret stands: ``env NAME``, ``file path``."""
    place = {name: value[name] for name in ("env", "file") if isinstance(value.get(name), str)}
    return ", ".join(f"{how} {where}" for how, where in place.items()) or MASK


def _defaults(reading: Reading) -> dict[str, str]:
    """As written; what would be a secret one table further up is masked, and the key that ends an address of ours."""
    table = reading.data.get("defaults")
    shown = table.items() if isinstance(table, dict) else ()
    return {
        str(k): MASK if _SECRET_NAME.search(str(k)) else _REPORT_KEY.sub(rf"\1{MASK}", str(v))
        for k, v in shown
    }


def _endpoint(reading: Reading, key: str) -> str:
    """Without a user and password of a proxy; of what stands elsewhere, where."""
    value = reading.data.get(key, "")
    return _place(value) if isinstance(value, dict) else without_login(str(value))


def _shown(value: object) -> str:
    return "-" if value in (None, "") else str(value)
