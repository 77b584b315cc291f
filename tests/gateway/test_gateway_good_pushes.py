"""When each credential last had a push accepted: kept over restarts, written now and then, and never waited for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushgw import good_pushes
from pushgw.metrics import exposition
from pushgw.settings import StateSettings
from pushgw.state import open_store
from pushgw.vendor.http import Response

Message = Callable[..., dict[str, Any]]
SERIES = 'pushgw_credential_last_good_push_timestamp_seconds{credential="1",vendor="plain"}'


async def stored(home: Path) -> dict[int, float]:
    """What a command reads beside the gateway."""
    reader = await open_store(StateSettings(url=f"sqlite:///{home / 'state.db'}"), read_only=True)
    try:
        return await reader.good_pushes()
    finally:
        await reader.close()


async def test_a_gateway_that_stops_has_written_its_last_good_push(plant: Any, message: Message) -> None:
    """The time of the newest accepted push, not of a refused one after it."""
    await plant.with_devices("bob", "eve")
    plant.now += 60
    plant.intake.put(message("bob"))
    await plant.until_idle()
    accepted = plant.now
    plant.now += 60
    plant.answers["token-eve-d"] = [Response(status=200, body=b"bad_message")]
    plant.intake.put(message("eve"))
    await plant.until_idle()
    await plant.stop()
    assert await stored(plant.home) == {1: accepted}


async def test_it_is_written_while_the_gateway_runs(
    make_plant: Callable[..., Any], message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every NOTE_EVERY_S, only what has changed: nothing new is no call."""
    monkeypatch.setattr(good_pushes, "NOTE_EVERY_S", 0.005)
    plant = make_plant()
    await plant.start()
    await plant.with_devices("bob")
    plant.intake.put(message("bob"))
    await plant.until_idle()
    await plant.until(lambda: plant.state.calls.count("note_good_pushes") == 1)
    assert await stored(plant.home) == {1: plant.now}
    looks = plant.gateway._good_pushes._seen
    seen = 0

    def counted() -> Any:
        nonlocal seen
        seen += 1
        return looks()

    plant.gateway._good_pushes._seen = counted
    await plant.until(lambda: seen > 3)
    assert plant.state.calls.count("note_good_pushes") == 1
    await plant.stop()


async def test_a_store_that_is_away_is_tried_again_and_holds_up_nothing(plant: Any, message: Message) -> None:
    """What could not be written stays in hand; the parts' health says nothing of it."""
    await plant.with_devices("bob")
    plant.intake.put(message("bob"))
    await plant.until_idle()
    plant.state.away = True
    await plant.gateway._good_pushes.note()
    plant.state.away = False
    assert plant.gateway.troubles == {}
    assert await stored(plant.home) == {}
    await plant.gateway._good_pushes.note()
    assert await stored(plant.home) == {1: plant.now}


async def test_the_metric_knows_the_time_before_a_restart(
    make_plant: Callable[..., Any], message: Message
) -> None:
    """No row before the first accepted push ever; afterwards its time, also of a lane that made way, also after a restart."""
    first = make_plant()
    await first.start()
    await first.with_devices("bob")
    assert SERIES not in exposition(first.gateway, first.book)
    first.intake.put(message("bob"))
    await first.until_idle()
    first.gateway._dispatcher.supersede([1])
    await first.until(lambda: not first.gateway._dispatcher._leaving)
    [line] = [line for line in exposition(first.gateway, first.book).splitlines() if line.startswith(SERIES)]
    assert float(line.split()[1]) == first.now
    await first.stop()
    second = make_plant()
    await second.start()
    await second.until(lambda: second.gateway.good_pushes == {1: first.now})
    assert SERIES in exposition(second.gateway, second.book)
    await second.stop()
