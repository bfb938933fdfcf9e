"""How far this machine's clock is from the brokers': asked once at the start, by the append times of empty records."""

import time
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from shared.errors import BadSettings
from shared.kafka import deliver
from shared.topics import CLOCK

SAMPLES = 5


class Difference(NamedTuple):
    """This machine's clock less a broker's, in ms; the truth lies within ± ``error``."""

    ms: float
    error: float

    @property
    def least(self) -> float:
        """The smallest difference that the measurement allows."""
        return max(0.0, abs(self.ms) - self.error)


async def difference(producer: AIOKafkaProducer, partitions: int) -> Difference:
    """The largest difference to any broker that leads a partition of the clock's topic; of each, the sample with the least error.

    Raises:
        KafkaUnavailable: no answer.
    """
    found = []
    for partition in range(partitions):
        samples = [await _sample(producer, partition) for _ in range(SAMPLES)]
        found.append(min(samples, key=lambda one: one.error))
    return max(found, key=lambda one: one.least)


def require_near(found: Difference, skew: int) -> None:
    """Make sure that the clocks agree well enough for the join.

    Raises:
        BadSettings: they do not; says by how much and what to do.
    """
    if found.least > skew / 2:
        raise BadSettings(
            f"This machine's clock differs from a Kafka broker's by {found.ms:.0f} ms (± {found.error:.0f}), above half of "
            f"FRESHET_JOINER_SKEW_MS={skew}: an idle partition would be thought read too early. Synchronise the clocks or raise it."
        )


async def _sample(producer: AIOKafkaProducer, partition: int) -> Difference:
    before = time.time()
    stamped = (await deliver(producer, CLOCK, b"", partition=partition)).timestamp
    after = time.time()
    return Difference((before + after) * 500 - stamped, (after - before) * 500 + 1)
