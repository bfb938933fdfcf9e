"""The impressions whose outcomes may still come: some 350 bytes of memory each, and their bytes on disk."""

from array import array
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice


class Kind(IntEnum):
    """What becomes of an impression."""

    LEARNED = 0
    DEGRADED = 1
    """Scored without the feature store: never emitted."""
    FOREIGN = 2
    """Another task's: another joiner's business."""


class Waiting:
    """Columns of what decides, by ordinal: impressions are numbered from 0 in the order read and leave in that order.

    Args are milliseconds for times; ``key`` is :func:`shared.keys.key` of the request id.
    """

    def __init__(self) -> None:
        self.first = 0
        """Ordinal of the oldest that waits."""
        self.end = 0
        """Ordinal of the next to come."""
        self._base = 0
        self._offsets, self._times, self._keys = array("q"), array("q"), array("Q")
        self._places, self._lengths, self._kinds = array("q"), array("I"), array("b")
        self._by_key: dict[int, int | tuple[int, ...]] = {}

    def __len__(self) -> int:
        return self.end - self.first

    def add(self, key: int, offset: int, time: int, place: tuple[int, int], kind: Kind) -> int:
        """Let one wait; ``place`` is where its bytes are: position and length. Returns its ordinal."""
        ordinal = self.end
        self.end += 1
        for column, value in zip(self._columns(), (offset, time, key, *place, kind), strict=True):
            column.append(value)
        others = self._by_key.get(key)
        same = () if others is None else (others,) if isinstance(others, int) else others
        self._by_key[key] = (*same, ordinal) if same else ordinal
        return ordinal

    def find(self, key: int) -> tuple[int, ...]:
        """Ordinals of those with this key, oldest first; two request ids share one with probability n² / 2⁶⁵."""
        found = self._by_key.get(key)
        return () if found is None else (found,) if isinstance(found, int) else found

    def offset(self, ordinal: int) -> int:
        return self._offsets[ordinal - self._base]

    def time(self, ordinal: int) -> int:
        return self._times[ordinal - self._base]

    def kind(self, ordinal: int) -> Kind:
        return Kind(self._kinds[ordinal - self._base])

    def place(self, ordinal: int) -> tuple[int, int]:
        """Position and length of its bytes."""
        row = ordinal - self._base
        return self._places[row], self._lengths[row]

    def drop_first(self) -> None:
        """Let the oldest go."""
        key = self._keys[self.first - self._base]
        rest = tuple(islice(self.find(key), 1, None))
        if rest:
            self._by_key[key] = rest if len(rest) > 1 else rest[0]
        else:
            del self._by_key[key]
        self.first += 1
        gone = self.first - self._base
        if gone >= 1024 and 8 * gone >= len(self._offsets):
            for column in self._columns():
                del column[:gone]
            self._base = self.first

    def _columns(self) -> "Iterator[array[int]]":
        return iter((self._offsets, self._times, self._keys, self._places, self._lengths, self._kinds))
