"""What a replay would lead to, and under which headers a dead letter goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushgw.kafka.replay import Prospect, newest, prospects, replay_headers
from pushgw.messages.letters import Letter
from pushgw.messages.retries import read_return
from pushgw.settings import PolicySettings, Settings

NOW = 1_795_500_000
MESSAGE = {
    "From_Account": "alice",
    "To_Account": "bob",
    "MsgSeq": 1,
    "MsgRandom": 1,
    "MsgTimeStamp": NOW,
    "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hi"}}],
}
EVENT = {"Event": "User.Login", "To_Account": "bob"}


def letter(value: Any, source: str = "im.offline-messages/3/1042", at: int = 0, **headers: str) -> Letter:
    raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    named = {
        "pushgw-source": source,
        "pushgw-error-code": "90005",
        "pushgw-error": "x",
        "pushgw-json-path": "y",
    }
    named |= {f"pushgw-{name.replace('_', '-')}": text for name, text in headers.items()}
    return Letter(
        partition=0,
        offset=at,
        time_ms=NOW * 1000 + at,
        key=b"k",
        value=raw,
        headers=(("theirs", b"1"), *((name, text.encode()) for name, text in named.items() if text)),
    )


def prospect(one: Letter, now: float = NOW, **policy: Any) -> tuple[Prospect, str]:
    [found] = prospects([one], Settings(policy=PolicySettings(**policy)), now)
    return found.prospect, found.why


def test_a_letter_goes_back_under_the_first_records_name() -> None:
    """Source, first-seen and attempt stay, so does what the publisher had set; what was said of the failure goes."""
    found = replay_headers(
        letter(MESSAGE, first_seen="17", attempt="2", not_before="5", targets='[["bob","d"]]')
    )
    names = [name for name, _ in found]
    assert sorted(names) == [
        "pushgw-attempt",
        "pushgw-first-seen",
        "pushgw-source",
        "pushgw-targets",
        "theirs",
    ]
    returning = read_return(found, 0)
    assert returning is not None
    assert (returning.source, returning.first_seen_ms) == ("im.offline-messages/3/1042", 17)
    assert (returning.attempt, returning.targets) == (2, (("bob", "d"),))


def test_of_each_record_its_newest_letter() -> None:
    """What was replayed and failed again counts once, with its last attempt; the oldest record is first."""
    first, again = letter(b"a", at=1), letter(b"a", at=5, attempt="2")
    other = letter(b"b", "im.offline-messages/3/1043", at=3)
    nameless = [letter(b"c", "", at=6), letter(b"c", "", at=7)]
    assert newest([again, first, other, *nameless]) == [other, again, *nameless]


@pytest.mark.parametrize(
    ("one", "expected", "why"),
    [
        pytest.param(letter(MESSAGE), Prospect.READABLE, "", id="readable by now"),
        pytest.param(letter(EVENT, "im.user-events/0/1"), Prospect.READABLE, "", id="user event"),
        pytest.param(
            letter(MESSAGE | {"MsgTimeStamp": NOW - 61, "MsgLifeTime": 60}),
            Prospect.EXPIRED,
            "ended 1 s ago: it ends as A11",
            id="expired",
        ),
        pytest.param(
            letter({k: v for k, v in MESSAGE.items() if k != "MsgRandom"}),
            Prospect.UNREADABLE,
            "again: 90005 at MsgRandom",
            id="still wrong",
        ),
        pytest.param(
            letter({"Event": "X"}, "im.user-events/0/1"), Prospect.UNREADABLE, "20001", id="bad event"
        ),
        pytest.param(
            letter(MESSAGE, targets="no json"), Prospect.UNREADABLE, "pushgw-targets", id="broken targets"
        ),
        pytest.param(
            letter(MESSAGE, "im.push-retries.5/0/1"),
            Prospect.UNREADABLE,
            "without its targets",
            id="lame retry",
        ),
        pytest.param(letter(MESSAGE, ""), Prospect.IMPOSSIBLE, "pushgw-source is missing", id="no source"),
        pytest.param(
            letter(MESSAGE, "nowhere"), Prospect.IMPOSSIBLE, "topic/partition/offset", id="bad source"
        ),
        pytest.param(
            letter(None, value_omitted="2000000"),
            Prospect.IMPOSSIBLE,
            "without its 2000000 bytes; the original stands at im.offline-messages/3/1042",
            id="too large",
        ),
    ],
)
def test_what_a_replay_would_lead_to(one: Letter, expected: Prospect, why: str) -> None:
    """Told before anything is published: readable, expired, a dead letter again, or not to be published at all."""
    found, said = prospect(one)
    assert found is expected
    assert why in said


def test_a_lifetime_is_reckoned_from_the_first_time() -> None:
    """A message without a time of its own is as old as its first record, not as its letter."""
    timeless = {k: v for k, v in MESSAGE.items() if k != "MsgTimeStamp"} | {"MsgLifeTime": 60}
    assert prospect(letter(timeless, first_seen=str((NOW - 100) * 1000)))[0] is Prospect.EXPIRED
    assert prospect(letter(timeless, first_seen=str((NOW - 10) * 1000)))[0] is Prospect.READABLE


def test_read_as_the_gateway_reads() -> None:
    """A setting that made the record readable since counts."""
    one = letter(MESSAGE | {"MsgRandom": "1"})
    assert prospect(one)[0] is Prospect.UNREADABLE
    assert prospect(one, lenient=True)[0] is Prospect.READABLE
