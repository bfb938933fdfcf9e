"""Which key owns which row of a table: no two keys share one."""

import heapq

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint64]
I8 = NDArray[np.int64]
F8 = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]

EVICTED = 64
"""A full table frees at least one row in so many, the longest unseen, so that it does not sort again for each key."""


class RowMap:
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
        self._row: dict[int, int] = {}
        self._free: list[int] = []
        self._waiting: dict[int, tuple[int, float]] = {}  # key: (sightings, last)

    def find(self, keys: U8) -> I8:
        """The row of each key, 0 where it has none. Shape (n,)."""
        unique, inverse = np.unique(keys, return_inverse=True)
        return np.array([self._row.get(key, 0) for key in unique.tolist()], np.int64)[inverse]

    def admit(self, keys: U8, times: F8, *, at_once: bool = False) -> tuple[I8, I8, I8]:
        """Count a sighting of each key at its event time, and give rows to those seen often enough, or ``at_once``.

        Returns:
            The row of each key (n,), the rows given out, and the rows taken from other keys to make room.
        """
        unique, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        last = np.full(len(unique), -np.inf)
        np.maximum.at(last, inverse, times)
        held = np.array([self._row.get(key, 0) for key in unique.tolist()], np.int64)
        self.seen[held] = np.maximum(self.seen[held], last)
        strangers = np.flatnonzero((held == 0) & (unique != 0))
        wanted = [
            i
            for i in strangers[np.argsort(first[strangers])].tolist()
            if at_once or self._ripe(int(unique[i]), int(counts[i]), float(last[i]))
        ]
        taken = self._make_room(len(wanted), set(held.tolist()))
        given = np.array([self._give(int(unique[i]), float(last[i])) for i in wanted], np.int64)
        held[wanted] = given
        return held[inverse], given[given != 0], taken

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
        owned = np.flatnonzero(self.keys).tolist()
        self._row = {int(self.keys[row]): row for row in owned}
        self._free = sorted(set(range(1, self.used)) - set(owned))
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

    def _give(self, key: int, seen: float) -> int:
        """A row for the key; 0 where the table is full of keys that are in use right now."""
        if self._free:
            row = heapq.heappop(self._free)
        elif self.used < self.capacity:
            row, self.used = self.used, self.used + 1
        else:
            return 0
        self._row[key], self.keys[row], self.seen[row] = row, key, seen
        return row

    def _make_room(self, wanted: int, held: set[int]) -> I8:
        lacking = wanted - self.room()
        if lacking <= 0:
            return np.zeros(0, np.int64)
        order = np.argsort(self.seen[1 : self.used], kind="stable") + 1
        idle = [row for row in order.tolist() if row not in held and self.keys[row]]
        return self._take(np.array(idle[: max(lacking, self.capacity // EVICTED)], np.int64))

    def _take(self, rows: I8) -> I8:
        for row in rows.tolist():
            del self._row[int(self.keys[row])]
            heapq.heappush(self._free, row)
        self.keys[rows], self.seen[rows] = 0, -np.inf
        return rows
