"""The judge is judged: for every sin a history made by hand in which it was committed, and one in which it was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.chaos.cast import Cast, Person, Trait
from tests.chaos.checker import Sin, Verdict, judge
from tests.chaos.history import (
    ENDED,
    STARTED_IN_VAIN,
    Deed,
    Handed,
    History,
    Kept,
    Published,
    Sample,
    Sent,
    Setup,
    Stored,
    Told,
    Window,
    load,
    save,
)
from tests.chaos.script import Kind, Script
from tests.chaos.summary import offenders, summary

MESSAGES, RECEIPTS, LETTERS, RETRIES = "messages", "receipts", "letters", "retries.5"
SETUP = Setup(
    seed=5, people=40, records=400, epoch=1_795_500_000, state="sqlite", profile="short", messages_topic=""
)
CAST = Cast(SETUP.seed, SETUP.people)
SCRIPT = Script(SETUP.seed, CAST, SETUP.epoch)


def numbers(kind: Kind) -> list[int]:
    return [n for n in range(SETUP.records) if SCRIPT.kind(n) is kind]


def first_to(trait: Trait, *, phones: int = 1) -> int:
    """The first plain one-to-one record to somebody of this sort, with so many devices, that nothing later withdraws."""
    recalled = {SCRIPT.draft(n).recalls for n in range(SETUP.records)}
    for number in numbers(Kind.C2C):
        person = CAST.by_name[SCRIPT.draft(number).receivers[0]]
        if person.trait is trait and len(person.phones) == phones and number not in recalled:
            return number
    raise AssertionError(f"nobody {trait} gets a record")


def receiver(number: int) -> Person:
    return CAST.by_name[SCRIPT.draft(number).receivers[0]]


class Tale:
    """Tells a history, fact by fact. Each record has the offset of its place in the tale, each receipt too."""

    def __init__(self) -> None:
        self.history = History(
            setup=SETUP,
            kept=[Kept(p.name, phone.device, phone.token, False) for p in CAST.people for phone in p.phones],
        )

    def record(self, number: int) -> str:
        place = (MESSAGES, 0, len(self.history.stored))
        self.history.stored.append(Stored(number, place))
        self.history.published.append(Published(number, place, 100.0))
        return f"{MESSAGES}/0/{place[2]}"

    def receipt(
        self, source: str, user: str | None, device: str, outcome: str, push_id: str = "", **more: Any
    ) -> None:
        place = (RECEIPTS, 0, len(self.history.told))
        push_id = push_id or f"{source} {user} {device}"
        self.history.told.append(Told(source, user, device, outcome, push_id, place, at=100.0, **more))

    def letter(self, source: str, code: str = "90001") -> None:
        self.history.handed.append(Handed(source, (LETTERS, 0, len(self.history.handed)), True, code))

    def sent(self, number: int, token: str, vendor_id: str = "id-1") -> None:
        message = SCRIPT.draft(number).message
        self.history.sent.append(Sent(message, number, token, "apns", vendor_id, 100.0))

    def sample(self, committed: int, receipts: int, retries: int = 0) -> None:
        ends = {f"{RECEIPTS}/0": receipts, f"{RETRIES}/0": retries, f"{LETTERS}/0": 0}
        self.history.samples.append(Sample(100.0, {f"{MESSAGES}/0": committed}, ends))

    def pushed(self, number: int) -> str:
        """A record to a user with one device, and all that belongs to it."""
        source, person = self.record(number), receiver(number)
        self.receipt(source, person.name, person.phones[0].device, "pushed")
        self.sent(number, person.phones[0].token)
        return source

    def judged(self, **how: Any) -> Verdict:
        return judge(self.history, **how)


@pytest.fixture
def tale() -> Tale:
    """Nothing has happened yet; every device is as it should be."""
    return Tale()


def sins(verdict: Verdict) -> set[Sin]:
    return {violation.sin for violation in verdict.violations}


def test_what_went_well_is_no_sin(tale: Tale) -> None:
    """A push with its receipt and notification, a suppression, a dead letter: nothing to accuse anybody of."""
    tale.pushed(first_to(Trait.PLAIN))
    held = first_to(Trait.OFF)
    tale.receipt(tale.record(held), receiver(held).name, "", "B5")
    tale.letter(tale.record(numbers(Kind.BROKEN)[0]))
    verdict = tale.judged()
    assert verdict.violations == []
    assert verdict.counts["records"] == 3
    assert verdict.counts["notifications"] == 1


# --- 1: lost, and wrong ---------------------------------------------------------------------------------------


def test_a_record_without_a_receipt_is_lost(tale: Tale) -> None:
    """An acknowledged record that nothing is told about is lost, and the record is named."""
    number = first_to(Trait.PLAIN)
    tale.record(number)
    [violation] = tale.judged().violations
    assert (violation.sin, violation.number) == (Sin.LOST, number)


def test_each_device_needs_its_receipt(tale: Tale) -> None:
    """Of a receiver's two devices one without a receipt is a loss."""
    number = first_to(Trait.PLAIN, phones=2)
    source, person = tale.record(number), receiver(number)
    tale.receipt(source, person.name, "d0", "pushed")
    tale.sent(number, person.phones[0].token)
    [violation] = tale.judged().of(Sin.LOST)
    assert violation.sentence.endswith("d1")


