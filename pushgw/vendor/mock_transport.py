"""MockTransport: a function in place of a vendor, for the tests of adapters and of what stands on the seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pushgw.vendor import faults
from pushgw.vendor.gathering import Gathering
from pushgw.vendor.http import Completion, OnComplete, Request, Response, TlsOptions, TransportError

Handler = Callable[[Request], Response | TransportError]


class MockTransport:
    """A TransportFactory whose transports answer with ``handler``.

    Use it wherever a factory is asked for; ``requests`` has everything that was submitted to any of its transports, in order,
    and ``renewals`` counts how often new connections were wished for.
    The handler returns a Response or a TransportError (or raises the error); anything else it raises comes out of
    ``submit``, so that an assertion in it fails the test.

    ::

        mock = MockTransport(lambda request: Response(status=200))
        async with AsyncSender(mock) as sender:
            await sender.send(Request(url="https://vendor.example/send"))
        assert mock.requests[0].url == "https://vendor.example/send"
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.renewals = 0

    def __call__(
        self,
        *,
        on_complete: OnComplete,
        timeout: float,
        http2: bool,
        tls: TlsOptions,
        proxy: str | None = None,
    ) -> _MockLane:
        """A transport; the other arguments mean nothing here."""
        return _MockLane(self, on_complete)


def mock_transport(handler: Handler) -> MockTransport:
    """The factory whose transports answer with ``handler``."""
    return MockTransport(handler)


class _MockLane:
    """One transport of a MockTransport. Completions come as lists in the loop's next turn, as from the real ones."""

    def __init__(self, mock: MockTransport, on_complete: OnComplete) -> None:
        self._mock = mock
        self._gathering = Gathering(on_complete)
        self._closed = False

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        for tag, request in requests:
            self._gathering.add(self._answer(tag, request))

    def renew(self) -> None:
        self._mock.renewals += 1

    async def close(self) -> None:
        self._closed = True
        self._gathering.deliver()

    def _answer(self, tag: object, request: Request) -> Completion:
        if self._closed:
            return Completion(tag, None, faults.closed())
        self._mock.requests.append(request)
        try:
            answer = self._mock.handler(request)
        except TransportError as error:
            answer = error
        if isinstance(answer, TransportError):
            return Completion(tag, None, answer)
        return Completion(tag, answer, None)
