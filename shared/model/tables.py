"""Id tables in serving: a row map that finds a whole list at once, and values allocated at capacity so that rows change in place.

Row numbers are the updater's; row 0 is the unknown and stays zeros.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import TABLES, TableChange
from shared.errors import BundleRefused
from shared.keys import UNKNOWN

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]
U8 = NDArray[np.uint64]
Rows = NDArray[np.intp]


class RowMap:
    """Which row belongs to which key: open addressing with linear probing, on arrays.

    A key that lost its row keeps its slot and maps to row 0; the slots are written anew when too many are taken so.
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
        """Let these keys (distinct, none unknown) mean these rows; 0 forgets a key."""
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

    def has_room(self, keys: int) -> bool:
        """Whether so many further keys leave probing short; if not, the slots are to be written anew."""
        return self._taken + keys <= 0.7 * len(self._keys)


class Table:
    """One id table: keys, vectors and linear weights by row."""

    def __init__(self, capacity: int, dim: int) -> None:
        self.capacity, self.dim = capacity, dim
        self.rows = 1
        """In use, the unknown included."""
        self.keys = np.zeros(capacity, np.uint64)
        self.values = np.zeros((capacity, dim + 1), np.float32)
        """The vector, then the linear weight."""
        self._map = RowMap(capacity)

    def find(self, keys: U8) -> Rows:
        """The rows of these keys, 0 for the unknown. Shape (n,) → (n,)."""
        return self._map.find(keys)

    def find_one(self, key: int) -> int:
        """The row of one key, 0 for the unknown."""
        return self._map.find_one(key)

    def check(self, name: str, change: TableChange) -> None:
        """See that the change fits, before anything of it is applied.

        Raises:
            BundleRefused: ``shapes`` for rows or shapes that do not fit, ``non_finite`` for values that are not numbers.
        """
        rows, new = change.rows, change.new_rows
        fits = (
            change.values.shape == (len(rows), self.dim + 1)
            and change.values.dtype == np.float32
            and new.shape == change.new_keys.shape
            and change.new_keys.dtype == np.uint64
            and all(_distinct_rows(one, self.capacity) for one in (rows, new))
            and len(np.unique(owned := change.new_keys[change.new_keys != UNKNOWN])) == len(owned)
        )
        if not fits:
            raise BundleRefused("shapes", f"the rows of table {name} do not fit its {self.capacity} rows of {self.dim + 1} values")
        if not np.isfinite(change.values).all():
            raise BundleRefused("non_finite", f"table {name} holds values that are not finite numbers")

    def apply(self, change: TableChange) -> None:
        """Write a checked change in place: a fraction of a millisecond for 5,000 rows."""
        new = change.new_rows.astype(np.intp)
        if len(new):
            former = self.keys[new]
            self.keys[new] = change.new_keys
            self.rows = max(self.rows, int(new.max()) + 1)
            if self._map.has_room(len(new)):
                gone = former[(former != UNKNOWN) & ~np.isin(former, change.new_keys)]
                self._map.assign(gone, np.zeros(len(gone), np.intp))
                self._map.assign(change.new_keys, new)
            else:
                self._write_anew()
            self.values[new] = 0  # nothing of a row's former owner stays
        self.values[change.rows] = change.values

    def _write_anew(self) -> None:
        self._map, rows = RowMap(self.capacity), np.flatnonzero(self.keys)
        self._map.assign(self.keys[rows], rows)


def _distinct_rows(rows: I4, capacity: int) -> bool:
    """Whether these are row numbers of a table, each named once and never the unknown's."""
    if rows.dtype != np.int32 or rows.ndim != 1:
        return False
    return not len(rows) or (rows.min() > 0 and rows.max() < capacity and len(np.unique(rows)) == len(rows))


def check_attributes(change: TableChange, tables: Mapping[str, Table], texts: int) -> None:
    """See that new items' attributes name rows that exist.

    Args:
        change: the item table's.
        tables: all tables, for their capacities.
        texts: number of text rows, the empty one included.

    Raises:
        BundleRefused: ``shapes``.
    """
    attributes = change.attributes
    limits = np.array([tables["category"].capacity, tables["brand"].capacity, texts])
    if attributes.shape != (len(change.new_rows), 3) or attributes.dtype != np.int32:
        raise BundleRefused("shapes", "item.attributes does not have three int32 columns for each new item")
    if len(attributes) and ((attributes < 0) | (attributes >= limits)).any():
        raise BundleRefused("shapes", "item.attributes names a category, brand or text that does not exist")


def empty_tables(capacities: Mapping[str, int], dim: int) -> dict[str, Table]:
    """All id tables with nothing but the unknown in them.

    Raises:
        BundleRefused: ``shapes``: a table is missing.
    """
    if missing := [name for name in TABLES if name not in capacities]:
        raise BundleRefused("shapes", f"the bundle has no table {missing[0]}")
    return {name: Table(capacities[name], dim) for name in TABLES}
