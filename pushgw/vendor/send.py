"""An awaitable on the seam, for who sends one request at a time: the CLI and token servers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self, cast

import msgspec

from pushgw.vendor.adapter import Account, Adapter, Auth
from pushgw.vendor.http import Completion, Request, Response, TlsOptions, Transport, TransportFactory
from pushgw.vendor.push import MOST_FOLLOW_UPS, FollowUp, Outcome, Push


class AsyncSender:
    """``await sender.send(request)`` on any transport.

    ``timeout`` in s bounds a request from send to its last byte. The transport is opened by the first ``send``,
    so that a sender may be made outside of the event loop.
    """

    def __init__(
        self,
        factory: TransportFactory,
        *,
        timeout: float = 10.0,
        http2: bool = True,
        tls: TlsOptions | None = None,
        proxy: str | None = None,
    ) -> None:
        self._factory = factory
        self._timeout = timeout
        self._http2 = http2
        self._tls = tls or TlsOptions()
        self._proxy = proxy
        self._transport: Transport | None = None

    async def send(self, request: Request) -> Response:
        """The complete answer, whatever its status. Raises TransportError."""
        if self._transport is None:
            self._transport = self._factory(
                on_complete=_settle,
                timeout=self._timeout,
                http2=self._http2,
                tls=self._tls,
                proxy=self._proxy,
            )
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._transport.submit([(answer, request)])
        return await answer

    async def close(self) -> None:
        """Who still waits gets a TransportError."""
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def deliver(
    sender: AsyncSender, adapter: Adapter, push: Push, account: Account, auth: Auth | None
) -> tuple[list[Outcome], Push]:
    """Send one push, with every follow-up that its adapter asks for. Raises TransportError, and Refused before the first call.

    Gives the outcomes, and the push at the stage that it has reached: a repeat goes on there.
    """
    for _ in range(MOST_FOLLOW_UPS + 1):
        read = adapter.interpret(push, account, await sender.send(adapter.render(push, account, auth)))
        if not isinstance(read, FollowUp):
            return read, push
        push = msgspec.structs.replace(push, stage=read.stage)
    raise RuntimeError(f"the adapter of {adapter.vendor} asks for more than {MOST_FOLLOW_UPS} follow-ups")


def _settle(completions: Sequence[Completion]) -> None:
    for completion in completions:
        answer = cast("asyncio.Future[Response]", completion.tag)
        if answer.done():  # its caller was cancelled
            continue
        if completion.error is not None:
            answer.set_exception(completion.error)
        elif completion.response is not None:
            answer.set_result(completion.response)
