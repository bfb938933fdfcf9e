"""Producers and consumers with the settings that Freshet's promises rest on. Nothing connects before ``start``."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from shared.errors import KafkaUnavailable
from shared.kafka.connections import Connection
from shared.kafka.login import login, told
from shared.settings import Settings

LARGEST_REQUEST = 8 << 20
"""Bytes of the largest record; the topics' ``max.message.bytes`` says the same."""
REQUEST_TIMEOUT_MS = 10_000
RETRY_SECONDS = 1.0


C = TypeVar("C", AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient)
T = TypeVar("T")


def producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """A producer that loses and doubles nothing: idempotent, ``acks=all``, one request in flight a partition.

    It repeats a request until the broker answers, however long that takes: bound the *wait* with :func:`deliver`, and the memory by
    the number of records that wait. Keys are placed by murmur2 (see :func:`shared.kafka.partition_for`).
    """
    defaults: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "enable_idempotence": True,
        "acks": "all",
        "linger_ms": 2,
        "max_batch_size": 256 << 10,
        "max_request_size": LARGEST_REQUEST,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    return AIOKafkaProducer(**(login(settings) | defaults | options))


def consumer(settings: Settings, *topics: str, group: str | None = None, **options: Any) -> AIOKafkaConsumer:
    """A consumer that begins at the beginning and never commits on its own; without ``group`` it is to be assigned by hand."""
    defaults: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "max_partition_fetch_bytes": LARGEST_REQUEST,
        "request_timeout_ms": 4 * REQUEST_TIMEOUT_MS,
    }
    return AIOKafkaConsumer(*topics, **(login(settings) | defaults | options))


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """Asks about topics and groups."""
    return AIOKafkaAdminClient(bootstrap_servers=settings.kafka, **login(settings))


async def started(client: C) -> C:
    """The client, connected.

    Raises:
        KafkaUnavailable: no broker answered, or none lets us in; says which.
    """
    try:
        await client.start()
    except KafkaError as error:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
        away = f"No Kafka broker answered ({error}); check FRESHET_KAFKA and that it runs."
        raise KafkaUnavailable(told(Connection.refused or error) or away) from error
    return client


async def until_kafka_answers(service: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """What the attempt returns, once Kafka lets it; until then the service's log says each second why it does not."""
    while True:
        try:
            return await attempt()
        except KafkaUnavailable as error:
            structlog.stdlib.get_logger(service=service).warning("kafka_away", detail=str(error))
            await asyncio.sleep(RETRY_SECONDS)


async def deliver(
    producer: AIOKafkaProducer,
    topic: str,
    value: bytes,
    *,
    key: bytes | None = None,
    partition: int | None = None,
    seconds: float = 10.0,
) -> RecordMetadata:
    """Send one record and wait until every in-sync replica has it; returns where it stands.

    Raises:
        KafkaUnavailable: not acknowledged within ``seconds``. The record may still arrive.
    """
    try:
        async with asyncio.timeout(seconds):
            return await producer.send_and_wait(topic, value, key=key, partition=partition)
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka did not acknowledge a record for {topic} in {seconds:g} s ({error!r})") from error