def test_a_broken_record_without_a_dead_letter_is_lost(tale: Tale) -> None:
    """What is no message must be found among the dead letters."""
    tale.record(numbers(Kind.BROKEN)[0])
    assert sins(tale.judged()) == {Sin.LOST}


def test_a_message_among_the_dead_letters_is_wrong(tale: Tale) -> None:
    """A good record may not be called unreadable, receipts or not."""
    source = tale.pushed(first_to(Trait.PLAIN))
    tale.letter(source, "20001")
    assert sins(tale.judged()) == {Sin.WRONG}


def test_what_kafka_acknowledged_must_be_in_the_topic(tale: Tale) -> None:
    """A record that was acknowledged and is not there, or another is, is a sin of its own."""
    tale.pushed(first_to(Trait.PLAIN))
    tale.history.published.append(Published(399, (MESSAGES, 0, 77), 100.0))
    assert sins(tale.judged()) == {Sin.UNSTORED}


@pytest.mark.parametrize("outcome", ["A5", "failed:token_removed", "C5"])
def test_an_outcome_that_is_not_due_is_wrong(tale: Tale, outcome: str) -> None:
    """A push that is due and ends as something else is said, with both outcomes."""
    number = first_to(Trait.PLAIN)
    tale.receipt(tale.record(number), receiver(number).name, "d0", outcome)
    [violation] = tale.judged().violations
    assert violation.sin is Sin.WRONG
    assert outcome in violation.sentence
    assert "not pushed" in violation.sentence


def test_a_receipt_for_somebody_else_is_wrong(tale: Tale) -> None:
    """A receipt about a user whom the record does not name is wrong, beside what is lost."""
    number = first_to(Trait.PLAIN)
    source = tale.pushed(number)
    other = next(p.name for p in CAST.people if p.name != receiver(number).name)
    tale.receipt(source, other, "d0", "pushed")
    assert Sin.WRONG in sins(tale.judged())


def test_a_receipt_about_nothing_is_a_stranger(tale: Tale) -> None:
    """Receipts about records that nobody published are not overlooked."""
    tale.receipt(f"{MESSAGES}/0/9", "user1", "d0", "pushed")
    assert sins(tale.judged()) == {Sin.STRANGER}


def test_the_second_of_two_equal_messages_is_a_duplicate(tale: Tale) -> None:
    """Which of two records is the duplicate is told by their order in the topic, not by their numbers."""
    twin = next(n for n in numbers(Kind.DUPLICATE) if _is_plain_c2c(SCRIPT.draft(n).message))
    first = SCRIPT.draft(twin).message
    tale.pushed(twin)
    tale.receipt(tale.record(first), receiver(first).name, "", "A5")
    assert tale.judged().violations == []


def _is_plain_c2c(number: int) -> bool:
    draft = SCRIPT.draft(number)
    if draft.kind is not Kind.C2C:
        return False
    person = CAST.by_name[draft.receivers[0]]
    return person.trait is Trait.PLAIN and len(person.phones) == 1


