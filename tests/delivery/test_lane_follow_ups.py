"""A push of several calls travels through its lane as one shipment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushgw.credentials import CredentialEntry
from pushgw.delivery.ending import End
from pushgw.delivery.shipment import Shipment
from pushgw.vendor.adapter import Account
from pushgw.vendor.http import Request, Response
from pushgw.vendor.push import MOST_FOLLOW_UPS, FollowUp, Outcome, Push

from .conftest import TableAdapter

Make = Callable[..., Any]


class InSteps(TableAdapter):
    """``next <stage>`` asks for another call; anything else is as of a table."""

    def render(self, push: Push, account: Account, auth: Any) -> Request:
        request = super().render(push, account, auth)
        stage = "" if push.stage is None else str(push.stage)
        return Request(url=request.url, headers=(*request.headers, ("x-stage", stage)))

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:  # type: ignore[override]  # the table gives lists only
        said = response.body.decode()
        return (
            FollowUp(stage=said[5:])
            if said.startswith("next ")
            else super().interpret(push, account, response)
        )


@pytest.fixture
def stepped(entry: Make) -> CredentialEntry:
    made: CredentialEntry = entry()
    made.adapter = InSteps()
    return made


def stages(desk: Any) -> list[tuple[str, str]]:
    """(body, stage) of what waits for an answer."""
    headers = [dict(request.headers) for _, request in desk.vendors[1].waiting]
    return [(h["x-body"], h["x-stage"]) for h in headers]


async def test_the_next_call_goes_out_and_decides(desk: Any, stepped: CredentialEntry, ship: Make) -> None:
    """One shipment, two requests, an ending for each token; the first answer ends nothing."""
    desk.offer(ship(stepped, "bob", "carol"))
    desk.vendors[1].answer("next T1")
    assert (desk.ends, stages(desk)) == ([], [("hi", "T1")])
    desk.vendors[1].answer("accepted,invalid_token")
    assert desk.ends == [("bob", End.PUSHED), ("carol", End.DEAD)]
    assert [e.attempt for e in desk.endings] == [1, 1]


async def test_a_repeat_stays_at_its_stage(desk: Any, stepped: CredentialEntry, ship: Make) -> None:
    """What the first call brought is not asked for twice, whether the second failed or its token was refused."""
    desk.offer(ship(stepped, "bob", "carol"))
    desk.vendors[1].answer("next T1")
    desk.vendors[1].answer("retry,retry")
    await desk.vendors[1].until(1)
    assert stages(desk) == [("hi", "T1")]
    refused = desk.vendors[1].answer("auth,auth")
    assert stages(desk) == [("hi", "T1")]
    repeated = desk.vendors[1].answer("accepted,accepted")
    assert dict(refused.headers)["x-auth"] != dict(repeated.headers)["x-auth"]
    assert desk.ends == [("bob", End.PUSHED), ("carol", End.PUSHED)]


async def test_a_follow_up_counts_within_the_in_flight_limit_and_goes_before_what_waits(
    make_desk: Make, stepped: CredentialEntry, ship: Make
) -> None:
    """With one request at a time the follow-up is that one; the next shipment comes after it."""
    desk = make_desk(in_flight=1)
    desk.offer(ship(stepped, "bob", body="1"), ship(stepped, "carol", body="2"))
    desk.vendors[1].answer("next T1")
    assert stages(desk) == [("1", "T1")]
    desk.vendors[1].answer("accepted")
    assert stages(desk) == [("2", "")]
    await desk.dispatcher.close()


async def test_a_devices_order_holds_over_follow_ups(desk: Any, stepped: CredentialEntry, ship: Make) -> None:
    """The device's next message waits for the last call of the one before."""
    desk.offer(ship(stepped, "bob", body="1"), ship(stepped, "bob", body="2"))
    desk.vendors[1].answer("next T1")
    assert stages(desk) == [("1", "T1")]


async def test_what_is_withdrawn_between_two_calls_is_not_sent(
    desk: Any, stepped: CredentialEntry, ship: Make
) -> None:
    """A recall still reaches the tokens of a list whose text is only stored."""
    shipment: Shipment = ship(stepped, "bob", "carol", "dave")
    desk.offer(shipment)
    shipment.parcels[1].withdrawn = shipment.cancelled = True
    desk.vendors[1].answer("next T1")
    assert dict(desk.vendors[1].waiting[0][1].headers)["x-users"] == "bob,dave"
    assert desk.ends == [("carol", End.RECALLED)]


async def test_what_expires_between_two_calls_is_not_sent(
    desk: Any, stepped: CredentialEntry, ship: Make
) -> None:
    """The lifetime is looked at before each call."""
    desk.offer(ship(stepped, "bob", expires_in=5))
    desk.now += 6
    desk.vendors[1].answer("next T1")
    assert (desk.ends, desk.vendors[1].waiting) == ([("bob", End.EXPIRED)], [])


async def test_an_adapter_that_goes_round_in_circles_is_stopped(
    desk: Any, stepped: CredentialEntry, ship: Make
) -> None:
    """After so many follow-ups the push is given up as the adapter's defect; the lane goes on."""
    desk.offer(ship(stepped, "bob", body="1"), ship(stepped, "bob", body="2"))
    for n in range(MOST_FOLLOW_UPS + 1):
        assert desk.ends == []
        desk.vendors[1].answer(f"next {n}")
    assert desk.ends == [("bob", End.GIVEN_UP)]
    assert "ValueError" in desk.endings[0].detail
    assert stages(desk) == [("2", "")]
