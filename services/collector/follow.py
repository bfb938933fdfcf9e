"""Keep the catalogue up with the topic ``items``: read it to its end before the doors open, and follow it after."""

from collections.abc import Awaitable, Callable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.collector import metrics
from services.collector.stamp import Catalogue
from shared.decoding import Record, decoded
from shared.errors import BadRecord, KafkaUnavailable
from shared.kafka import consumer, partition_for, started
from shared.messages import Item
from shared.settings import Settings

_items = msgspec.json.Decoder(Item)
Keep = Callable[[str, str, Record], Awaitable[None]]


class Follower:
    """Reads every partition of ``items``; ``keep`` takes what is no item to the dead letters."""

    def __init__(self, settings: Settings, catalogue: Catalogue, keep: Keep) -> None:
        self._settings, self._catalogue, self._keep = settings, catalogue, keep
        self.caught_up = False
        """The end that the topic had at the start has been read."""

    async def follow(self) -> None:
        """Read until cancelled. May be called again after it raised: a line that is read twice changes nothing.

        Raises:
            KafkaUnavailable: Kafka does not answer.
        """
        reader = await started(consumer(self._settings))
        try:
            parts = [TopicPartition(Item.topic, number) for number in range(self._settings.partitions)]
            reader.assign(parts)
            ends = await reader.end_offsets(parts)
            while True:
                await self._read(reader)
                self.caught_up = self.caught_up or all([await reader.position(part) >= ends[part] for part in parts])
        except KafkaError as error:
            raise KafkaUnavailable(f"Kafka did not answer while the catalogue was read ({error!r})") from error
        finally:
            await reader.stop()

    async def _read(self, reader: AIOKafkaConsumer) -> None:
        for records in (await reader.getmany(timeout_ms=200)).values():
            for record in records:
                try:
                    take(self._catalogue, record, self._settings.partitions)
                except BadRecord as error:
                    await self._keep(error.code, error.reason, record)
        metrics.catalogue_items.set(len(self._catalogue))


def take(catalogue: Catalogue, record: Record, partitions: int) -> None:
    """Take a record of ``items`` over. An empty one removes its item, which its key names.

    Raises:
        BadRecord: it is no item (``undecodable``), or stands where its key does not belong (``misrouted``).
    """
    item = decoded(_items.decode, record.value) if record.value else None
    item_id = item.item_id if item else (record.key or b"").decode(errors="replace")
    if (home := partition_for(item_id, partitions)) != record.partition:
        raise BadRecord("misrouted", f"Item {item_id} belongs to partition {home}: use murmur2 of its item_id as the key.")
    if item:
        catalogue.put(item, record.offset)
    else:
        catalogue.remove(item_id, record.offset)
