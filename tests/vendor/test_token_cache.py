"""One token for a lane: asked for once, renewed in time, and not asked for too often."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from pushgw.vendor import (
    NO_AUTH,
    Account,
    Action,
    Adapter,
    Auth,
    AuthFailed,
    Outcome,
    Push,
    Request,
    Response,
    TokenCache,
    TransportError,
)
from pushgw.vendor.adapter import Credential

ACCOUNT = Account(business_id=1, vendor="test", credential=None)


class _Adapter(Adapter):
    vendor = "test"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = Credential

    def __init__(self, kind: str = "server") -> None:
        self.kind = kind
        self.signed = 0

    def local_auth(self, account: Account, now: float) -> Auth | None:
        if self.kind != "local":
            return None
        self.signed += 1
        return Auth(value=f"signed-{self.signed}", made_at=now, expires_at=now + 100)

    def auth_request(self, account: Account, now: float) -> Request | None:
        return Request(url="https://token.example/") if self.kind == "server" else None

    def read_auth(self, account: Account, response: Response, now: float) -> Auth:
        if response.status != 200:
            action = Action.CONFIG if response.status == 401 else Action.RETRY
            raise AuthFailed(Outcome(action=action, code=str(response.status), reason="no token"))
        return Auth(value=response.body.decode(), made_at=now, expires_at=now + 100)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        raise NotImplementedError

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        raise NotImplementedError


class _HighRandom(Random):
    """No chance: every wait is the whole one."""

    def random(self) -> float:
        return 0.0


class _Server:
    """A token server that answers when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0
        self.status = 200
        self.error: TransportError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, request: Request) -> Response:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return Response(status=self.status, body=f"token-{number}".encode())

    def cache(self, kind: str = "server", rng: Random | None = None) -> TokenCache:
        return TokenCache(_Adapter(kind), ACCOUNT, self.send, lambda: self.now, rng=rng or _HighRandom())


@pytest.fixture
async def server() -> _Server:
    """Overrides the scripted HTTP/2 server: none is needed here."""
    return _Server()


async def test_one_request_for_a_hundred_callers(server: _Server) -> None:
    """A hundred who need a token at once cause one request and get the same token."""
    cache = server.cache()
    assert cache.fresh() is None
    tokens = await asyncio.gather(*(cache.get() for _ in range(100)))
    assert server.asked == 1
    assert {token.value for token in tokens} == {"token-1"}
    assert cache.fresh() is tokens[0]


async def test_renewed_when_its_time_is_up(server: _Server) -> None:
    """A token is used up to the second before its end and renewed at it."""
    cache = server.cache()
    await cache.get()
    server.now += 99.9
    assert (await cache.get()).value == "token-1"
    server.now += 0.1
    assert cache.fresh() is None
    assert (await cache.get()).value == "token-2"


async def test_burst_of_refusals_renews_once(server: _Server) -> None:
    """Only the refusal of the current token counts: late refusals of the old one leave the new one alone."""
    cache = server.cache()
    old = await cache.get()
    cache.refuse(old)
    new = await cache.get()
    for _ in range(20):
        cache.refuse(old)
    assert cache.fresh() is new
    assert server.asked == 2


async def test_cancelled_caller_leaves_the_others(server: _Server) -> None:
    """Who gives up waiting takes the token from nobody, be it the one who started the request."""
    server.open.clear()
    cache = server.cache()
    first = asyncio.create_task(cache.get())
    second = asyncio.create_task(cache.get())
    while not server.asked:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    server.open.set()
    assert (await second).value == "token-1"
    assert first.cancelled()
    assert server.asked == 1


