"""The fold: what the log says of users and items, as rows. The live service and the import of history run this same code."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.features.arena import TIME, Arena
from shared.features.events import Events
from shared.features.plan import Plan
from shared.features.plans import Plans
from shared.features.rows import Rows
from shared.features.statistics import Vocabulary
from shared.features.sums import Sheet
from shared.features.tables import Table
from shared.features.turns import Numbers, Turns
from shared.keys import keys


class Fold:
    """What one view counts, compiled from its plan."""

    def __init__(self, plan: Plan) -> None:
        self.vocabulary = Vocabulary(plan)
        self.sheet = Sheet(plan, self.vocabulary)
        self.tables = Table.all(plan, self.vocabulary)

    def apply(self, arena: Arena, rows: Numbers, events: Events) -> None:
        """Count events, the n-th for row ``rows[n]``, in their order.

        The result is the same, bit for bit, however the same events are cut into batches.
        """
        if not len(events):
            return
        turns = Turns(rows, events.time, arena.words.view(np.int64)[rows, TIME])
        actions = self.vocabulary.encode(list(events.action))
        self.sheet.fold(arena.words, turns, actions, events)
        for table in self.tables:
            table.fold(arena.words, turns, actions, events)
        np.maximum.at(arena.words.view(np.int64)[:, TIME], rows, events.time)


class Counters:
    """Users' and items' rows, all in memory: how history is folded.

    Args:
        plans: the project's.
        capacity: rows of each kind to start with; it grows.
    """

    def __init__(self, plans: Plans, capacity: int = 4_096) -> None:
        self.plans = plans
        self.users, self.items = Arena(plans.user.plan, capacity), Arena(plans.item.plan, capacity)
        self._user, self._item = Fold(plans.user.plan), Fold(plans.item.plan)

    def apply(self, events: Events) -> None:
        """Count events in their order, for their users and their items."""
        self._user.apply(self.users, _rows(self.users, events.user), events)
        self._item.apply(self.items, _rows(self.items, events.item), events)

    def read(self, user_ids: Sequence[str], item_ids: Sequence[str]) -> Rows:
        """Rows as they are now, like :meth:`FeatureReader.read`: for one user, or for a user with each item."""
        return Rows(
            user=_peek(self.users, user_ids),
            items=_peek(self.items, item_ids),
            item_keys=keys(item_ids),
        )

    def dump(self) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values for the online store: every row, at version 0, so that the live service goes on from them."""
        for view, arena in ((self.plans.user, self.users), (self.plans.item, self.items)):
            names, rows = list(arena.index), np.fromiter(arena.index.values(), np.int64, len(arena))
            yield from zip(view.plan.keys(names), arena.records(rows), strict=True)


def _rows(arena: Arena, names: Sequence[str]) -> Numbers:
    fresh = dict.fromkeys(name for name in names if name not in arena.index)
    if len(fresh) > arena.room:
        arena.grow(max(2 * arena.capacity, arena.capacity + len(fresh)))
    for name in fresh:
        arena.add(name)
    return arena.rows(names)


def _peek(arena: Arena, names: Sequence[str]) -> NDArray[np.float64]:
    default = np.frombuffer(arena.plan.default, np.float64)
    found = [arena.index.get(name, -1) for name in names]
    rows = arena.words[found]
    rows[np.array(found) < 0] = default
    return rows
