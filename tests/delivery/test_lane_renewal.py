"""A lane takes another connection when an answer wishes for it, and not more often than that is good for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pushgw.credentials import CredentialEntry
from pushgw.delivery.ending import End
from pushgw.delivery.lane import RENEW_AGAIN_AFTER_S
from pushgw.vendor.adapter import Account
from pushgw.vendor.http import Completion, Response
from pushgw.vendor.push import Outcome, Push

from .conftest import TableAdapter

Make = Callable[..., Any]


class Wishing(TableAdapter):
    """``renew <action>`` wishes for another connection beside the action."""

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        said = response.body.decode()
        plain = Response(status=200, body=said.removeprefix("renew ").encode())
        outcomes = super().interpret(push, account, plain)
        return [msgspec.structs.replace(o, renew=said.startswith("renew ")) for o in outcomes]


@pytest.fixture
def wishing(entry: Make) -> CredentialEntry:
    made: CredentialEntry = entry()
    made.adapter = Wishing()
    return made


async def test_the_repeat_goes_out_after_the_renewal(desk: Any, wishing: CredentialEntry, ship: Make) -> None:
    """First the connection is left, then what is due is sent: the repeat, and what waited."""
    desk.offer(ship(wishing, "bob"))
    desk.vendors[1].answer("renew auth")
    assert desk.vendors[1].renewed_before == [1]
    assert desk.vendors[1].submitted == 2


async def test_a_list_of_answers_renews_once(desk: Any, wishing: CredentialEntry, ship: Make) -> None:
    """However many answers of it wish for it."""
    desk.offer(*(ship(wishing, user) for user in ("bob", "carol", "dave")))
    vendor = desk.vendors[1]
    waiting, vendor.waiting = vendor.waiting, []
    answer = Response(status=200, body=b"renew auth")
    vendor._on_complete([Completion(tag, answer, None) for tag, _ in waiting])
    assert (vendor.renewed_before, vendor.submitted) == ([3], 6)


async def test_late_answers_of_the_old_connection_do_not_renew_the_new_one(
    desk: Any, wishing: CredentialEntry, ship: Make
) -> None:
    """Within ten seconds a wish is one about the connection that was left, or it is no help; later it counts again."""
    desk.offer(*(ship(wishing, user) for user in ("bob", "carol")))
    desk.vendors[1].answer("renew auth")
    desk.vendors[1].answer("renew auth")
    assert desk.vendors[1].renewed_before == [2]
    desk.now += RENEW_AGAIN_AFTER_S
    desk.vendors[1].answer("renew auth")
    assert desk.vendors[1].renewed_before == [2, 4]
    assert desk.ends == [("bob", End.CREDENTIAL)]


async def test_other_answers_leave_the_connection_alone(
    desk: Any, wishing: CredentialEntry, ship: Make
) -> None:
    """A refusal, a failure and a success."""
    for user, word in (("bob", "accepted"), ("carol", "retry"), ("dave", "bad_message"), ("erin", "auth")):
        desk.offer(ship(wishing, user))
        desk.vendors[1].answer(word)
    assert desk.vendors[1].renewed_before == []
