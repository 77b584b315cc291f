"""``pushgw explain``: every check of every stage for one message. Changes nothing."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from pushgw.cli.book import book_or_exit
from pushgw.cli.dry_run import show
from pushgw.cli.explanation import SOURCE, explained, malformed, stranger, unnamed
from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.credentials import CredentialDirectory
from pushgw.delivery.decide import Decider
from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.model import NotAMessage, OfflineMessage
from pushgw.messages.reader import LAST_SECOND
from pushgw.policy.facts import ReceiverFacts
from pushgw.policy.reasons import Stage
from pushgw.settings import Settings
from pushgw.state import open_store
from pushgw.state.protocol import Admission, Admit, StateMissing, StateUnavailable


def explain(
    file: Annotated[str, typer.Argument(help="The message as JSON; - reads standard input.")] = "-",
    user: Annotated[str | None, typer.Option("--user", help="Only this receiver.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="ISO 8601 with zone, or epoch seconds; default now.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show every check for a message, and the request that would be sent. Changes nothing.

    Example: echo '{"From_Account":"alice","To_Account":"bob", …}' | pushgw explain - --user bob
    """
    settings = settings_or_exit(config)
    now = _time(at)
    raw = _read(file)
    message = _decode(settings, raw, now, json)
    answer = run_async(_explain(settings, book_or_exit(settings), message, user, now))
    if json:
        print_json(answer)
    else:
        _show(answer)
    pushed = any(r["Verdict"] == "push" for r in answer["receivers"])
    raise typer.Exit(int(Exit.DONE if pushed else Exit.NO))


def _time(at: str | None) -> float:
    if at is None:
        return time.time()
    try:
        moment = float(at)
    except ValueError:
        moment = _moment(at)
    if not 0 <= moment <= LAST_SECOND:  # NaN is not either
        raise fail(Exit.USAGE, f"--at {at}: expected a time between 1970 and 9999; epoch seconds, not ms")
    return moment


def _moment(at: str) -> float:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise fail(
            Exit.USAGE, f"--at {at}: expected ISO 8601 such as 2026-11-24T23:30:00+08:00, or epoch seconds"
        ) from None
    if moment.tzinfo is None:
        raise fail(Exit.USAGE, f"--at {at}: has no zone; add one, such as +08:00 or Z")
    return moment.timestamp()


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise fail(Exit.USAGE, f"{file}: cannot be read ({error.strerror})") from None


def _decode(settings: Settings, raw: bytes, now: float, json: bool) -> OfflineMessage | NotAMessage:
    codec = MessageCodec(
        default_app=settings.sdk_app_id,
        lenient=settings.policy.lenient,
        with_body_digest=settings.policy.group_include_content,
    )
    try:
        message = codec.decode(raw.strip(), int(now * 1000))
    except DecodeError as error:
        if json:
            print_json(malformed(error))
        else:
            out.print(f"A1 MALFORMED  {error.code} at {error.path}: {error.sentence}", markup=False)
            out.print("The record would go to the dead-letter topic.")
        raise typer.Exit(int(Exit.NO)) from None
    if not isinstance(message, OfflineMessage | NotAMessage):
        if json:
            print_json({"receivers": [], "Recall": True})
        else:
            out.print("This is a recall: it makes no push; the withdrawn message becomes A6 RECALLED.")
        raise typer.Exit(int(Exit.NO))
    return message


async def _explain(
    settings: Settings,
    book: CredentialDirectory,
    message: OfflineMessage | NotAMessage,
    user: str | None,
    now: float,
) -> dict[str, Any]:
    for fault in book.faults:
        err.print(f"pushgw: {fault}", markup=False)
    decider = Decider(settings.policy, book)
    question = decider.ask(message, SOURCE)
    admission = await _admission(settings, question, now)
    case = decider.case(message, admission, now)
    receivers = [
        explained(decider, case, name, admission.receivers[index])
        for index, name in enumerate(message.receivers)
        if user is None or name == user
    ]
    if not message.receivers:
        receivers = [unnamed(case)]
    elif not receivers:
        receivers = [stranger(user or "")]
    answer: dict[str, Any] = {"receivers": receivers}
    if isinstance(message, OfflineMessage) and message.warnings:
        answer["Warnings"] = list(message.warnings)
    return answer


async def _admission(settings: Settings, question: Admit, now: float) -> Admission:
    """What the store knows; before the gateway's first start that is nobody."""
    try:
        store = await open_store(settings.state, read_only=True)
    except StateMissing as error:
        err.print(f"pushgw: nobody is known yet: {error}", markup=False, soft_wrap=True)
        strangers = tuple([ReceiverFacts() for _ in question.receivers or ("",)])
        return Admission(settled=False, redelivered_of=None, receivers=strangers)
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    try:
        [admission] = await store.peek([question], now)
        return admission
    except StateUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    finally:
        await store.close()


_MARKS = {"pass": "[green]pass[/]", "fail": "[red]FAIL[/]", "not reached": "[dim]not reached[/]"}


def _show(answer: dict[str, Any]) -> None:
    for receiver in answer["receivers"]:
        out.print(f"\n[bold]{escape(receiver['To_Account'] or '(no receiver named)')}[/]")
        checks = receiver["Checks"]
        if receiver["Devices"]:  # they show their own
            checks = [row for row in checks if not row["Code"].startswith(Stage.DEVICE.value)]
        _show_checks(checks, "  ")
        for device in receiver["Devices"]:
            out.print(
                f"  [bold]device {escape(device['DeviceID'])}[/] (certificate id {device['BusinessID']})"
            )
            _show_checks(device["Checks"], "    ")
            if device.get("Request"):
                show(device["Request"], "      ")
        if receiver["Verdict"] == "push":
            out.print("  => [green]push[/]")
        else:
            out.print(f"  => [red]suppress {receiver['Code']} {receiver['Reason']}[/]: ", end="")
            out.print(f"{receiver['Detail']} Mend: {receiver['Mend']}", markup=False)
    for warning in answer.get("Warnings", ()):
        out.print(f"ignored: {warning}", markup=False)


def _show_checks(checks: list[dict[str, Any]], indent: str) -> None:
    for row in checks:
        out.print(f"{indent}{row['Code']:<4} {row['Reason']:<17} {_MARKS[row['Result']]}", end="  ")
        out.print(row["Detail"], markup=False)
