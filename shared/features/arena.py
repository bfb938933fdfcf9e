"""The rows of many keys, each exactly as it lies in the store, in one array."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.features.plan import Plan, Words
from shared.features.turns import Numbers

TIME, VERSION = 0, 1
"""Words of the header."""


class Arena:
    """Rows by id.

    Args:
        plan: the view's.
        capacity: rows allocated (and touched) at once, so that memory does not depend on how many keys there are.
        sources: partitions whose offsets each row remembers (the fence); 0 where the version is fence enough.
    """

    def __init__(self, plan: Plan, capacity: int, sources: int = 0) -> None:
        self.plan, self.capacity = plan, capacity
        self._default = np.frombuffer(plan.default, np.float64)
        self.words: Words = np.tile(self._default, (capacity, 1))
        self.fence: NDArray[np.int64] = np.zeros((capacity, sources), np.int64)
        self.used = np.zeros(capacity, np.int64)  # when each row was last touched, in batches
        self.index: dict[str, int] = {}
        self.names: list[str] = [""] * capacity
        self._free = list(range(capacity - 1, -1, -1))
        self._clock = 0

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, name: str) -> bool:
        return name in self.index

    @property
    def room(self) -> int:
        """Rows not in use."""
        return len(self._free)

    def rows(self, names: Sequence[str]) -> Numbers:
        """The rows of ids that are here, which count as touched. Shape (n,).

        Raises:
            KeyError: an id is not here.
        """
        index = self.index
        rows = np.array([index[name] for name in names], np.int64)
        self._clock += 1
        self.used[rows] = self._clock
        return rows

    def add(self, name: str, value: bytes | None = None) -> int:
        """Take an id in, as stored (a row of the current plan, without its tail) or new.

        Raises:
            IndexError: there is no room.
        """
        row = self._free.pop()
        self.words[row] = self._default if value is None else np.frombuffer(value, np.float64, self.plan.words)
        self.fence[row] = 0
        self.index[name], self.names[row] = row, name
        self.used[row] = self._clock
        return row

    def drop(self, rows: Numbers) -> None:
        """Forget ids."""
        for row in rows.tolist():
            del self.index[self.names[row]]
            self.names[row] = ""
            self._free.append(row)

    def grow(self, capacity: int) -> None:
        """Allocate more rows; what is here stays."""
        more = capacity - self.capacity
        self.words = np.concatenate([self.words, np.tile(self._default, (more, 1))])
        self.fence = np.concatenate([self.fence, np.zeros((more, self.fence.shape[1]), np.int64)])
        self.used = np.concatenate([self.used, np.zeros(more, np.int64)])
        self.names += [""] * more
        self._free[:0] = range(capacity - 1, self.capacity - 1, -1)
        self.capacity = capacity

    def oldest(self, count: int, keep: NDArray[np.bool_]) -> Numbers:
        """Up to ``count`` rows in use that were not touched for longest, none of ``keep``. Shape (<= count,)."""
        rows = np.fromiter(self.index.values(), np.int64, len(self.index))
        rows = rows[~keep[rows]]
        return rows[np.argsort(self.used[rows], kind="stable")[:count]]

    def records(self, rows: Numbers) -> list[bytes]:
        """Headers and records as they are stored."""
        return [row.tobytes() for row in self.words[rows]]
