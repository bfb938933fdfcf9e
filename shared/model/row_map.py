"""Which row of a table belongs to which key, for a whole list of keys at once: the updater's tables and the servers' have it."""

import numpy as np
from numpy.typing import NDArray

from shared.keys import UNKNOWN

U8 = NDArray[np.uint64]
Rows = NDArray[np.intp]
FULL = 0.7
"""The most of the slots that may be taken: beyond it probing is long."""


class RowMap:
    """Which row belongs to which key: open addressing with linear probing, on arrays.

    A key that lost its row keeps its slot and maps to row 0; the slots are written anew when too many are taken so.

    Args:
        capacity: keys that have a row at the same time, at most.
    """

    def __init__(self, capacity: int) -> None:
        size = 1 << max(4, (2 * capacity - 1).bit_length())  # at most half full
        self._mask = size - 1
        self._keys = np.zeros(size, np.uint64)
        self._rows = np.zeros(size, np.intp)
        self._taken = 0

    def find(self, keys: U8) -> Rows:
        """The rows of these keys, 0 for the unknown. Shape (n,) → (n,)."""
        slots = (keys & np.uint64(self._mask)).astype(np.intp)
        found, rows = self._keys[slots], self._rows[slots]
        wrong = found != keys
        if not wrong.any():
            return rows
        rows[wrong] = 0
        pending = np.flatnonzero(wrong & (found != UNKNOWN))
        while pending.size:
            slots[pending] = after = (slots[pending] + 1) & self._mask
            found = self._keys[after]
            hit = found == keys[pending]
            rows[pending[hit]] = self._rows[after[hit]]
            pending = pending[~hit & (found != UNKNOWN)]
        return rows

    def find_one(self, key: int) -> int:
        """The row of one key, 0 for the unknown."""
        slot = key & self._mask
        while (found := self._keys.item(slot)) != key:
            if found == UNKNOWN:
                return 0
            slot = (slot + 1) & self._mask
        return self._rows.item(slot)

    def assign(self, keys: U8, rows: Rows) -> None:
        """Let these keys (distinct, none unknown) mean these rows."""
        if self._taken + len(keys) > FULL * len(self._keys):
            self._write_anew()
        self._put(keys, rows)

    def forget(self, keys: U8) -> None:
        """Let these keys, which have rows, mean none."""
        self._put(keys, np.zeros(len(keys), np.intp))

    def _put(self, keys: U8, rows: Rows) -> None:
        slots = (keys & np.uint64(self._mask)).astype(np.intp)
        pending = np.arange(len(keys))
        while pending.size:
            here = slots[pending]
            free = self._keys[here] == UNKNOWN
            self._keys[here[free]] = keys[pending[free]]  # of several that want one slot, the last takes it
            own = self._keys[here] == keys[pending]
            self._taken += int((own & free).sum())
            self._rows[here[own]] = rows[pending[own]]
            pending = pending[~own]
            slots[pending] = (slots[pending] + 1) & self._mask

    def _write_anew(self) -> None:
        owned = np.flatnonzero(self._rows)
        keys, rows = self._keys[owned], self._rows[owned]
        self._keys[:], self._rows[:], self._taken = UNKNOWN, 0, 0
        self._put(keys, rows)
