"""What travels on ``behaviour-by-item``: counted events of one partition that belong to one item partition, as columns."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.dead_letters import Record
from shared.features.events import Events
from shared.kafka import partition_for

LARGEST = 4_096
"""Events in one record."""
LEAST_BYTES = 34
"""What an event takes in a record at least: four columns of 8 bytes, and the heads of two strings."""

Passed = tuple[int, bytes]
"""A record for ``behaviour-by-item``, after its partition."""

place = lru_cache(1 << 16)(partition_for)


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """k events of one partition of ``behaviour``, in its order. Arrays are little-endian bytes."""

    source: int
    """Their partition of ``behaviour``."""
    offsets: bytes
    """int64 (k,)."""
    times: bytes
    """int64 (k,): microseconds since 1970 UTC."""
    prices: bytes
    """float64 (k,): NaN where unknown."""
    quantities: bytes
    """float64 (k,)."""
    items: list[str]
    actions: list[str]

    def events(self) -> tuple[Events, NDArray[np.int64]]:
        """The events and their offsets.

        Raises:
            ValueError: the columns are not of one length.
        """
        n = len(self.items)
        offsets, times = np.frombuffer(self.offsets, np.int64), np.frombuffer(self.times, np.int64)
        prices, quantities = np.frombuffer(self.prices), np.frombuffer(self.quantities)
        if {len(offsets), len(times), len(prices), len(quantities), len(self.actions)} != {n}:
            raise ValueError(f"columns of different lengths beside {n} items")
        none = np.zeros(n, np.uint64)
        return Events(self.items, self.items, self.actions, times, prices, quantities, none, none, none), offsets


def pack(sources: NDArray[np.int64], offsets: NDArray[np.int64], events: Events, partitions: int) -> Iterator[Passed]:
    """Records for ``behaviour-by-item``, with their partitions; within each, the events' order is kept.

    Args:
        sources, offsets: (n,) where each event stands on ``behaviour``.
        events: n of them.
        partitions: count of the topics' partitions.
    """
    if not len(events):
        return
    target = np.array([place(item, partitions) for item in events.item], np.int64)
    way = sources * partitions + target
    order = np.argsort(way, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(way[order])) + 1):
        source, to = int(sources[chosen[0]]), int(target[chosen[0]])
        for start in range(0, len(chosen), LARGEST):
            yield to, _encode(source, offsets, events, chosen[start : start + LARGEST])


def _encode(source: int, offsets: NDArray[np.int64], events: Events, chosen: NDArray[np.intp]) -> bytes:
    items, actions = ([column[i] for i in chosen.tolist()] for column in (events.item, events.action))
    columns: Sequence[NDArray[Any]] = (offsets, events.time, events.price, events.quantity)
    at, times, prices, quantities = (column[chosen].tobytes() for column in columns)
    return msgspec.msgpack.encode(Packed(source, at, times, prices, quantities, items, actions))


def unpack(value: bytes) -> Packed:
    """A record's columns.

    Raises:
        msgspec.DecodeError: it is not one.
    """
    return msgspec.msgpack.decode(value, type=Packed)


def most_events(record: Record) -> int:
    """At most so many events are in a record."""
    return len(record.value or b"") // LEAST_BYTES + 1
