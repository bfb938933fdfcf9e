"""A topic read from its beginning, or from a moment, to where it ended when we began, without a consumer group."""

from collections.abc import AsyncIterator

from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka import consumer, started
from shared.settings import Settings
from shared.topics import table


async def records(settings: Settings, topic: str, since: float | None = None) -> AsyncIterator[ConsumerRecord]:
    """Each record, in offset order within a partition.

    Args:
        settings: where Kafka is.
        topic: its name.
        since: wall time from which records are read; all of them where it is not given.

    Raises:
        KafkaUnavailable: no broker answered.
    """
    client = await started(consumer(settings))
    try:
        partitions = [TopicPartition(topic, partition) for partition in range(table(settings.partitions)[topic].partitions)]
        client.assign(partitions)
        ends = await client.end_offsets(partitions)
        if since is not None:
            for partition, found in (await client.offsets_for_times(dict.fromkeys(partitions, int(since * 1000)))).items():
                client.seek(partition, ends[partition] if found is None else found.offset)
        while any([await client.position(partition) < end for partition, end in ends.items()]):
            for partition, batch in (await client.getmany(timeout_ms=500)).items():
                for record in batch:
                    if record.offset < ends[partition]:
                        yield record
    finally:
        await client.stop()
