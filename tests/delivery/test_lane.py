"""A lane keeps order per receiver, repeats what is temporary, and never holds up another lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pushgw.credentials import CredentialEntry
from pushgw.delivery.ending import End
from pushgw.delivery.lane import AT_ONCE
from pushgw.vendor.http import TransportError

Make = Callable[..., Any]


async def test_an_accepted_push_ends_as_pushed(desk: Any, entry: Make, ship: Make) -> None:
    """One request, one ending, with the attempt and the vendor's words."""
    desk.offer(ship(entry(), "bob"))
    desk.vendors[1].answer("accepted")
    assert desk.ends == [("bob", End.PUSHED)]
    assert desk.endings[0].attempt == 1


async def test_a_receivers_pushes_keep_their_order(desk: Any, entry: Make, ship: Make) -> None:
    """The second push to a receiver is not sent before the first has ended; another receiver's is."""
    e = entry()
    desk.offer(ship(e, "bob", body="1"), ship(e, "bob", body="2"), ship(e, "carol", body="3"))
    assert desk.vendors[1].bodies == ["1", "3"]
    desk.vendors[1].answer("accepted")
    assert desk.vendors[1].bodies == ["3", "2"]


async def test_order_is_kept_over_a_repeat(desk: Any, entry: Make, ship: Make) -> None:
    """While the first push waits for its repeat, the second one waits too."""
    e = entry()
    desk.offer(ship(e, "bob", body="1"), ship(e, "bob", body="2"))
    desk.vendors[1].answer("retry")
    await desk.vendors[1].until(1)
    assert desk.vendors[1].bodies == ["1"]
    desk.vendors[1].answer("accepted")
    assert desk.vendors[1].bodies == ["2"]


async def test_a_failing_vendor_delays_nobody_else(desk: Any, entry: Make, ship: Make) -> None:
    """Invariant 6: a lane that hangs with its in-flight limit used up leaves another credential's pushes alone."""
    slow, quick = entry(1), entry(2)
    desk.offer(*(ship(slow, f"u{n}") for n in range(300)))
    desk.offer(ship(quick, "bob"))
    desk.vendors[2].answer("accepted")
    assert desk.ends == [("bob", End.PUSHED)]
    assert 0 < len(desk.vendors[1].waiting) <= desk.settings.in_flight


async def test_a_lane_that_hangs_does_not_stop_intake(make_desk: Make, entry: Make, ship: Make) -> None:
    """A full lane that moves holds back new records; one that has not been answered for a second does not."""
    desk = make_desk(in_flight=2)
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(10)))
    assert desk.dispatcher.busy
    desk.now += 2
    assert not desk.dispatcher.busy
    await desk.dispatcher.close()


async def test_a_slow_lane_is_bounded_and_leaves_the_others_their_room(
    make_desk: Make, entry: Make, ship: Make
) -> None:
    """A lane holds no more than the backlog; what is beyond is deferred to the retry topics, not kept in memory."""
    desk = make_desk(backlog=10, in_flight=4)
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(20)))
    assert [end for _, end in desk.ends] == [End.DEFERRED] * 10
    assert desk.dispatcher.open == 10
    desk.offer(ship(entry(2), "bob"))
    assert desk.dispatcher.open == 11
    await desk.dispatcher.close()


async def test_a_lane_that_hangs_holds_half(make_desk: Make, entry: Make, ship: Make) -> None:
    """What comes while the vendor answers nothing goes to the retry topics before it fills the memory; once it answers
    there is all the room again."""
    desk = make_desk(backlog=10, in_flight=4)
    e = entry()
    desk.offer(*(ship(e, f"u{n}") for n in range(4)))
    desk.now += 2
    desk.offer(*(ship(e, f"v{n}") for n in range(4)))
    assert desk.dispatcher.open == 5
    assert {(x.end, x.detail) for x in desk.endings} == {
        (End.DEFERRED, "table does not answer and its lane is full")
    }
    desk.vendors[1].answer("accepted")
    desk.offer(*(ship(e, f"w{n}") for n in range(8)))
    assert desk.dispatcher.open == 10
    await desk.dispatcher.close()


