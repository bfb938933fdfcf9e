"""Id tables in serving: values allocated at capacity, so that rows change in place.

Row numbers are the updater's; row 0 is the unknown and stays zeros.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import TABLES, TableChange
from shared.errors import BundleRefused
from shared.keys import UNKNOWN
from shared.model.row_map import U8, RowMap, Rows

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]


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
            self._map.forget(former[(former != UNKNOWN) & ~np.isin(former, change.new_keys)])
            owned = change.new_keys != UNKNOWN  # the others were given back
            self._map.assign(change.new_keys[owned], new[owned])
            self.values[new] = 0  # nothing of a row's former owner stays
        self.values[change.rows] = change.values


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
