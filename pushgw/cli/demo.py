"""``pushgw demo``: broker, sandbox, state and gateway in one process tree, and a story of messages through all of it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import ValidationError
from rich.live import Live
from rich.table import Table

from pushgw.cli.loop import run_async
from pushgw.cli.output import Exit, Json, fail, out, print_json
from pushgw.cli.story import (
    BROKEN_CREDENTIAL,
    CONVERSATION_LIMIT,
    DEVICES,
    WRONG_SECRET,
    Act,
    Expected,
    Scene,
    acts,
)
from pushgw.kafka.client import kafka_client_options
from pushgw.kafka.topics import ensure_topics
from pushgw.messages.key import record_key
from pushgw.sandbox.authority import make_authority
from pushgw.sandbox.broker import BrokerUnavailable, EmbeddedBroker
from pushgw.sandbox.sandbox import example_directory, with_endpoint
from pushgw.settings import KafkaSettings, Settings, StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import StateMissing, StateUnavailable

START_S = 30.0
ACT_S = 30.0
ROWS = 22


def demo(
    json: Json = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep logs and files in this folder.")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state", help="Another store than a SQLite file: the URL of an empty Redis (state.url)."
        ),
    ] = None,
) -> None:
    """Run the main job on embedded parts and show what was pushed, what was not, and why.

    Nothing leaves this machine: the vendors are the sandbox's emulators, the broker is a Kafka-compatible one.
    Example: pushgw demo --json
    """
    logging.getLogger("aiokafka").setLevel(
        logging.CRITICAL
    )  # it warns of what the way up and down of a broker is made of
    try:
        summary = run_async(_demo(json, keep, state))
    except BrokerUnavailable as error:
        raise fail(Exit.UNREACHABLE, str(error)) from None
    except _DemoFailed as error:
        raise fail(Exit.NO, str(error)) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise fail(Exit.NO, "interrupted; everything was stopped and removed") from None
    if json:
        print_json(summary)
    else:
        _show_summary(summary)
    raise typer.Exit(int(Exit.DONE if summary["ok"] else Exit.NO))


class _DemoFailed(Exception):
    """A part did not come up."""


async def _demo(json: bool, keep: Path | None, state: str | None) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  we are in one
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, task.cancel)
    async with AsyncExitStack() as stack:
        home = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushgw-demo-")))
        home.mkdir(parents=True, exist_ok=True)
        await _check_state(state)
        stage = await stack.enter_async_context(_stage(home, state))
        board = _Board(live=not json and out.is_terminal, lines=not json and not out.is_terminal)
        with board:
            await _play(stage, board)
        await stage.stop_gateway()
        return await _summary(stage, board)


async def _check_state(state: str | None) -> None:
    """Marks of another broker's records are no marks of ours: the story needs a store of its own."""
    if state is None:
        return
    try:
        store = await open_store(StateSettings(url=state), read_only=True)
    except StateMissing:
        return
    except (StateUnavailable, ValueError) as error:
        raise _DemoFailed(f"--state: {_first_line(error)}") from None
    await store.close()
    raise _DemoFailed("--state: a gateway's state is there already; give the demo an empty database")


