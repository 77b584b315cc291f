"""OPPO and vivo count the calls for tokens: a day of pushes takes two, and a vendor that gives none any more is left in peace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from urllib.parse import urlsplit

import pytest

from pushgw.credentials import load_directory
from pushgw.sandbox import example_directory
from pushgw.vendor import (
    Account,
    Action,
    Adapter,
    AuthFailed,
    Call,
    Emulator,
    FollowUp,
    Notification,
    Outcome,
    Push,
    Request,
    Response,
    Target,
    TokenCache,
    installed_vendors,
)

VENDORS = installed_vendors()
ACCOUNTS = {account.vendor: account for account in load_directory(example_directory(), VENDORS).accounts}
AUTH_PATH = {"oppo": "/server/v1/auth", "vivo": "/message/auth"}
REFUSED = {"oppo": "11", "vivo": "10000"}
"""The answer to a push whose token the vendor does not take."""
BEGIN = 1_795_500_000.0
HOUR = 3600.0
DAY = 24 * HOUR
EVERY = 60.0
"""s between two pushes"""
TOKEN = "CN_0123456789abcdef"

Answer = Callable[[], Response]


class Gateway:
    """One account's TokenCache, before the vendor's own emulator, or a token server that answers as the test says."""

    def __init__(self, vendor: str, refusal: Answer | None = None) -> None:
        self.now = BEGIN
        self.token_calls: list[float] = []
        self._vendor = vendor
        self._refusal = refusal
        self._adapter: Adapter = VENDORS[vendor].adapter
        self._account: Account = ACCOUNTS[vendor]
        self.emulator: Emulator = VENDORS[vendor].emulator([self._account])
        self._sent = 0
        self.restart()

    def restart(self) -> None:
        self._tokens = TokenCache(
            self._adapter, self._account, self._send, lambda: self.now, rng=Random(len(self.token_calls))
        )

    async def pushes(self, seconds: float) -> list[Action]:
        """One push a minute for so long; what became of each."""
        outcomes = []
        end = self.now + seconds
        while self.now < end:
            outcomes.append((await self._push()).action)
            self.now += EVERY
        return outcomes

    async def _push(self) -> Outcome:
        """As a lane does it: on a refused token one renewal and one repeat."""
        self._sent += 1
        for _attempt in range(2):
            try:
                auth = await self._tokens.get()
            except AuthFailed as failed:
                return failed.outcome
            note = Notification(
                title="Alice",
                body="See you at noon",
                expires_at=int(self.now + DAY),
                collapse_id=f"m{self._sent}",
                notify_id=self._sent,
            )
            target = Target(token=TOKEN, user="bob", device_id="d", push_id="P", vendor_id=f"v{self._sent}")
            push = Push(notification=note, targets=(target,), now=self.now)
            response = await self._send(self._adapter.render(push, self._account, auth))
            read = self._adapter.interpret(push, self._account, response)
            assert not isinstance(read, FollowUp)
            if read[0].action is not Action.AUTH:
                break
            self._tokens.refuse(auth)
        return read[0]

    async def _send(self, request: Request) -> Response:
        path = urlsplit(request.url).path
        if path == AUTH_PATH[self._vendor]:
            self.token_calls.append(self.now)
            await asyncio.sleep(0)
            if self._refusal is not None:
                return self._refusal()
        headers = dict((*request.shared, *request.headers))
        call = Call(method=request.method, path=path, headers=headers, body=request.body, http_version="1.1")
        return self.emulator.handle(call, self.now).response


@pytest.fixture(params=["oppo", "vivo"])
def vendor(request: pytest.FixtureRequest) -> str:
    """Each of the two."""
    return str(request.param)


@pytest.mark.parametrize(("days", "calls"), [(1, 2), (3, 4)])
async def test_days_of_pushes_take_a_token_every_23_hours(vendor: str, days: int, calls: int) -> None:
    """A push a minute: every one is accepted, and a token that lives 24 hours is replaced after 23, not earlier."""
    gateway = Gateway(vendor)
    assert set(await gateway.pushes(days * DAY)) == {Action.ACCEPTED}
    assert gateway.token_calls == [BEGIN + n * 23 * HOUR for n in range(calls)]


async def test_a_restart_and_a_refusal_take_one_token_each(vendor: str) -> None:
    """Of a day with a restart at noon and one refused token in the evening: four calls, and no push is lost."""
    gateway = Gateway(vendor)
    outcomes = await gateway.pushes(DAY / 2)
    gateway.restart()
    outcomes += await gateway.pushes(DAY / 4)
    gateway.emulator.fail(TOKEN, REFUSED[vendor])
    outcomes += await gateway.pushes(DAY / 4)
    assert set(outcomes) == {Action.ACCEPTED}
    assert len(outcomes) == DAY / EVERY
    assert gateway.token_calls == [BEGIN, BEGIN + DAY / 2, BEGIN + DAY * 3 / 4]


def refusal(vendor: str, code: int) -> Answer:
    name = "code" if vendor == "oppo" else "result"
    return lambda: Response(status=200, body=json.dumps({name: code}).encode())


@pytest.mark.parametrize(
    ("vendor", "code", "pause"),
    [
        ("oppo", 13, 600),  # the app's calls are limited
        ("oppo", 33, 600),  # the daily number is used up
        ("oppo", 55, 60),  # calls too often
        ("oppo", -2, 60),  # flow control
        ("vivo", 10070, 600),  # the daily number is used up
        ("vivo", 10073, 600),
        ("vivo", 10072, 60),  # too fast
        ("vivo", 10999, 60),  # vivo's pages have no code for the cap on tokens: any answer without a token
    ],
)
async def test_a_used_up_quota_is_asked_about_once_and_then_waited_for(
    vendor: str, code: int, pause: int
) -> None:
    """A day on which the vendor gives no token any more: one call, then none until the pause is over, whoever pushes; what
    is pushed meanwhile is to be repeated, and no credential is called unusable."""
    gateway = Gateway(vendor, refusal(vendor, code))
    assert set(await gateway.pushes(DAY)) == {Action.RETRY}
    gaps = {
        after - before for before, after in zip(gateway.token_calls, gateway.token_calls[1:], strict=False)
    }
    assert gaps == {pause}
    assert len(gateway.token_calls) == DAY / pause


async def test_a_crowd_before_a_used_up_quota_is_one_call(vendor: str) -> None:
    """A hundred pushes at once, twice: one call, and each is told how long to wait."""
    gateway = Gateway(vendor, refusal(vendor, {"oppo": 33, "vivo": 10070}[vendor]))
    for _ in range(2):
        outcomes = await asyncio.gather(*(gateway._push() for _ in range(100)))
        assert {(outcome.action, outcome.retry_after) for outcome in outcomes} == {(Action.RETRY, 600.0)}
    assert gateway.token_calls == [BEGIN]