async def test_thousands_of_answers_leave_the_others_their_turn(
    make_desk: Make, entry: Make, ship: Make
) -> None:
    """When all requests of a vendor time out in the same moment another one's answer is dealt with in between."""
    desk = make_desk(in_flight=1000, retries=0)
    slow, quick = entry(1), entry(2)
    desk.offer(ship(slow, "u0"), ship(quick, "bob"))
    desk.dispatcher.lanes[1].health.limit = 1000
    desk.offer(*(ship(slow, f"u{n}") for n in range(1, 600)))
    assert len(desk.vendors[1].waiting) == 600
    asyncio.get_running_loop().call_soon(desk.vendors[2].answer, "accepted")
    desk.vendors[1].answer_all(TransportError("no answer"))
    async with asyncio.timeout(5):
        while len(desk.endings) < 601:
            await asyncio.sleep(0)
    before = [user for user, _ in desk.ends].index("bob")
    assert 0 < before <= AT_ONCE
    assert {end for user, end in desk.ends if user != "bob"} == {End.DEFERRED}
    assert desk.dispatcher.open == 0
    await desk.dispatcher.close()


async def test_thousands_that_wait_for_a_broken_vendor_leave_the_others_their_turn(
    make_desk: Make, entry: Make, ship: Make
) -> None:
    """When a credential turns out to be of no use all that waits ends, in pieces."""
    desk = make_desk(in_flight=1)
    desk.offer(*(ship(entry(1), f"u{n}") for n in range(600)))
    desk.offer(ship(entry(2), "bob"))
    asyncio.get_running_loop().call_soon(desk.vendors[2].answer, "accepted")
    desk.vendors[1].answer("config")
    async with asyncio.timeout(5):
        while len(desk.endings) < 601:
            await asyncio.sleep(0)
    assert [user for user, _ in desk.ends].index("bob") <= AT_ONCE + 1
    assert [end for _, end in desk.ends].count(End.UNUSABLE) == 599
    await desk.dispatcher.close()


async def test_a_temporary_failure_is_repeated_three_times_then_deferred(
    desk: Any, entry: Make, ship: Make
) -> None:
    """Attempts one to four are made with the same ids; then the push goes to the retry topics with the vendor's last words."""
    desk.offer(ship(entry(), "bob"))
    ids = set()
    for _ in range(4):
        await desk.vendors[1].until(1)
        ids.add(desk.vendors[1].waiting[0][0].parcels[0].target.vendor_id)
        desk.vendors[1].answer("retry")
    assert ids == {"Vbob"}
    assert desk.ends == [("bob", End.DEFERRED)]
    assert desk.endings[0].attempt == 4
    assert desk.endings[0].detail == "said retry"


async def test_no_answer_is_temporary(desk: Any, entry: Make, ship: Make) -> None:
    """A request without an answer is repeated."""
    desk.offer(ship(entry(), "bob"))
    desk.vendors[1].answer(TransportError("no answer within 10 s"))
    await desk.vendors[1].until(1)
    desk.vendors[1].answer("accepted")
    assert desk.ends == [("bob", End.PUSHED)]
    assert desk.endings[0].attempt == 2


async def test_nothing_is_repeated_beyond_the_lifetime(desk: Any, entry: Make, ship: Make) -> None:
    """A message whose lifetime ends before the repeat could be sent is expired, not repeated."""
    desk.offer(ship(entry(), "bob", expires_in=1))
    desk.now += 1
    desk.vendors[1].answer("retry")
    assert desk.ends == [("bob", End.EXPIRED)]


async def test_what_expires_while_it_waits_is_not_sent(desk: Any, entry: Make, ship: Make) -> None:
    """A push behind another of its receiver that outlives its own lifetime is expired unsent."""
    e = entry()
    desk.offer(ship(e, "bob", body="1"), ship(e, "bob", body="2", expires_in=5))
    desk.now += 10
    desk.vendors[1].answer("accepted")
    assert sorted(desk.ends) == [("bob", End.EXPIRED), ("bob", End.PUSHED)]
    assert not desk.vendors[1].waiting


async def test_a_refused_token_is_renewed_once(desk: Any, entry: Make, ship: Make) -> None:
    """On `auth` the push goes out once more with a new authorization; a second refusal makes the credential unusable."""
    e: CredentialEntry = entry()
    desk.offer(ship(e, "bob"))
    first = dict(desk.vendors[1].answer("auth").headers)["x-auth"]
    second = dict(desk.vendors[1].answer("auth").headers)["x-auth"]
    assert (first, second) == ("token-1", "token-2")
    assert desk.ends == [("bob", End.CREDENTIAL)]
    assert e.problem


