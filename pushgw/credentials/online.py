"""The online checks: the vendor's token server, then a push that no device can get. Nothing is ever shown on a device."""

from __future__ import annotations

from collections.abc import Callable

from pushgw.credentials.check import Check, Result
from pushgw.vendor.adapter import Account, Adapter, Auth, AuthFailed, Refused
from pushgw.vendor.http import TransportError, TransportFactory
from pushgw.vendor.probe import Probe
from pushgw.vendor.push import Action, FollowUp, Outcome
from pushgw.vendor.send import AsyncSender
from pushgw.vendor.token_cache import NOT_REACHED, TokenCache

TOKEN_SERVER = "token server"  # noqa: S105  a name, no secret
HARMLESS_PUSH = "harmless push"

_TEMPORARY = frozenset({Action.RETRY, Action.RETRY_AFTER})
_WARNINGS = frozenset({Action.BAD_MESSAGE, Action.QUOTA, Action.UNKNOWN})


async def online_checks(
    adapter: Adapter,
    account: Account,
    *,
    transport: TransportFactory,
    token_transport: TransportFactory,
    timeout: float,
    clock: Callable[[], float],
) -> list[Check]:
    """Ask the vendor. ``timeout``: s for each request; ``clock``: epoch s. Raises nothing that an answer can cause."""
    try:
        tls = adapter.tls(account)
    except ValueError as error:
        return [Check("tls", Result.FAIL, str(error))]
    proxy = account.proxy
    asker = AsyncSender(token_transport, timeout=timeout, http2=adapter.http2, tls=tls, proxy=proxy)
    sender = AsyncSender(transport, timeout=timeout, http2=adapter.http2, tls=tls, proxy=proxy)
    tokens = TokenCache(adapter, account, asker.send, clock)
    try:
        return await _Attempt(adapter, account, tokens, sender, clock).checks()
    finally:
        await tokens.close()
        await sender.close()
        await asker.close()


class _Attempt:
    """One credential before its vendor."""

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        tokens: TokenCache,
        sender: AsyncSender,
        clock: Callable[[], float],
    ) -> None:
        self.adapter = adapter
        self.account = account
        self.tokens = tokens
        self.sender = sender
        self.clock = clock

    async def checks(self) -> list[Check]:
        asked = self.tokens.fresh() is None
        try:
            auth = await self.tokens.get()
        except AuthFailed as failed:
            return [_refused_token(failed.outcome)]
        found = [Check(TOKEN_SERVER, Result.PASS, "gave a token")] if asked else []
        probe = self.adapter.probe(self.account, self.clock())
        if probe is not None:
            found.append(await self._push(probe, auth))
        elif not asked:
            said = f"{self.adapter.vendor} has no call that is surely harmless; try `pushgw send` to a device of yours"
            found.append(Check(HARMLESS_PUSH, Result.SKIPPED, said))
        return found

    async def _push(self, probe: Probe, auth: Auth) -> Check:
        try:
            outcome = await self._sent(probe, auth)
            if outcome.action is Action.AUTH and self.tokens.needs_auth:  # as a lane does: a new one, once
                self.tokens.refuse(auth)
                outcome = await self._sent(probe, await self.tokens.get())
        except AuthFailed as failed:
            return _refused_token(failed.outcome)
        except TransportError as error:
            result = Result.UNREACHABLE if error.retriable else Result.FAIL
            mend = "look at network, proxy, endpoint and ca_file"
            if self.adapter.tls(self.account).identity_pem is not None:
                mend += (
                    "; a vendor that does not know the client certificate ends the connection like that, too"
                )
            return Check(HARMLESS_PUSH, result, f"{error}; {mend}")
        except Refused as refused:
            return Check(HARMLESS_PUSH, Result.WARN, f"was not sent: {refused}")
        return _judged(probe, outcome)

    async def _sent(self, probe: Probe, auth: Auth) -> Outcome:
        request = self.adapter.render_probe(probe, self.account, auth if auth.value else None)
        response = await self.sender.send(request)
        read = self.adapter.interpret(probe.push, self.account, response)
        assert not isinstance(read, FollowUp)  # noqa: S101  a probe is one call
        return read[0]


def _judged(probe: Probe, outcome: Outcome) -> Check:
    said = words(outcome)
    if outcome.action in _TEMPORARY:
        return Check(HARMLESS_PUSH, Result.UNREACHABLE, f"the vendor cannot answer just now: {said}")
    if outcome.code in probe.codes or (not probe.codes and outcome.action in probe.passes):
        return Check(HARMLESS_PUSH, Result.PASS, f"{probe.what} was answered as it must be ({outcome.code})")
    if outcome.action in _WARNINGS and not probe.codes:
        return Check(HARMLESS_PUSH, Result.WARN, f"{probe.what} had an answer that leaves a doubt: {said}")
    return Check(HARMLESS_PUSH, Result.FAIL, said)


def _refused_token(outcome: Outcome) -> Check:
    said = words(outcome)
    if outcome.code == NOT_REACHED or outcome.action is not Action.CONFIG:
        return Check(TOKEN_SERVER, Result.UNREACHABLE, said)
    return Check(TOKEN_SERVER, Result.FAIL, said)


def words(outcome: Outcome) -> str:
    """What the vendor said and what to do about it, in one sentence."""
    code = outcome.code if outcome.code and outcome.code not in outcome.reason else ""
    parts = [outcome.reason, outcome.hint if outcome.hint not in outcome.reason else ""]
    said = "; ".join(part for part in parts if part) or "no reason was given"
    return f"{code}: {said}" if code else said
