"""What travels on ``behaviour-by-item``: counted events of one partition that belong to one item partition, as columns."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.decoding import Record, decoded
from shared.errors import BadRecord
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
        """The events and their offsets."""
        offsets, times = np.frombuffer(self.offsets, np.int64), np.frombuffer(self.times, np.int64)
        prices, quantities = np.frombuffer(self.prices), np.frombuffer(self.quantities)
        none = np.zeros(len(self.items), np.uint64)
        return Events(self.items, self.items, self.actions, times, prices, quantities, none, none, none), offsets


_decode = msgspec.msgpack.Decoder(Packed).decode


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


def unpack(record: Record, partitions: int) -> Packed:
    """A record's columns; ``partitions`` is the topics' count.

    Raises:
        BadRecord: it is no such record (``undecodable``), or not of its partition's items (``misrouted``).
    """
    packed = decoded(_decode, record.value)
    n = len(packed.items)
    if {len(packed.offsets), len(packed.times), len(packed.prices), len(packed.quantities), 8 * len(packed.actions)} != {8 * n}:
        raise BadRecord("undecodable", f"columns of different lengths beside {n} items")
    if not 0 <= packed.source < partitions:
        raise BadRecord("undecodable", f"there is no partition {packed.source} of behaviour")
    for item in packed.items:
        if place(item, partitions) != record.partition:
            raise BadRecord("misrouted", f"item {item} belongs to another partition")
    return packed


def of_items(events: Events, chosen: NDArray[np.bool_]) -> Events:
    """Those chosen, (n,), with what items count of them."""
    if chosen.all():
        return events
    items, actions = ([column[i] for i in np.flatnonzero(chosen).tolist()] for column in (events.item, events.action))
    none = np.zeros(len(items), np.uint64)
    return Events(items, items, actions, events.time[chosen], events.price[chosen], events.quantity[chosen], none, none, none)


def most_events(record: Record) -> int:
    """At most so many events are in a record."""
    return len(record.value or b"") // LEAST_BYTES + 1
