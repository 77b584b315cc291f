"""Our partitioner against aiokafka's, which is Kafka's."""

from __future__ import annotations

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from pushgw.kafka.partitioner import partition_of


@given(key=st.binary(max_size=40), partitions=st.integers(1, 64))
def test_a_key_lands_where_any_other_kafka_client_puts_it(key: bytes, partitions: int) -> None:
    """Whoever reads one receiver's receipts by key finds them in the partition that Kafka's own rule names."""
    everywhere = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)
