"""The id tables: a vector and a linear weight for every user, item, category, brand, hour and weekday, each in a row of its own.

All tables are parts of one tensor, so that a training step gathers, and moves, the rows of all of them at once. A row number is
*global* (in that tensor) inside the learner and *local* (in its table) in bundles.
"""

from collections.abc import Collection, Mapping
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from services.updater.learning.device import moved
from services.updater.learning.draws import uniform
from services.updater.learning.row_optimisers import RowOptimiser
from services.updater.learning.rows import F8, I8, Arrays, Owners
from shared.bundles.files import TABLES, TableChange
from shared.model.row_map import U8

SPREAD = 0.01 * 3**0.5
"""The most that a number of a new vector is; an item's starts at 0, so that the item begins as its text's projection."""


class Tables:
    """Rows of every table, who owns them, and which changed since the last bundle.

    Args:
        capacity: rows of each table.
        dim: width of the vectors.
        seed: of the new rows' values, with the table and the key: a new row is a function of these alone.
        optimiser: moves the rows; it says what is remembered of each.
        admission: sightings before an id gets a row, by table; 1 where absent.
        without: tables whose rows say nothing and never move.
    """

    def __init__(
        self, capacity: Mapping[str, int], dim: int, seed: int, optimiser: RowOptimiser, device: torch.device,
        admission: Mapping[str, int] | None = None, without: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.dim, self.seed, self.optimiser, self.without = dim, seed, optimiser, without
        self.owners = {name: Owners(capacity[name], (admission or {}).get(name, 1)) for name in TABLES}
        sizes = [capacity[name] for name in TABLES]
        self.offset = dict(zip(TABLES, accumulate(sizes, initial=0), strict=False))
        self.values = torch.zeros(sum(sizes), dim + 1, device=device)
        self.accumulators = optimiser.begin(self.values)
        self.touched = np.zeros(sum(sizes), np.bool_)
        """Rows whose values changed since :meth:`reset`."""
        self.renamed = np.zeros(sum(sizes), np.bool_)
        """Rows whose owner, or whose item's attributes, changed since :meth:`reset`."""
        self.attributes = np.zeros((capacity["item"], 3), np.int32)
        """Of each item row: its category's row, brand's row and text row."""

    def find(self, keys: Mapping[str, U8]) -> I8:
        """Global rows of ids, unknown ones' table's row 0. Shape (n, 6), columns as :data:`TABLES`."""
        return np.stack([self.owners[name].find(keys[name]) + self.offset[name] for name in TABLES], axis=1)

    def admit(self, keys: Mapping[str, U8], times: F8, text: NDArray[np.int32]) -> I8:
        """The same, giving rows to ids that earned one at these event times; ``text`` is each item's text row."""
        columns = []
        for name in TABLES:
            rows, given, taken = self.owners[name].admit(keys[name], times)
            self._free(name, taken)
            self._start(name, given)
            columns.append(rows + self.offset[name])
        found = np.stack(columns, axis=1)
        self._describe(found, text)
        return found

    def enlist(self, keys: Mapping[str, U8], text: NDArray[np.int32], now: float) -> None:
        """Give rows to items that the catalogue names, with their categories and brands, where there is room.

        So an item is served with its text from its first showing on. (n,) each; ``now`` counts as seen.
        """
        known = self.owners["item"].find(keys["item"]) > 0
        chosen = known | (np.cumsum(~known) <= self.owners["item"].room())
        listed: dict[str, I8] = {}
        for name in ("item", "category", "brand"):
            listed[name], given, taken = self.owners[name].admit(keys[name][chosen], np.full(chosen.sum(), now), at_once=True)
            self._free(name, taken)
            self._start(name, given)
        columns = [listed.get(name, np.zeros(int(chosen.sum()), np.int64)) + self.offset[name] for name in TABLES]
        self._describe(np.stack(columns, axis=1), text[chosen])

    def pooled(self, keys: U8, shares: NDArray[np.float32]) -> Tensor:
        """The items' vectors summed by their shares, as they are now; (p, h) each. (p, D)."""
        rows = self.owners["item"].find(keys.ravel()).reshape(keys.shape) + self.offset["item"]
        where, counted = moved(rows, self.values.device), moved(shares, self.values.device)
        return embedding_bag(where, self.values, mode="sum", per_sample_weights=counted)[:, :-1]

    def expire(self, before: float, kept: Mapping[str, U8]) -> int:
        """Take back every row last seen before this event time, but those of the keys ``kept``, by table; how many."""
        nothing = np.zeros(0, np.uint64)
        taken = {name: self.owners[name].expire(before, kept.get(name, nothing)) for name in TABLES}
        for name, rows in taken.items():
            self._free(name, rows)
        return sum(map(len, taken.values()))

    def unknown(self) -> I8:
        """Global rows of the unknown, which never move."""
        return np.array(list(self.offset.values()), np.int64)

    def span(self, name: str) -> slice:
        """A table's rows in use, globally."""
        return slice(self.offset[name], self.offset[name] + self.owners[name].used)

    def reset(self) -> None:
        """A bundle holds all changes: begin to note the next one's."""
        self.touched[:], self.renamed[:] = False, False

    def full(self) -> dict[str, TableChange]:
        """Everything but the unknown rows, as a full bundle says it."""
        rows = {name: np.arange(1, self.owners[name].used) for name in TABLES}
        return {name: self._change(name, used, used) for name, used in rows.items()}

    def delta(self) -> dict[str, TableChange]:
        """What changed since :meth:`reset`, as a delta says it; tables without a change are absent."""
        changes = {}
        for name in TABLES:
            rows, renamed = np.flatnonzero(self.touched[self.span(name)]), np.flatnonzero(self.renamed[self.span(name)])
            if len(rows) or len(renamed):
                changes[name] = self._change(name, rows, renamed)
        return changes

    def weights(self) -> dict[str, tuple[U8, NDArray[np.float32]]]:
        """Keys and values of the rows in use, by table: what ``weights_sha256`` hashes."""
        keys = {name: owners.keys[: owners.used] for name, owners in self.owners.items()}
        return {name: (keys[name], self.values[self.span(name)].cpu().numpy()) for name in TABLES}

    def state(self) -> Arrays:
        """All of it but the notes for the next bundle, as arrays."""
        arrays: Arrays = {"item.attributes": self.attributes[: self.owners["item"].used].copy()}
        for name in TABLES:
            span = self.span(name)
            arrays |= {f"{name}.{part}": array for part, array in self.owners[name].state().items()}
            arrays |= {f"{name}.values": self.values[span].cpu().numpy().copy()}
            arrays |= {f"{name}.accumulators": self.accumulators[span].cpu().numpy().copy()}
        return arrays

    def load(self, state: Arrays) -> None:
        """Become what :meth:`state` gave, with nothing noted for the next bundle. Another optimiser's accumulators begin anew."""
        self.values.zero_()
        self.attributes[:] = 0
        for name in TABLES:
            parts = ("keys", "seen", "waiting", "sightings", "sighted")
            self.owners[name].load({part: state[f"{name}.{part}"] for part in parts})
            self.values[self.span(name)] = torch.from_numpy(state[f"{name}.values"]).to(self.values.device)
        self.accumulators = self.optimiser.begin(self.values)
        for name in TABLES:
            kept = torch.from_numpy(state[f"{name}.accumulators"])
            if kept.shape[1] == self.optimiser.width:
                self.accumulators[self.span(name)] = kept.to(self.values.device)
        self.attributes[: self.owners["item"].used] = state["item.attributes"]
        self.reset()

    def _start(self, name: str, rows: I8) -> None:
        """Values of rows just given out."""
        if not len(rows):
            return
        start = np.zeros((len(rows), self.dim + 1), np.float32)
        if name != "item" and name not in self.without:
            start[:, :-1] = SPREAD * uniform(self.seed, TABLES.index(name), self.owners[name].keys[rows], self.dim)
        self._put(name, rows, start)

    def _free(self, name: str, rows: I8) -> None:
        """Empty rows that were taken back; items of a category or brand that is gone no longer name its row."""
        if not len(rows):
            return
        self._put(name, rows, np.zeros((len(rows), self.dim + 1), np.float32))
        if name == "item":
            self.attributes[rows] = 0
        elif name in ("category", "brand"):
            column = ("category", "brand").index(name)
            orphans = np.flatnonzero(np.isin(self.attributes[:, column], rows))
            self.attributes[orphans, column] = 0
            self.renamed[orphans + self.offset["item"]] = True

    def _put(self, name: str, rows: I8, values: NDArray[np.float32]) -> None:
        where = moved(rows + self.offset[name], self.values.device)
        self.values[where] = moved(values, self.values.device)
        self.accumulators[where] = self.optimiser.begin(self.values[where])
        self.touched[rows + self.offset[name]] = True
        self.renamed[rows + self.offset[name]] = True

    def _describe(self, found: I8, text: NDArray[np.int32]) -> None:
        """Note each item's attributes; an item whose attributes differ from before is told anew in the next bundle."""
        column = {name: found[:, i] - self.offset[name] for i, name in enumerate(TABLES)}
        items, last = np.unique(column["item"][::-1], return_index=True)
        rows = len(found) - 1 - last
        now = np.stack([column["category"][rows], column["brand"][rows], text[rows]], axis=1).astype(np.int32)
        moved = (self.attributes[items] != now).any(axis=1) & (items != 0)
        self.attributes[items[moved]] = now[moved]
        self.renamed[items[moved] + self.offset["item"]] = True

    def _change(self, name: str, rows: I8, renamed: I8) -> TableChange:
        values = self.values[torch.from_numpy(rows + self.offset[name]).to(self.values.device)].cpu().numpy()
        if not len(renamed):
            return TableChange(rows.astype(np.int32), values)
        attributes = self.attributes[renamed] if name == "item" else np.zeros((0, 3), np.int32)
        return TableChange(rows.astype(np.int32), values, renamed.astype(np.int32), self.owners[name].keys[renamed], attributes)
