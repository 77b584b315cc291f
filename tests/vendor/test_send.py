"""The awaitable on the seam, and the transport that stands in for a vendor."""

from __future__ import annotations

import asyncio

import pytest

from pushgw.vendor import (
    Account,
    Action,
    Adapter,
    AsyncSender,
    Auth,
    Credential,
    FollowUp,
    MockTransport,
    Notification,
    Outcome,
    Push,
    Request,
    Response,
    Target,
    TlsOptions,
    TransportError,
    deliver,
    mock_transport,
)
from pushgw.vendor.http import Completion
from pushgw.vendor.push import MOST_FOLLOW_UPS


def _request(name: str = "a") -> Request:
    return Request(url=f"https://vendor.example/{name}")


async def test_story_of_an_adapter_author() -> None:
    """A function answers in place of the vendor, and what was sent can be looked at."""
    mock = MockTransport(lambda request: Response(status=200, body=request.url.encode()))
    async with AsyncSender(mock) as sender:
        answers = await asyncio.gather(*(sender.send(_request(name)) for name in "abc"))
    assert [answer.body[-1:] for answer in answers] == [b"a", b"b", b"c"]
    assert [request.url[-1] for request in mock.requests] == ["a", "b", "c"]


@pytest.mark.parametrize("raised", [False, True], ids=["returned", "raised"])
async def test_error_of_the_handler_is_the_senders(raised: bool) -> None:
    """A handler fails a request by returning or by raising the TransportError."""
    error = TransportError("connection refused", sent=False)

    def handler(request: Request) -> TransportError:
        if raised:
            raise error
        return error

    async with AsyncSender(mock_transport(handler)) as sender:
        with pytest.raises(TransportError, match="connection refused") as caught:
            await sender.send(_request())
    assert caught.value is error


async def test_assertion_in_a_handler_fails_the_test() -> None:
    """What else a handler raises is not swallowed."""

    def handler(request: Request) -> Response:
        raise AssertionError("wrong url")

    lane = mock_transport(handler)(on_complete=list, timeout=1, http2=True, tls=TlsOptions())
    with pytest.raises(AssertionError, match="wrong url"):
        lane.submit([(1, _request())])


async def test_completions_of_a_turn_come_in_one_list() -> None:
    """What completes in one turn of the loop is one call, never from within submit, and once."""
    lists: list[list[Completion]] = []
    mock = mock_transport(lambda request: Response(status=200))
    lane = mock(on_complete=lambda done: lists.append(list(done)), timeout=1, http2=True, tls=TlsOptions())
    lane.submit([(1, _request()), (2, _request())])
    lane.submit([(3, _request())])
    assert lists == []
    await asyncio.sleep(0)
    assert [[c.tag for c in done] for done in lists] == [[1, 2, 3]]
    await lane.close()
    assert len(lists) == 1


async def test_submit_after_close_was_not_sent() -> None:
    """A closed transport completes with an error and does not call the handler."""
    done: list[Completion] = []
    mock = mock_transport(lambda request: Response(status=200))
    lane = mock(on_complete=done.extend, timeout=1, http2=True, tls=TlsOptions())
    await lane.close()
    lane.submit([(1, _request())])
    await asyncio.sleep(0)
    assert done[0].error is not None
    assert not done[0].error.sent
    assert mock.requests == []


async def test_cancelled_caller_is_forgotten() -> None:
    """Cancelling one send disturbs neither the answer nor the other senders."""
    mock = mock_transport(lambda request: Response(status=200))
    async with AsyncSender(mock) as sender:
        first = asyncio.create_task(sender.send(_request("a")))
        second = asyncio.create_task(sender.send(_request("b")))
        while len(mock.requests) < 1:
            await asyncio.sleep(0)
        first.cancel()
        assert (await second).status == 200
        with pytest.raises(asyncio.CancelledError):
            await first


# --- pushes of several calls ------------------------------------------------------------------------------


class InSteps(Adapter):
    """Answers name the next stage, or nothing where the push is accepted."""

    vendor = "steps"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = Credential

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        return Request(url=f"https://vendor.example/{push.stage or 'first'}")

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome] | FollowUp:
        if response.body:
            return FollowUp(stage=response.body.decode())
        return [Outcome(action=Action.ACCEPTED)]


ACCOUNT = Account(business_id=1, vendor="steps", credential=Credential())
PUSH = Push(
    notification=Notification(body="hi", expires_at=1, collapse_id="c", notify_id=1),
    targets=(Target(token="t", user="", device_id="", push_id="", vendor_id=""),),
    now=0.0,
)


async def test_deliver_follows_up_until_there_are_outcomes() -> None:
    """Each call at its stage, in order; the push comes back at the stage that it has reached."""
    answers = iter([b"second", b"third", b""])
    mock = MockTransport(lambda _request: Response(status=200, body=next(answers)))
    async with AsyncSender(mock) as sender:
        outcomes, reached = await deliver(sender, InSteps(), PUSH, ACCOUNT, None)
    assert [request.url.rpartition("/")[2] for request in mock.requests] == ["first", "second", "third"]
    assert [outcome.action for outcome in outcomes] == [Action.ACCEPTED]
    assert reached.stage == "third"


async def test_deliver_does_not_go_round_in_circles() -> None:
    """An adapter that always wants another call is stopped."""
    mock = MockTransport(lambda _request: Response(status=200, body=b"again"))
    async with AsyncSender(mock) as sender:
        with pytest.raises(RuntimeError, match=f"more than {MOST_FOLLOW_UPS} follow-ups"):
            await deliver(sender, InSteps(), PUSH, ACCOUNT, None)
    assert len(mock.requests) == MOST_FOLLOW_UPS + 1
