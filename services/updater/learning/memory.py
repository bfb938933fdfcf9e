"""The newest examples learned, of which some are learned again beside each window: rehearsal (Robins, 1995), or experience replay.

One pass sees an example once, where a full retrain goes over it again and again; what is remembered lets one pass do that too.
"""

from collections import deque
from itertools import pairwise

import numpy as np

from services.updater.learning.batches import Batch
from services.updater.learning.cuts import arrays, cut, joined, of_arrays, own_histories
from services.updater.learning.rows import Arrays

PARTS = 16
"""Windows that lie apart before they are joined to the others: drawing looks into each part, joining copies everything."""


class Memory:
    """Batches as they were learned, the oldest forgotten first.

    A correction is remembered beside the list that it corrects, and drawn as often: in the mean what is paid for a negative again
    is taken back again.

    Args:
        rows: remembered at most, in whole windows; of a window of more, its newest lists.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: list[Batch] = []
        self._windows: deque[tuple[int, int]] = deque()  # lists and rows of each window that is remembered
        self._forgotten = 0  # lists at the beginning of the parts that no longer are

    def __len__(self) -> int:
        """Lists and corrections remembered."""
        return sum(lists for lists, _ in self._windows)

    def remember(self, batch: Batch) -> None:
        """Take in what was learned."""
        if not self._rows or not len(batch):
            return
        from_each = len(batch) - np.searchsorted(batch.list, np.arange(len(batch.kinds)))  # rows from each list on
        newest = own_histories(cut(batch, np.flatnonzero(from_each <= self._rows)))
        self._parts.append(newest)
        self._windows.append((len(newest.kinds), len(newest)))
        while sum(rows for _, rows in self._windows) > self._rows:
            self._forgotten += self._windows.popleft()[0]
        if len(self._parts) > PARTS:
            self._parts, self._forgotten = [self._whole()], 0

    def draw(self, count: int, random: np.random.Generator) -> list[Batch]:
        """So many lists and corrections, or all if there are fewer, each once, in the order in which they were learned."""
        drawn = self._forgotten + np.sort(random.choice(len(self), min(count, len(self)), replace=False))
        ends = np.cumsum([0, *(len(part.kinds) for part in self._parts)])
        cuts = pairwise(np.searchsorted(drawn, ends).tolist())
        chosen = [(part, drawn[first:last] - end) for part, end, (first, last) in zip(self._parts, ends, cuts, strict=False)]
        return [own_histories(cut(part, lists)) for part, lists in chosen if len(lists)]

    def state(self) -> Arrays:
        """All of it, as arrays; none where nothing is remembered."""
        return arrays(self._whole()) | {"windows": np.array(self._windows)} if self._windows else {}

    def load(self, state: Arrays) -> None:
        """Become what :meth:`state` gave; a memory of no rows stays empty."""
        remembers = bool(self._rows and state)
        self._parts = [of_arrays(state)] if remembers else []
        self._windows = deque((lists, rows) for lists, rows in state["windows"].tolist()) if remembers else deque()
        self._forgotten = 0

    def _whole(self) -> Batch:
        whole = joined(self._parts)
        return own_histories(cut(whole, np.arange(self._forgotten, len(whole.kinds))))