def test_a_repeated_receipt_is_counted_and_no_sin(tale: Tale) -> None:
    """The same PushID again, as after a crash, is a repeat; another PushID for the same device is two receipts."""
    number = first_to(Trait.PLAIN)
    source, user = tale.pushed(number), receiver(number).name
    tale.receipt(source, user, "d0", "pushed")
    verdict = tale.judged()
    assert (verdict.violations, verdict.counts["repeated receipts"]) == ([], 1)
    tale.receipt(source, user, "d0", "pushed", push_id="another")
    assert sins(tale.judged()) == {Sin.TWO_RECEIPTS}


def test_giving_up_is_forgiven_only_where_the_vendor_was_faulty(tale: Tale) -> None:
    """Where it may be at all, a push may be given up while its vendor had faults; else it is wrong."""
    number = first_to(Trait.PLAIN)
    tale.receipt(
        tale.record(number), receiver(number).name, "d0", "failed:given_up", vendor="apns", code="503"
    )
    assert sins(tale.judged(may_give_up=True)) == {Sin.WRONG}
    tale.history.windows.append(Window("fcm", 90.0, 110.0))
    assert sins(tale.judged(may_give_up=True)) == {Sin.WRONG}
    tale.history.windows.append(Window("apns", 90.0, 95.0))
    assert sins(tale.judged(may_give_up=True)) == set()
    assert sins(tale.judged()) == {Sin.WRONG}


# --- 2 and 3: doubles, wrongly sent ---------------------------------------------------------------------------


def test_a_second_notification_of_one_message_is_a_double(tale: Tale) -> None:
    """The same vendor-side id again replaces itself and is counted; another id is a second notification."""
    number = first_to(Trait.PLAIN)
    tale.pushed(number)
    token = receiver(number).phones[0].token
    tale.sent(number, token)
    verdict = tale.judged()
    assert (verdict.violations, verdict.counts["repeats with the same id"]) == ([], 1)
    tale.sent(number, token, "id-2")
    assert sins(tale.judged()) == {Sin.DOUBLE}


def test_a_duplicate_that_is_shown_too_is_a_double(tale: Tale) -> None:
    """Two records with one MsgRandom are one message: if a device gets both, that is a double, and wrongly sent."""
    twin = next(n for n in numbers(Kind.DUPLICATE) if _is_plain_c2c(SCRIPT.draft(n).message))
    first = SCRIPT.draft(twin).message
    tale.pushed(first)
    tale.receipt(tale.record(twin), receiver(twin).name, "", "A5")
    tale.sent(twin, receiver(twin).phones[0].token, "id-2")
    assert sins(tale.judged()) == {Sin.DOUBLE, Sin.WRONGLY_SENT}


def test_a_notification_without_an_id_cannot_replace_itself(tale: Tale) -> None:
    """Two without any vendor-side id are two."""
    number = first_to(Trait.PLAIN)
    source, person = tale.record(number), receiver(number)
    tale.receipt(source, person.name, "d0", "pushed")
    for _ in range(2):
        tale.sent(number, person.phones[0].token, "")
    assert sins(tale.judged()) == {Sin.DOUBLE}


def test_what_was_suppressed_must_not_be_sent(tale: Tale) -> None:
    """A message to a user who switched pushes off, and a vendor has it: wrongly sent, whatever the receipt says."""
    number = first_to(Trait.OFF)
    person = receiver(number)
    tale.receipt(tale.record(number), person.name, "", "B5")
    tale.sent(number, person.phones[0].token)
    assert sins(tale.judged()) == {Sin.WRONGLY_SENT}


def test_a_device_of_somebody_else_must_not_get_it(tale: Tale) -> None:
    """A notification at another user's token is wrongly sent."""
    number = first_to(Trait.PLAIN)
    tale.pushed(number)
    other = next(p for p in CAST.people if p.name != receiver(number).name and p.phones)
    tale.sent(number, other.phones[0].token, "id-2")
    assert sins(tale.judged()) == {Sin.WRONGLY_SENT}


