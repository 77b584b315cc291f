"""A gateway whose Redis dies: it pauses and says so, guesses nothing, and goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pushgw.vendor.http import Request, Response

pytestmark = pytest.mark.redis

MESSAGES = ("im.offline-messages", 0)


@pytest.fixture
async def server(make_redis: Callable[..., Any]) -> Any:
    return make_redis("RedisServer", "appendfsync always")


@pytest.fixture
async def plant(make_plant: Callable[..., Any], server: Any) -> AsyncIterator[Any]:
    plant = make_plant()
    plant.state_url = server.url
    await plant.start()
    yield plant
    if not server.running:
        server.start()
    if not plant.running.done():
        await plant.stop()


def to_bob(sent: list[Request]) -> list[Request]:
    return [request for request in sent if dict(request.headers)["x-token"] == "token-bob-d"]


async def test_intake_pauses_while_redis_is_away(
    plant: Any, server: Any, message: Callable[..., Any]
) -> None:
    """What comes in meanwhile waits: nothing is pushed or suppressed unasked; after the restart each is pushed once."""
    await plant.with_devices("bob")
    first = message("bob")
    plant.intake.put(first)
    await plant.until_idle()
    server.kill()
    plant.intake.put(message("bob"), first, message("nobody"))
    await plant.until(lambda: "state" in plant.gateway.troubles)
    port = server.port
    assert plant.gateway.troubles["state"].startswith(f"Redis 127.0.0.1:{port} cannot be reached: start it")
    receipts = len(plant.outlet.receipts)
    assert (len(plant.sent), receipts) == (1, 1)
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 1
    server.start()
    await plant.until_idle()
    assert plant.gateway.troubles == {}
    assert len(to_bob(plant.sent)) == 2
    codes = [receipt["PushGateway"].get("Code") for receipt in plant.outlet.receipts[receipts:]]
    assert sorted(code or "pushed" for code in codes) == ["A5", "B3", "pushed"]
    await plant.intake.commit()
    assert plant.intake.committed[MESSAGES] == 4


async def test_redis_dies_between_push_and_settlement(
    plant: Any, server: Any, message: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The push is out, its done mark cannot be written: the offset stays, and after the restart nothing is sent again and the
    badge counts it once."""
    await plant.with_devices("bob")

    def dying(request: Request) -> Response:
        server.kill()
        return Response(status=200)

    monkeypatch.setattr(plant.mock, "handler", dying)
    plant.intake.put(message("bob"))
    await plant.until(lambda: "state" in plant.gateway.troubles)
    assert len(plant.sent) == 1
    await plant.intake.commit()
    assert plant.intake.committed.get(MESSAGES, 0) == 0
    monkeypatch.undo()
    server.start()
    await plant.until_idle()
    bob = await plant.state.user(0, "bob")
    assert (len(plant.sent), bob.badge, len(plant.outlet.receipts)) == (1, 1, 1)
    plant.intake.put(message("bob"))
    await plant.until_idle()
    assert dict(plant.sent[1].headers)["x-badge"] == "2"
