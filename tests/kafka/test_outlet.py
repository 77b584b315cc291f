"""The outlet on the embedded broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner

from pushgw.kafka.intake import Record
from pushgw.kafka.outlet import Outlet, OutletError
from pushgw.messages.model import Source
from pushgw.settings import KafkaSettings


@pytest.fixture
async def outlet(settings: KafkaSettings) -> AsyncIterator[Outlet]:
    """An outlet whose clock stands still, with batches that are soon full."""
    made = Outlet(settings, clock=lambda: 1_795_500_001.5, batch_bytes=2000)
    await made.start()
    yield made
    await made.close()


async def test_receipts_are_there_when_publish_returns(
    settings: KafkaSettings, kit: Any, outlet: Outlet
) -> None:
    """Every receipt is on the topic, many batches full of them, in its key's partition, in order, with our clock's time."""
    receipts = [(b"user-%d" % (n % 50), b'{"n":%d}' % n) for n in range(1000)]
    await outlet.publish(receipts)
    found = await kit.read(settings.topics.receipts, 1000)
    assert sorted((r.key, r.value) for r in found) == sorted(receipts)
    partitioner = DefaultPartitioner()
    assert all(r.partition == partitioner(r.key, [0, 1, 2, 3], [0, 1, 2, 3]) for r in found)
    for user in {key for key, _ in receipts}:
        assert [r.value for r in found if r.key == user] == [v for k, v in receipts if k == user]
    assert {r.timestamp for r in found} == {1_795_500_001_500}
    assert outlet.healthy == "ok"


async def test_receipts_without_a_key_are_spread(settings: KafkaSettings, kit: Any, outlet: Outlet) -> None:
    """A receipt that belongs to nobody still finds a partition, and not always the same."""
    await outlet.publish([(None, b'{"n":%d}' % n) for n in range(8)])
    found = await kit.read(settings.topics.receipts, 8)
    assert sorted(r.partition for r in found) == [0, 0, 1, 1, 2, 2, 3, 3]


async def test_nothing_to_publish_is_nothing_sent(outlet: Outlet) -> None:
    """No receipts and no letters are acknowledged at once."""
    await outlet.publish([])
    await outlet.dead_letters([])
    await outlet.flush()


async def test_a_dead_letter_is_the_record_with_our_headers(
    settings: KafkaSettings, kit: Any, outlet: Outlet
) -> None:
    """Key, value and headers of the original stay, ours replace those of the same name; no value stays no value."""
    bad = Record(Source("m", 3, 17), b"C2C_a_b", b"\xff{", (("trace", b"t"), ("pushgw-attempt", b"1")), 5, 0)
    empty = Record(Source("m", 3, 18), None, None, (), 5, 0)
    await outlet.dead_letter(bad, [("pushgw-source", b"m/3/17"), ("pushgw-attempt", b"2")])
    await outlet.dead_letters([(empty, [("pushgw-source", b"m/3/18")])])
    found = {dict(r.headers)["pushgw-source"]: r for r in await kit.read(settings.topics.dead_letters, 2)}
    first, second = found[b"m/3/17"], found[b"m/3/18"]
    assert (first.key, first.value) == (b"C2C_a_b", b"\xff{")
    assert first.headers == (("trace", b"t"), ("pushgw-source", b"m/3/17"), ("pushgw-attempt", b"2"))
    assert (second.key, second.value) == (None, None)


async def test_no_broker_is_an_error_with_its_address(unused_tcp_port: int) -> None:
    """An outlet that finds no broker says where it looked; the caller does not settle."""
    outlet = Outlet(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"), patience=0)
    with pytest.raises(OutletError, match=f"at 127.0.0.1:{unused_tcp_port}"):
        await outlet.publish([(b"u", b"{}")])
    assert "not connected" in outlet.healthy
    await outlet.close()
