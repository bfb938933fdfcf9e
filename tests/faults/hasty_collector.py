"""The collector without one of its safeguards: what shows that the kill tests can fail.

``python -m tests.faults.hasty_collector acknowledged`` answers before Kafka has acknowledged; ``budget`` takes in whatever comes.
"""

import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.collector import __main__ as entry
from services.collector import budget, send
from shared.failpoints import failpoint


class Guess(NamedTuple):
    """Where a record might stand one day."""

    partition: int
    offset: int


async def hasty(sender: send.Sender, topic: str, records: Sequence[send.Record], release: Callable[[], None]) -> list[send.Place]:
    """Hand the records to the producer and wait for nothing."""
    for record in records:
        await sender._producer.send(topic, value=record.value, key=record.key)
    failpoint("collector.sent")
    failpoint("collector.acknowledged")  # as far as this one knows
    release()
    return [Guess(0, 0) for _ in records]


def without_acknowledged() -> None:
    """The records are on their way, and that is enough."""
    send.Sender.send = hasty  # type: ignore[method-assign]


def without_budget() -> None:
    """Bytes are counted, and that is all."""

    def take(self: budget.Budget, size: int) -> None:
        self.held += size

    budget.Budget.take = take  # type: ignore[method-assign]


if __name__ == "__main__":
    {"acknowledged": without_acknowledged, "budget": without_budget}[sys.argv[1]]()
    sys.exit(entry.main())
