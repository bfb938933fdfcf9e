"""Which key owns which row of a table: no two keys share one."""

import heapq

import numpy as np
from numpy.typing import NDArray

from shared.keys import UNKNOWN
from shared.model.row_map import U8, RowMap

I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

EVICTED = 64
"""A full table frees at least one row in so many, the longest unseen, so that it does not sort again for each key."""


class Owners:
    """Rows of one table: given out in order of first appearance, by count, taken back by event time. Row 0 is the unknown.

    Args:
        capacity: rows at most, row 0 included.
        admission: sightings before a key gets a row.
    """

    def __init__(self, capacity: int, admission: int = 1) -> None:
        self.capacity, self.admission = capacity, admission
        self.keys = np.zeros(capacity, np.uint64)
        self.seen = np.full(capacity, -np.inf)  # event time of the last sighting
        self.used = 1  # rows from here on were never given out
        self._map = RowMap(capacity)
        self._free: list[int] = []
        self._waiting: dict[int, tuple[int, float]] = {}  # key: (sightings, last)

    def find(self, keys: U8) -> I8:
        """The row of each key, 0 where it has none. Shape (n,)."""
        return self._map.find(keys)

    def admit(self, keys: U8, times: F8, *, at_once: bool = False) -> tuple[I8, I8, I8]:
        """Count a sighting of each key at its event time, and give rows to those seen often enough, or ``at_once``.

        Returns:
            The row of each key (n,), the rows given out, and the rows taken from other keys to make room.
        """
        rows = self._map.find(keys)
        np.maximum.at(self.seen, rows, times)
        strangers = np.flatnonzero((rows == 0) & (keys != UNKNOWN))
        unique, first, inverse, counts = np.unique(keys[strangers], return_index=True, return_inverse=True, return_counts=True)
        last = np.full(len(unique), -np.inf)
        np.maximum.at(last, inverse, times[strangers])
        wanted = [i for i in np.argsort(first).tolist() if at_once or self._ripe(int(unique[i]), int(counts[i]), float(last[i]))]
        taken = self._make_room(len(wanted), rows)
        given = self._give(unique[wanted], last[wanted])
        found = np.zeros(len(unique), np.int64)
        found[wanted[: len(given)]] = given
        rows[strangers] = found[inverse]
        return rows, given, taken

    def room(self) -> int:
        """Rows that nobody owns."""
        return len(self._free) + self.capacity - self.used

    def expire(self, before: float, kept: U8) -> I8:
        """Take back the rows of keys last seen before this event time, but for those ``kept``; the rows taken."""
        self._waiting = {key: count for key, count in self._waiting.items() if count[1] >= before}
        old = np.flatnonzero((self.seen[: self.used] < before) & (self.keys[: self.used] != 0))
        return self._take(old[~np.isin(self.keys[old], kept)])

    def state(self) -> Arrays:
        """All of it, as arrays."""
        waiting = list(self._waiting.items())
        return {
            "keys": self.keys[: self.used].copy(),
            "seen": self.seen[: self.used].copy(),
            "waiting": np.array([key for key, _ in waiting], np.uint64),
            "sightings": np.array([count for _, (count, _) in waiting], np.int64),
            "sighted": np.array([last for _, (_, last) in waiting], np.float64),
        }

    def load(self, state: Arrays) -> None:
        """Become what :meth:`state` gave."""
        self.used = len(state["keys"])
        self.keys[:], self.seen[:] = 0, -np.inf
        self.keys[: self.used], self.seen[: self.used] = state["keys"], state["seen"]
        owned = np.flatnonzero(self.keys)
        self._map = RowMap(self.capacity)
        self._map.assign(self.keys[owned], owned)
        self._free = np.setdiff1d(np.arange(1, self.used), owned).tolist()
        columns = (state[name].tolist() for name in ("waiting", "sightings", "sighted"))
        self._waiting = {key: (count, last) for key, count, last in zip(*columns, strict=True)}

    def _ripe(self, key: int, count: int, last: float) -> bool:
        if self.admission <= 1:
            return True
        before, earlier = self._waiting.pop(key, (0, -np.inf))
        if before + count >= self.admission:
            return True
        self._waiting[key] = (before + count, max(earlier, last))
        return False

    def _give(self, keys: U8, seen: F8) -> I8:
        """Rows for the first of these keys; none for those that a table full of keys in use has no room for."""
        freed = [heapq.heappop(self._free) for _ in range(min(len(keys), len(self._free)))]
        fresh = range(self.used, min(self.capacity, self.used + len(keys) - len(freed)))
        self.used += len(fresh)
        rows = np.array([*freed, *fresh], np.int64)
        self.keys[rows], self.seen[rows] = keys[: len(rows)], seen[: len(rows)]
        self._map.assign(self.keys[rows], rows)
        return rows

    def _make_room(self, wanted: int, held: I8) -> I8:
        lacking = wanted - self.room()
        if lacking <= 0:
            return np.zeros(0, np.int64)
        order = np.argsort(self.seen[1 : self.used], kind="stable") + 1
        idle = order[(self.keys[order] != UNKNOWN) & ~np.isin(order, held)]
        return self._take(idle[: max(lacking, self.capacity // EVICTED)])

    def _take(self, rows: I8) -> I8:
        for row in rows.tolist():
            heapq.heappush(self._free, row)
        self._map.forget(self.keys[rows])
        self.keys[rows], self.seen[rows] = UNKNOWN, -np.inf
        return rows
