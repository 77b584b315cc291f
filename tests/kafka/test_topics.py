"""Making and describing topics."""

from __future__ import annotations

import pytest

from pushgw.kafka.topics import TopicsError, describe_topics, ensure_topics
from pushgw.settings import KafkaSettings


async def test_missing_topics_are_made_once(fresh_settings: KafkaSettings) -> None:
    """The first start makes all four topics with the set number of partitions; the second finds them."""
    topics = fresh_settings.topics
    first = await ensure_topics(fresh_settings)
    assert [t.name for t in first] == [
        topics.messages,
        topics.user_events,
        topics.receipts,
        topics.dead_letters,
    ]
    assert {(t.partitions, t.created) for t in first} == {(4, True)}
    second = await ensure_topics(fresh_settings)
    assert {(t.partitions, t.created) for t in second} == {(4, False)}


async def test_topics_that_exist_keep_their_partitions(fresh_settings: KafkaSettings) -> None:
    """Another number in the settings does not change topics that are there."""
    await ensure_topics(fresh_settings)
    again = await ensure_topics(fresh_settings.model_copy(update={"partitions": 9}))
    assert {t.partitions for t in again} == {4}


async def test_a_missing_topic_is_an_error_when_we_may_not_make_it(fresh_settings: KafkaSettings) -> None:
    """With create_topics off a start names what is missing, and makes nothing."""
    with pytest.raises(
        TopicsError, match=f"missing topics: {fresh_settings.topics.messages}, .*create_topics"
    ):
        await ensure_topics(fresh_settings.model_copy(update={"create_topics": False}))
    assert {t.partitions for t in await describe_topics(fresh_settings)} == {0}


async def test_no_broker_is_said_with_its_address(unused_tcp_port: int) -> None:
    """A start without a broker ends with the address that does not answer."""
    settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    with pytest.raises(TopicsError, match=f"at 127.0.0.1:{unused_tcp_port}"):
        await ensure_topics(settings, patience=0)
