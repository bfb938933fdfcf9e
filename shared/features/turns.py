"""The order in which a batch reaches each row, and the multiples of τ that the row passes on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.features.decay import Times

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Passage:
    """How the landmarks of one horizon move under a batch; everything in :class:`Turns`' order. Shapes (n,)."""

    epoch: Numbers
    """L / τ after each event: that of the newest event of its row so far."""
    step: Numbers
    """Multiples of τ passed at each event."""


class Turns:
    """A batch sorted by row, each row's events in the order of arrival.

    Args:
        rows: (n,) row of each event.
        times: (n,) event times.
        newest: (n,) newest event of each event's row before the batch.
    """

    def __init__(self, rows: Numbers, times: Times, newest: Times) -> None:
        self.order = np.argsort(rows, kind="stable")
        self.rows, self.times, self.newest = rows[self.order], times[self.order], newest[self.order]
        begins = np.ones(len(rows), bool)
        begins[1:] = self.rows[1:] != self.rows[:-1]
        self.starts = np.flatnonzero(begins)
        self.segment = np.cumsum(begins) - 1

    def rank(self) -> Numbers:
        """Each event's place among its row's, from 0. Shape (n,)."""
        ranks: Numbers = np.arange(len(self.rows)) - self.starts[self.segment]
        return ranks

    def passage(self, tau: int) -> Passage:
        """How the landmarks of a horizon move."""
        epoch, before = self.times // tau, self.newest // tau
        low = epoch.min()
        span = epoch.max() - low + 1
        lift = self.segment * span - low
        epoch = np.maximum(np.maximum.accumulate(epoch + lift) - lift, before)
        previous = np.empty_like(epoch)
        previous[1:] = epoch[:-1]
        previous[self.starts] = before[self.starts]
        return Passage(epoch, epoch - previous)

    def levels(self, step: Numbers) -> Numbers:
        """How many times the landmark of its row has moved when each event is counted. Shape (n,)."""
        moved = np.cumsum(step > 0)
        before: Numbers = moved[self.starts] - (step[self.starts] > 0)
        levels: Numbers = moved - before[self.segment]
        return levels


def in_rounds(levels: Numbers) -> Iterator[NDArray[np.intp]]:
    """Indices of the events of level 0, then of level 1, and so on, each in order; empty levels are left out."""
    if not levels.any():
        yield np.arange(len(levels))
        return
    order = np.argsort(levels, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(levels[order])) + 1)
