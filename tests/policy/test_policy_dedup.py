"""Two records share a key exactly when they are the same message."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.messages.model import C2CRecall, GroupRecall, Kind, NotAMessage, OfflineMessage
from pushgw.policy.dedup import GROUP_WINDOW_S, Claim, claim_keys, event_key, recall_keys, tombstone_keys
from pushgw.settings import PolicySettings

MakeMessage = Callable[..., OfflineMessage]
DEFAULT = PolicySettings()
EVENT = NotAMessage(app=0, command="Bot.OnC2CMessage", send_failed=False, event_id="e1", receivers=("bob",))


def keys(message: OfflineMessage, options: PolicySettings = DEFAULT) -> list[str]:
    return [claim.key for claim in claim_keys(message, options)]


def test_each_receiver_of_a_batch_has_a_claim(make_message: MakeMessage) -> None:
    """In the receivers' order, each like the one-to-one message of the same mark; no window: the second is in the key."""
    batch = make_message(kind=Kind.BATCH, receivers=("bob", "carol"))
    single = [keys(make_message(receivers=(user,))) for user in ("bob", "carol")]
    assert [keys(batch)[:1], keys(batch)[1:]] == single
    assert [(c.at, c.window) for c in claim_keys(batch, DEFAULT)] == [(batch.time, None)] * 2


def test_a_group_message_has_one_claim_with_a_window(make_message: MakeMessage) -> None:
    """One for all receivers, for 300 s; its time is no part of the key."""
    message = make_message(group_id="g", receivers=("bob", "carol"))
    [claim] = claim_keys(message, DEFAULT)
    assert claim == Claim(claim.key, message.time, GROUP_WINDOW_S)
    assert GROUP_WINDOW_S == 300
    assert keys(make_message(group_id="g", time=0)) == [claim.key]


@pytest.mark.parametrize(
    "change", [{"app": 1}, {"sender": "x"}, {"receivers": ("x",)}, {"random": 1}, {"time": 1}]
)
def test_what_a_one_to_one_key_holds(make_message: MakeMessage, change: dict[str, Any]) -> None:
    """Another app, sender, receiver, random or second is another message."""
    assert keys(make_message(**change)) != keys(make_message())


@pytest.mark.parametrize(
    "change", [{"seq": 6}, {"seq": None}, {"msg_key": "x"}, {"body": ()}, {"record_time_ms": 1}]
)
def test_what_a_one_to_one_key_does_not_hold(make_message: MakeMessage, change: dict[str, Any]) -> None:
    """Sequence, body and the record's own time are no marks."""
    assert keys(make_message(**change)) == keys(make_message())


@pytest.mark.parametrize(
    "change",
    [
        {"app": 1},
        {"sender": "x"},
        {"random": 1},
        {"group_id": "x"},
        {"topic_id": "t"},
        {"part": 1},
        {"part": 2},
    ],
)
def test_what_a_group_key_holds(make_message: MakeMessage, change: dict[str, Any]) -> None:
    """Another app, sender, random, group, topic or part is another message; no part is a part of its own."""
    assert keys(make_message(**({"group_id": "g"} | change))) != keys(make_message(group_id="g"))


def test_parts_and_topics_differ_among_themselves(make_message: MakeMessage) -> None:
    """Part 1 is not part 2, topic t not topic u."""
    marks: list[dict[str, Any]] = [
        {"part": 1},
        {"part": 2},
        {"part": None},
        {"topic_id": "t"},
        {"topic_id": "u"},
        {"topic_id": ""},
    ]
    for one, other in combinations(marks, 2):
        assert keys(make_message(group_id="g", **one)) != keys(make_message(group_id="g", **other))


def test_options_add_to_the_marks(make_message: MakeMessage) -> None:
    """`c2c_include_seq` and `group_include_content` tell apart what the defaults take for one."""
    with_seq = PolicySettings(c2c_include_seq=True)
    with_content = PolicySettings(group_include_content=True)
    assert keys(make_message(seq=1), with_seq) != keys(make_message(seq=2), with_seq)
    assert keys(make_message(seq=None), with_seq) == keys(make_message(seq=None), with_seq)
    one, other = (make_message(group_id="g", body_digest=d) for d in (b"a", b"b"))
    assert keys(one) == keys(other)
    assert keys(one, with_content) != keys(other, with_content)


def test_a_push_task_is_not_a_message_of_the_same_mark(make_message: MakeMessage) -> None:
    """The three kinds of keys never meet."""
    everything = [
        *keys(make_message()),
        *keys(make_message(kind=Kind.TASK)),
        *keys(make_message(group_id="bob")),
    ]
    assert len(set(everything)) == 3


def test_what_was_never_sent_claims_nothing(make_message: MakeMessage) -> None:
    """Neither an event nor a message whose sending failed takes a mark or an EventId from a later one."""
    failed = make_message(send_result=1, event_id="e1")
    for record in (EVENT, failed):
        assert claim_keys(record, DEFAULT) == ()
        assert event_key(record) is None
    assert tombstone_keys(EVENT) == ()


