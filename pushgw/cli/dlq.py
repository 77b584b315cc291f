"""``pushgw dlq``: the dead letters, what is in one, and a second chance for them."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from aiokafka.errors import KafkaError
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from pushgw.cli.loop import run_async
from pushgw.cli.moments import moment_ms
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.kafka.client import ClientOptionsError
from pushgw.kafka.letters import read_letter, read_letters
from pushgw.kafka.replay import Prospect, Replay, newest, prospects, publish_again
from pushgw.messages.letters import Letter, LetterFilter
from pushgw.settings import Settings

app = typer.Typer(
    help="Records that could not be read, or that no push could be made of.", no_args_is_help=True
)
T = TypeVar("T")

Code = Annotated[list[str] | None, typer.Option("--code", help="Error code, such as 90005; may be repeated.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Buried since: 24h (ago), ISO 8601, or epoch seconds.")
]
Until = Annotated[str | None, typer.Option("--until", help="Buried before; spelled like --since.")]
Topic = Annotated[str | None, typer.Option("--topic", help="Topic that the record came from.")]
User = Annotated[str | None, typer.Option("--user", help="User whom the record is for.")]
Credential = Annotated[
    int | None, typer.Option("--credential", help="Certificate id that the record names: Device.Put events.")
]


@app.command("list")
def list_letters(
    code: Code = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    user: User = None,
    credential: Credential = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="The newest so many; 0: all.")] = 0,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the dead letters, the oldest first: when, where from, why, and which attempt it was.

    Example: pushgw dlq list --code 90005 --since 24h
    """
    settings = settings_or_exit(config)
    wanted = _filter(code, since, until, topic, user, credential)
    rows = _ask(settings, _read(settings, wanted, _row))
    rows.sort(key=lambda row: row["TimeMs"])
    shown = rows[-limit:] if limit else rows
    if json:
        for row in shown:
            print_json(row)
    elif not rows:
        out.print("No dead letters.", markup=False)
    else:
        out.print(_table(shown, len(rows)))