async def test_a_refused_credential_stops_its_lane_only(desk: Any, entry: Make, ship: Make) -> None:
    """After `config` this push has failed, what waits is C4 unsent, and other credentials go on."""
    e = entry(1)
    desk.offer(ship(e, "bob", body="1"), ship(e, "bob", body="2"))
    desk.vendors[1].answer("config")
    assert sorted(desk.ends) == [("bob", End.CREDENTIAL), ("bob", End.UNUSABLE)]
    assert "said config" in (e.problem or "")
    desk.offer(ship(entry(2), "carol"))
    desk.vendors[2].answer("accepted")
    assert desk.ends[-1] == ("carol", End.PUSHED)


async def test_a_probe_opens_the_lane_again(desk: Any, entry: Make, ship: Make) -> None:
    """After the pause one push at a time may try; its success opens the lane."""
    e = entry()
    desk.offer(ship(e, "bob"))
    desk.vendors[1].answer("config")
    lane = desk.dispatcher.lanes[1]
    lane.health.probe()
    desk.offer(ship(e, "carol"), ship(e, "dave"))
    assert len(desk.vendors[1].waiting) == 1
    desk.vendors[1].answer("accepted")
    assert len(desk.vendors[1].waiting) == 1
    assert e.problem is None


async def test_each_token_of_a_batch_has_its_own_ending(desk: Any, entry: Make, ship: Make) -> None:
    """Accepted and dead tokens end; only the temporary failures of a batch are repeated."""
    desk.offer(ship(entry(), "a", "b", "c"))
    desk.vendors[1].answer("accepted,retry,invalid_token")
    assert desk.ends == [("a", End.PUSHED), ("c", End.DEAD)]
    await desk.vendors[1].until(1)
    assert dict(desk.vendors[1].waiting[0][1].headers)["x-users"] == "b"
    desk.vendors[1].answer("accepted")
    assert desk.ends[-1] == ("b", End.PUSHED)


async def test_followers_of_a_batch_wait_for_all_of_it(desk: Any, entry: Make, ship: Make) -> None:
    """A push to one receiver of a batch starts when the batch has ended."""
    e = entry()
    desk.offer(ship(e, "a", "b", body="1"), ship(e, "b", body="2"))
    assert desk.vendors[1].bodies == ["1"]
    desk.vendors[1].answer("accepted,accepted")
    assert desk.vendors[1].bodies == ["2"]


@pytest.mark.parametrize("lasts", [10.0, None])
async def test_what_waits_when_the_certificate_ends_is_not_sent(
    make_desk: Any, entry: Make, ship: Make, lasts: float | None
) -> None:
    """Also before anybody has looked at the dates: what waits in the lane, for room or for its repeat, is C4."""
    desk, one = make_desk(in_flight=1), entry(1)
    one.expires_at = None if lasts is None else desk.now + lasts
    desk.offer(ship(one, "bob"), ship(one, "carol", body="second"))
    assert desk.vendors[1].submitted == 1
    desk.now += 10.0
    desk.vendors[1].answer("accepted")
    if lasts is None:
        assert desk.vendors[1].submitted == 2
    else:
        assert desk.vendors[1].submitted == 1
        assert desk.ends == [("bob", End.PUSHED), ("carol", End.UNUSABLE)]
        assert "expired on" in desk.endings[1].detail
    await desk.dispatcher.close()


async def test_what_cannot_be_rendered_is_refused_unsent(desk: Any, entry: Make, ship: Make) -> None:
    """C6: the adapter's sentence with the sizes is the detail, and the receiver's next push goes on."""
    e = entry()
    desk.offer(ship(e, "bob", body="unfit"), ship(e, "bob", body="2"))
    assert desk.ends == [("bob", End.REFUSED)]
    assert "5000 bytes" in desk.endings[0].detail
    assert desk.vendors[1].bodies == ["2"]


async def test_what_was_withdrawn_while_it_waited_is_not_sent(desk: Any, entry: Make, ship: Make) -> None:
    """A cancelled shipment ends as recalled without a request."""
    e = entry()
    second = ship(e, "bob", body="2")
    desk.offer(ship(e, "bob", body="1"), second)
    second.cancelled = second.parcels[0].withdrawn = True
    desk.vendors[1].answer("accepted")
    assert set(desk.ends) == {("bob", End.PUSHED), ("bob", End.RECALLED)}
    assert not desk.vendors[1].waiting


