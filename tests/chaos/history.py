"""What was seen of a run, from outside of the gateway: facts of producer, vendors, topics, nemesis and state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

Place = tuple[str, int, int]
"""Topic, partition, offset."""
T = TypeVar("T")
ENDED = "a gateway ended as it must not"
STARTED_IN_VAIN = "a gateway was started while Kafka or the state was away"


class Published(msgspec.Struct, frozen=True, gc=False):
    """The producer's word: this record was acknowledged there."""

    number: int
    place: Place
    at: float


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record as the message topic holds it at the end."""

    number: int
    place: Place


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A notification that a vendor took."""

    message: int
    number: int
    token: str
    vendor: str
    vendor_id: str
    at: float


class Told(msgspec.Struct, frozen=True, gc=False):
    """A receipt."""

    source: str
    """topic/partition/offset of the record that it is about."""
    user: str | None
    device: str
    """Empty: of the receiver as a whole."""
    outcome: str
    """``pushed``, a code such as ``A5``, or ``failed:<action>``."""
    push_id: str
    place: Place
    vendor: str = ""
    code: str = ""
    attempt: int = 0
    at: float = 0.0


class Handed(msgspec.Struct, frozen=True, gc=False):
    """A retry record or a dead letter: the record was handed on."""

    source: str
    place: Place
    letter: bool
    code: str = ""
    targets: tuple[tuple[str, str], ...] | None = None
    """The (user, device) pairs that are still open; None: all."""
    attempt: int = 0


class Sample(msgspec.Struct, frozen=True, gc=False):
    """Committed offsets, and the end offsets of the topics that we write, asked for after them."""

    at: float
    committed: dict[str, int]
    """``topic/partition`` -> offset."""
    ends: dict[str, int]


class Deed(msgspec.Struct, frozen=True, gc=False):
    """Something that the nemesis did, or that happened to a process."""

    at: float
    what: str
    detail: str = ""


class Window(msgspec.Struct, frozen=True, gc=False):
    """A vendor had faults from then to then, epoch s."""

    vendor: str
    start: float
    end: float
    faults: str = ""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A device as the state holds it at the end."""

    user: str
    device: str
    token: str
    dead: bool


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was asked for; with it and the code everything that was published is known again."""

    seed: int
    people: int
    records: int
    epoch: int
    state: str
    profile: str
    messages_topic: str
    commit: str = ""
    date: str = ""


class History(msgspec.Struct, kw_only=True):
    """All of it."""

    setup: Setup
    published: list[Published] = []
    stored: list[Stored] = []
    sent: list[Sent] = []
    told: list[Told] = []
    handed: list[Handed] = []
    samples: list[Sample] = []
    deeds: list[Deed] = []
    windows: list[Window] = []
    kept: list[Kept] = []
    faults: dict[str, int] = {}
    """Fault as it was spelled -> how many requests met it."""


_LISTS: dict[str, type] = {
    "published": Published,
    "stored": Stored,
    "sent": Sent,
    "told": Told,
    "handed": Handed,
    "samples": Sample,
    "deeds": Deed,
    "windows": Window,
    "kept": Kept,
}


def save(history: History, folder: Path) -> None:
    """One file of JSON lines for each kind of fact, so that a run can be judged again later."""
    encoder = msgspec.json.Encoder()
    (folder / "setup.json").write_bytes(encoder.encode((history.setup, history.faults)))
    for name in _LISTS:
        (folder / f"{name}.jsonl").write_bytes(encoder.encode_lines(getattr(history, name)))


def load(folder: Path) -> History:
    """What `save` wrote."""
    setup, faults = msgspec.json.decode(
        (folder / "setup.json").read_bytes(), type=tuple[Setup, dict[str, int]]
    )
    lists = {name: list(_lines(folder / f"{name}.jsonl", kind)) for name, kind in _LISTS.items()}
    return History(setup=setup, faults=faults, **lists)


def spelled(place: Place) -> str:
    """topic/partition/offset, as receipts write it."""
    topic, partition, offset = place
    return f"{topic}/{partition}/{offset}"


def _lines(path: Path, kind: type[T]) -> Iterable[T]:
    decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
    found: Iterator[bytes] = iter(path.read_bytes().splitlines())
    return (decoder.decode(line) for line in found)
