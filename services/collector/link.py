"""The collector's producer: connected before the doors open, made anew when Kafka will not take records from it any more."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.collector import metrics
from services.collector.send import UNSENT, Place, Record, Sender
from services.collector.settings import CollectorSettings
from shared import decoding
from shared.dead_letters import DeadLetters
from shared.errors import KafkaUnavailable
from shared.kafka import check_topics, producer, started, until_kafka_answers
from shared.messages import Behaviour, DeadLetter, Item

SERVICE = "collector"


class Link:
    """Sends through one live producer, and replaces it when a record was refused."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._log = structlog.stdlib.get_logger().bind(service=SERVICE)
        self._producer: AIOKafkaProducer | None = None
        self._sender: Sender | None = None
        self._refused = asyncio.Event()
        self._retired: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether Kafka answered once, and its topics are as they should be."""
        return self._sender is not None

    async def connect(self) -> None:
        """Check the topics and start the producer; waits for a Kafka that is away.

        Raises:
            TopicDiffers: a topic on the broker is not what the table says.
        """
        topics = [Behaviour.topic, Item.topic, DeadLetter.topic]
        await until_kafka_answers(SERVICE, lambda: check_topics(self._settings, topics))
        await until_kafka_answers(SERVICE, self._renew)

    async def send(self, topic: str, records: Sequence[Record], release: Callable[[], None]) -> list[Place]:
        """As :meth:`services.collector.send.Sender.send`, through the live producer."""
        sender = self._sender
        if sender is None:
            release()
            raise KafkaUnavailable(f"Kafka has not answered yet. {UNSENT}")
        try:
            return await sender.send(topic, records, release)
        finally:
            if sender.broken:
                self._refused.set()

    async def keep(self, reason: str, detail: str, record: decoding.Record) -> None:
        """Put a record that was read into the dead letters."""
        if self._producer:
            await DeadLetters(self._producer, SERVICE).send(reason, detail, record)

    async def replace_refused(self) -> None:
        """For ever: make the producer anew when Kafka refused a record; the old one ends when all that waits in it is settled."""
        while True:
            await self._refused.wait()
            self._refused.clear()
            old, sender = self._producer, self._sender
            if old is None or sender is None or not sender.broken:
                continue
            self._log.error("producer_replaced", cause=repr(sender.broken))
            await until_kafka_answers(SERVICE, self._renew)
            metrics.producers_replaced.inc()
            ending = asyncio.create_task(old.stop())
            self._retired.add(ending)
            ending.add_done_callback(self._retired.discard)

    async def stop(self, seconds: float) -> None:
        """Let what still waits arrive, for at most so long. Whoever sent it has been told that it may not arrive."""
        stopping = [self._producer.stop()] if self._producer else []
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*stopping, *self._retired), seconds)

    async def _renew(self) -> None:
        fresh = await started(producer(self._settings))
        self._producer, self._sender = fresh, Sender(fresh, self._settings.collector_ack_seconds, KafkaError)
