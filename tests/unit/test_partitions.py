"""The partition of a key is the one that every Kafka client gives it."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from shared.kafka import partition_for


@given(st.text(), st.integers(1, 4096))
def test_it_is_where_the_producer_puts_it(key: str, partitions: int) -> None:
    everything = list(range(partitions))
    assert partition_for(key, partitions) == DefaultPartitioner()(key.encode(), everything, everything)


@pytest.mark.parametrize(("key", "hashed"), [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)])
def test_it_agrees_with_the_vectors_of_kafkas_own_tests(key: str, hashed: int) -> None:
    assert partition_for(key, 1 << 20) == (hashed & 0x7FFFFFFF) % (1 << 20)


def test_bytes_and_text_of_one_key_meet() -> None:
    assert partition_for("zoë", 16) == partition_for("zoë".encode(), 16)