async def test_failure_goes_to_all_who_wait(server: _Server) -> None:
    """All who shared a request share its failure."""
    server.status = 503
    cache = server.cache()
    results = await asyncio.gather(*(cache.get() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(result, AuthFailed) for result in results)
    assert server.asked == 1


async def test_who_asked_is_told_when_to_come_back(server: _Server) -> None:
    """The failure itself names the wait: who obeys it is the next to ask, also if his clock goes a little wrong."""
    server.status = 503
    cache = server.cache()
    for number in range(1, 4):
        with pytest.raises(AuthFailed) as failed:
            await cache.get()
        assert server.asked == number
        assert failed.value.outcome.retry_after == 2.0 ** (number - 1)
        server.now += failed.value.outcome.retry_after - 0.01


async def test_waits_double_up_to_a_minute(server: _Server) -> None:
    """After each failure the server is left alone for longer, up to 60 s, and who comes too early is told how long."""
    server.status = 503
    cache = server.cache()
    waits = []
    for number in range(1, 9):
        with pytest.raises(AuthFailed):
            await cache.get()
        assert server.asked == number
        with pytest.raises(AuthFailed) as early:
            await cache.get()
        assert server.asked == number
        assert early.value.outcome.retry_after is not None
        waits.append(early.value.outcome.retry_after)
        server.now += early.value.outcome.retry_after
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_chance_shortens_a_wait_by_half_at_most(server: _Server) -> None:
    """Processes that failed together do not come back together, and none comes back at once."""
    server.status = 503
    waits = set()
    for seed in range(20):
        cache = server.cache(rng=Random(seed))
        with pytest.raises(AuthFailed):
            await cache.get()
        with pytest.raises(AuthFailed) as early:
            await cache.get()
        waits.add(early.value.outcome.retry_after)
    assert len(waits) == 20
    assert all(wait is not None and 0.5 <= wait <= 1.0 for wait in waits)


async def test_success_ends_the_waits(server: _Server) -> None:
    """After a token came, the next failure waits 1 s again."""
    cache = server.cache()
    server.status = 503
    for _ in range(3):
        with pytest.raises(AuthFailed):
            await cache.get()
        server.now += 60
    server.status = 200
    cache.refuse(await cache.get())
    server.status = 503
    with pytest.raises(AuthFailed):
        await cache.get()
    with pytest.raises(AuthFailed) as early:
        await cache.get()
    assert early.value.outcome.retry_after == 1.0


async def test_operators_fault_is_remembered(server: _Server) -> None:
    """A credential that the vendor knows not is not tried again until someone says that it changed."""
    server.status = 401
    cache = server.cache()
    for _ in range(3):
        with pytest.raises(AuthFailed) as failed:
            await cache.get()
        assert failed.value.outcome.action is Action.CONFIG
        server.now += 3600
    assert server.asked == 1
    server.status = 200
    cache.forget()
    assert (await cache.get()).value == "token-2"


async def test_a_probe_asks_again_and_costs_no_token(server: _Server) -> None:
    """After a break the token server is asked once more where it had refused; a token that is there is kept, a wait too."""
    server.status = 401
    cache = server.cache()
    with pytest.raises(AuthFailed):
        await cache.get()
    cache.ask_again()
    server.status = 200
    auth = await cache.get()
    cache.ask_again()
    assert await cache.get() is auth
    cache.refuse(auth)
    server.status = 503
    for _ in range(2):
        with pytest.raises(AuthFailed):
            await cache.get()
        cache.ask_again()
    assert server.asked == 3


async def test_unreachable_token_server_is_temporary(server: _Server) -> None:
    """No answer from the token server is RETRY, with the transport's sentence."""
    server.error = TransportError("token.example: connection refused", sent=False)
    with pytest.raises(AuthFailed, match="connection refused") as failed:
        await server.cache().get()
    assert failed.value.outcome.action is Action.RETRY


async def test_local_token_is_made_here(server: _Server) -> None:
    """A self-signed token needs no server; it is kept, and made anew when its time is up or the vendor refuses it."""
    cache = server.cache("local")
    first = cache.fresh()
    assert first is not None
    assert cache.fresh() is first
    assert await cache.get() is first
    server.now += 100
    second = cache.fresh()
    assert second is not None
    assert second.value == "signed-2"
    cache.refuse(first)
    assert cache.fresh() is second
    cache.refuse(second)
    assert (await cache.get()).value == "signed-3"
    assert server.asked == 0


@pytest.mark.parametrize(("kind", "needs"), [("server", True), ("local", True), ("none", False)])
async def test_whether_auth_is_needed(server: _Server, kind: str, needs: bool) -> None:
    """A vendor without authorization gets NO_AUTH and never a wait."""
    cache = server.cache(kind)
    assert cache.needs_auth is needs
    if not needs:
        assert cache.fresh() is NO_AUTH
        assert await cache.get() is NO_AUTH


async def test_close_ends_the_waiting(server: _Server) -> None:
    """Closing with a request under way gives who waits an AuthFailed, not a cancellation."""
    server.open.clear()
    cache = server.cache()
    waiting = asyncio.create_task(cache.get())
    while not server.asked:
        await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(AuthFailed, match="closed"):
        await waiting
