"""The judge: histories in, verdicts out. Pure, so that its own tests can hand it any history.

1. Every acknowledged record is in the topic, and has its terminal receipts: one PushID and a right outcome for each
   (message, receiver, device). A crash may repeat a receipt with the same PushID; that is counted.
2. No device was given two different notifications for one message. Repeats carry the same vendor-side id; counted.
3. What was suppressed was never sent, and what is said to be pushed was.
4. No offset past an unsettled record was ever committed.
5. No healthy token was removed.
6. No gateway ended that was not told to, and those that were ended well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from tests.chaos.cast import Cast, Trait
from tests.chaos.expect import GIVEN_UP, PUSHED, Due, Expectation, expectations
from tests.chaos.history import ENDED, Handed, History, Place, Sample, Told, Window, spelled
from tests.chaos.script import Script

FAULT_ECHO_S = 60.0
"""So long after a vendor's faults have ended a push that met them may still be given up."""
NEVER = 1 << 60


class Sin(StrEnum):
    """What must not happen."""

    UNSTORED = "acknowledged by Kafka and not in the topic"
    LOST = "lost"
    WRONG = "wrong outcome"
    TWO_RECEIPTS = "two different receipts"
    DOUBLE = "double"
    WRONGLY_SENT = "wrongly sent"
    NOT_SENT = "said to be pushed, and no vendor has it"
    PREMATURE = "premature commit"
    TOKEN = "token wrongly removed"
    ENDED = "a gateway ended as it must not"
    STRANGER = "a fact about nothing that was published"


class Violation(msgspec.Struct, frozen=True):
    """One sin, and the record or user that it was done to."""

    sin: Sin
    number: int
    sentence: str


class Verdict(msgspec.Struct, kw_only=True):
    """What the judge found."""

    violations: list[Violation] = []
    counts: dict[str, int] = {}

    def of(self, sin: Sin) -> list[Violation]:
        """The violations of one sort."""
        return [violation for violation in self.violations if violation.sin is sin]


def judge(history: History, *, may_give_up: bool = False) -> Verdict:
    """``may_give_up``: pushes that met a vendor's faults may end as given up (a gateway without durable retries)."""
    setup = history.setup
    cast = Cast(setup.seed, setup.people)
    script = Script(setup.seed, cast, setup.epoch)
    stored = sorted(history.stored, key=lambda one: one.place)
    expected = expectations(script, cast, [one.number for one in stored])
    by_source = {spelled(one.place): due for one, due in zip(stored, expected, strict=True)}
    court = _Court(history, cast, by_source, may_give_up)
    court.acknowledged()
    court.receipts()
    court.notifications()
    court.tokens()
    court.gateways()
    numbers, covered = court.covered()
    for place, sentence in premature(history.samples, covered):
        court.accuse(Sin.PREMATURE, numbers[place], sentence)
    return court.verdict


