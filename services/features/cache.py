"""Rows in memory: fetched on first touch, folded in place, written behind."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from services.features import metrics
from shared.errors import Fenced
from shared.features.arena import Arena
from shared.features.plans import UnknownPlan, View
from shared.features.turns import Numbers

LOOKUP = 1_000
"""Keys in one MGET."""


class Tails(Protocol):
    """The private part of rows."""

    def load(self, row: int, tail: bytes) -> None:
        """Take a row's tail in; empty for a new row."""

    def dump(self, row: int) -> bytes:
        """The tail to store."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Dirty rows at one moment."""

    view: View
    rows: Numbers
    names: list[str]
    values: list[bytes]


class Cache:
    """One view's rows in memory.

    Args:
        view: the view's plans.
        client: a ``redis.asyncio.Redis``.
        arena: where the rows lie.
        tails: keeps their private parts.
    """

    def __init__(self, view: View, client: Any, arena: Arena, tails: Tails) -> None:
        self.view, self.arena, self.tails = view, arena, tails
        self._client = client
        self.dirty = np.zeros(arena.capacity, bool)
        self._writing = np.zeros(arena.capacity, bool)
        self.unrecorded: set[str] | None = None  # changed since the last part of the history; None where none is kept
        self.recorded: dict[str, bytes] = {}  # rows evicted since then
        self.life = 0  # how often the rows were all dropped

    async def touch(self, names: Iterable[str]) -> bool:
        """Make sure that these ids are here; False if dirty rows leave no room for them: flush, and touch again.

        Raises:
            Fenced: a row follows a plan that was applied after this process started.
        """
        wanted = set(names)
        missing = [name for name in wanted if name not in self.arena]
        if not missing:
            return True
        if not self._make_room(len(missing), wanted):
            return False
        life, view, found = self.life, self.view, []
        for start in range(0, len(missing), LOOKUP):
            found += await self._client.mget(view.plan.keys(missing[start : start + LOOKUP]))
        metrics.fetched.labels(view.plan.view).inc(len(missing))
        if life != self.life:
            return True
        for name, value in zip(missing, found, strict=True):
            self._take(name, value)
        metrics.held.labels(view.plan.view).set(len(self.arena))
        return True

    def change(self, rows: Numbers) -> None:
        """These rows were changed."""
        self.dirty[rows] = True
        if self.unrecorded is not None:
            names = self.arena.names
            self.unrecorded.update(names[row] for row in np.unique(rows).tolist())

    def snapshot(self) -> Snapshot:
        """What has to be written now; it counts as clean from here, and stays until :meth:`written`."""
        rows = np.flatnonzero(self.dirty)
        self.dirty[rows] = False
        self._writing[rows] = True
        names = [self.arena.names[row] for row in rows.tolist()]
        dump = self.tails.dump
        values = [record + dump(row) for record, row in zip(self.arena.records(rows), rows.tolist(), strict=True)]
        return Snapshot(self.view, rows, names, values)

    def written(self, snapshot: Snapshot) -> None:
        """The snapshot is in the store."""
        self._writing[snapshot.rows] = False

    def clear(self) -> None:
        """Forget all rows, which must have been written or are to be read again."""
        rows = np.fromiter(self.arena.index.values(), np.int64, len(self.arena))
        self._keep(rows)
        self.arena.drop(rows)
        self.dirty[:] = self._writing[:] = False
        self.life += 1

    def _take(self, name: str, value: bytes | None) -> None:
        plan = self.view.plan
        if value is None:
            self.tails.load(self.arena.add(name), b"")
            return
        try:
            row = self.view.upgrade(value)
        except UnknownPlan:
            raise Fenced(f"a row of {plan.view} follows a newer plan than this process; start it again to take that up") from None
        self.tails.load(self.arena.add(name, row[: plan.size]), row[plan.size :])

    def _make_room(self, count: int, wanted: set[str]) -> bool:
        short = count - self.arena.room
        if short <= 0:
            return True
        keep = self.dirty | self._writing
        index = self.arena.index
        keep[[index[name] for name in wanted if name in index]] = True
        rows = self.arena.oldest(max(short, self.arena.capacity // 16), keep)
        if len(rows) < short:
            return False
        self._keep(rows)
        self.arena.drop(rows)
        metrics.evicted.labels(self.view.plan.view).inc(len(rows))
        return True

    def _keep(self, rows: Numbers) -> None:
        """Rows that go before the history has them."""
        if not self.unrecorded:
            return
        names = [self.arena.names[row] for row in rows.tolist()]
        due = [(row, name) for row, name in zip(rows.tolist(), names, strict=True) if name in self.unrecorded]
        records = self.arena.records(np.array([row for row, _ in due], np.int64))
        self.recorded.update(zip((name for _, name in due), records, strict=True))

    def record(self) -> dict[str, bytes]:
        """Every row that changed since the last call, without tails: the next part of the history."""
        if not self.unrecorded:
            return {}
        here = [name for name in self.unrecorded if name in self.arena]
        rows = np.array([self.arena.index[name] for name in here], np.int64)
        part = self.recorded | dict(zip(here, self.arena.records(rows), strict=True))
        self.recorded, self.unrecorded = {}, set()
        return part

    def unrecord(self, names: Iterable[str]) -> None:
        """These rows could not be recorded: those that are still in memory belong to the next part."""
        if self.unrecorded is not None:
            self.unrecorded.update(name for name in names if name in self.arena)
