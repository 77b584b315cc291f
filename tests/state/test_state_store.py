"""What every state store promises, asked of each store through the protocol alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import pytest
from msgspec.structs import replace

from pushgw.messages.model import (
    AlwaysWindow,
    BadgeSet,
    C2COption,
    DeviceDelete,
    DeviceGround,
    DevicePut,
    GlobalOption,
    GroupOption,
    PushSwitch,
    UserLogout,
)
from pushgw.policy.facts import NO_OPTIONS, NOBODY, Login, Options, ReceiverFacts
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.state.protocol import (
    Admission,
    Admit,
    Claim,
    DeadToken,
    Owner,
    Raise,
    Settlement,
    StateStore,
    StateUnavailable,
)

NOW = 1_795_500_000.0
CLAIM_TTL = 86_400
DONE_TTL = 43_200
TOMBSTONE_TTL = 604_800

Open = Callable[[], Awaitable[StateStore]]


def opens(url: str) -> Open:
    """Opens the same store each time."""
    settings = StateSettings(url=url, claim_ttl=CLAIM_TTL, done_ttl=DONE_TTL)
    return lambda: open_store(settings)


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'state.db'}",
    "redis": lambda request: str(request.getfixturevalue("redis_server").url),
    "redis_cluster": lambda request: str(request.getfixturevalue("redis_cluster").url),
}
"""A store joins this suite with one entry: the address of an empty one."""


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.redis] if name.startswith("redis") else [])
        for name in FACTORIES
    ]
)
def opener(request: pytest.FixtureRequest) -> Open:
    return opens(FACTORIES[request.param](request))


@pytest.fixture
async def store(opener: Open) -> AsyncIterator[StateStore]:
    opened = await opener()
    yield opened
    await opened.close()


def ask(
    source: str = "im/0/1",
    to: tuple[str, ...] = ("bob",),
    *,
    claims: tuple[Claim, ...] = (),
    event: str | None = None,
    tombstones: tuple[str, ...] = (),
    peer: str | None = None,
    group: str | None = None,
    topic: str | None = None,
    app: int = 0,
    created: float = 0,
) -> Admit:
    """``created`` in s."""
    return Admit(
        app=app,
        source=source,
        created_ms=int(created * 1000),
        event_key=event,
        receivers=to,
        claims=claims,
        tombstones=tombstones,
        peer=peer,
        group_id=group,
        topic_id=topic,
    )


def put(user: str, time_ms: int, device: str = "d1", token: str = "t1", app: int = 0) -> DevicePut:  # noqa: S107  a device token
    return DevicePut(
        app=app, user=user, time_ms=time_ms, device_id=device, business_id=6666, token=token, platform="ios"
    )


async def one(store: StateStore, question: Admit, now: float = NOW) -> Admission:
    [answer] = await store.admit([question], now)
    return answer


async def owner(store: StateStore, source: str, claim: Claim, now: float = NOW) -> str | None:
    return (await one(store, ask(source, claims=(claim,)), now)).receivers[0].claimed_by


async def devices(store: StateStore, user: str) -> dict[str, bool]:
    """device id -> whether its token is lost."""
    found = await store.user(0, user)
    return {d.device_id: d.lost for d in found.devices} if found else {}


# --- owners of tokens -----------------------------------------------------------------------------------------


async def test_owners_of_tokens(store: StateStore) -> None:
    """Who owns each token, by app and certificate id; the newest Put counts, and what nobody has is missing."""
    await store.apply([put("bob", 10), put("eve", 20), put("dan", 5, token="t2"), put("joe", 5, app=9)])
    await store.apply([DeviceDelete(app=0, user="dan", time_ms=6, device_id="d1")])
    keys = ["0 6666 t1", "0 6666 t2", "9 6666 t1", "0 7777 t1", "0 6666 nobody"]
    assert await store.owners(keys) == {
        "0 6666 t1": Owner("eve", "d1", 20),
        "0 6666 t2": Owner("dan", "d1", 5),
        "9 6666 t1": Owner("joe", "d1", 5),
    }
    assert await store.owners([]) == {}


# --- dedup --------------------------------------------------------------------------------------------------


async def test_first_record_owns_the_key(store: StateStore) -> None:
    """The first record passes, also when it is delivered again; any other is told whose duplicate it is."""
    key = Claim("k", 100)
    assert await owner(store, "im/0/1", key) is None
    assert await owner(store, "im/0/1", key) is None
    assert await owner(store, "im/0/2", key) == "im/0/1"
    assert await owner(store, "im/0/1", key) is None
    assert await owner(store, "im/0/3", Claim("other", 100)) is None


async def test_first_record_of_a_batch_wins(store: StateStore) -> None:
    """Within one batch the order of records decides; the loser's other claims are judged by themselves."""
    answers = await store.admit(
        [
            ask("im/0/1", claims=(Claim("k", 100),)),
            ask("im/0/2", claims=(Claim("k", 100),)),
            ask("im/0/3", ("bob", "eve"), claims=(Claim("k", 100), Claim("l", 100))),
            ask("im/0/4", claims=(Claim("l", 100),)),
        ],
        NOW,
    )
    owners = [[facts.claimed_by for facts in answer.receivers] for answer in answers]
    assert owners == [[None], ["im/0/1"], ["im/0/1", None], ["im/0/3"]]


