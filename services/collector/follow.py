"""Keep the catalogue up with the topic ``items``: read it to its end before the doors open, and follow it after."""

from collections.abc import Awaitable, Callable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.collector import metrics
from services.collector.stamp import Catalogue
from shared.dead_letters import Record
from shared.errors import KafkaUnavailable
from shared.kafka import consumer, started
from shared.messages import Item
from shared.settings import Settings

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
                if reason := take(self._catalogue, record):
                    await self._keep("undecodable", reason, record)
        metrics.catalogue_items.set(len(self._catalogue))


def take(catalogue: Catalogue, record: Record) -> str:
    """Take a record of ``items`` over; returns why it cannot be, or nothing. An empty one removes its item."""
    if not record.value:
        catalogue.remove((record.key or b"").decode(errors="replace"))
        return ""
    try:
        catalogue.put(msgspec.json.decode(record.value, type=Item), record.offset)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return str(error)
    return ""