def test_an_event_id_belongs_to_its_app(make_message: MakeMessage) -> None:
    """The same EventId in two apps are two; none is none."""
    assert event_key(make_message(event_id=None)) is None
    assert event_key(make_message(event_id="e1")) == event_key(make_message(event_id="e1", random=1))
    assert event_key(make_message(event_id="e1")) != event_key(make_message(event_id="e1", app=1))
    assert event_key(make_message(event_id="e1")) != event_key(make_message(event_id="e2"))


def test_a_recall_finds_its_message(make_message: MakeMessage) -> None:
    """What a recall writes is what the message asks for, whichever comes first; others are not touched."""
    message = make_message(receivers=("bob", "carol"), kind=Kind.BATCH)
    recall = C2CRecall(app=0, sender="alice", receiver="carol", msg_key=message.msg_key or "")
    assert recall_keys(recall) == tombstone_keys(message)[1:]
    assert not set(recall_keys(recall)) & set(tombstone_keys(message)[:1])

    grouped = make_message(group_id="g", topic_id="t", seq=812)
    found = recall_keys(GroupRecall(app=0, group_id="g", topic_id="t", seqs=(811, 812)))
    assert len(set(found)) == 2
    assert tombstone_keys(grouped) == found[1:]
    elsewhere = recall_keys(GroupRecall(app=0, group_id="g", topic_id=None, seqs=(812,)))
    assert not set(elsewhere) & set(tombstone_keys(grouped))


def test_what_no_recall_can_name_has_no_tombstone(make_message: MakeMessage) -> None:
    """Without MsgKey, or in a group without MsgSeq, there is nothing to look for."""
    assert tombstone_keys(make_message(msg_key=None)) == ()
    assert tombstone_keys(make_message(group_id="g", seq=None)) == ()
    assert len(tombstone_keys(make_message(group_id="g", seq=0))) == 1


# --- hostile ids ------------------------------------------------------------------------------------------

HOSTILE = st.text(alphabet=st.sampled_from("0123 -\x1f:_c"), max_size=5)
NUMBER = st.integers(0, 12)
MAYBE = st.none() | NUMBER


def message_of(kind: Kind, **fields: Any) -> OfflineMessage:
    return OfflineMessage(kind=kind, hints={}, time_in_body=True, record_time_ms=0, **fields)


C2C = st.fixed_dictionaries(
    {"app": NUMBER, "sender": HOSTILE, "receivers": st.tuples(HOSTILE), "random": NUMBER, "time": NUMBER}
)
GROUP = st.fixed_dictionaries(
    {
        "app": NUMBER,
        "sender": HOSTILE,
        "random": NUMBER,
        "group_id": HOSTILE,
        "topic_id": st.none() | HOSTILE,
        "part": MAYBE,
    }
)


@given(one=C2C, other=C2C, kinds=st.tuples(*[st.sampled_from([Kind.C2C, Kind.TASK])] * 2))
def test_one_to_one_keys_never_collide(
    one: dict[str, Any], other: dict[str, Any], kinds: tuple[Kind, Kind]
) -> None:
    """Ids full of separators and digits: the keys are equal exactly when all marks are."""
    same = one == other and kinds[0] is kinds[1]
    assert (keys(message_of(kinds[0], **one)) == keys(message_of(kinds[1], **other))) == same


@given(
    ids=st.text(alphabet="1 2", min_size=2, max_size=8), cuts=st.tuples(st.integers(0, 8), st.integers(0, 8))
)
def test_moving_a_border_between_ids_changes_every_key(ids: str, cuts: tuple[int, int]) -> None:
    """The same characters, parted elsewhere, are other people, groups and topics."""
    first, second = (min(cut, len(ids)) for cut in cuts)
    marks: dict[str, Any] = {"app": 0, "random": 1, "time": 1, "seq": 1}

    def all_keys(cut: int) -> list[str]:
        head, tail = ids[:cut], ids[cut:]
        c2c = message_of(Kind.C2C, sender=head, receivers=(tail,), msg_key="k", **marks)
        tailed = message_of(Kind.C2C, sender="a", receivers=(head,), msg_key=tail, **marks)
        group = message_of(Kind.GROUP, sender="a", receivers=(), group_id=head, topic_id=tail, **marks)
        spoken = message_of(Kind.GROUP, sender=tail, receivers=(), group_id=head, **marks)
        return [
            *keys(c2c),
            *tombstone_keys(c2c),
            *tombstone_keys(tailed),
            *keys(group),
            *tombstone_keys(group),
            *keys(spoken),
        ]

    pairs = zip(all_keys(first), all_keys(second), strict=True)
    assert {one == other for one, other in pairs} == {first == second}


@given(one=GROUP, other=GROUP)
def test_group_keys_never_collide(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Likewise for groups, topics and parts."""
    messages = [message_of(Kind.GROUP, receivers=("bob",), time=0, seq=1, **marks) for marks in (one, other)]
    assert (keys(messages[0]) == keys(messages[1])) == (one == other)
