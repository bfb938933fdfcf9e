"""Hand records to Kafka and say where they stand, once it has acknowledged them all."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from shared.errors import KafkaUnavailable
from shared.failpoints import failpoint

AGAIN = "Send the whole request again: an event that arrives twice counts once, by its event_id."
UNSENT = "Nothing of this request was sent: send it again, whole."


class Place(Protocol):
    """Where a record stands."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


Acknowledgement = asyncio.Future[Place]


class Producer(Protocol):
    """What sending needs of a producer: an acknowledgement for each record, however long Kafka takes over it."""

    async def send(self, topic: str, value: bytes, key: bytes) -> Acknowledgement: ...


class Record(NamedTuple):
    """A message, encoded once."""

    key: bytes
    value: bytes


class Sender:
    """Sends lists of records through one producer; ``refusal`` is what that raises when Kafka will not take a record."""

    def __init__(self, producer: Producer, seconds: float, refusal: type[Exception]) -> None:
        self._producer, self._seconds, self._refusal = producer, seconds, refusal
        self.overdue = 0
        """Requests answered 503 whose records Kafka still owes an answer for. While there are any, Kafka counts as away."""
        self.broken: Exception | None = None
        """What Kafka refused a record with: the producer's numbering has a gap then, and only a new producer can go on."""

    async def send(self, topic: str, records: Sequence[Record], release: Callable[[], None]) -> list[Place]:
        """Send the records in order; returns where each stands, in order, after the last acknowledgement.

        ``release`` is called when none of them waits any more, which may be long after this raised.

        Raises:
            KafkaUnavailable: not all were acknowledged in time. Some may have arrived, or may still arrive.
        """
        waiting: list[Acknowledgement] = []
        try:
            self._check()
            async with asyncio.timeout(self._seconds):
                for record in records:
                    waiting.append(await self._producer.send(topic, value=record.value, key=record.key))  # noqa: PERF401
                failpoint("collector.sent")
                places = await acknowledged(waiting)
                failpoint("collector.acknowledged")
                return places
        except TimeoutError:
            raise KafkaUnavailable(f"Kafka did not acknowledge all within {self._seconds:g} s. {AGAIN}") from None
        except self._refusal as error:
            self.broken = self.broken or error
            raise KafkaUnavailable(f"Kafka refused a record ({error!r}). {AGAIN}") from error
        finally:
            self._release_when_settled(waiting, release)

    def _check(self) -> None:
        if self.overdue or self.broken:
            raise KafkaUnavailable(f"Kafka is away. {UNSENT}")

    def _release_when_settled(self, waiting: Sequence[Acknowledgement], release: Callable[[], None]) -> None:
        if all(future.done() and not future.exception() for future in waiting):
            release()
            return

        def settled(_: object) -> None:
            self.overdue -= 1
            release()

        self.overdue += 1
        asyncio.gather(*waiting, return_exceptions=True).add_done_callback(settled)


async def acknowledged(waiting: Sequence[Acknowledgement]) -> list[Place]:
    """Where every record stands, in order. Cancels no acknowledgement: each still tells when its record's memory is free."""
    for future in waiting:
        if not future.done():
            await asyncio.wait([future])
    return [future.result() for future in waiting]