class _Court:
    def __init__(
        self, history: History, cast: Cast, by_source: dict[str, Expectation], may_give_up: bool
    ) -> None:
        self.verdict = Verdict()
        self._history = history
        self._cast = cast
        self._by_source = by_source
        self._may_give_up = may_give_up
        self._by_number: dict[int, Expectation] = {}
        for due in by_source.values():
            self._by_number.setdefault(due.draft.number, due)
        self._windows: dict[str, list[Window]] = defaultdict(list)
        for window in history.windows:
            self._windows[window.vendor].append(window)
        self._told: dict[str, dict[tuple[str, str], list[Told]]] = defaultdict(lambda: defaultdict(list))
        for told in history.told:
            self._told[told.source][told.user or "", told.device].append(told)
        self._handed: dict[str, list[Handed]] = defaultdict(list)
        for handed in history.handed:
            self._handed[handed.source].append(handed)

    def accuse(self, sin: Sin, number: int, sentence: str) -> None:
        self.verdict.violations.append(Violation(sin, number, sentence))

    def count(self, what: str, by: int = 1) -> None:
        self.verdict.counts[what] = self.verdict.counts.get(what, 0) + by

    # --- 1: records and receipts -------------------------------------------------------------------------

    def acknowledged(self) -> None:
        """What the producer was promised is there, and is judged below with everything else in the topic."""
        self.count("acknowledged", len(self._history.published))
        self.count("records", len(self._by_source))
        for one in self._history.published:
            due = self._by_source.get(spelled(one.place))
            if due is None or due.draft.number != one.number:
                self.accuse(Sin.UNSTORED, one.number, f"it was acknowledged at {spelled(one.place)}")

    def receipts(self) -> None:
        for source, due in self._by_source.items():
            told = self._told.get(source, {})
            self._dead_letter(source, due)
            for key, receipts in told.items():
                self._judge_receipts(due, key, receipts)
            for receiver in due.dues:
                self._judge_completeness(source, due, receiver, told)
        for source in [*self._told, *self._handed]:
            if source not in self._by_source:
                self.accuse(Sin.STRANGER, -1, f"there is a receipt or letter about {source}")

    def _dead_letter(self, source: str, due: Expectation) -> None:
        letters = [one for one in self._handed.get(source, ()) if one.letter]
        self.count("dead letters", len(letters))
        self.count("repeated dead letters", max(0, len(letters) - 1))
        if due.letter and not letters:
            self.accuse(Sin.LOST, due.draft.number, f"{source} is no message and has no dead letter")
        if letters and not due.letter:
            codes = sorted({letter.code for letter in letters})
            self.accuse(Sin.WRONG, due.draft.number, f"{source} is a dead letter, code {', '.join(codes)}")

    def _judge_receipts(self, due: Expectation, key: tuple[str, str], receipts: list[Told]) -> None:
        user, device = key
        number = due.draft.number
        self.count("receipts", len(receipts))
        if len({told.push_id for told in receipts}) > 1:
            self.accuse(Sin.TWO_RECEIPTS, number, f"{_name(key)} has receipts with different PushIDs")
        elif len(receipts) > 1:
            self.count("repeated receipts", len(receipts) - 1)
            if len({told.outcome for told in receipts}) > 1:
                self.count("of these with another outcome", len(receipts) - 1)
        right = next((one.of(device) for one in due.dues if one.user == user), frozenset())
        for told in receipts:
            self.count("pushed" if told.outcome == PUSHED else "not pushed")
            if told.outcome in right:
                continue
            if told.outcome == GIVEN_UP and PUSHED in right and self._met_faults(told):
                self.count("given up after vendor faults")
                continue
            wanted = " or ".join(sorted(right)) or "nothing"
            self.accuse(Sin.WRONG, number, f"{_name(key)}: {told.outcome} {told.code}, not {wanted}")

    def _judge_completeness(
        self, source: str, due: Expectation, receiver: Due, told: dict[tuple[str, str], list[Told]]
    ) -> None:
        user = receiver.user
        if (user, "") in told:
            if any(name == user and device for name, device in told):
                # only where time decides; else one of the two is a wrong outcome
                self.count("receivers told as a whole and by device")
            return
        missing = [device for device, _ in receiver.devices if (user, device) not in told]
        silent = not any(told_user == user for told_user, _ in told)  # else it is wrong, and accused of that
        if missing or (silent and not receiver.devices):
            what = f"{user} {', '.join(missing)}".strip()
            self.accuse(Sin.LOST, due.draft.number, f"{source}: no receipt for {what}")

    def _met_faults(self, told: Told) -> bool:
        if not self._may_give_up:
            return False
        return any(w.start <= told.at <= w.end + FAULT_ECHO_S for w in self._windows.get(told.vendor, ()))

    # --- 2 and 3: what the vendors took ------------------------------------------------------------------

    def notifications(self) -> None:
        ids: dict[tuple[int, str], set[str]] = defaultdict(set)
        taken: set[tuple[int, str]] = set()
        for sent in self._history.sent:
            self.count("notifications")
            known = ids[sent.message, sent.token]
            if sent.vendor_id in known and sent.vendor_id:
                self.count("repeats with the same id")
            elif known:
                self.accuse(
                    Sin.DOUBLE,
                    sent.number,
                    f"a device of {self._owner(sent.token)} got message {sent.message} as {sent.vendor_id} "
                    f"after {', '.join(sorted(known))}",
                )
            known.add(sent.vendor_id)
            if (sent.number, sent.token) not in taken:
                taken.add((sent.number, sent.token))
                self._was_it_due(sent.number, sent.token)
        self._said_to_be_pushed(taken)

    def _was_it_due(self, number: int, token: str) -> None:
        due = self._by_number.get(number)
        owner = self._cast.owners.get(token)
        if due is None or owner is None:
            self.accuse(Sin.STRANGER, number, f"a vendor has record {number} for a token of {owner}")
            return
        user, phone = owner
        right = next((one.of(phone.device) for one in due.dues if one.user == user), frozenset())
        if PUSHED not in right:
            self.accuse(Sin.WRONGLY_SENT, number, f"{phone.vendor} got it for {user} {phone.device}")

    def _said_to_be_pushed(self, taken: set[tuple[int, str]]) -> None:
        for source, due in self._by_source.items():
            for (user, device), receipts in self._told.get(source, {}).items():
                person = self._cast.by_name.get(user)
                phone = next((p for p in person.phones if p.device == device), None) if person else None
                if phone is None or all(told.outcome != PUSHED for told in receipts):
                    continue
                if (due.draft.number, phone.token) not in taken:
                    self.accuse(Sin.NOT_SENT, due.draft.number, f"{_name((user, device))} by {phone.vendor}")

    def _owner(self, token: str) -> str:
        owner = self._cast.owners.get(token)
        return f"{owner[0]} ({owner[1].device})" if owner else "nobody"

    # --- 4: when a record was settled, by the samples of the watcher --------------------------------------

    def covered(self) -> tuple[dict[Place, int], dict[Place, int]]:
        """For each place of messages and retries: the record's number, and the first sample by which all of it was
        settled or handed on."""
        clock = _SampleClock(self._history.samples)
        numbers: dict[Place, int] = {}
        covered: dict[Place, int] = {}
        for one in self._history.stored:
            source = spelled(one.place)
            numbers[one.place] = one.number
            covered[one.place] = self._settled_at(source, self._by_source[source], clock)
        for handed in self._history.handed:
            due = self._by_source.get(handed.source)
            if due is None or handed.letter:
                continue
            numbers[handed.place] = due.draft.number
            covered[handed.place] = self._returned_at(handed, clock)
        return numbers, covered

    def _settled_at(self, source: str, due: Expectation, clock: _SampleClock) -> int:
        handed = self._handed.get(source, [])
        if due.letter:
            return min((clock.seen(one.place) for one in handed), default=NEVER)
        told = self._told.get(source, {})
        latest = 0
        for receiver in due.dues:
            user = receiver.user
            whole = _first(clock, told.get((user, ""), ()))
            each = [
                min(_first(clock, told.get((user, device), ())), _handed_on(clock, handed, user, device))
                for device, _ in receiver.devices
            ]
            latest = max(latest, min(whole, max(each, default=NEVER)))
        return latest

    def _returned_at(self, retry: Handed, clock: _SampleClock) -> int:
        """A retry is settled when each of its targets has a receipt, or was handed on once more."""
        told = self._told.get(retry.source, {})
        later = [h for h in self._handed[retry.source] if h.letter or h.attempt > retry.attempt]
        return max(
            (
                min(
                    _first(clock, told.get((user, device), ())),
                    _first(clock, told.get((user, ""), ())),
                    _handed_on(clock, later, user, device),
                )
                for user, device in retry.targets or ()
            ),
            default=0,
        )

    # --- 5 -----------------------------------------------------------------------------------------------

    def tokens(self) -> None:
        kept = {(one.user, one.device): one for one in self._history.kept}
        for person in self._cast.people:
            for phone in person.phones:
                if phone.dead or person.trait is Trait.OUT:  # a logout unbinds devices
                    continue
                found = kept.get((person.name, phone.device))
                self.count("healthy tokens")
                if found is None or found.dead or found.token != phone.token:
                    state = "gone" if found is None else "marked dead" if found.dead else "another one"
                    self.accuse(Sin.TOKEN, -1, f"the token of {person.name} {phone.device} is {state}")

    def gateways(self) -> None:
        """Whoever was not killed ends only when asked, and then well."""
        for deed in self._history.deeds:
            if deed.what == ENDED:
                self.accuse(Sin.ENDED, -1, deed.detail)


