"""Static membership on a real Apache Kafka: a member that comes back in time disturbs nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from pushgw.kafka.intake import Intake
from pushgw.settings import KafkaSettings

pytestmark = pytest.mark.kafka
StartMember = Callable[..., Awaitable[Intake]]


@pytest.fixture
def revoked() -> list[str]:
    """Names of members that had to give partitions up, in order."""
    return []


@pytest.fixture
async def start_member(settings: KafkaSettings, revoked: list[str]) -> AsyncIterator[StartMember]:
    """Starts a member by its name, static or not; closes all at the end."""
    started: list[Intake] = []

    async def start(name: str, *, static: bool) -> Intake:
        async def note(_: set[tuple[str, int]]) -> None:
            revoked.append(name)

        member = Intake(settings.model_copy(update={"group_instance_id": name if static else None}))
        started.append(member)
        await member.start(note)
        return member

    yield start
    for member in started:
        await member.close()


async def polled(member: Intake, call: Awaitable[Any]) -> Any:
    """``member`` goes on polling while ``call`` runs."""
    task = asyncio.ensure_future(call)
    while not task.done():
        await member.batch()
    return await task


async def test_a_restarted_static_member_gets_its_partitions_back(
    settings: KafkaSettings, kit: Any, start_member: StartMember, revoked: list[str]
) -> None:
    """A static member that is stopped and started within the session timeout has the same partitions, with what came
    meanwhile, and the other member has given up nothing."""
    topic = settings.topics.messages
    first, second = await _two_members(kit, start_member, static=True)
    mine, theirs = first.assignment, second.assignment
    revoked.clear()
    await polled(first, second.close())
    await polled(first, kit.produce(topic, [b"meanwhile"], partition=_number_of(theirs, topic)))
    again = await polled(first, start_member("second", static=True))
    found = await polled(first, kit.take(again, 1))
    assert [record.value for record in found] == [b"meanwhile"]
    assert (first.assignment, again.assignment) == (mine, theirs)
    assert "first" not in revoked


async def test_a_restart_without_static_membership_disturbs_the_others(
    kit: Any, start_member: StartMember, revoked: list[str]
) -> None:
    """The same restart of an ordinary member makes the other one give up its partitions: what the setting is for."""
    first, second = await _two_members(kit, start_member, static=False)
    revoked.clear()
    await polled(first, second.close())
    again = await polled(first, start_member("second", static=False))
    await kit.until(lambda: len(first.assignment) == len(again.assignment) == 4, first, again)
    assert "first" in revoked


async def test_a_static_member_that_stays_away_is_replaced(kit: Any, start_member: StartMember) -> None:
    """When it does not come back within the session timeout its partitions go to the others."""
    first, second = await _two_members(kit, start_member, static=True)
    everything = first.assignment | second.assignment
    await polled(first, second.close())
    assert len(first.assignment) == 4
    await kit.until(lambda: first.assignment == everything, first)


async def _two_members(kit: Any, start_member: StartMember, *, static: bool) -> tuple[Intake, Intake]:
    first = await start_member("first", static=static)
    second = await polled(first, start_member("second", static=static))
    await kit.until(lambda: len(first.assignment) == len(second.assignment) == 4, first, second)
    return first, second


def _number_of(assignment: set[tuple[str, int]], topic: str) -> int:
    return next(partition for name, partition in sorted(assignment) if name == topic)
