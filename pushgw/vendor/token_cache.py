"""The authorization of one lane: kept, renewed before it ends, asked for once however many wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from math import inf

import msgspec

from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed
from pushgw.vendor.http import Request, Response, TransportError
from pushgw.vendor.push import Action, Outcome

NO_AUTH = Auth(value="", expires_at=inf, made_at=0.0)
"""What a TokenCache gives where the vendor wants no authorization."""

NOT_REACHED = "transport"
"""Outcome code of a token server that gave no answer at all."""
FIRST_WAIT = 1.0
LONGEST_WAIT = 60.0
_AS_GOOD_AS_OVER = 0.05
"""Timers and the clock of the day do not agree to the ms: who comes so many s too early is not sent away."""


class TokenCache:
    """Authorization for one account.

    ``send`` reaches the token server; ``clock`` gives epoch s; ``rng`` spreads the waits of many processes.
    After a temporary failure the token server is left alone for 1 s, doubling to 60 s, less up to half by chance, or for as
    long as it asked; a failure that only the operator can mend is remembered until ``forget`` or ``ask_again``.
    """

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        send: Callable[[Request], Awaitable[Response]],
        clock: Callable[[], float],
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._adapter = adapter
        self._account = account
        self._send = send
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  spreads waits, guards nothing
        self._auth: Auth | None = None
        self._served: bool | None = None
        self._flight: asyncio.Task[Auth] | None = None
        self._failure: Outcome | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def needs_auth(self) -> bool:
        """Whether the vendor wants an authorization at all."""
        return self.fresh() is not NO_AUTH

    def fresh(self) -> Auth | None:
        """The authorization to use now; None where the token server must be asked (``get``).

        Made here and now where the adapter can without a server; NO_AUTH where the vendor wants none.
        """
        now = self._clock()
        if self._auth is None or now >= self._auth.expires_at:
            self._auth = self._local(now)
        return self._auth

    async def get(self) -> Auth:
        """The authorization, from the token server where need be. All who wait share one request.

        Raises AuthFailed: to all who waited, and, without asking again, to who comes before the wait is over; its
        ``outcome.retry_after`` says how long that is, in s.
        """
        auth = self.fresh()
        if auth is not None:
            return auth
        if self._flight is None:
            self._raise_remembered()
            self._flight = asyncio.get_running_loop().create_task(self._ask())
            self._flight.add_done_callback(self._landed)
        flight = self._flight
        await asyncio.wait({flight})  # unlike awaiting it, a cancelled caller leaves it alone
        if flight.cancelled():
            raise AuthFailed(_temporary("closed", "the token cache was closed while the token was asked for"))
        return flight.result()

    def refuse(self, auth: Auth) -> None:
        """The vendor refused this one: forget it, unless a newer has taken its place already."""
        if self._auth is auth:
            self._auth = None

    def forget(self) -> None:
        """Forget token and failures: the credential was changed, or the operator asks for a new attempt."""
        self._auth = None
        self._served = None
        self._failure = None
        self._failures = 0
        self._not_before = 0.0

    def ask_again(self) -> None:
        """Try the token server anew, where it had refused the credential: it may have been mended. A token that is held stays."""
        if self._failure is not None and self._failure.action is Action.CONFIG:
            self._failure = None

    async def close(self) -> None:
        """Stop a request under way; who waits for it gets AuthFailed."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait({self._flight})

    def _local(self, now: float) -> Auth | None:
        auth = self._adapter.local_auth(self._account, now)
        if auth is not None:
            return auth
        if self._served is None:
            self._served = self._adapter.auth_request(self._account, now) is not None
        return None if self._served else NO_AUTH

    def _raise_remembered(self) -> None:
        if self._failure is None:
            return
        if self._failure.action is Action.CONFIG:
            raise AuthFailed(self._failure)
        wait = self._not_before - self._clock()
        if wait > _AS_GOOD_AS_OVER:
            raise AuthFailed(msgspec.structs.replace(self._failure, retry_after=wait))

    async def _ask(self) -> Auth:
        now = self._clock()
        try:
            request = self._adapter.auth_request(self._account, now)
            if request is None:
                raise AuthFailed(_temporary("no_request", "the adapter makes no request for a token"))
            auth = self._adapter.read_auth(self._account, await self._send(request), self._clock())
        except TransportError as error:
            raise AuthFailed(self._failed(_temporary(NOT_REACHED, str(error)))) from error
        except AuthFailed as failed:
            raise AuthFailed(self._failed(failed.outcome)) from failed
        self._auth = auth
        self._failure = None
        self._failures = 0
        return auth

    def _failed(self, outcome: Outcome) -> Outcome:
        """The failure, remembered; what is temporary says how long to wait."""
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(self._failures, 16)) * (1.0 - self._rng.random() / 2)
        wait = max(wait, outcome.retry_after or 0.0)
        self._failures += 1
        self._not_before = self._clock() + wait
        if outcome.action is not Action.CONFIG:
            outcome = msgspec.structs.replace(outcome, retry_after=wait)
        self._failure = outcome
        return outcome

    def _landed(self, flight: asyncio.Task[Auth]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # every waiter may be gone; then nobody else looks at it


def _temporary(code: str, reason: str) -> Outcome:
    return Outcome(
        action=Action.RETRY,
        code=code,
        reason=reason,
        hint="the token server could not be reached; look at network, proxy and auth_endpoint",
    )
