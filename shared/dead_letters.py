"""Records that nobody could use: kept whole on ``dead-letters``, counted, and ready to be sent again."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from prometheus_client import Counter

from shared.decoding import Record
from shared.kafka import deliver
from shared.messages import DeadLetter, Origin

dead_letters = Counter("freshet_dead_letters_total", "Records kept as dead letters", ["service", "reason"])


class Replay(NamedTuple):
    """What to send so that a record takes its place again."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None
    """``None`` lets the key decide."""


class DeadLetters:
    """Sends a service's dead letters and counts them (``freshet_dead_letters_total{service,reason}``).

    ``reason`` is a short code of a fixed set; whatever varies belongs into ``detail``.
    """

    def __init__(self, producer: AIOKafkaProducer, service: str) -> None:
        self._producer, self._service = producer, service

    async def send(self, reason: str, detail: str, record: Record) -> None:
        """Keep the record; returns once Kafka has acknowledged it. Only then may the caller move on.

        Raises:
            KafkaUnavailable: not acknowledged in time.
        """
        sent = letter(self._service, reason, detail, record)
        await deliver(self._producer, DeadLetter.topic, msgspec.json.encode(sent), key=record.key or None)
        dead_letters.labels(self._service, reason).inc()


def letter(service: str, reason: str, detail: str, record: Record) -> DeadLetter:
    """The dead letter of a record.

    Its ``time`` is the record's own, so that a second delivery makes the same letter; when it was found is the time of the letter's
    own record.
    """
    return DeadLetter(
        service=service,
        reason=reason,
        detail=detail,
        origin=Origin(record.topic, record.partition, record.offset),
        key=record.key or b"",
        value=record.value or b"",
        time=datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC),
    )


def replay(letter: DeadLetter) -> Replay:
    """What sends the record again: by its key, so that a misrouted one finds its place; one without a key, where it was."""
    return Replay(letter.origin.topic, letter.key or None, letter.value, None if letter.key else letter.origin.partition)


def decode(value: bytes) -> DeadLetter:
    """A record of ``dead-letters``, read."""
    return msgspec.json.decode(value, type=DeadLetter)


def distinct(letters: Iterable[DeadLetter]) -> Iterator[DeadLetter]:
    """Each origin's first letter: dead letters are delivered at least once."""
    seen: set[tuple[Origin, str]] = set()
    for one in letters:
        if (one.origin, one.service) not in seen:
            seen.add((one.origin, one.service))
            yield one
