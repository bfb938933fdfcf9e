"""What tells that a stream is not as it usually is: a number of each list that leaves its level, a feature that stands still."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
BOOL = NDArray[np.bool_]

USUAL = 20_000
"""Lists over which the usual is known; all that is kept forgets exponentially, list by list."""
KNOWN = 2_000
"""Lists before which nothing is usual."""
CERTAIN = 8.0
"""Standard errors by which a level is off, besides its factor."""
OVERDUE = 50.0
"""Moves that a feature which stands still owes; people come in clumps, so that one may owe some."""
STILL = 50
"""Lists that it stands still at least."""


class Level:
    """The mean of a number of each list: of the newest lists, and usually."""

    def __init__(self) -> None:
        self.newest = np.zeros(2)  # sum and weight
        self.usual = np.zeros(3)  # sum, sum of squares, weight

    def see(self, values: F8, horizon: float) -> None:
        """Take the next lists, (m,). The newest are about ``horizon`` lists, or a window that is longer."""
        self.newest = self.newest * math.exp(-len(values) / horizon) + (values.sum(), len(values))
        self.newest *= min(1.0, horizon / max(self.newest[1], 1.0))  # a long window weighs no more than its horizon later on

    def learn(self, values: F8) -> None:
        """What was seen is usual."""
        self.usual = self.usual * math.exp(-len(values) / USUAL) + (values.sum(), (values**2).sum(), len(values))

    @property
    def mean(self) -> float:
        """What is usual; 0 before anything was learned."""
        return float(self.usual[0] / self.usual[2]) if self.usual[2] else 0.0

    def above(self, factor: float) -> bool:
        """Whether the newest lists have more than so many times the usual, and not by chance."""
        return self._off() > CERTAIN and self._now() > factor * self.mean

    def below(self, factor: float) -> bool:
        """Whether they have less than the usual divided by so much, and not by chance."""
        return self._off() < -CERTAIN and self._now() < self.mean / factor

    def _now(self) -> float:
        return float(self.newest[0] / self.newest[1])

    def _off(self) -> float:
        """Standard errors; 0 while nothing is usual."""
        if self.usual[2] < KNOWN or not self.newest[1]:
            return 0.0
        variance = max(float(self.usual[1] / self.usual[2]) - self.mean**2, 1e-12)
        return (self._now() - self.mean) / math.sqrt(variance / self.newest[1])


class Stillness:
    """For how many lists each feature has not moved from one row to the next, against how often it does; F features."""

    def __init__(self, features: int) -> None:
        self.moves, self.lists = np.zeros(features), 0.0  # lists in which each moved, and all, decayed
        self.still = np.zeros(features)
        self._last: F4 | None = None

    def see(self, rows: F4, starts: NDArray[np.int64], usual: bool) -> None:
        """Take the next lists.

        Args:
            rows: (n, F), a list's rows together.
            starts: (m,) where each list begins.
            usual: whether they count as usual.
        """
        if not len(rows):
            return
        before = np.concatenate([rows[:1] if self._last is None else self._last, rows[:-1]])
        moved = np.logical_or.reduceat(~((rows == before) | (np.isnan(rows) & np.isnan(before))), starts)  # (lists, F)
        ever = moved.any(0)
        self.still = np.where(ever, moved[::-1].argmax(0), self.still + len(moved))
        self._last = rows[-1:].copy()
        if usual:
            kept = math.exp(-len(moved) / USUAL)
            self.moves, self.lists = self.moves * kept + moved.sum(0), self.lists * kept + len(moved)

    def overdue(self) -> BOOL:
        """Which features stand still, (F,)."""
        if self.lists < KNOWN:
            return np.zeros(len(self.still), np.bool_)
        found: BOOL = (self.still >= STILL) & (self.still * self.moves / self.lists > OVERDUE)
        return found


def kept(signal: Level | Stillness) -> dict[str, Any]:
    """What of a signal is usual, to go on from after a restart."""
    return {name: np.asarray(value).tolist() for name, value in vars(signal).items() if not name.startswith("_")}


def again(signal: Level | Stillness, state: dict[str, Any]) -> None:
    """Go on from what :func:`kept` gave."""
    for name, value in state.items():
        setattr(signal, name, np.asarray(value, np.float64) if isinstance(value, list) else value)