def test_what_is_said_to_be_pushed_must_have_reached_the_vendor(tale: Tale) -> None:
    """A receipt `pushed` with nothing at the vendor is a lie."""
    number = first_to(Trait.PLAIN)
    tale.receipt(tale.record(number), receiver(number).name, "d0", "pushed")
    assert sins(tale.judged()) == {Sin.NOT_SENT}


def test_a_recall_that_comes_later_leaves_both_outcomes_open(tale: Tale) -> None:
    """A message that is withdrawn after it was published may have been pushed or held back; both are right."""
    late = next(n for n in numbers(Kind.RECALL_AFTER) if _is_plain_c2c(SCRIPT.draft(n).recalls))
    number = SCRIPT.draft(late).recalls
    source = tale.record(number)
    tale.record(late)
    tale.receipt(source, receiver(number).name, "", "A6")
    assert tale.judged().violations == []
    other = Tale()
    other.pushed(number)
    other.record(late)
    assert other.judged().violations == []


def test_a_recall_that_came_first_decides(tale: Tale) -> None:
    """A message that was withdrawn before it must not be pushed."""
    recall = next(n for n in numbers(Kind.RECALL_BEFORE) if receiver(n + 1).trait is Trait.PLAIN)
    person = receiver(recall + 1)
    tale.record(recall)
    source = tale.record(recall + 1)
    for phone in person.phones:
        tale.receipt(source, person.name, phone.device, "pushed")
        tale.sent(recall + 1, phone.token)
    assert sins(tale.judged()) == {Sin.WRONG, Sin.WRONGLY_SENT}


# --- 4: commits -----------------------------------------------------------------------------------------------


def test_a_commit_past_an_unsettled_record_is_premature(tale: Tale) -> None:
    """Offset 2 was committed while only the first receipt was there: the second record is named, the first is not."""
    wanted = [n for n in range(SETUP.records) if _is_plain_c2c(n)][:2]
    for number in wanted:
        tale.pushed(number)
    tale.sample(committed=1, receipts=1)
    tale.sample(committed=2, receipts=1)
    tale.sample(committed=2, receipts=2)
    [violation] = tale.judged().violations
    assert (violation.sin, violation.number) == (Sin.PREMATURE, wanted[1])


def test_a_commit_after_the_receipts_is_right(tale: Tale) -> None:
    """A commit that is seen together with the receipts that it stands on, or later, is no sin."""
    for number in [n for n in range(SETUP.records) if _is_plain_c2c(n)][:2]:
        tale.pushed(number)
    tale.sample(committed=0, receipts=1)
    tale.sample(committed=2, receipts=2)
    assert tale.judged().violations == []


def test_a_retry_record_covers_its_targets_and_no_others(tale: Tale) -> None:
    """What was handed to a retry topic may be committed; a device that the retry record does not name may not."""
    number = first_to(Trait.PLAIN, phones=2)
    source, person = tale.record(number), receiver(number)
    for phone in person.phones:
        tale.receipt(source, person.name, phone.device, "pushed")
        tale.sent(number, phone.token)
    tale.sample(committed=1, receipts=1, retries=1)
    tale.sample(committed=1, receipts=2, retries=1)
    both = ((person.name, "d0"), (person.name, "d1"))
    place = (RETRIES, 0, 0)
    tale.history.handed = [Handed(source, place, False, targets=both, attempt=1)]
    assert tale.judged().violations == []
    tale.history.handed = [Handed(source, place, False, targets=both[:1], attempt=1)]
    assert sins(tale.judged()) == {Sin.PREMATURE}


def test_a_retry_that_is_committed_needs_its_receipt_or_the_next_retry(tale: Tale) -> None:
    """The retry topics' own commits are judged alike: receipts or a later attempt, and not the retry itself."""
    number = first_to(Trait.PLAIN)
    source = tale.pushed(number)
    target = ((receiver(number).name, "d0"),)
    tale.history.handed = [
        Handed(source, (RETRIES, 0, offset), False, targets=target, attempt=offset + 1) for offset in (0, 1)
    ]
    ends = {f"{RECEIPTS}/0": 0, f"{RETRIES}/0": 2}
    tale.history.samples = [
        Sample(100.0, {f"{MESSAGES}/0": 1, f"{RETRIES}/0": 1}, ends),
        Sample(101.0, {f"{MESSAGES}/0": 1, f"{RETRIES}/0": 2}, {**ends, f"{RECEIPTS}/0": 1}),
    ]
    assert tale.judged().violations == []
    too_far = Sample(100.0, {f"{RETRIES}/0": 2}, ends)
    tale.history.samples = [too_far, *tale.history.samples[1:]]
    [violation] = tale.judged().violations
    assert (violation.sin, violation.number) == (Sin.PREMATURE, number)