def _first_line(error: Exception) -> str:
    """What was given may hold a password: of pydantic's report only the sentence is taken."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"])
    return str(error)


class _Stage:
    """The running parts."""

    def __init__(self, home: Path, settings: Settings, gateway: asyncio.subprocess.Process) -> None:
        self.home = home
        self.settings = settings
        self.gateway = gateway

    async def stop_gateway(self) -> None:
        """As an operator would: SIGTERM, then wait."""
        if self.gateway.returncode is None:
            self.gateway.terminate()
            await asyncio.wait_for(self.gateway.wait(), START_S)


@asynccontextmanager
async def _stage(home: Path, state: str | None) -> AsyncIterator[_Stage]:
    async with AsyncExitStack() as stack:
        broker = await EmbeddedBroker.start(log_file=home / "broker.log")
        stack.push_async_callback(broker.close)
        authority = make_authority(home / "authority")
        sandbox = await _spawn(
            stack, home, "sandbox", "--listen", "127.0.0.1:0", "--json", "--tls", str(home / "authority")
        )
        assert sandbox.stdout is not None  # noqa: S101  asked for a pipe
        try:
            greeting = await asyncio.wait_for(sandbox.stdout.readline(), START_S)
            url: str = msgspec.json.decode(greeting)["url"]
        except (TimeoutError, msgspec.DecodeError, KeyError):
            raise _DemoFailed(
                f"the sandbox did not start; see {home}/sandbox.log (--keep keeps it)"
            ) from None
        certs = home / "certs"
        with_endpoint(example_directory(), certs, url, authority.ca_pem)
        _spoil(certs)
        environ = {
            "PUSHGW_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "PUSHGW_KAFKA__PARTITIONS": "3",
            "PUSHGW_STATE__URL": state or f"sqlite:///{home / 'pushgw.db'}",
            "PUSHGW_CREDENTIALS__DIRECTORY": str(certs),
            "PUSHGW_POLICY__RATE_LIMIT__PER_CONVERSATION": f"{CONVERSATION_LIMIT}/60",
            "PUSHGW_DISPATCH__BACKOFF": "0.1",
            "PUSHGW_HTTP__LISTEN": "",
            "PUSHGW_LOG__FORMAT": "json",
        }
        settings = Settings(
            kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers, partitions=3),
            state={"url": environ["PUSHGW_STATE__URL"]},
        )
        await ensure_topics(settings.kafka, settings.dispatch.retry_tiers)
        gateway = await _spawn(stack, home, "run", **environ)
        yield _Stage(home, settings, gateway)


async def _spawn(
    stack: AsyncExitStack, home: Path, command: str, *arguments: str, **environ: str
) -> asyncio.subprocess.Process:
    """`pushgw COMMAND` as its own process; its log goes to a file, and it is stopped when the demo ends."""
    log = stack.enter_context((home / f"{command}.log").open("wb"))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PUSHGW_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pushgw",
        command,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if command == "sandbox" else log,
        stderr=log,
        env={**clean, **environ},
        cwd=home,
        start_new_session=True,
    )

    async def stop() -> None:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()

    stack.push_async_callback(stop)
    return process


def _spoil(certs: Path) -> None:
    """Two credentials as they go wrong in practice: a file with a fault, and OPPO's AppSecret for its MasterSecret."""
    (certs / f"{BROKEN_CREDENTIAL}.toml").write_text(
        f'business_id = {BROKEN_CREDENTIAL}\nvendor = "xiaomi"\n[credential]\npackage = "com.example.im"\n',
        "utf-8",
    )
    lines = (certs / "9005.toml").read_text("utf-8").splitlines()
    wrong = [
        f"business_id = {WRONG_SECRET}"
        if line.startswith("business_id")
        else 'master_secret = "the-app-secret-by-mistake-000000"'
        if line.startswith("master_secret")
        else line
        for line in lines
    ]
    (certs / f"{WRONG_SECRET}.toml").write_text("\n".join(wrong) + "\n", "utf-8")


# --- playing ---------------------------------------------------------------------------------------------


async def _play(stage: _Stage, board: _Board) -> None:
    options = kafka_client_options(stage.settings.kafka)
    topics = stage.settings.kafka.topics
    producer = AIOKafkaProducer(acks="all", **options)
    consumer = AIOKafkaConsumer(
        topics.receipts,
        topics.dead_letters,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **options,
    )
    await producer.start()
    await consumer.start()
    try:
        for act in acts(int(time.time())):
            await _apply_events(stage, producer, act)
            for scene in act.scenes:
                record = await producer.send_and_wait(
                    topics.messages, scene.value, key=record_key(scene.value)
                )
                board.sent(f"{record.topic}/{record.partition}/{record.offset}", scene)
            await _collect(stage, consumer, board)
    finally:
        await consumer.stop()
        await producer.stop()


