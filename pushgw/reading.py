"""The first room: records become user events, recalls and works; what cannot be read goes to the dead letters."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog

from pushgw.delivery.deferral import narrowed
from pushgw.delivery.tally import Tally
from pushgw.delivery.work import DeadLetter, Work
from pushgw.kafka.record import Record
from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.events import decode_user_event
from pushgw.messages.model import C2CRecall, GroupRecall, OfflineMessage, UserEvent
from pushgw.messages.receipts import dead_letter_headers
from pushgw.messages.retries import Return, read_return
from pushgw.settings import Settings

log = structlog.get_logger()


class Read(NamedTuple):
    """What one batch of records says."""

    events: list[tuple[Record, Sequence[UserEvent]]]
    recalls: list[tuple[Record, C2CRecall | GroupRecall]]
    works: list[Work]


class Reader:
    """Reads records of all topics. A poison record never stops its partition."""

    def __init__(
        self,
        settings: Settings,
        tiers: Mapping[str, int],
        *,
        unreadable: Callable[[DeadLetter], None],
        tally: Tally,
    ) -> None:
        """``tiers``: retry topic -> its wait, s. ``unreadable`` takes what goes to the dead letters."""
        self._tiers = tiers
        self._unreadable = unreadable
        self._tally = tally
        self._user_events = settings.kafka.topics.user_events
        self._app, self._lenient = settings.sdk_app_id, settings.policy.lenient
        self._codec = MessageCodec(
            default_app=settings.sdk_app_id,
            lenient=settings.policy.lenient,
            with_body_digest=settings.policy.group_include_content,
        )

    def read(self, records: Sequence[Record]) -> Read:
        """Each record once; its kind is told by its topic and headers, else by what it holds."""
        found = Read([], [], [])
        decode = self._codec.decode
        of_users = of_retries = 0
        for record in records:
            try:
                if record.source.topic == self._user_events:
                    of_users += 1
                    found.events.append((record, self._events(record)))
                    continue
                returning = read_return(record.headers, record.timestamp_ms) if record.headers else None
                if returning is not None or record.source.topic in self._tiers:
                    of_retries += record.source.topic in self._tiers
                    self._take_back(record, returning, found)
                    continue
                message = decode(record.value, record.timestamp_ms)
            except DecodeError as error:
                self._bury(record, error)
                continue
            except Exception as error:  # noqa: BLE001  a poison record must never stop its partition
                self.poisoned(record, error)
                continue
            if isinstance(message, C2CRecall | GroupRecall):
                found.recalls.append((record, message))
            else:
                found.works.append(Work(record=record, source=str(record.source), message=message))
        self._tally.received["user_events"] += of_users
        self._tally.received["retries"] += of_retries
        self._tally.received["messages"] += len(records) - of_users - of_retries
        return found

    def poisoned(self, record: Record, error: Exception) -> None:
        """An unexpected exception: the record goes to the dead letters with an id that the log has."""
        trace = uuid.uuid4().hex[:12]
        log.error("poison_record", **_sources(record), traceback_id=trace, exc_info=error)
        self._bury(record, DecodeError(20001, f"unexpected {type(error).__name__}; traceback id {trace}"))

    # --- inside ------------------------------------------------------------------------------------------

    def _events(self, record: Record) -> Sequence[UserEvent]:
        return decode_user_event(
            record.value, record.timestamp_ms, default_app=self._app, lenient=self._lenient
        )

    def _take_back(self, record: Record, returning: Return | None, found: Read) -> None:
        """A retry or a replayed record: the same message as the first time, under the first record's name."""
        tier = self._tiers.get(record.source.topic)
        if returning is None or (tier is not None and returning.targets is None):
            raise DecodeError(20001, "a retry needs the headers pushgw-source and pushgw-targets", "headers")
        message = self._codec.decode(record.value, returning.first_seen_ms)
        if isinstance(message, C2CRecall | GroupRecall):
            found.recalls.append((record, message))
            return
        if returning.targets is not None:
            if not isinstance(message, OfflineMessage):
                raise DecodeError(
                    20001, "a retry of what is no message has nobody to go to", "headers.pushgw-targets"
                )
            message = narrowed(message, returning.targets)
            if not message.receivers:
                raise DecodeError(
                    20001, "a retry for users who are no receivers of its message", "headers.pushgw-targets"
                )
        found.works.append(
            Work(record=record, source=returning.source, message=message, returning=returning, tier=tier or 0)
        )

    def _bury(self, record: Record, error: DecodeError) -> None:
        self._unreadable(DeadLetter(record, _letter_headers(record, error), error.code))
        log.warning("dead_letter", **_sources(record), code=error.code, error=error.sentence, path=error.path)


def _sources(record: Record) -> dict[str, str]:
    """What a log line about a record is found by: its coordinate, and its first one where it has come back."""
    returning = _returning(record)
    named = {"source": str(record.source)}
    return named if returning is None else named | {"first_source": returning.source}


def _letter_headers(record: Record, error: DecodeError) -> list[tuple[str, bytes]]:
    """What has come back before keeps its first coordinate and time, and counts on."""
    returning = _returning(record)
    if returning is None:
        return dead_letter_headers(str(record.source), error, record.timestamp_ms)
    return dead_letter_headers(returning.source, error, returning.first_seen_ms, returning.attempt + 1)


def _returning(record: Record) -> Return | None:
    """What its headers say, where they are ours to read."""
    try:
        return read_return(record.headers, record.timestamp_ms)
    except DecodeError:
        return None