def test_a_commit_past_a_record_that_never_got_a_receipt_is_premature_and_a_loss(tale: Tale) -> None:
    """Committed and gone: both sins are named."""
    tale.record(first_to(Trait.PLAIN))
    tale.sample(committed=1, receipts=0)
    assert sins(tale.judged()) == {Sin.PREMATURE, Sin.LOST}


# --- 5: tokens ------------------------------------------------------------------------------------------------


def test_a_healthy_token_that_is_gone_or_marked_is_a_sin(tale: Tale) -> None:
    """Devices of the state must be those of the cast; only tokens that the vendor really calls dead may be marked."""
    healthy = [k for k in tale.history.kept if CAST.owners[k.token][1].dead is False]
    healthy = [k for k in healthy if CAST.by_name[k.user].trait is not Trait.OUT]
    marked, gone = healthy[:2]
    others = [k for k in tale.history.kept if k not in (marked, gone)]
    tale.history.kept = [*others, msgspec.structs.replace(marked, dead=True)]
    sentences = {v.sentence for v in tale.judged().of(Sin.TOKEN)}
    assert sentences == {
        f"the token of {marked.user} {marked.device} is marked dead",
        f"the token of {gone.user} {gone.device} is gone",
    }


def test_a_dead_token_may_be_marked(tale: Tale) -> None:
    """The tokens that the vendor calls dead are nobody's loss."""
    tale.history.kept = [
        msgspec.structs.replace(k, dead=CAST.owners[k.token][1].dead) for k in tale.history.kept
    ]
    assert any(k.dead for k in tale.history.kept)
    assert tale.judged().violations == []


# --- 6: gateways ----------------------------------------------------------------------------------------------


def test_a_gateway_that_ends_unasked_is_a_sin(tale: Tale) -> None:
    """A crash of its own is one; a start without Kafka, which ends with its sentence and is tried again, is none."""
    tale.history.deeds = [Deed(1.0, STARTED_IN_VAIN, "gateway 3"), Deed(2.0, "kill -9 of a gateway")]
    assert tale.judged().violations == []
    tale.history.deeds.append(Deed(3.0, ENDED, "gateway 4: code 1"))
    [violation] = tale.judged().violations
    assert (violation.sin, violation.sentence) == (Sin.ENDED, "gateway 4: code 1")


# --- what is said ---------------------------------------------------------------------------------------------


def test_an_offender_is_shown_with_its_whole_history(tale: Tale) -> None:
    """Who reads the report sees what was published, what the vendor took and what was told, without opening a file."""
    number = first_to(Trait.OFF)
    person = receiver(number)
    tale.receipt(tale.record(number), person.name, "", "B5")
    tale.sent(number, person.phones[0].token)
    verdict = tale.judged()
    text = offenders(tale.history, verdict)
    for words in (
        "wrongly sent",
        "switched pushes off",
        f"acknowledged at {MESSAGES}/0/0",
        "took record",
        "B5",
    ):
        assert words in text
    facts = summary(tale.history, verdict)
    assert (facts["wrongly sent"], facts["lost"], facts["ok"]) == (1, 0, False)


def test_a_kept_history_is_judged_the_same_again(tale: Tale, tmp_path: Path) -> None:
    """Saved and loaded, a history leads to the same verdict."""
    tale.pushed(first_to(Trait.PLAIN))
    tale.record(first_to(Trait.OFF))
    tale.sample(committed=2, receipts=1)
    save(tale.history, tmp_path)
    again = load(tmp_path)
    assert again == tale.history
    assert judge(again) == tale.judged()