@app.command()
def show(
    coordinate: Annotated[str, typer.Argument(help="partition/offset, as `dlq list` shows it.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, and the original bytes as they came.

    Example: pushgw dlq show 3/1042
    """
    settings = settings_or_exit(config)
    place = re.fullmatch(
        rf"(?:{re.escape(settings.kafka.topics.dead_letters)}/)?(\d{{1,9}})/(\d{{1,18}})", coordinate
    )
    if place is None:
        raise fail(
            Exit.USAGE, f"{coordinate}: expected partition/offset, such as 3/1042; see `pushgw dlq list`"
        )
    letter = _ask(settings, read_letter(settings.kafka, int(place[1]), int(place[2])))
    if letter is None:
        raise fail(Exit.NO, f"there is no dead letter at {place[1]}/{place[2]} (any more)")
    if json:
        print_json(_whole(letter))
    else:
        _print(letter)


@app.command()
def replay(
    coordinates: Annotated[
        list[str] | None,
        typer.Argument(help="partition/offset of single letters; none: all that the filters leave."),
    ] = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    topic: Topic = None,
    user: User = None,
    credential: Credential = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the oldest first.")] = 1000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Publish dead letters again where they came from, with bytes, key and the first record's name and time.

    So the dedup claims of the first time hold: what it had claimed it still owns, and what was settled within
    state.done_ttl is not pushed again. A record that fails once more is a dead letter once more, with one attempt more;
    of each record only the newest letter is replayed.

    Example: pushgw dlq replay --code 90005 --since 2h --dry-run
    """
    settings = settings_or_exit(config)
    wanted = _filter(code, since, until, topic, user, credential)
    everything = _ask(settings, _read(settings, LetterFilter(), lambda letter: letter))
    letters = [letter for letter in newest(everything) if wanted.matches(letter)]
    if coordinates:
        letters = _named(letters, coordinates)
    chosen = prospects(letters[:limit], settings, time.time())
    summary = _summary(chosen, left=len(letters) - len(chosen), dry_run=dry_run)
    if not chosen:
        if json:
            print_json(summary)
        raise fail(Exit.NO, "no dead letter is meant by this")
    if dry_run or not json:
        _foretell(chosen, json, dry_run)
    doable = [one.letter for one in chosen if one.prospect is not Prospect.IMPOSSIBLE]
    if not dry_run and doable:
        _confirm(summary, yes)
        _ask(settings, _publish(settings, doable, json))
    if json:
        print_json(summary)
    else:
        out.print(_words(summary), markup=False)
    raise typer.Exit(int(Exit.DONE if len(doable) == len(chosen) else Exit.NO))


def _filter(
    code: list[str] | None,
    since: str | None,
    until: str | None,
    topic: str | None,
    user: str | None,
    credential: int | None,
) -> LetterFilter:
    now = time.time()
    return LetterFilter(
        codes=frozenset(code or ()),
        since_ms=moment_ms("--since", since, now),
        until_ms=moment_ms("--until", until, now),
        topic=topic,
        user=user,
        credential=credential,
    )


def _ask(settings: Settings, question: Coroutine[Any, Any, T]) -> T:
    """The answer of Kafka; exit 3 or 4 with a sentence when there is none."""
    try:
        return run_async(question)
    except ClientOptionsError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    except KafkaError as error:
        broker = settings.kafka.bootstrap_servers
        raise fail(Exit.UNREACHABLE, f"Kafka at {broker}: {error}; check kafka.bootstrap_servers") from None


async def _read(settings: Settings, wanted: LetterFilter, keep: Callable[[Letter], T]) -> list[T]:
    """What is kept of each letter that is meant."""
    return [
        keep(letter)
        async for letter in read_letters(settings.kafka, wanted.since_ms)
        if wanted.matches(letter)
    ]


async def _publish(settings: Settings, letters: list[Letter], json: bool) -> None:
    quiet = json or not sys.stderr.isatty()
    with Progress(console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task("replayed", total=len(letters))
        await publish_again(settings.kafka, letters, lambda n: progress.advance(task, n))


def _named(letters: list[Letter], coordinates: list[str]) -> list[Letter]:
    known = {letter.coordinate: letter for letter in letters}
    missing = [c for c in coordinates if c not in known]
    if missing:
        raise fail(
            Exit.NO,
            f"no dead letter at {', '.join(missing)} that the filters leave; has it failed anew since? "
            "Then its newest letter is meant: see `pushgw dlq list`",
        )
    return [known[c] for c in coordinates]


def _confirm(summary: dict[str, Any], yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise fail(
            Exit.USAGE, "replay publishes records: nobody to ask here, so add --yes, or look with --dry-run"
        )
    number = summary["Replayed"]
    again = f", of which {summary['Expired']} expired and {summary['Unreadable']} unreadable"
    if not typer.confirm(f"Publish {number} records again{again}?", err=True):
        raise fail(Exit.NO, "nothing was published")


def _summary(chosen: list[Replay], *, left: int, dry_run: bool) -> dict[str, Any]:
    counts = Counter(one.prospect for one in chosen)
    return {
        "Replayed": len(chosen) - counts[Prospect.IMPOSSIBLE],
        "Expired": counts[Prospect.EXPIRED],
        "Unreadable": counts[Prospect.UNREADABLE],
        "Impossible": counts[Prospect.IMPOSSIBLE],
        "Left": left,
        "DryRun": dry_run,
    }


def _words(summary: dict[str, Any]) -> str:
    done = "would be published again" if summary["DryRun"] else "were published again"
    words = (
        f"{summary['Replayed']} records {done}; {summary['Expired']} of them have expired, "
        f"{summary['Unreadable']} cannot be read"
    )
    if summary["Impossible"]:
        words += f"; {summary['Impossible']} cannot be published"
    if summary["Left"]:
        words += f"; {summary['Left']} more are beyond --limit"
    return words + "."


def _foretell(chosen: list[Replay], json: bool, dry_run: bool) -> None:
    """A line for each letter; before a replay, on stderr, for those alone that will not be pushed."""
    for one in chosen:
        if json:
            print_json(
                {
                    "Coordinate": one.letter.coordinate,
                    "Source": one.letter.source,
                    "Prospect": one.prospect.value,
                    "Why": one.why,
                }
            )
        elif one.why or dry_run:
            words = (one.letter.coordinate, one.letter.source, one.prospect.value, one.why)
            line = _plain("  ".join(word for word in words if word))
            (out if dry_run else err).print(line, markup=False, soft_wrap=True)


def _row(letter: Letter) -> dict[str, Any]:
    return {
        "Coordinate": letter.coordinate,
        "TimeMs": letter.time_ms,
        "Source": letter.source,
        "Code": letter.code,
        "Error": letter.error,
        "JsonPath": letter.path,
        "Key": _text(letter.key),
        "Attempt": letter.attempt,
        "FirstSeenMs": letter.first_seen_ms,
        "Bytes": len(letter.value or b""),
    }


def _table(rows: list[dict[str, Any]], count: int) -> Table:
    title = f"{count} dead letters" + (f", the newest {len(rows)}" if len(rows) < count else "")
    table = Table(title=title, title_justify="left")
    for column in ("at", "time", "source", "code", "why", "key", "attempt"):
        table.add_column(column, overflow="fold")
    for row in rows:
        why = f"{row['JsonPath']}: {row['Error']}" if row["JsonPath"] else row["Error"]
        time_, key, attempt = _time(row["TimeMs"]), row["Key"] or "", str(row["Attempt"])
        cells = (row["Coordinate"], time_, row["Source"], row["Code"], why, key, attempt)
        table.add_row(*(escape(_plain(cell)) for cell in cells))
    return table


def _whole(letter: Letter) -> dict[str, Any]:
    """Bytes that are JSON as JSON, other text as text, and anything else in base 64."""
    answer: dict[str, Any] = {
        "Coordinate": letter.coordinate,
        "TimeMs": letter.time_ms,
        "Key": _text(letter.key),
        "Headers": {name: _text(value) for name, value in letter.headers},
    }
    raw = letter.value
    if raw is None:
        return {**answer, "Value": None}
    try:
        return {**answer, "Value": msgspec.json.decode(raw)}
    except (ValueError, RecursionError):
        pass
    try:
        return {**answer, "Text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {**answer, "Base64": base64.b64encode(raw).decode()}


def _print(letter: Letter) -> None:
    lines = [f"{letter.coordinate}  {_time(letter.time_ms)}  key {_text(letter.key)}"]
    lines += [f"  {name}: {_text(value)}" for name, value in letter.headers]
    for line in lines:
        out.print(_plain(line), markup=False, soft_wrap=True)
    whole = _whole(letter)
    if "Value" in whole and letter.value is not None:
        out.print(_plain(msgspec.json.format(letter.value, indent=2).decode()), markup=False, soft_wrap=True)
    elif "Text" in whole:
        out.print(_plain(whole["Text"]), markup=False, soft_wrap=True)
    elif letter.value is None:
        out.print("(no bytes)", markup=False)
    else:
        out.print(f"({len(letter.value)} bytes that are no text; --json has them in base 64)", markup=False)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _plain(text: str) -> str:
    """Bytes of strangers must not steer the terminal: control characters are spelled out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
