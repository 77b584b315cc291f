"""What must become of each record: a small model of the rules, for the cast and the script of the chaos runs alone.

It shares no code with the gateway. Where an outcome hangs on time (a recall that comes later, a short lifetime) it
names all that are right.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tests.chaos.cast import Cast, Person, Phone, Trait
from tests.chaos.script import Draft, Kind, Script

PUSHED = "pushed"
GIVEN_UP = "failed:given_up"
EXPIRED = "failed:expired"
_TOKEN_DEAD = frozenset({"failed:token_removed", "failed:token_kept_newer", "failed:token_kept_guard", "C5"})
_PUSHED = frozenset({PUSHED})
_NOTHING: frozenset[str] = frozenset()


class Due(msgspec.Struct, frozen=True, gc=False):
    """What is due to one receiver of one record."""

    user: str
    whole: frozenset[str] = _NOTHING
    """Right outcomes of the receiver as a whole; empty: there must be none."""
    devices: tuple[tuple[str, frozenset[str]], ...] = ()
    """Right outcomes of each device; empty: there must be none."""

    def of(self, device: str) -> frozenset[str]:
        """Right outcomes of a device, or of the whole receiver for the empty name."""
        return self.whole if not device else dict(self.devices).get(device, _NOTHING)


class Expectation(msgspec.Struct, frozen=True, gc=False):
    """What is due to one record."""

    draft: Draft
    dues: tuple[Due, ...] = ()
    letter: bool = False
    """It must end as a dead letter."""


def expectations(script: Script, cast: Cast, numbers: Iterable[int]) -> list[Expectation]:
    """For records in the order of their topic (of each partition): which of two equal ones is the first hangs on it."""
    drafts = [
        msgspec.structs.replace(script.draft(number), value=b"") for number in numbers
    ]  # a GB in a long run
    recalled: dict[int, int] = {}
    for index, draft in enumerate(drafts):
        if draft.recalls >= 0:
            recalled.setdefault(draft.recalls, index)
    oracle = _Oracle(cast, recalled)
    return [oracle.expect(index, draft) for index, draft in enumerate(drafts)]


class _Oracle:
    def __init__(self, cast: Cast, recalled: dict[int, int]) -> None:
        self._cast = cast
        self._recalled = recalled
        self._messages: set[int] = set()
        self._events: set[int] = set()
        """Records whose EventId is taken."""

    def expect(self, index: int, draft: Draft) -> Expectation:
        if draft.kind is Kind.BROKEN:
            return Expectation(draft, letter=True)
        if draft.recalls >= 0:
            return Expectation(draft)
        code = self._against_the_message(index, draft)
        if code:
            return Expectation(draft, tuple(Due(user, frozenset({code})) for user in draft.receivers))
        perhaps: frozenset[str] = _NOTHING
        if draft.number in self._recalled:
            perhaps = frozenset({"A6"})
        elif draft.kind is Kind.SHORT_LIVED:
            perhaps = frozenset({"A11", EXPIRED})
        return Expectation(draft, tuple(self._due(user, draft, perhaps) for user in draft.receivers))

    def _against_the_message(self, index: int, draft: Draft) -> str:
        """The code that holds for every receiver, or nothing; the order is that of the decision table."""
        event = draft.event_of if draft.event_of >= 0 else draft.number
        if event in self._events:
            return "A2"
        self._events.add(event)
        if draft.message in self._messages:
            return "A5"
        self._messages.add(draft.message)
        if self._recalled.get(draft.number, index) < index:
            return "A6"
        return {Kind.ONLINE: "A7", Kind.FLAG_OFF: "A9", Kind.CHAT_ROOM: "A10"}.get(draft.kind, "")

    def _due(self, user: str, draft: Draft, perhaps: frozenset[str]) -> Due:
        person = self._cast.by_name[user]
        code = _against_the_receiver(person, draft)
        if code:
            return Due(user, perhaps | {code})
        return Due(user, perhaps, tuple((phone.device, _of(phone) | perhaps) for phone in person.phones))


def _against_the_receiver(person: Person, draft: Draft) -> str:
    match person.trait:
        case Trait.GHOST | Trait.OUT:
            return "B3"
        case Trait.FRONT:
            return "B4"
        case Trait.OFF:
            return "B5"
        case Trait.DISTURB_NOT:
            return "B6"
        case Trait.MUTES if not draft.group and draft.sender == person.mutes_sender:
            return "B7"
        case Trait.MUTES if draft.group and draft.group == person.mutes_group:
            return "B8"
        case Trait.BARE:
            return "C1"
        case _:
            return ""


def _of(phone: Phone) -> frozenset[str]:
    if phone.front:
        return frozenset({"B4"})
    return _TOKEN_DEAD if phone.dead else _PUSHED
