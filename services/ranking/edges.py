"""The edges to Kafka: announcements come in, impressions go out. Ranking serves while Kafka is away."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared.decoding import decoded
from shared.errors import BadRecord, KafkaUnavailable
from shared.kafka import check_topics, consumer, producer, started, until_kafka_answers
from shared.messages import BundleAnnouncement, Impression
from shared.settings import Settings

SERVICE = "ranking"
LINGER_MS = 50
"""Impressions gather for so long: nobody waits for them, and a request to Kafka for each would cost as much as the ranking."""

_log = structlog.stdlib.get_logger(service=SERVICE)
_announcements = msgspec.json.Decoder(BundleAnnouncement)


async def check(settings: Settings) -> None:
    """See that the topics are as the table says, once Kafka answers.

    Raises:
        TopicDiffers: one is not.
    """
    await until_kafka_answers(SERVICE, lambda: check_topics(settings, [BundleAnnouncement.topic, Impression.topic]))


async def listen(settings: Settings, announce: Callable[[], None]) -> None:
    """For ever: call ``announce`` for each bundle of the task that is announced from now on.

    Raises:
        KafkaUnavailable: no broker answered at the start; later ones are waited for.
    """
    client = await started(consumer(settings))
    try:
        only = TopicPartition(BundleAnnouncement.topic, 0)
        client.assign([only])
        await client.seek_to_end(only)
        async for record in client:
            if _is_for(settings.task, record.value):
                announce()
    except KafkaError as error:
        raise KafkaUnavailable(f"Announcements cannot be read ({error!r})") from error
    finally:
        await client.stop()


def _is_for(task: str, value: bytes | None) -> bool:
    try:
        return decoded(_announcements.decode, value).task == task
    except BadRecord as error:
        _log.error("announcement_undecodable", detail=str(error))
        return True  # looking at the pointer once too often does no harm


class ImpressionSender:
    """Sends impressions through one live producer, and makes a new one when Kafka will not take records from the old."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: Any = None
        self._ending: set[asyncio.Future[None]] = set()

    async def connect(self) -> None:
        """Start a producer.

        Raises:
            KafkaUnavailable: no broker answered.
        """
        self._producer = await started(producer(self._settings, linger_ms=LINGER_MS))

    async def send(self, key: bytes, value: bytes) -> "asyncio.Future[object]":
        """Hand a record over; the future is done once Kafka acknowledged it. Waits for a Kafka that is away.

        Raises:
            KafkaUnavailable: the producer refused it.
        """
        if self._producer is None:
            await until_kafka_answers(SERVICE, self.connect)
        current = self._producer
        try:
            sent: asyncio.Future[object] = await current.send(Impression.topic, value, key=key)
        except KafkaError as error:
            self._retire(current)
            raise KafkaUnavailable(f"Kafka did not take an impression ({error!r})") from error
        sent.add_done_callback(lambda done: self._look(current, done))
        return sent

    async def stop(self) -> None:
        """Let what was sent arrive, and close."""
        if self._producer:
            self._retire(self._producer)
        await asyncio.gather(*self._ending)

    def _look(self, used: Any, done: "asyncio.Future[object]") -> None:
        if not done.cancelled() and done.exception() is not None:
            self._retire(used)

    def _retire(self, used: Any) -> None:
        if used is self._producer:
            self._producer = None
            ending = asyncio.ensure_future(used.stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
