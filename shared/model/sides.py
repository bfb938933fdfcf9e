"""The two sides that a score is the meeting of: rows of S = hidden[0] + dim + 1 numbers that simply add up.

A side's columns are its share of the first layer's sums, the sum of its field vectors, and all of its linear terms less half of its
vectors' squares (so that half the square of the total vector sum completes the FM term). Item, category and brand have one such row
each, so that a change to one row refreshes one row, and a candidate's side is three gathers.
"""

import numpy as np
from numpy.typing import NDArray

from shared.model.dense import Dense
from shared.model.row_map import Rows
from shared.model.tables import Table

F4 = NDArray[np.float32]
I4 = NDArray[np.int32]

FIELDS = ("item", "category", "brand")
CHUNK = 4_096
"""Rows that are built at once: about a millisecond of work."""


class Sides:
    """The item side of every row of three tables, and which category, brand and text an item has."""

    def __init__(self, rows: dict[str, F4], attributes: I4) -> None:
        self.rows = rows
        """By table: (capacity, S)."""
        self.attributes = attributes
        """(capacity, 3) rows of an item's category, brand and text."""

    @classmethod
    def build(cls, tables: dict[str, Table], attributes: I4, texts: F4, dense: Dense) -> "Sides":
        """All sides for these weights, a chunk at a time so that a thread that builds lets the others run."""
        width = dense.user_weights.shape[1] + dense.dim + 1
        sides = cls({name: np.zeros((tables[name].capacity, width), np.float32) for name in FIELDS}, attributes)
        for name in FIELDS:
            for start in range(0, tables[name].rows, CHUNK):
                rows = np.arange(start, min(start + CHUNK, tables[name].rows))
                sides.rows[name][rows] = field_side(name, tables[name].values[rows], texts[attributes[rows, 2]], dense)
        return sides

    def items(self, rows: Rows) -> F4:
        """The whole item side of these items. (n,) → (n, S)."""
        attributes = self.attributes[rows]
        out: F4 = self.rows["item"][rows]
        out += self.rows["category"][attributes[:, 0]]
        out += self.rows["brand"][attributes[:, 1]]
        return out


def field_side(name: str, values: F4, texts: F4, dense: Dense) -> F4:
    """One field's share of the item side.

    Args:
        name: ``item``, ``category`` or ``brand``.
        values: (k, dim + 1) the rows' vectors and linear weights.
        texts: (k, text_dim) the items' texts; of no meaning to the other fields.
        dense: the weights.

    Returns:
        (k, S).
    """
    vectors, linear = values[:, :-1], values[:, -1]
    if name == "item":
        vectors = vectors + texts @ dense.weights["text_projection"].T + dense.weights["text_projection_bias"]
        linear = linear + texts @ dense.weights["text_linear"]
    hidden = vectors @ dense.fields[name]
    squares = np.einsum("kd,kd->k", vectors, vectors)
    return np.concatenate([hidden, vectors, (linear - 0.5 * squares)[:, None]], axis=1)