async def _apply_events(stage: _Stage, producer: AIOKafkaProducer, act: Act) -> None:
    """Publish user events and wait until the gateway has them: they make no receipts, so the store is looked at."""
    topic = stage.settings.kafka.topics.user_events
    for event in act.events:
        value = msgspec.json.encode(event)
        await producer.send_and_wait(topic, value, key=record_key(value))
    deadline = time.monotonic() + START_S
    while act.events and not await _applied(stage, act):
        if stage.gateway.returncode is not None or time.monotonic() > deadline:
            raise _DemoFailed(
                f"the gateway did not take the user events; see {stage.home}/run.log (--keep keeps it)"
            )
        await asyncio.sleep(0.1)


async def _applied(stage: _Stage, act: Act) -> bool:
    try:
        store = await open_store(stage.settings.state, read_only=True)
    except StateUnavailable:
        return False
    try:
        if len(act.events) == 1:
            stored = await store.user(0, act.events[0]["To_Account"])
            return stored is not None and stored.devices[0].background
        users = {user: await store.user(0, user) for user in (*DEVICES, "nina")}
        judy = users["judy"]
        switched_off = judy is not None and not judy.push_enabled
        return all(users.values()) and switched_off and bool(await store.options(0, "mia"))
    finally:
        await store.close()


async def _collect(stage: _Stage, consumer: AIOKafkaConsumer, board: _Board) -> None:
    """Receipts and dead letters until the act's expectations are met or its time is over."""
    deadline = time.monotonic() + ACT_S
    topics = stage.settings.kafka.topics
    while board.waiting and time.monotonic() < deadline:
        for partition, records in (await consumer.getmany(timeout_ms=200)).items():
            for record in records:
                if partition.topic == topics.receipts:
                    board.receipt(msgspec.json.decode(record.value))
                else:
                    board.dead_letter({k: v.decode() for k, v in record.headers})
        if stage.gateway.returncode is not None:
            raise _DemoFailed(f"the gateway ended early; see {stage.home}/run.log (--keep keeps it)")


class _Board:
    """What was sent, what came back, and the table of it."""

    def __init__(self, *, live: bool, lines: bool) -> None:
        self.scenes: dict[str, Scene] = {}
        self.expected: Counter[tuple[str, Expected]] = Counter()
        self.got: Counter[tuple[str, Expected]] = Counter()
        self.receipts: list[dict[str, Any]] = []
        self.dead_letters: Counter[int] = Counter()
        self.dead_letters_expected: Counter[int] = Counter()
        self.rows: list[tuple[str, ...]] = []
        self._live = Live(self._table(), console=out, refresh_per_second=8) if live else None
        self._lines = lines

    def __enter__(self) -> _Board:
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        if self._live:
            self._live.update(self._table(everything=True))
            self._live.__exit__(None, None, None)

    @property
    def waiting(self) -> bool:
        """Whether something expected is still missing."""
        return bool(self.expected - self.got) or bool(self.dead_letters_expected - self.dead_letters)

    def sent(self, source: str, scene: Scene) -> None:
        self.scenes[source] = scene
        for expected in scene.expect:
            self.expected[(source, expected)] += 1
        if scene.dead_letter is not None:
            self.dead_letters_expected[scene.dead_letter] += 1

    def receipt(self, receipt: dict[str, Any]) -> None:
        self.receipts.append(receipt)
        extra = receipt["PushGateway"]
        verdict = extra["Verdict"]
        word = extra["Code"] if verdict == "suppressed" else extra["Vendor"]
        user, device = receipt.get("To_Account"), extra.get("DeviceID")
        self.got[(extra["Source"], (user, device, verdict, word))] += 1
        scene = self.scenes.get(extra["Source"])
        why = f"{word} {extra.get('Reason', '')}" if verdict == "suppressed" else word
        detail = extra.get("Detail") or receipt.get("ErrInfo") or ""
        if verdict == "failed":
            detail = f"{extra.get('Action', '')}: {detail}"
        self._row(scene.title if scene else "?", user or "-", device or "-", verdict, why, detail)

    def dead_letter(self, headers: dict[str, str]) -> None:
        code = int(headers["pushgw-error-code"])
        self.dead_letters[code] += 1
        scene = self.scenes.get(headers["pushgw-source"])
        path = headers.get("pushgw-json-path", "$")
        self._row(
            scene.title if scene else "?",
            "-",
            "-",
            "dead letter",
            str(code),
            f"{path}: {headers['pushgw-error']}",
        )

    def _row(self, *cells: str) -> None:
        self.rows.append(cells)
        if self._live:
            self._live.update(self._table())
        elif self._lines:
            out.print(
                "  ".join(f"{c:<{w}}" for c, w in zip(cells, (32, 8, 7, 11, 20, 0), strict=True)),
                markup=False,
                soft_wrap=True,
            )

    def _table(self, everything: bool = False) -> Table:
        table = Table(expand=True, header_style="bold")
        for column in ("record", "receiver", "device", "verdict", "vendor or reason", "detail"):
            table.add_column(column, no_wrap=column != "detail", overflow="ellipsis")
        for cells in self.rows if everything else self.rows[-ROWS:]:
            table.add_row(*cells, style=_STYLES[cells[3]])
        return table


