"""Which partition a key belongs to."""

from aiokafka.partitioner import murmur2


def partition_for(key: str | bytes, partitions: int) -> int:
    """The partition that every producer gives this key: murmur2 of its UTF-8 bytes, sign bit cleared, modulo the count.

    It is the default of Java's producer and of aiokafka's, so that shops may produce to the public topics themselves.
    """
    return int(murmur2(key.encode() if isinstance(key, str) else key) & 0x7FFFFFFF) % partitions