async def test_one_claim_for_all_receivers(store: StateStore) -> None:
    """A group's claim speaks for every receiver."""
    claim = (Claim("g", 100, 300),)
    await one(store, ask("im/0/1", ("bob", "eve"), claims=claim))
    answer = await one(store, ask("im/0/2", ("bob", "eve"), claims=claim))
    assert [facts.claimed_by for facts in answer.receivers] == ["im/0/1", "im/0/1"]


@pytest.mark.parametrize(
    ("at", "owned"),
    [
        (1299, "im/0/1"),
        (1300, None),
        (1301, None),
        (701, "im/0/1"),
        (700, None),
        (699, None),
        (1000, "im/0/1"),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_group_window_is_half_open(
    store: StateStore, at: int, owned: str | None, together: bool
) -> None:
    """Exactly 300 s from the first accept is new, before it as well as after; less is a duplicate."""
    questions = [
        ask("im/0/1", claims=(Claim("g", 1000, 300),)),
        ask("im/0/2", claims=(Claim("g", at, 300),)),
    ]
    batches = [questions] if together else [[questions[0]], [questions[1]]]
    answers = [answer for batch in batches for answer in await store.admit(batch, NOW)]
    assert answers[1].receivers[0].claimed_by == owned


async def test_duplicates_do_not_extend_the_window(store: StateStore) -> None:
    """The window is reckoned from the first accept; after it a new accept starts the next window."""
    times = [(1, 1000), (2, 1200), (3, 1299), (4, 1300), (5, 1450), (6, 1600)]
    owners = [await owner(store, f"im/0/{n}", Claim("g", at, 300)) for n, at in times]
    assert owners == [None, "im/0/1", "im/0/1", None, "im/0/4", None]


async def test_expired_claim_is_free(store: StateStore) -> None:
    """When a claim's time is over its key can be taken, whether or not it has been swept."""
    key = Claim("k", 100)
    await owner(store, "im/0/1", key)
    assert await owner(store, "im/0/2", key, NOW + CLAIM_TTL - 1) == "im/0/1"
    assert await owner(store, "im/0/2", key, NOW + CLAIM_TTL) is None
    assert await owner(store, "im/0/1", key, NOW + CLAIM_TTL) == "im/0/2"


async def test_event_id(store: StateStore) -> None:
    """Another record with the same EventId is told of the first one, and then claims no dedup key."""
    assert (await one(store, ask("im/0/1", event="e"))).redelivered_of is None
    assert (await one(store, ask("im/0/1", event="e"))).redelivered_of is None
    second = await one(store, ask("im/0/2", event="e", claims=(Claim("k", 100),)))
    assert second.redelivered_of == "im/0/1"
    assert second.receivers[0].claimed_by is None
    assert await owner(store, "im/0/3", Claim("k", 100)) is None


async def test_event_id_within_a_batch(store: StateStore) -> None:
    """Of two records of one batch with the same EventId the first owns it; a dedup key of that name is another thing."""
    answers = await store.admit(
        [ask("im/0/1", event="e"), ask("im/0/2", event="e"), ask("im/0/3", claims=(Claim("e", 100),))], NOW
    )
    assert [answer.redelivered_of for answer in answers] == [None, "im/0/1", None]
    assert answers[2].receivers[0].claimed_by is None


async def test_peek_claims_nothing(store: StateStore) -> None:
    """A look gives the answers that admit would give and leaves the keys free."""
    question = ask("im/0/1", event="e", claims=(Claim("k", 100),))
    [looked] = await store.peek([question], NOW)
    assert looked == Admission(settled=False, redelivered_of=None, receivers=(ReceiverFacts(),))
    other = await one(store, ask("im/0/2", event="e", claims=(Claim("k", 100),)))
    assert (other.redelivered_of, other.receivers[0].claimed_by) == (None, None)
    [looked] = await store.peek([ask("im/0/1", claims=(Claim("k", 100),))], NOW)
    assert looked.receivers[0].claimed_by == "im/0/2"


# --- recalls ------------------------------------------------------------------------------------------------


async def test_recall_before_and_after_its_message(store: StateStore) -> None:
    """A tombstone is seen by what comes after it, also by a later delivery of a record that was there first."""
    question = ask("im/0/1", tombstones=("m",), claims=(Claim("k", 100),))
    assert not (await one(store, question)).receivers[0].recalled
    await store.bury(["m", "n"], NOW)
    assert (await one(store, question)).receivers[0].recalled
    assert (await one(store, ask("im/0/2", tombstones=("n",)))).receivers[0].recalled
    assert not (await one(store, ask("im/0/3", tombstones=("o",)))).receivers[0].recalled


async def test_tombstones_one_each_or_one_for_all(store: StateStore) -> None:
    """Receivers of a batch have tombstones of their own, those of a group share one."""
    await store.bury(["m2"], NOW)
    each = await one(store, ask("im/0/1", ("bob", "eve"), tombstones=("m1", "m2")))
    assert [facts.recalled for facts in each.receivers] == [False, True]
    shared = await one(store, ask("im/0/2", ("bob", "eve"), tombstones=("m2",)))
    assert [facts.recalled for facts in shared.receivers] == [True, True]


async def test_redelivered_records_hear_of_recalls(store: StateStore) -> None:
    """Whoever owns the EventId, the tombstone is answered."""
    await store.bury(["m"], NOW)
    await one(store, ask("im/0/1", event="e"))
    answer = await one(store, ask("im/0/2", event="e", tombstones=("m",)))
    assert (answer.redelivered_of, answer.receivers[0].recalled) == ("im/0/1", True)


async def test_tombstones_last_seven_days(store: StateStore) -> None:
    """A tombstone holds as long as an offline message can live, and a second recall prolongs it."""
    await store.bury(["m"], NOW)
    question = ask(tombstones=("m",))
    assert (await one(store, question, NOW + TOMBSTONE_TTL - 1)).receivers[0].recalled
    assert not (await one(store, question, NOW + TOMBSTONE_TTL)).receivers[0].recalled
    await store.bury(["m"], NOW + 10)
    assert (await one(store, question, NOW + TOMBSTONE_TTL)).receivers[0].recalled


# --- done marks ---------------------------------------------------------------------------------------------


async def test_done_marks_of_a_part(store: StateStore) -> None:
    """What was settled of a record is answered to a later delivery of it, and to no other record."""
    await store.settle(
        [Settlement(source="im/0/1", done=(("bob", "d1"), ("bob", "d2"), ("eve", "")), complete=False)], NOW
    )
    answer = await one(store, ask("im/0/1", ("bob", "eve", "dan")))
    assert not answer.settled
    assert [facts.done for facts in answer.receivers] == [{"d1", "d2"}, {""}, frozenset()]
    other = await one(store, ask("im/0/11", ("bob",)))
    assert other.receivers[0].done == frozenset()


async def test_complete_record_is_settled(store: StateStore) -> None:
    """A record that is settled as a whole is told so, and takes no key that is free."""
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    answer = await one(store, ask("im/0/1", event="e", claims=(Claim("k", 100),)))
    assert answer.settled
    assert await owner(store, "im/0/2", Claim("k", 100)) is None
    assert not (await one(store, ask("im/0/10"))).settled


async def test_done_marks_expire(store: StateStore) -> None:
    """After its time a done mark does not count any more."""
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    assert (await one(store, ask("im/0/1"), NOW + DONE_TTL - 1)).settled
    assert not (await one(store, ask("im/0/1"), NOW + DONE_TTL)).settled


async def test_record_without_receivers(store: StateStore) -> None:
    """Nobody named: one answer with nobody's facts, with claim, tombstone and done mark all the same."""
    question = ask("im/0/1", (), claims=(Claim("k", 100),), tombstones=("m",))
    assert (await one(store, question)).receivers == (ReceiverFacts(),)
    await store.bury(["m"], NOW)
    answer = await one(store, replace(question, source="im/0/2"))
    assert answer.receivers == (ReceiverFacts(claimed_by="im/0/1", recalled=True),)
    await store.settle([Settlement(source="im/0/1", done=(("", ""),), complete=True)], NOW)
    assert (await one(store, question)).settled


@pytest.mark.parametrize(
    ("created", "believes"),
    [
        pytest.param(NOW - 100, True, id="older than the mark"),
        pytest.param(NOW + 60, True, id="a minute is the clocks'"),
        pytest.param(NOW + 60.001, False, id="newer than the mark"),
        pytest.param(NOW + 3600, False, id="made just now"),
        pytest.param(NOW + 3660, False, id="made just now, by a clock that is ahead"),
        pytest.param(NOW + 3660.001, True, id="dated into the future"),
        pytest.param(0, True, id="not known"),
        pytest.param(-0.001, True, id="a record without a timestamp"),
    ],
)
@pytest.mark.parametrize("to", [("bob",), ()], ids=["to somebody", "to nobody"])
async def test_a_mark_from_before_the_record_is_another_records(
    store: StateStore, created: float, believes: bool, to: tuple[str, ...]
) -> None:
    """A topic made anew uses coordinates again: a record that is newer than its coordinate's done mark is not settled by
    it, and claims; who cannot tell when it was made believes the mark."""
    await store.settle([Settlement(source="im/0/1", done=(("", ""),), complete=True)], NOW)
    question = ask("im/0/1", to, created=created, event="e", claims=(Claim("k", 100),))
    [looked] = await store.peek([question], NOW + 3600)
    answer = await one(store, question, NOW + 3600)
    assert (answer.settled, looked.settled) == (believes, believes)
    assert answer.receivers == (ReceiverFacts(),)
    expected = None if believes else "im/0/1"
    assert await owner(store, "im/0/2", Claim("k", 100), NOW + 3600) == expected


@pytest.mark.parametrize(("created", "believes"), [(NOW + 60, True), (NOW + 61, False), (0, True)])
async def test_marks_of_a_part_from_before_the_record_are_another_records(
    store: StateStore, created: float, believes: bool
) -> None:
    """The same of marks of a part: the new record's receivers are all open, until it has marks of its own."""
    await store.settle([Settlement(source="im/0/1", done=(("bob", "d1"), ("eve", "")), complete=False)], NOW)
    question = ask("im/0/1", ("bob", "eve"), created=created)
    answer = await one(store, question, NOW + 3600)
    assert [facts.done for facts in answer.receivers] == ([{"d1"}, {""}] if believes else [set(), set()])
    await store.settle([Settlement(source="im/0/1", done=(("bob", "d2"),), complete=False)], NOW + 3600)
    answer = await one(store, question, NOW + 3601)
    assert [facts.done for facts in answer.receivers] == (
        [{"d1", "d2"}, {""}] if believes else [{"d2"}, set()]
    )


async def test_a_new_record_at_a_used_coordinate_has_marks_of_its_own(store: StateStore) -> None:
    """In part and as a whole it is settled like any other, and the old record, should it come again, still is."""
    later = NOW + 3600
    old, new = ask("im/0/1", created=NOW), ask("im/0/1", created=later)
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    await store.settle([Settlement(source="im/0/1", done=(("bob", "d1"),), complete=False)], later)
    answer = await one(store, new, later)
    assert (answer.settled, answer.receivers[0].done) == (False, {"d1"})
    await store.settle([Settlement(source="im/0/1", done=(("bob", "d2"),), complete=False)], later + 1)
    answer = await one(store, new, later + 1)
    assert (answer.settled, answer.receivers[0].done) == (False, {"d1", "d2"})
    assert (await one(store, old, later + 1)).settled
    await store.settle([Settlement(source="im/0/1", complete=True)], later + 2)
    assert (await one(store, new, later + 2)).settled
    assert (await one(store, old, later + 2)).settled


async def test_two_records_of_one_coordinate_in_one_batch(store: StateStore) -> None:
    """A replay of the old record and the new one: each is judged by its own time, whichever stands first."""
    later = NOW + 3600
    await store.settle(
        [
            Settlement(source="im/0/1", complete=True),
            Settlement(source="im/0/2", done=(("bob", "d1"),), complete=False),
        ],
        NOW,
    )
    times = [("im/0/1", NOW), ("im/0/1", later), ("im/0/1", NOW), ("im/0/2", later), ("im/0/2", NOW)]
    answers = await store.admit([ask(source, created=created) for source, created in times], later)
    assert [answer.settled for answer in answers] == [True, False, True, False, False]
    assert [answer.receivers[0].done for answer in answers[3:]] == [set(), {"d1"}]


# --- users, devices, options --------------------------------------------------------------------------------


async def test_everything_of_a_user_comes_back(store: StateStore) -> None:
    """All that events told of a user is in the answer, next to receivers of whom nothing is known."""
    await store.apply(
        [
            put("bob", 100),
            put("bob", 110, "d2", "t2"),
            DeviceGround(app=0, user="bob", time_ms=120, device_id="d1", background=False),
            PushSwitch(app=0, user="bob", time_ms=130, enabled=False),
            GlobalOption(app=0, user="bob", time_ms=140, window=AlwaysWindow(), time_zone="Asia/Tokyo"),
            BadgeSet(app=0, user="bob", time_ms=150, unread=7),
            DeviceDelete(app=0, user="bob", time_ms=160, device_id="d9"),
        ]
    )
    nobody, bob = (await one(store, ask(to=("eve", "bob")))).receivers
    assert nobody == ReceiverFacts()
    user = bob.user
    assert (user.login, user.login_ms, user.online_ms, user.badge, user.badge_ms) == (
        Login.IN,
        110,
        120,
        7,
        150,
    )
    assert not user.push_enabled
    assert user.global_rule is not None
    assert (user.global_rule.window, user.global_rule.time_zone) == (AlwaysWindow(), "Asia/Tokyo")
    assert [(d.device_id, d.token, d.background) for d in user.devices] == [
        ("d2", "t2", True),
        ("d1", "t1", False),
    ]
    assert await store.user(0, "bob") == user
    assert await store.user(0, "eve") is None
    assert await store.user(1, "bob") is None


async def test_apps_are_apart(store: StateStore) -> None:
    """Users, tokens and options of one SdkAppId are unknown in another."""
    await store.apply(
        [put("bob", 100, app=1), C2COption(app=1, user="bob", time_ms=1, peer="alice", option=2)]
    )
    here = (await one(store, ask(peer="alice", app=1))).receivers[0]
    there = (await one(store, ask(peer="alice", app=2))).receivers[0]
    assert (len(here.user.devices), here.options) == (1, Options(c2c=2))
    assert (there.user, there.options) == (NOBODY, NO_OPTIONS)
    await store.apply([put("eve", 200, app=2)])
    assert not (await one(store, ask(app=1))).receivers[0].user.devices[0].lost


@pytest.mark.parametrize(("time_ms", "option"), [(99, 2), (100, 0), (101, 0)])
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_options_stale_equal_newer(
    store: StateStore, time_ms: int, option: int, together: bool
) -> None:
    """Of an option for a peer, a group or a topic the newest value holds, each for itself."""
    first = [
        C2COption(app=0, user="bob", time_ms=100, peer="alice", option=2),
        GroupOption(app=0, user="bob", time_ms=100, group_id="g", topic_id=None, option=2),
        GroupOption(app=0, user="bob", time_ms=100, group_id="g", topic_id="t", option=2),
    ]
    second = [replace(event, time_ms=time_ms, option=0) for event in first]
    for batch in [[*first, *second]] if together else [first, second]:
        await store.apply(batch)
    assert await store.options(0, "bob") == {"c2c:alice": option, "group:g": option, "group:g:t": option}


async def test_options_of_the_message(store: StateStore) -> None:
    """An answer has the options that matter to it: the sender's, or the group's and its topic's."""
    await store.apply(
        [
            C2COption(app=0, user="bob", time_ms=1, peer="alice", option=1),
            GroupOption(app=0, user="bob", time_ms=1, group_id="g", topic_id=None, option=3),
            GroupOption(app=0, user="bob", time_ms=1, group_id="g", topic_id="t", option=4),
            GroupOption(app=0, user="eve", time_ms=1, group_id="g", topic_id=None, option=0),
        ]
    )
    questions = [
        ask("im/0/1", ("bob", "eve"), peer="alice"),
        ask("im/0/2", ("bob", "eve"), peer="alice", group="g"),
        ask("im/0/3", ("bob", "eve"), peer="alice", group="g", topic="t"),
        ask("im/0/4", ("bob", "eve"), peer="alice", group="g", topic="other"),
        ask("im/0/5", ("bob", "eve"), peer="carol"),
    ]
    found = [[facts.options for facts in answer.receivers] for answer in await store.admit(questions, NOW)]
    assert found == [
        [Options(c2c=1), NO_OPTIONS],
        [Options(group=3), Options(group=0)],
        [Options(group=3, topic=4), Options(group=0)],
        [Options(group=3), Options(group=0)],
        [NO_OPTIONS, NO_OPTIONS],
    ]


@pytest.mark.parametrize("odd", ["b c", "b\x1fc", "b\x00c", "b\x1ac", "ü\U0001f600", '"b', "1 b", "'; --"])
async def test_odd_names_are_names(store: StateStore, odd: str) -> None:
    """Whatever characters an id holds, it is stored, found and kept apart from its parts."""
    await store.apply(
        [
            put(odd, 100, odd, odd),
            C2COption(app=0, user=odd, time_ms=1, peer=odd, option=1),
            GroupOption(app=0, user=odd, time_ms=1, group_id=odd, topic_id=odd, option=2),
        ]
    )
    await store.bury([odd], NOW)
    question = ask("im/0/1", ("b", odd), claims=(Claim(odd, 1),), event=odd, tombstones=("b", odd), peer=odd)
    short, whole = (await one(store, question)).receivers
    assert short == ReceiverFacts()
    assert (whole.user.devices[0].token, whole.options, whole.recalled) == (odd, Options(c2c=1), True)
    assert await owner(store, "im/0/2", Claim(odd, 1)) == "im/0/1"
    assert await owner(store, "im/0/3", Claim(odd[:1], 1)) is None
    await store.settle([Settlement(source="im/0/1", done=((odd, odd),), complete=False)], NOW)
    assert [f.done for f in (await one(store, question)).receivers] == [frozenset(), {odd}]


async def test_nothing_to_do(store: StateStore) -> None:
    """Empty batches are answered with nothing."""
    await store.apply([])
    await store.bury([], NOW)
    await store.settle([], NOW)
    assert await store.admit([], NOW) == []
    assert await store.peek([], NOW) == []
    assert await store.mark_dead([]) == []


# --- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
@pytest.mark.parametrize("newer_first", [True, False])
async def test_a_token_moves_to_the_newest_put(store: StateStore, together: bool, newer_first: bool) -> None:
    """Whatever the order of arrival, the newer Put's device has the token and the older owner has lost it."""
    events = [put("old", 100), put("new", 200)]
    if newer_first:
        events.reverse()
    for batch in [events] if together else [[event] for event in events]:
        await store.apply(batch)
    assert await devices(store, "old") == {"d1": True}
    assert await devices(store, "new") == {"d1": False}


async def test_a_token_moves_back(store: StateStore) -> None:
    """A newer Put of the former owner takes the token back; a replay of its old one does not."""
    await store.apply([put("bob", 100), put("eve", 200), put("bob", 100)])
    assert (await devices(store, "bob"), await devices(store, "eve")) == ({"d1": True}, {"d1": False})
    await store.apply([put("bob", 300)])
    assert (await devices(store, "bob"), await devices(store, "eve")) == ({"d1": False}, {"d1": True})


async def test_a_token_moves_between_devices_of_one_user(store: StateStore) -> None:
    """A reinstalled app has a new device id and the old token: the old device loses it."""
    await store.apply([put("bob", 100, "before"), put("bob", 200, "after")])
    assert await devices(store, "bob") == {"after": False, "before": True}


async def test_another_token_is_no_loss(store: StateStore) -> None:
    """Who reported another token since then loses nothing, nor does the same text under another certificate."""
    await store.apply([put("bob", 100, token="t1"), put("bob", 150, token="t2"), put("eve", 200, token="t1")])
    assert (await devices(store, "bob"), await devices(store, "eve")) == ({"d1": False}, {"d1": False})
    await store.apply([replace(put("dan", 300, token="t1"), business_id=7)])
    assert await devices(store, "eve") == {"d1": False}


async def test_a_late_put_cannot_take_what_was_given_up_later(store: StateStore) -> None:
    """The Put that was the newest for a token counts, also when its device has left or was never bound."""
    await store.apply([put("bob", 200), UserLogout(app=0, user="bob", time_ms=300), put("eve", 100)])
    assert await devices(store, "eve") == {"d1": True}
    await store.apply([put("eve", 250)])
    assert await devices(store, "eve") == {"d1": False}
    await store.apply([UserLogout(app=0, user="dan", time_ms=500), put("dan", 400)])
    assert (await devices(store, "dan"), await devices(store, "eve")) == ({}, {"d1": True})


async def test_empty_tokens_do_not_move(store: StateStore) -> None:
    """A blank token belongs to nobody: many devices can have it."""
    await store.apply([put("bob", 100, token=""), put("eve", 200, token="")])
    assert (await devices(store, "bob"), await devices(store, "eve")) == ({"d1": False}, {"d1": False})


def dead(user: str = "bob", **changes: object) -> DeadToken:
    fields: dict[str, object] = {
        "app": 0,
        "user": user,
        "device_id": "d1",
        "token": "t1",
        "sent_ms": 500,
        "dead_since_ms": None,
    }
    return DeadToken(**(fields | changes))  # type: ignore[arg-type]  # a table of single changes


async def test_mark_dead(store: StateStore) -> None:
    """Each token gets its action; a removed one stays marked until a newer Put, a kept one stays as it was."""
    await store.apply([put("bob", 100), put("eve", 600, token="t2")])
    actions = await store.mark_dead(
        [dead(), dead("eve", token="t2"), dead("nobody"), dead(device_id="d2"), dead(dead_since_ms=50)]
    )
    assert actions == [
        "token_removed",
        "token_kept_newer",
        "token_kept_newer",
        "token_kept_newer",
        "token_kept_newer",
    ]
    bob, eve = await store.user(0, "bob"), await store.user(0, "eve")
    assert bob is not None
    assert eve is not None
    assert (bob.devices[0].dead_ms, eve.devices[0].dead_ms) == (500, None)
    await store.apply([put("bob", 100)])
    assert (await one(store, ask())).receivers[0].user.devices[0].dead_ms == 500
    await store.apply([put("bob", 700)])
    assert (await one(store, ask())).receivers[0].user.devices[0].dead_ms is None


async def test_two_dead_devices_of_one_user(store: StateStore) -> None:
    """Marks of one batch for one user do not undo each other."""
    await store.apply([put("bob", 100, "d1", "t1"), put("bob", 100, "d2", "t2")])
    await store.mark_dead([dead(), dead(device_id="d2", token="t2")])
    bob = await store.user(0, "bob")
    assert bob is not None
    assert [d.dead_ms for d in bob.devices] == [500, 500]


# --- badges -------------------------------------------------------------------------------------------------


async def badge(store: StateStore, user: str = "bob") -> int:
    return (await one(store, ask(to=(user,)))).receivers[0].user.badge


async def test_pushes_raise_the_badge(store: StateStore) -> None:
    """Each push adds one, the publisher's number sets, and both count in the order of the settlements."""
    await store.apply([put("bob", 100), put("eve", 100, token="t2")])
    plus, to = Raise(app=0, user="bob"), Raise(app=0, user="bob", to=40)
    offsets = count()

    async def settle(*raises: Raise) -> int:
        batch = [Settlement(source=f"im/0/{next(offsets)}", complete=True, raises=(r,)) for r in raises]
        await store.settle(batch, NOW)
        return await badge(store)

    assert await settle(plus) == 1
    assert await settle(plus, plus) == 3
    assert await settle(plus, to) == 40
    assert await settle(to, plus, plus) == 42
    assert await badge(store, "eve") == 0
    bob = await store.user(0, "bob")
    assert bob is not None
    assert bob.badge == 42


async def test_badge_base_after_pushes(store: StateStore) -> None:
    """A Badge.Set counts by its EventTime against other Badge.Sets; pushes in between do not make it stale."""
    await store.apply([put("bob", 100), BadgeSet(app=0, user="bob", time_ms=200, unread=5)])
    await store.settle([Settlement(source="im/0/1", complete=True, raises=(Raise(app=0, user="bob"),))], NOW)
    assert await badge(store) == 6
    await store.apply([BadgeSet(app=0, user="bob", time_ms=199, unread=1)])
    assert await badge(store) == 6
    await store.apply([put("bob", 300)])
    assert await badge(store) == 6
    await store.apply([BadgeSet(app=0, user="bob", time_ms=200, unread=0)])
    assert await badge(store) == 0


# --- life ---------------------------------------------------------------------------------------------------


async def test_restart_keeps_everything(opener: Open) -> None:
    """What was answered before a restart is answered after it."""
    store = await opener()
    await store.apply(
        [
            put("bob", 100),
            C2COption(app=0, user="bob", time_ms=1, peer="alice", option=2),
            BadgeSet(app=0, user="bob", time_ms=1, unread=3),
        ]
    )
    await store.bury(["m"], NOW)
    await one(store, ask("im/0/1", claims=(Claim("k", 100),), event="e"))
    await store.settle(
        [
            Settlement(
                source="im/0/5", done=(("bob", "d1"),), complete=False, raises=(Raise(app=0, user="bob"),)
            ),
            Settlement(source="im/0/6", complete=True),
        ],
        NOW,
    )
    questions = [
        ask("im/0/2", claims=(Claim("k", 100),), tombstones=("m",), peer="alice"),
        ask("im/0/3", event="e"),
        ask("im/0/5"),
        ask("im/0/6"),
    ]
    before = await store.peek(questions, NOW)
    await store.close()
    store = await opener()
    after = await store.peek(questions, NOW)
    await store.apply([put("eve", 50)])
    eve = await store.user(0, "eve")
    await store.close()
    assert after == before
    assert before[0].receivers[0].user.badge == 4
    assert eve is not None
    assert eve.devices[0].lost


async def test_devices_are_counted_by_credential(store: StateStore) -> None:
    """Of every app; one that was given up, or whose token moved to another device, counts once or no more."""
    assert await store.devices_of(1) == 0
    first = put("bob", 1)
    await store.apply(
        [
            first,
            put("carol", 1, token="t2", app=7),
            put("dave", 1, token="t3"),
            replace(put("erin", 1, token="1 t4"), business_id=first.business_id + 1),
            replace(put("frank", 1, token=f"x {first.business_id} y"), business_id=77),
        ]
    )
    assert await store.devices_of(first.business_id) == 3
    assert await store.devices_of(first.business_id + 1) == 1
    await store.apply([DeviceDelete(app=0, user="dave", time_ms=2, device_id="d1")])
    assert await store.devices_of(first.business_id) == 2
    await store.apply([put("grace", 3)])  # the same token as bob's
    assert await store.devices_of(first.business_id) == 2


async def test_expire_spares_what_is_not_due(store: StateStore) -> None:
    """What is not yet due holds after a sweep, users and options for ever."""
    await store.apply([put("bob", 100), C2COption(app=0, user="bob", time_ms=1, peer="alice", option=2)])
    await one(store, ask("im/0/1", claims=(Claim("k", 100),), event="e"))
    await store.settle([Settlement(source="im/0/1", complete=True)], NOW)
    await store.bury(["m"], NOW)
    await store.expire(NOW + DONE_TTL - 1)
    assert (await one(store, ask("im/0/1"), NOW + DONE_TTL - 1)).settled
    assert await owner(store, "im/0/2", Claim("k", 100), NOW + DONE_TTL - 1) == "im/0/1"
    await store.expire(NOW + CLAIM_TTL)
    assert (await one(store, ask("im/0/3", tombstones=("m",)), NOW + CLAIM_TTL)).receivers[0].recalled
    await store.expire(NOW + 10 * TOMBSTONE_TTL)
    assert len(await devices(store, "bob")) == 1
    assert await store.options(0, "bob") == {"c2c:alice": 2}


async def test_claims_held_are_those_taken(store: StateStore) -> None:
    """Each key counts once, an EventId as a claim of its own. A cluster does not say: None."""
    if await store.claims_held() is None:
        return
    assert await store.claims_held() == 0
    await one(store, ask("im/0/1", claims=(Claim("k", 100),), event="e"))
    await owner(store, "im/0/2", Claim("k", 101))
    await owner(store, "im/0/3", Claim("other", 101))
    assert await store.claims_held() == 3


async def test_a_cancelled_caller_leaves_whole_state(store: StateStore) -> None:
    """Who is cancelled while the store works leaves all of the batch behind, or nothing; the store goes on."""
    batch = [ask(f"im/0/{n}", claims=(Claim(f"k{n}", 100),)) for n in range(300)]
    task = asyncio.create_task(store.admit(batch, NOW))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    others = await store.peek([replace(question, source="im/1/1") for question in batch], NOW)
    owners = {answer.receivers[0].claimed_by is None for answer in others}
    assert len(owners) == 1


async def test_callers_at_once(store: StateStore) -> None:
    """Of many callers at once with one key exactly one gets it."""
    answers = await asyncio.gather(
        *[one(store, ask(f"im/0/{n}", claims=(Claim("k", 1),))) for n in range(20)]
    )
    owners = [answer.receivers[0].claimed_by for answer in answers]
    assert owners.count(None) == 1


async def test_closed(opener: Open) -> None:
    """A closed store says that it is closed; closing it twice is fine."""
    store = await opener()
    await store.close()
    await store.close()
    with pytest.raises(StateUnavailable, match="closed"):
        await store.admit([ask()], NOW)


# --- the last good push of each credential ------------------------------------------------------------------


async def test_the_newest_good_push_of_each_credential_is_known(store: StateStore, opener: Open) -> None:
    """A newer time replaces, an older one (of a slower worker, say) does not; fractions stay; nothing noted is nothing."""
    assert await store.good_pushes() == {}
    await store.note_good_pushes({})
    await store.note_good_pushes({6666: NOW + 0.25, 7: NOW})
    await store.note_good_pushes({6666: NOW - 5, 7: NOW + 9, 8: 1.5})
    assert await store.good_pushes() == {6666: NOW + 0.25, 7: NOW + 9, 8: 1.5}
    await store.expire(NOW + 400 * 86_400)
    assert await store.good_pushes() == {6666: NOW + 0.25, 7: NOW + 9, 8: 1.5}


async def test_the_command_line_reads_good_pushes_beside_a_gateway(
    request: pytest.FixtureRequest, store: StateStore
) -> None:
    """Who only reads sees what the open store has noted."""
    await store.note_good_pushes({6666: NOW})
    name = request.node.callspec.params["opener"]
    reader = await open_store(StateSettings(url=FACTORIES[name](request)), read_only=True)
    assert await reader.good_pushes() == {6666: NOW}
    await reader.close()
