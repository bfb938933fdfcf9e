"""What every reader of the newest bundle holds, kept beside the learner: deltas, full bundles and their hashes are made from it.

The learner runs ahead: rows move with every window, the dense part joins every few seconds. So what is served is never the
learner's present, and the hash in a manifest must be of what is served.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import F4, I4, TableChange, weights_sha256
from shared.bundles.manifest import TableSize
from shared.model.tables import Table


@dataclass(frozen=True)
class Change:
    """What learning moved since the change before it."""

    tables: Mapping[str, TableChange]
    dense: Mapping[str, F4] | None = None
    """All dense weights by name; ``None`` while the dense part waits for its turn."""

    def arrays(self) -> Iterator[NDArray[np.float32]]:
        """Every weight in it: what the gate looks at."""
        yield from (table.values for table in self.tables.values())
        yield from (self.dense or {}).values()


@dataclass
class Published:
    """Tables and dense weights as published."""

    tables: dict[str, Table]
    attributes: I4
    """(item capacity, 3): each item row's category row, brand row and text row."""
    dense: dict[str, F4] = field(default_factory=dict)

    @classmethod
    def empty(cls, capacity: Mapping[str, int], dim: int) -> "Published":
        """Before anything is published."""
        return cls({name: Table(rows, dim) for name, rows in capacity.items()}, np.zeros((capacity["item"], 3), np.int32))

    def clear(self) -> None:
        """Forget everything: the next change is everything."""
        for name, table in self.tables.items():
            self.tables[name] = Table(table.capacity, table.dim)
        self.attributes[:] = 0

    def apply(self, change: Change) -> None:
        """Go on to the next bundle."""
        for name, table in change.tables.items():
            self.tables[name].apply(table)
        if (items := change.tables.get("item")) is not None and len(items.new_rows):
            self.attributes[items.new_rows] = items.attributes
        if change.dense is not None:
            self.dense = {name: weight.copy() for name, weight in change.dense.items()}

    def full(self) -> Change:
        """Everything, as the change that makes it from nothing."""
        return Change({name: self._whole(name, table) for name, table in self.tables.items()}, self.dense)

    def sizes(self) -> dict[str, TableSize]:
        """Rows in use and allocated, by table."""
        return {name: TableSize(table.rows, table.capacity) for name, table in self.tables.items()}

    def sha256(self) -> str:
        """The hash of all weights; a reader that applied the same bundles computes the same."""
        return weights_sha256(
            {name: (table.keys[: table.rows], table.values[: table.rows]) for name, table in self.tables.items()}, self.dense
        )

    def _whole(self, name: str, table: Table) -> TableChange:
        rows = np.arange(1, table.rows, dtype=np.int32)
        return TableChange(
            rows=rows,
            values=table.values[rows],
            new_rows=rows,
            new_keys=table.keys[rows],
            attributes=self.attributes[rows] if name == "item" else np.zeros((0, 3), np.int32),
        )
