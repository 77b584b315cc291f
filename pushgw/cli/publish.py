"""``pushgw publish``: records to Kafka, and their receipts as they come."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from pushgw.cli.loop import run_async
from pushgw.cli.output import Config, Exit, Json, err, fail, out, print_json, settings_or_exit
from pushgw.kafka.client import ClientOptionsError, kafka_client_options
from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.key import record_key
from pushgw.messages.model import C2CRecall, GroupRecall
from pushgw.settings import Settings


def publish(
    files: Annotated[
        list[str] | None, typer.Argument(help="JSON or JSON lines; - reads standard input.")
    ] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Default: kafka.topics.messages.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show the receipts as they come.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Longest wait for receipts, s.")] = 30.0,
    config: Config = None,
    json: Json = False,
) -> None:
    """Publish records, each under the key that its conversation has.

    Example: pushgw publish message.json --wait
    """
    settings = settings_or_exit(config)
    values = [value for name in files or ["-"] for value in _records(name)]
    target = topic or settings.kafka.topics.messages
    try:
        code = run_async(_publish(settings, target, values, wait, timeout, json))
    except ClientOptionsError as error:
        raise fail(Exit.CONFIG, str(error)) from None
    except KafkaError as error:
        broker = settings.kafka.bootstrap_servers
        raise fail(Exit.UNREACHABLE, f"Kafka at {broker}: {error}; check kafka.bootstrap_servers") from None
    raise typer.Exit(int(code))


def _records(name: str) -> list[bytes]:
    """One JSON document, or one a line. Anything that is no JSON is refused with its line."""
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise fail(Exit.USAGE, f"{name}: cannot be read ({error.strerror})") from None
    try:
        document = msgspec.json.decode(raw)
        return [msgspec.json.encode(d) for d in document] if isinstance(document, list) else [raw.strip()]
    except msgspec.DecodeError:
        pass
    lines = []
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise fail(Exit.USAGE, f"{name}:{number}: is no JSON ({error})") from None
        lines.append(line.strip())
    return lines


async def _publish(
    settings: Settings, topic: str, values: list[bytes], wait: bool, timeout: float, json: bool
) -> Exit:
    options = kafka_client_options(settings.kafka)
    starts = await _answer_ends(settings, options) if wait else {}
    producer = AIOKafkaProducer(acks="all", **options)
    try:
        await producer.start()
        sent = [await (await producer.send(topic, value, key=record_key(value))) for value in values]
    finally:
        await producer.stop()
    sources = [f"{m.topic}/{m.partition}/{m.offset}" for m in sent]
    if not wait:
        for source in sources:
            if json:
                print_json({"Source": source})
            else:
                out.print(source, markup=False)
        return Exit.DONE
    quiet = topic == settings.kafka.topics.user_events
    waiting = {s for s, v in zip(sources, values, strict=True) if not quiet and not _is_recall(settings, v)}
    return await _show_receipts(settings, options, starts, waiting, timeout, json) if waiting else Exit.DONE


def _is_recall(settings: Settings, value: bytes) -> bool:
    """Recalls, like user events, make no receipts: nothing is waited for."""
    try:
        decoded = MessageCodec(lenient=settings.policy.lenient).decode(value, 0)
    except DecodeError:
        return False
    return isinstance(decoded, C2CRecall | GroupRecall)


async def _answer_ends(settings: Settings, options: dict[str, Any]) -> dict[TopicPartition, int]:
    """Where the topics of receipts and dead letters end now: only what comes after is ours."""
    consumer = _answer_consumer(settings, options)
    try:
        await consumer.start()
        return dict(await consumer.end_offsets(consumer.assignment()))
    finally:
        await consumer.stop()


def _answer_consumer(settings: Settings, options: dict[str, Any]) -> AIOKafkaConsumer:
    """A reader of receipts and dead letters, in no group. It is given the topics so that it knows their partitions."""
    topics = (settings.kafka.topics.receipts, settings.kafka.topics.dead_letters)
    return AIOKafkaConsumer(*topics, auto_offset_reset="earliest", enable_auto_commit=False, **options)


async def _show_receipts(
    settings: Settings,
    options: dict[str, Any],
    starts: dict[TopicPartition, int],
    waiting: set[str],
    timeout: float,
    json: bool,
) -> Exit:
    """Until every record has an answer and no more came for a second, or the time is over. Dead letters go to stderr."""
    pushed = False
    async for receipt in _receipts(settings, options, starts, timeout, waiting):
        extra = receipt["PushGateway"]
        pushed = pushed or extra["Verdict"] == "pushed"
        if json:
            print_json(receipt)
        else:
            reason = f"{extra.get('Code', '')} {extra.get('Reason', '')} {extra.get('Detail', '')}".strip()
            vendor = extra.get("Vendor", "")
            words = (
                extra["Verdict"],
                receipt.get("To_Account"),
                extra.get("DeviceID", ""),
                vendor,
                reason or receipt.get("ErrInfo", ""),
            )
            out.print("  ".join(str(w) for w in words if w), markup=False)
    if waiting:
        raise fail(
            Exit.NO,
            f"no receipt within {timeout:g} s for {', '.join(sorted(waiting))}; does `pushgw run` run?",
        )
    return Exit.DONE if pushed else Exit.NO


async def _receipts(
    settings: Settings,
    options: dict[str, Any],
    starts: dict[TopicPartition, int],
    timeout: float,
    waiting: set[str],
) -> AsyncIterator[dict[str, Any]]:
    ours = set(waiting)
    consumer = _answer_consumer(settings, options)
    try:
        await consumer.start()
        for partition, offset in starts.items():
            consumer.seek(partition, offset)
        deadline = time.monotonic() + timeout
        quiet = 0
        while time.monotonic() < deadline and (waiting or quiet < 2):
            batch = await consumer.getmany(timeout_ms=500)
            quiet = 0 if batch else quiet + 1
            for partition, records in batch.items():
                for record in records:
                    if partition.topic == settings.kafka.topics.dead_letters:
                        _show_dead_letter({k: v.decode() for k, v in record.headers if v}, waiting)
                        continue
                    receipt: dict[str, Any] = msgspec.json.decode(record.value)
                    source = receipt["PushGateway"].get("Source")
                    if source in ours:
                        waiting.discard(source)
                        yield receipt
            await asyncio.sleep(0)
    finally:
        await consumer.stop()


def _show_dead_letter(headers: dict[str, str], waiting: set[str]) -> None:
    source = headers.get("pushgw-source", "")
    if source in waiting:
        waiting.discard(source)
        said = [headers.get(f"pushgw-{name}", "") for name in ("error-code", "json-path", "error")]
        err.print(
            f"pushgw: {source} is a dead letter: {said[0]} at {said[1]}: {said[2]}",
            markup=False,
            soft_wrap=True,
        )
