"""Devices held for review, asked of each store through the protocol; and a command line beside a running gateway."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pushgw.messages.model import DevicePut
from pushgw.settings import StateSettings
from pushgw.state import open_review, open_store
from pushgw.state.protocol import StateMissing, StateStore, StateUnavailable, Suspect

NOW = 1_795_500_000.0
DAY = 86_400

Open = Callable[[], Awaitable[StateStore]]


def opens(url: str) -> Open:
    """Opens the same store each time."""
    return lambda: open_store(StateSettings(url=url))


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path') / 'state.db'}",
    "redis": lambda request: str(request.getfixturevalue("redis_server").url),
    "redis_cluster": lambda request: str(request.getfixturevalue("redis_cluster").url),
}
"""A store joins this suite with one entry: the address of an empty one."""


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.redis] if name.startswith("redis") else [])
        for name in FACTORIES
    ]
)
def opener(request: pytest.FixtureRequest) -> Open:
    return opens(FACTORIES[request.param](request))


@pytest.fixture
async def store(opener: Open) -> AsyncIterator[StateStore]:
    store = await opener()
    yield store
    await store.close()


def suspect(user: str = "bob", **changes: Any) -> Suspect:
    fields: dict[str, Any] = {
        "business_id": 6666,
        "vendor": "apns",
        "app": 0,
        "user": user,
        "device_id": "d1",
        "token": "t1",
        "sent_ms": 500,
        "dead_since_ms": None,
        "code": "Unregistered",
        "held_ms": 700,
    }
    return Suspect(**(fields | changes))


async def test_what_is_held_comes_back(store: StateStore) -> None:
    """Every field of every device, of all credentials or of one, the oldest first."""
    bob = suspect(held_ms=900, dead_since_ms=400)
    eve, other = suspect("eve"), suspect(business_id=7, held_ms=800)
    await store.hold([bob, eve, other], NOW)
    assert await store.suspects() == [eve, other, bob]
    assert await store.suspects(6666) == [eve, bob]
    assert await store.suspects(8) == []


async def test_the_same_device_is_held_once(store: StateStore) -> None:
    """A device that is called dead again replaces itself; one under another credential, app or id does not."""
    again = suspect(token="t2", held_ms=999)
    others = [suspect(business_id=7), suspect(app=3), suspect("eve"), suspect(device_id="d2")]
    await store.hold([suspect(), *others], NOW)
    await store.hold([again], NOW)
    found = await store.suspects()
    assert len(found) == 5
    assert again in found
    assert suspect() not in found


async def test_released_is_forgotten(store: StateStore) -> None:
    """Only those who are released go, also when they have been held anew meanwhile."""
    await store.hold([suspect(), suspect("eve")], NOW)
    await store.hold([suspect(held_ms=999)], NOW)
    await store.release([suspect()])
    assert await store.suspects() == [suspect("eve")]


@pytest.mark.parametrize("odd", ["", "a b", "bob\x00", "%_", "李雷", "x\x1a1"])
async def test_odd_names_are_held_and_released(store: StateStore, odd: str) -> None:
    """Any text is a user id and a device id."""
    one = suspect(odd, device_id=odd)
    await store.hold([one, suspect("x")], NOW)
    assert one in await store.suspects()
    await store.release([one])
    assert await store.suspects() == [suspect("x")]


async def test_nobody_waits_longer_than_30_days(store: StateStore) -> None:
    """What no operator has looked at for 30 days is forgotten; nothing to do is done."""
    await store.hold([suspect()], NOW)
    await store.expire(NOW + 30 * DAY - 1)
    assert await store.suspects() == [suspect()]
    await store.expire(NOW + 30 * DAY)
    assert await store.suspects() == []
    await store.hold([], NOW)
    await store.release([])


async def test_a_restart_still_holds_them(opener: Open) -> None:
    """What is held is remembered by the next process."""
    first = await opener()
    await first.hold([suspect()], NOW)
    await first.close()
    second = await opener()
    assert await second.suspects() == [suspect()]
    await second.close()


# --- SQLite beside a gateway ----------------------------------------------------------------------------


async def test_a_review_beside_the_writer(tmp_path: Path) -> None:
    """While a gateway has the file's lock a review reads and releases what is held, and the gateway sees it."""
    settings = StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}")
    gateway = await open_store(settings)
    await gateway.hold([suspect(), suspect("eve")], NOW)
    review = await open_review(settings)
    assert len(await review.suspects()) == 2
    await review.release([suspect()])
    await review.close()
    assert await gateway.suspects() == [suspect("eve")]
    await gateway.hold([suspect()], NOW)
    await gateway.close()


async def test_a_review_writes_nothing_that_the_writer_has_in_memory(tmp_path: Path) -> None:
    """Users, claims and the rest belong to the one writer: beside it they are refused."""
    settings = StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}")
    gateway = await open_store(settings)
    review = await open_review(settings)
    put = DevicePut(app=0, user="bob", time_ms=1, device_id="d1", business_id=1, token="t")
    with pytest.raises(StateUnavailable, match="beside a gateway"):
        await review.apply([put])
    await review.close()
    assert await gateway.user(0, "bob") is None
    await gateway.close()


async def test_a_review_makes_no_file(tmp_path: Path) -> None:
    """Where no gateway has run there is nothing to review, and no file comes into being."""
    with pytest.raises(StateMissing, match="does not exist"):
        await open_review(StateSettings(url=f"sqlite:///{tmp_path / 'state.db'}"))
    assert not (tmp_path / "state.db").exists()


async def test_a_file_from_before_reviews(tmp_path: Path) -> None:
    """A file without the table holds nothing for a reader, and gets the table when it is opened for writing."""
    path = tmp_path / "state.db"
    settings = StateSettings(url=f"sqlite:///{path}")
    await (await open_store(settings)).close()
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE suspects")
    database.close()
    reader = await open_store(settings, read_only=True)
    assert await reader.suspects() == []
    await reader.close()
    writer = await open_store(settings)
    await writer.hold([replace(suspect(), code="")], NOW)
    assert len(await writer.suspects()) == 1
    await writer.close()