_STYLES = {"pushed": "green", "suppressed": "yellow", "failed": "red", "dead letter": "magenta"}


async def _summary(stage: _Stage, board: _Board) -> dict[str, Any]:
    pushed: Counter[str] = Counter()
    suppressed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for receipt in board.receipts:
        extra = receipt["PushGateway"]
        if extra["Verdict"] == "pushed":
            pushed[extra["Vendor"]] += 1
        elif extra["Verdict"] == "suppressed":
            suppressed[f"{extra['Code']} {extra['Reason']}"] += 1
        else:
            failed[f"{extra['Vendor']} {extra['Action']}"] += 1
    missing = [_line(board, key) for key in (board.expected - board.got).elements()]
    unexpected = [_line(board, key) for key in (board.got - board.expected).elements()]
    return {
        "ok": not missing
        and not unexpected
        and board.dead_letters == board.dead_letters_expected
        and stage.gateway.returncode == 0,
        "records": len(board.scenes),
        "pushed": dict(sorted(pushed.items())),
        "suppressed": dict(
            sorted(suppressed.items(), key=lambda item: (item[0][0], int(item[0].split()[0][1:])))
        ),
        "failed": dict(sorted(failed.items())),
        "dead_letters": {str(code): n for code, n in sorted(board.dead_letters.items())},
        "receipts": len(board.receipts),
        "receipts_expected": sum(board.expected.values()),
        "receipts_missing": missing,
        "receipts_unexpected": unexpected,
        "gateway_exit_code": stage.gateway.returncode,
    }


def _line(board: _Board, key: tuple[str, Expected]) -> str:
    source, (user, device, verdict, word) = key
    scene = board.scenes.get(source)
    return f"{scene.title if scene else source}: {user or '-'} {device or '-'} {verdict} {word}"


def _show_summary(summary: dict[str, Any]) -> None:
    out.print()
    out.print(
        f"[bold]{summary['records']} records[/], {summary['receipts']} receipts of {summary['receipts_expected']} expected"
    )
    for title in ("pushed", "suppressed", "failed", "dead_letters"):
        words = ", ".join(f"{name}: {n}" for name, n in summary[title].items())
        out.print(f"  [bold]{title.replace('_', ' ')}[/]  {words}", soft_wrap=True)
    for title in ("receipts_missing", "receipts_unexpected"):
        for line in summary[title]:
            out.print(f"  [red]{title.replace('_', ' ')}[/]: {line}")
    out.print("[green]As the story says.[/]" if summary["ok"] else "[red]Not as the story says.[/]")
