"""The imported shop's catalogue on the topic ``items``, where the collector and the features service look for it."""

import asyncio
from collections.abc import Iterable
from datetime import UTC
from itertools import islice

import msgspec

from shared.kafka import deliver, producer, started
from shared.messages import Item
from shared.settings import Settings

TOGETHER = 500
"""Lines that wait for Kafka at once."""

_encode = msgspec.json.Encoder().encode


async def list_items(settings: Settings, items: Iterable[Item]) -> int:
    """Send each item as ``POST /items`` of the collector does; how many. Returns when Kafka has them all.

    The topic is compacted by the item's id, so that a repeat is harmless; lines that come to the door later are newer.

    Raises:
        KafkaUnavailable: not all were acknowledged; do it again.
    """
    client, lines, sent = await started(producer(settings)), iter(items), 0
    try:
        while part := list(islice(lines, TOGETHER)):
            await asyncio.gather(*(deliver(client, Item.topic, line(item), key=item.item_id.encode()) for item in part))
            sent += len(part)
    finally:
        await client.stop()
    return sent


def line(item: Item) -> bytes:
    """The record's value: JSON, its time in UTC."""
    return _encode(msgspec.structs.replace(item, time=item.time.astimezone(UTC)))