async def test_a_recall_takes_only_its_receiver_out_of_a_batch(desk: Any, entry: Make, ship: Make) -> None:
    """The others of the batch are sent as they were."""
    e = entry()
    batch = ship(e, "a", "b", body="2")
    desk.offer(ship(e, "a", body="1"), batch)
    batch.cancelled = batch.parcels[0].withdrawn = True
    desk.vendors[1].answer("accepted")
    assert sorted(desk.ends) == [("a", End.PUSHED), ("a", End.RECALLED)]
    assert dict(desk.vendors[1].waiting[0][1].headers)["x-users"] == "b"


async def test_throttling_slows_its_own_lane_only(desk: Any, entry: Make, ship: Make) -> None:
    """After `retry_after` nothing more is sent in that lane until the pause is over; another lane goes on at once."""
    e = entry(1)
    desk.offer(ship(e, "bob"))
    desk.vendors[1].answer("retry_after")
    desk.offer(ship(e, "carol"), ship(entry(2), "dave"))
    assert desk.vendors[1].waiting == []
    desk.vendors[2].answer("accepted")
    assert desk.ends == [("dave", End.PUSHED)]
    desk.dispatcher.lanes[1].health.end_pause()
    assert "carol" in {dict(r.headers)["x-users"] for _, r in desk.vendors[1].waiting}


async def test_unknown_bad_and_quota_are_never_repeated(desk: Any, entry: Make, ship: Make) -> None:
    """Codes that ask for no repeat end at once, and touch neither token nor credential."""
    e = entry()
    for number, word in enumerate(("unknown", "bad_message", "quota")):
        desk.offer(ship(e, f"u{number}"))
        desk.vendors[1].answer(word)
    await asyncio.sleep(0)
    assert [end for _, end in desk.ends] == [End.GIVEN_UP] * 3
    assert not desk.vendors[1].waiting
    assert e.problem is None


async def test_a_defect_of_an_adapter_costs_its_own_push(desk: Any, entry: Make, ship: Make) -> None:
    """An answer that the adapter stumbles over, too many outcomes, or a render that raises: each ends that push with a traceback id, and the lane goes on."""
    e = entry()
    for words in ("no such action", "accepted,accepted"):
        desk.offer(ship(e, "bob"))
        desk.vendors[1].answer(words)
        assert desk.ends.pop() == ("bob", End.GIVEN_UP)
        assert "traceback id" in desk.endings.pop().detail
    broken = ship(e, "bob")
    broken.parcels[0].target = None
    desk.offer(broken, ship(e, "carol"))
    assert "traceback id" in desk.endings[-1].detail
    desk.vendors[1].answer("accepted")
    assert desk.ends[-1] == ("carol", End.PUSHED)


async def test_a_closed_lane_ends_nothing(desk: Any, entry: Make, ship: Make) -> None:
    """What is abandoned at the end has no ending: its record is delivered again."""
    desk.offer(ship(entry(), "bob"))
    await desk.dispatcher.close()
    assert desk.endings == []


async def test_a_superseded_lane_drains_while_the_new_one_takes_over(
    desk: Any, entry: Make, ship: Make
) -> None:
    """What the old lane has is finished by it; the next push goes over a lane of the new credential; then the old one closes."""
    desk.offer(ship(entry(1), "bob"))
    old = desk.vendors.pop(1)
    desk.dispatcher.supersede([1])
    desk.offer(ship(entry(1), "carol"))
    assert (len(old.waiting), len(desk.vendors[1].waiting)) == (1, 1)
    assert desk.dispatcher.open == 2
    desk.vendors[1].answer("accepted")
    old.answer("accepted")
    assert desk.ends == [("carol", End.PUSHED), ("bob", End.PUSHED)]
    assert desk.dispatcher.open == 0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert old.closed


async def test_what_a_withdrawn_credential_cannot_send_any_more_is_deferred(
    desk: Any, entry: Make, ship: Make
) -> None:
    """The old key was revoked while pushes were under way: they go to the retry topics, where the new key sends them."""
    desk.offer(ship(entry(1), "bob", body="1"), ship(entry(1), "bob", body="2"))
    old = desk.vendors.pop(1)
    desk.dispatcher.supersede([1])
    old.answer("config")
    assert desk.ends == [("bob", End.DEFERRED), ("bob", End.DEFERRED)]


async def test_an_idle_lane_makes_way_at_once(desk: Any, entry: Make, ship: Make) -> None:
    """Nothing open: it closes; an id without a lane is no matter."""
    desk.offer(ship(entry(1), "bob"))
    old = desk.vendors[1]
    old.answer("accepted")
    desk.dispatcher.supersede([1, 2])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert old.closed
