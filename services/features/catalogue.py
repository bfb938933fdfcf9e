"""Keeps the newest line of the topic ``items`` as a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from services.features import metrics
from services.features.by_item import Passed
from services.features.cache import Cache
from shared.decoding import Record, decoded
from shared.errors import BadRecord
from shared.features.arena import TIME, VERSION, Arena
from shared.features.events import known_key, micros
from shared.features.plans import View
from shared.kafka import partition_for
from shared.messages import Item

_decode = msgspec.json.Decoder(Item).decode


class NoTail:
    """The catalogue's rows have no private part: their version is fence enough."""

    def load(self, row: int, tail: bytes) -> None:
        """Nothing to take in."""

    def dump(self, row: int) -> bytes:
        """Nothing to store."""
        return b""


@dataclass(frozen=True, slots=True)
class ReadLines:
    """A batch of ``items``, decoded."""

    lines: list[tuple[int, Item]]
    """Offset and line."""
    letters: list[tuple[str, str, Record]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The items whose rows are needed."""
        return [line.item_id for _, line in self.lines]


class Catalogue:
    """The catalogue's side of the service."""

    def __init__(self, view: View, client: Any, capacity: int, *, partitions: int) -> None:
        self.cache = Cache(view, client, Arena(view.plan, capacity), NoTail())
        self._partitions = partitions

    def decode(self, records: Sequence[Record]) -> ReadLines:
        """Decode a batch; what cannot be used is set apart. A tombstone changes nothing: rows are not taken away."""
        read = ReadLines([])
        for record in records:
            if not record.value:
                continue
            try:
                line = decoded(_decode, record.value)
            except BadRecord as error:
                read.letters.append((error.code, error.reason, record))
                continue
            if partition_for(line.item_id, self._partitions) != record.partition:
                read.letters.append(("misrouted", f"item {line.item_id} belongs to another partition", record))
                continue
            read.lines.append((record.offset, line))
        return read

    def apply(self, read: ReadLines) -> list[Passed]:
        """Take the lines in, in their order; their items are all in memory. Passes nothing on."""
        if not read.lines:
            return []
        arena = self.cache.arena
        rows = arena.rows(read.names)
        plan, floats, whole, keys = arena.plan, arena.words, arena.words.view(np.int64), arena.words.view(np.uint64)
        columns = {field.name: plan.column(field.name) for field in plan.fields}
        fresh: list[int] = []
        for row, (offset, line) in zip(rows.tolist(), read.lines, strict=True):
            if offset < whole[row, VERSION]:
                continue
            fresh.append(row)
            moment, listed = micros(line.time), int(whole[row, columns["listed"]]) if "listed" in columns else 0
            values = {
                "price": (floats, np.nan if line.price is None else line.price),
                "stock": (floats, np.nan if line.stock is None else line.stock),
                "boost": (floats, line.boost),
                "category_key": (keys, known_key(line.category or "")),
                "brand_key": (keys, known_key(line.brand or "")),
                "listed": (whole, min(moment, listed or moment)),
            }
            for name in columns.keys() & values.keys():
                words, value = values[name]
                words[row, columns[name]] = value
            whole[row, VERSION] = offset + 1
            whole[row, TIME] = moment
        metrics.events.labels("catalogue").inc(len(fresh))
        metrics.skipped.labels("catalogue").inc(len(read.lines) - len(fresh))
        self.cache.change(np.array(fresh, np.int64))
        return []
