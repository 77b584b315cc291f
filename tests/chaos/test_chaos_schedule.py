"""The nemesis and the script are drawn from the seed: the same again, and all that a profile promises."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from pushgw.messages.codec import MessageCodec
from pushgw.messages.errors import DecodeError
from pushgw.messages.key import record_key
from pushgw.sandbox.faults import parse_faults
from pushgw.vendor.plugin import installed_vendors
from tests.chaos.cast import Cast, Trait
from tests.chaos.expect import expectations
from tests.chaos.schedule import PROFILES, Blow, schedule
from tests.chaos.script import MARK, Kind, Script

CAST = Cast(7, 60)
SCRIPT = Script(7, CAST, 1_795_500_000)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_the_same_seed_strikes_the_same(name: str) -> None:
    """A seed gives one schedule, another seed another one; the numbers of blows are those of the profile."""
    profile = PROFILES[name]
    strikes = schedule(profile, 3, shared_state=True)
    assert strikes == schedule(profile, 3, shared_state=True)
    assert strikes != schedule(profile, 4, shared_state=True)
    counts = Counter(strike.blow for strike in strikes)
    assert counts[Blow.KILL] == profile.kills
    assert counts[Blow.BROKER_RESTART] + counts[Blow.BROKER_KILL] == (
        profile.broker_restarts + profile.broker_kills
    )
    assert counts[Blow.STATE_RESTART] + counts[Blow.STATE_KILL] == profile.state_restarts
    assert counts[Blow.ADD] == counts[Blow.REMOVE] == profile.moves
    assert all(strike.at <= profile.duration for strike in strikes)


def test_a_state_of_one_writer_is_not_shared() -> None:
    """On SQLite no gateway is added, and there is no server of the state to restart."""
    blows = {strike.blow for strike in schedule(PROFILES["normal"], 3, shared_state=False)}
    assert blows.isdisjoint({Blow.ADD, Blow.REMOVE, Blow.STATE_KILL, Blow.STATE_RESTART})


def test_every_fault_is_one_that_the_sandbox_knows_and_all_are_healed_at_the_end() -> None:
    """The spellings are those of ``--fault``; the last word of the schedule is that nothing is wrong any more."""
    strikes = [s for s in schedule(PROFILES["long"], 3, shared_state=False) if s.blow is Blow.FAULTS]
    parse_faults([fault for strike in strikes for fault in strike.faults], installed_vendors())
    assert strikes[-1].faults == ()


def test_the_mean_of_the_faults_is_the_profiles_share() -> None:
    """Over a long schedule the shares of all vendors, healthy ones included, have the mean that was asked for."""
    profile = PROFILES["long"]
    windows = [s for s in schedule(profile, 3, shared_state=False) if s.blow is Blow.FAULTS][:-1]
    shares = [float(f.rpartition(":")[2].rstrip("%")) / 100 for w in windows for f in w.faults]
    assert sum(shares) / (len(windows) * 9) == pytest.approx(profile.fault_share, abs=0.03)


def test_a_record_is_the_same_whenever_it_is_written() -> None:
    """Record n depends on seed and n alone; it can be known again after the run without keeping it."""
    other = Script(7, Cast(7, 60), 1_795_500_000)
    assert [SCRIPT.draft(n) for n in range(300)] == [other.draft(n) for n in reversed(range(300))][::-1]


def test_the_script_has_every_kind_and_the_cast_every_trait() -> None:
    """Nothing that the run is meant to show is missing from a few hundred records."""
    assert {SCRIPT.kind(n) for n in range(1500)} == set(Kind)
    assert {person.trait for person in CAST.people} == set(Trait)


def test_records_are_what_the_gateway_reads() -> None:
    """Every record but the broken ones is decoded; the broken ones are dead letters. So the kinds mean what they say."""
    codec = MessageCodec(default_app=0)
    for number in range(1500):
        draft = SCRIPT.draft(number)
        if draft.kind is Kind.BROKEN:
            with pytest.raises(DecodeError):
                codec.decode(draft.value, 1_795_500_000_000)
        else:
            codec.decode(draft.value, 1_795_500_000_000)


def test_a_repeat_and_a_recall_follow_their_message_into_its_partition() -> None:
    """Duplicates and recalls have the key of what they refer to: their order is the topic's."""
    for number in range(1500):
        draft = SCRIPT.draft(number)
        of = draft.message if draft.kind is Kind.DUPLICATE else max(draft.recalls, draft.event_of)
        if draft.kind is not Kind.DUPLICATE and of < 0:
            continue
        assert record_key(draft.value) == record_key(SCRIPT.draft(of).value)


def test_the_text_names_message_and_record() -> None:
    """Whatever a vendor shows can be led back to the record and to the message that it repeats."""
    twin = next(n for n in range(1500) if SCRIPT.kind(n) is Kind.DUPLICATE)
    text = json.loads(SCRIPT.draft(twin).value)["MsgBody"][0]["MsgContent"]["Text"]
    mark = MARK.search(text)
    assert mark is not None
    assert (int(mark[1]), int(mark[2])) == (SCRIPT.draft(twin).message, twin)


def test_tokens_of_the_living_do_not_ask_for_death() -> None:
    """Only tokens that are meant to be dead are called so: emulators look for the word."""
    for token, (_, phone) in CAST.owners.items():
        assert ("dead" in token) is phone.dead


def test_every_receiver_of_a_message_has_something_due() -> None:
    """No expectation is empty: each receiver has an outcome of its own or one for each device."""
    for one in expectations(SCRIPT, CAST, range(1500)):
        assert one.letter or one.draft.recalls >= 0 or one.dues
        for due in one.dues:
            assert due.whole or due.devices
            assert all(outcomes for _, outcomes in due.devices)
