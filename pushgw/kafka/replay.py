"""Dead letters go back to where they came from, under the first record's name and time, so that its claims still hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec
from aiokafka import AIOKafkaProducer

from pushgw.kafka.client import kafka_client_options
from pushgw.kafka.outlet import OMITTED
from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.events import decode_user_event
from pushgw.messages.letters import Letter
from pushgw.messages.model import OfflineMessage
from pushgw.messages.retries import (
    ATTEMPT,
    ERROR,
    ERROR_CODE,
    FIRST_SEEN,
    JSON_PATH,
    NOT_BEFORE,
    SOURCE,
    TARGETS,
    read_return,
)
from pushgw.settings import KafkaSettings, Settings

CHUNK = 500
"""Records on their way at once."""
_RENEWED = frozenset({SOURCE, FIRST_SEEN, ATTEMPT, ERROR_CODE, ERROR, JSON_PATH, NOT_BEFORE})


class Prospect(StrEnum):
    """What a replay of a letter would lead to, as far as its bytes tell."""

    READABLE = "readable"
    """The policy decides about it as about any record."""
    EXPIRED = "expired"
    """Its lifetime has ended: it ends as A11."""
    UNREADABLE = "unreadable"
    """It would be a dead letter again."""
    IMPOSSIBLE = "impossible"
    """It cannot be published: nobody knows where it came from, or its bytes are not here."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A letter, and what its replay would lead to."""

    letter: Letter
    prospect: Prospect
    why: str = ""
    """One sentence, unless it is readable."""


def newest(letters: Iterable[Letter]) -> list[Letter]:
    """Of each record its newest letter: an earlier one was replayed and has failed again. The oldest first."""
    latest: dict[str, Letter] = {}
    for letter in letters:
        known = latest.get(letter.source or letter.coordinate)
        if known is None or (letter.attempt, letter.time_ms) >= (known.attempt, known.time_ms):
            latest[letter.source or letter.coordinate] = letter
    return sorted(latest.values(), key=lambda letter: letter.time_ms)


def prospects(letters: Iterable[Letter], settings: Settings, now: float) -> list[Replay]:
    """What a replay at ``now`` (epoch s) would lead to, read as the gateway reads."""
    codec = MessageCodec(
        default_app=settings.sdk_app_id,
        lenient=settings.policy.lenient,
        with_body_digest=settings.policy.group_include_content,
    )
    return [_prospect(letter, settings, codec, now) for letter in letters]


def replay_headers(letter: Letter) -> list[tuple[str, bytes | None]]:
    """The letter's headers without what was said about it: the first record's coordinate and time, and the attempts so far."""
    kept = [header for header in letter.headers if header[0] not in _RENEWED]
    return [
        *kept,
        (SOURCE, letter.source.encode()),
        (FIRST_SEEN, b"%d" % letter.first_seen_ms),
        (ATTEMPT, b"%d" % letter.attempt),
    ]


async def publish_again(
    settings: KafkaSettings, letters: Sequence[Letter], on_progress: Callable[[int], None]
) -> None:
    """Publish them, acknowledged; ``on_progress`` is told how many more are. Raises KafkaError.

    Each has the first record's time as its timestamp: a user event without an EventTime is as old as it was.
    """
    producer = AIOKafkaProducer(acks="all", **kafka_client_options(settings))
    try:
        await producer.start()
        for start in range(0, len(letters), CHUNK):
            some = letters[start : start + CHUNK]
            sent = [
                await producer.send(
                    letter.topic,
                    letter.value,
                    key=letter.key,
                    headers=replay_headers(letter),
                    timestamp_ms=letter.first_seen_ms,
                )
                for letter in some
            ]
            for acknowledged in sent:
                await acknowledged
            on_progress(len(some))
    finally:
        await producer.stop()


def _prospect(letter: Letter, settings: Settings, codec: MessageCodec, now: float) -> Replay:
    why = _impossible(letter)
    if why:
        return Replay(letter=letter, prospect=Prospect.IMPOSSIBLE, why=why)
    first_seen = letter.first_seen_ms
    try:
        if letter.topic == settings.kafka.topics.user_events:
            app, lenient = settings.sdk_app_id, settings.policy.lenient
            decode_user_event(letter.value, first_seen, default_app=app, lenient=lenient)
            return Replay(letter=letter, prospect=Prospect.READABLE)
        returning = read_return(replay_headers(letter), first_seen)
        if letter.topic.startswith(f"{settings.kafka.topics.retries}.") and (
            returning is None or returning.targets is None
        ):
            raise DecodeError(20001, "a retry without its targets", f"headers.{TARGETS}")
        message = codec.decode(letter.value, first_seen)
    except DecodeError as error:
        at = f" at {error.path}" if error.path else ""
        why = f"it would be a dead letter again: {error.code}{at}: {error.sentence}"
        return Replay(letter=letter, prospect=Prospect.UNREADABLE, why=why)
    except Exception as error:  # noqa: BLE001  a letter that poisons the gateway must not stop the others' replay
        why = f"it would be a dead letter again: unexpected {type(error).__name__}"
        return Replay(letter=letter, prospect=Prospect.UNREADABLE, why=why)
    if isinstance(message, OfflineMessage) and now >= message.expires_at:
        why = f"its lifetime ended {now - message.expires_at:.0f} s ago: it ends as A11 EXPIRED"
        return Replay(letter=letter, prospect=Prospect.EXPIRED, why=why)
    return Replay(letter=letter, prospect=Prospect.READABLE)


def _impossible(letter: Letter) -> str:
    if letter.value is None and letter.text(OMITTED):
        return f"the broker took it without its {letter.text(OMITTED)} bytes; the original stands at {letter.source}"
    try:
        returning = read_return([h for h in letter.headers if h[0] == SOURCE], letter.time_ms)
    except DecodeError as error:
        return error.sentence
    return "" if returning is not None else f"header {SOURCE} is missing"