class _SampleClock:
    """Time as the watcher's samples tell it: what was in a topic by which sample."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._ends: dict[str, list[int]] = defaultdict(list)
        for number, sample in enumerate(samples):
            for partition, end in sample.ends.items():
                ends = self._ends[partition]
                ends += [ends[-1] if ends else 0] * (number - len(ends))
                ends.append(max(end, ends[-1] if ends else 0))

    def seen(self, place: Place) -> int:
        """The first sample whose end offset is past this place."""
        topic, partition, offset = place
        ends = self._ends.get(f"{topic}/{partition}", [])
        index = bisect_right(ends, offset)
        return index if index < len(ends) else NEVER


def premature(samples: Sequence[Sample], covered: dict[Place, int]) -> Iterable[tuple[Place, str]]:
    """The places that were below a committed offset when the outputs did not yet hold what settles them.

    Sound because each sample asks for the committed offsets first and for the ends of the outputs afterwards.
    """
    committed: dict[str, list[int]] = defaultdict(list)
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, sample in enumerate(samples):
        for partition, offset in sample.committed.items():
            past = committed[partition]
            past.append(max(offset, past[-1] if past else 0))
            numbers[partition].append(number)
    for place, settled in covered.items():
        topic, partition, offset = place
        key = f"{topic}/{partition}"
        index = bisect_right(committed.get(key, []), offset)
        if index == len(committed.get(key, [])):
            continue
        sample = numbers[key][index]
        if settled > sample:
            yield (
                place,
                f"{spelled(place)} was committed by sample {sample} (offset {committed[key][index]}) and settled "
                + ("never" if settled == NEVER else f"by sample {settled}"),
            )


def _first(clock: _SampleClock, receipts: Iterable[Told]) -> int:
    return min((clock.seen(told.place) for told in receipts), default=NEVER)


def _handed_on(clock: _SampleClock, handed: Iterable[Handed], user: str, device: str) -> int:
    places = [one.place for one in handed if one.targets is None or (user, device) in one.targets]
    return min((clock.seen(place) for place in places), default=NEVER)


def _name(key: tuple[str, str]) -> str:
    return " ".join(part for part in key if part) or "nobody"
