"""``pushgw certs check``: offline, then by asking each vendor; one line a check."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pushgw.assembly import credential_place_of
from pushgw.cli.book import book_or_exit
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, fail, out, print_json, settings_or_exit
from pushgw.credentials import CredentialDirectory, CredentialEntry
from pushgw.credentials.check import Check, Result, offline_checks
from pushgw.credentials.online import online_checks
from pushgw.credentials.reader import Reading
from pushgw.settings import Settings
from pushgw.vendor import transport_named

AT_ONCE = 8
"""Vendors asked at the same time."""


def check(
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Certificate ids; default: all.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no vendor.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Check credentials: files, keys, pairs, dates; then whether the vendor takes them. Nothing is shown on any device.

    Exit code 1 when a check fails, 4 when a vendor gave no answer.

    Example: pushgw certs check 6666
    """
    settings = settings_or_exit(config)
    book = book_or_exit(settings, whole=False)
    readings = _chosen(book, ids or [])
    found = run_async(_check_all(settings, readings, offline=offline))
    found += [(None, "", one) for one in _elsewhere(book)] if not ids else []
    code = _exit_code([one for _, _, one in found])
    if json:
        checks = [_row(business_id, vendor, one) for business_id, vendor, one in found]
        print_json({"Result": "pass" if code is Exit.DONE else "fail", "Checks": checks})
    else:
        for business_id, vendor, one in found:
            out.print(line_of(business_id, vendor, one), markup=False, soft_wrap=True)
        if not found:
            out.print(f"There is no credential in {credential_place_of(settings)}.", markup=False)
    raise typer.Exit(int(code))


def reading_or_exit(book: CredentialDirectory, business_id: int) -> Reading:
    """What became of one credential's file, or exit 1."""
    reading = book.reading(business_id)
    if reading is None:
        known = ", ".join(str(i) for i in sorted(book.entries)) or "none"
        raise fail(Exit.NO, f"there is no credential {business_id}; there are: {known}")
    return reading


async def ask_vendor(settings: Settings, entry: CredentialEntry) -> list[Check]:
    """The online checks of a credential that is usable."""
    assert entry.adapter is not None  # noqa: S101  callers looked at `fault`
    assert entry.account is not None  # noqa: S101  likewise
    return await online_checks(
        entry.adapter,
        entry.account,
        transport=transport_named(settings.dispatch.transport),
        token_transport=transport_named("httpx"),
        timeout=settings.dispatch.timeout,
        clock=time.time,
    )


def line_of(business_id: int | None, vendor: str, one: Check) -> str:
    """One check on one line."""
    shown = "-" if business_id is None else str(business_id)
    return f"{shown:<8}{vendor or '-':<10}{one.check:<16}{one.result.value:<13}{one.sentence}"


def _chosen(book: CredentialDirectory, ids: Sequence[int]) -> list[Reading]:
    if ids:
        return [reading_or_exit(book, business_id) for business_id in dict.fromkeys(ids)]
    return list(book.readings)


def _elsewhere(book: CredentialDirectory) -> list[Check]:
    """What is said of no credential: a second file of one id, a key of the sealed store that everyone can read."""
    faults = {fault for reading in book.readings for fault in reading.faults}
    warnings = {warning for reading in book.readings for warning in reading.warnings}
    return [
        *(Check("file", Result.FAIL, str(fault)) for fault in book.faults if fault not in faults),
        *(Check("file", Result.WARN, str(warning)) for warning in book.warnings if warning not in warnings),
    ]


async def _check_all(
    settings: Settings, readings: Sequence[Reading], *, offline: bool
) -> list[tuple[int | None, str, Check]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(reading: Reading) -> list[Check]:
        checks = offline_checks(reading, time.time())
        entry = reading.entry
        if offline or entry is None:
            return checks
        if entry.account is None:
            return [*checks, Check("online", Result.SKIPPED, "the file must be mended first")]
        async with room:
            return checks + await ask_vendor(settings, entry)

    per_reading = await asyncio.gather(*(one(reading) for reading in readings))
    return [
        (reading.business_id, reading.entry.vendor if reading.entry else "", check)
        for reading, checks in zip(readings, per_reading, strict=True)
        for check in checks
    ]


def _exit_code(checks: Sequence[Check]) -> Exit:
    results = {check.result for check in checks}
    if Result.FAIL in results:
        return Exit.NO
    return Exit.UNREACHABLE if Result.UNREACHABLE in results else Exit.DONE


def _row(business_id: int | None, vendor: str, one: Check) -> dict[str, Any]:
    return {
        "BusinessID": business_id,
        "Vendor": vendor,
        "Check": one.check,
        "Result": one.result.value,
        "Field": one.field,
        "Detail": one.sentence,
    }
