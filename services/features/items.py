"""Counts what is done to items, and keeps the shop's own lines about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.features import metrics
from services.features.by_item import Passed, of_items, unpack
from services.features.cache import Cache
from shared.decoding import Record
from shared.errors import BadRecord
from shared.features.arena import VERSION, Arena
from shared.features.counters import Fold
from shared.features.events import Events
from shared.features.plans import View
from shared.features.turns import Numbers


class Fences:
    """The fences of the items in memory, by row."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def load(self, row: int, tail: bytes) -> None:
        """Take an item's fence in; a row that history made has none and contains nothing of the log."""
        self._arena.fence[row] = np.frombuffer(tail, np.int64) if tail else 0

    def dump(self, row: int) -> bytes:
        """The fence as it is stored."""
        return bytes(self._arena.fence[row].tobytes())


@dataclass(frozen=True, slots=True)
class ReadItems:
    """A batch of ``behaviour-by-item``, as columns of n events."""

    events: Events
    sources: NDArray[np.int64]
    """(n,) partition of ``behaviour``."""
    offsets: NDArray[np.int64]
    """(n,) offset there."""
    versions: NDArray[np.int64]
    """(n,) offset after the record's own."""
    letters: list[tuple[str, str, Record]] = field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        """The items whose rows are needed."""
        return self.events.item


class Items:
    """The items' side of the service."""

    def __init__(self, view: View, client: Any, capacity: int, *, partitions: int) -> None:
        arena = Arena(view.plan, capacity, partitions)
        self.cache = Cache(view, client, arena, Fences(arena))
        self._fold, self._partitions = Fold(view.plan), partitions

    def decode(self, records: Sequence[Record]) -> ReadItems:
        """Decode a batch; what cannot be used is set apart."""
        parts, letters = [], []
        for record in records:
            try:
                packed = unpack(record, self._partitions)
                parts.append((packed.source, record.offset + 1, *packed.events()))
            except BadRecord as error:
                letters.append((error.code, error.reason, record))
        counts = [len(events) for _, _, events, _ in parts]
        whole = np.array([(source, version) for source, version, *_ in parts], np.int64).reshape(-1, 2)
        sources, versions = np.repeat(whole, counts, axis=0).T
        offsets = np.concatenate([np.zeros(0, np.int64), *(offsets for *_, offsets in parts)])
        return ReadItems(_joined([events for _, _, events, _ in parts]), sources, offsets, versions, letters)

    def apply(self, read: ReadItems) -> list[Passed]:
        """Count a batch whose items are all in memory; passes nothing on."""
        arena = self.cache.arena
        rows = arena.rows(read.events.item)
        cells = rows * self._partitions + read.sources
        fresh = _first_time(cells, read.offsets, arena.fence.reshape(-1)[cells])
        metrics.events.labels("item_activity").inc(int(fresh.sum()))
        metrics.skipped.labels("item_activity").inc(int((~fresh).sum()))
        if not fresh.any():
            return []
        rows, cells = rows[fresh], cells[fresh]
        self._fold.apply(arena, rows, of_items(read.events, fresh))
        np.maximum.at(arena.fence.reshape(-1), cells, read.offsets[fresh] + 1)
        np.maximum.at(arena.words.view(np.int64)[:, VERSION], rows, read.versions[fresh])
        self.cache.change(rows)
        return []


def _first_time(cells: Numbers, offsets: NDArray[np.int64], fence: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which deliveries are neither behind their fence nor behind an earlier one of the batch. Shape (n,)."""
    if not len(cells):
        return np.zeros(0, bool)
    order = np.argsort(cells, kind="stable")
    cell, offset = cells[order], offsets[order]
    begins = np.ones(len(cell), bool)
    begins[1:] = cell[1:] != cell[:-1]
    lift = (np.cumsum(begins) - 1) * (offset.max() - offset.min() + 2) - offset.min()
    highest = np.maximum.accumulate(offset + lift) - lift
    before = np.full(len(cell), -1, np.int64)
    before[1:] = np.where(begins[1:], -1, highest[:-1])
    fresh = np.empty(len(cell), bool)
    fresh[order] = (offset > before) & (offset >= fence[order])
    return fresh


def _joined(parts: Sequence[Events]) -> Events:
    items = [item for part in parts for item in part.item]
    none = np.zeros(len(items), np.uint64)
    times = np.concatenate([np.zeros(0, np.int64), *(part.time for part in parts)])
    prices, quantities = (
        np.concatenate([np.zeros(0), *columns]) for columns in ([p.price for p in parts], [p.quantity for p in parts])
    )
    return Events(items, items, [action for part in parts for action in part.action], times, prices, quantities, none, none, none)
