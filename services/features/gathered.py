"""Polls that wait to be counted together."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from services.features.by_item import LARGEST
from shared.decoding import Record


def one(_: Record) -> int:
    """The events in a record that is one event."""
    return 1


class Gathered:
    """Records of one topic since the last fold.

    A fold of a handful of events costs what a fold of one does, and nothing of it can be read before the next flush: so the polls
    of all partitions are folded together, once before each flush, or sooner where there are many.

    Args:
        events: at most so many events are in a record.
    """

    def __init__(self, events: Callable[[Record], int] = one) -> None:
        self._records: list[Record] = []
        self._events, self._count = events, 0

    @property
    def full(self) -> bool:
        """Whether there is enough for a fold of its own."""
        return self._count >= LARGEST

    def add(self, records: Sequence[Record]) -> None:
        """Take a poll of one partition."""
        self._records += records
        self._count += sum(map(self._events, records))

    def take(self) -> list[list[Record]]:
        """All of it, in handy parts; a part has no more events than the settings make room for, or is a single record."""
        taken = list(self._parts(self._records))
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget what was gathered; it will be read again."""
        self._records, self._count = [], 0

    def _parts(self, records: list[Record]) -> Iterator[list[Record]]:
        start = count = 0
        for end, record in enumerate(records):
            events = self._events(record)
            if count and count + events > LARGEST:
                yield records[start:end]
                start, count = end, 0
            count += events
        if start < len(records):
            yield records[start:]


def runs(records: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """The first and the last record of each run of one partition."""
    for _, run in groupby(records, key=lambda record: record.partition):
        polled = list(run)
        yield polled[0], polled[-1]
