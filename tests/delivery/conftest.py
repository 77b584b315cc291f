"""A vendor made of a table, a transport that is answered by hand, and shipments to put through a lane."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pushgw.credentials import CredentialEntry
from pushgw.delivery.dispatcher import Dispatcher
from pushgw.delivery.ending import End, Ending
from pushgw.delivery.shipment import Parcel, Shipment
from pushgw.policy.facts import Device
from pushgw.settings import DispatchSettings
from pushgw.vendor.adapter import Account, Adapter, Auth, Credential, Refused
from pushgw.vendor.http import Completion, OnComplete, Request, Response, TlsOptions, TransportError
from pushgw.vendor.mock_transport import MockTransport
from pushgw.vendor.push import Action, Notification, Outcome, Push, Target

NOW = 1_795_500_000.0


class TableAdapter(Adapter):
    """Answers are spelled in the response's body: one action word a target."""

    vendor = "table"
    push_platform = 0
    platforms = frozenset({"android"})
    credential_model = Credential
    batch_limit = 10

    def local_auth(self, account: Account, now: float) -> Auth | None:
        account.cache["signed"] = account.cache.get("signed", 0) + 1
        return Auth(value=f"token-{account.cache['signed']}", made_at=now, expires_at=now + 3600)

    def render(self, push: Push, account: Account, auth: Auth | None) -> Request:
        if push.notification.body == "unfit":
            raise Refused("the payload is 5000 bytes, the limit is 4096")
        users = ",".join(t.user for t in push.targets)
        return Request(
            url="https://table.example/",
            headers=(
                ("x-auth", auth.value if auth else ""),
                ("x-users", users),
                ("x-body", push.notification.body),
            ),
        )

    def interpret(self, push: Push, account: Account, response: Response) -> list[Outcome]:
        return [
            Outcome(action=Action(word), code=word, reason=f"said {word}")
            for word in response.body.decode().split(",")
        ]


class ByHand:
    """A transport factory whose requests wait until the test answers them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Shipment, Request]] = []
        self.closed = False
        self.renewed_before: list[int] = []
        """For each renewal, how many requests had been submitted by then."""
        self.submitted = 0
        self._on_complete: OnComplete | None = None

    def __call__(
        self,
        *,
        on_complete: OnComplete,
        timeout: float,
        http2: bool,
        tls: TlsOptions,
        proxy: str | None = None,
    ) -> ByHand:
        self._on_complete = on_complete
        return self

    def submit(self, requests: Sequence[tuple[object, Request]]) -> None:
        self.submitted += len(requests)
        self.waiting += requests  # type: ignore[arg-type]  # tags are shipments

    def renew(self) -> None:
        self.renewed_before.append(self.submitted)

    async def close(self) -> None:
        self.closed = True
        self.waiting.clear()

    def answer(self, words: str | TransportError) -> Request:
        """Answer the oldest waiting request; give it back."""
        tag, request = self.waiting.pop(0)
        assert self._on_complete is not None
        if isinstance(words, TransportError):
            self._on_complete([Completion(tag, None, words)])
        else:
            self._on_complete([Completion(tag, Response(status=200, body=words.encode()), None)])
        return request

    def answer_all(self, words: str | TransportError) -> None:
        """Answer all that wait, in one list."""
        tags, self.waiting = [tag for tag, _ in self.waiting], []
        assert self._on_complete is not None
        if isinstance(words, TransportError):
            self._on_complete([Completion(tag, None, words) for tag in tags])
        else:
            response = Response(status=200, body=words.encode())
            self._on_complete([Completion(tag, response, None) for tag in tags])

    @property
    def bodies(self) -> list[str]:
        return [dict(request.headers)["x-body"] for _, request in self.waiting]

    async def until(self, count: int) -> None:
        """Wait until so many requests are waiting (repeats come by timer)."""
        async with asyncio.timeout(5):
            while len(self.waiting) < count:
                await asyncio.sleep(0.001)


class Desk:
    """A dispatcher over vendors that are answered by hand, and what came out of it."""

    def __init__(self, **settings: Any) -> None:
        self.settings = DispatchSettings(**{"backoff": 0.002, "backoff_max": 0.004, **settings})
        self.now = NOW
        self.vendors: dict[int, ByHand] = {}
        self.endings: list[Ending] = []
        self._opening = 0
        self.dispatcher = Dispatcher(
            self.settings,
            self._factory,
            MockTransport(lambda _r: Response(status=500)),
            on_endings=self.endings.extend,
            clock=lambda: self.now,
            rng=random.Random(1),
        )

    def _factory(self, **options: Any) -> ByHand:
        return self.vendors[self._opening](**options)

    def offer(self, *shipments: Shipment) -> None:
        for shipment in shipments:
            self._opening = shipment.entry.business_id
            self.vendors.setdefault(self._opening, ByHand())
            self.dispatcher.dispatch([shipment])

    @property
    def ends(self) -> list[tuple[str, End]]:
        return [(e.parcel.user, e.end) for e in self.endings]


@pytest.fixture
async def desk() -> Any:
    desk = Desk()
    yield desk
    await desk.dispatcher.close()


@pytest.fixture
def make_desk() -> Callable[..., Desk]:
    return Desk


@pytest.fixture
def entry() -> Callable[[int], CredentialEntry]:
    def make(business_id: int = 1) -> CredentialEntry:
        account = Account(business_id=business_id, vendor="table", credential=Credential(), cache={})
        return CredentialEntry(business_id, "table", adapter=TableAdapter(), account=account)

    return make


@pytest.fixture
def ship() -> Callable[..., Shipment]:
    def make(entry: CredentialEntry, *users: str, body: str = "hi", expires_in: int = 3600) -> Shipment:
        parcels = [
            Parcel(
                work=None,
                user=user,
                device=Device(device_id="d", business_id=entry.business_id, token=f"token-{user}", put_ms=0),
                target=Target(
                    token=f"token-{user}", user=user, device_id="d", push_id=f"P{user}", vendor_id=f"V{user}"
                ),
                unread=None,
                counts=True,
            )
            for user in users
        ]
        notification = Notification(body=body, expires_at=int(NOW) + expires_in, collapse_id="c", notify_id=1)
        return Shipment(
            entry=entry,
            notification=notification,
            parcels=parcels,
            tokens=tuple(p.device.token for p in parcels),
        )

    return make
