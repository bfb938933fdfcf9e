"""Leaves the best order now and then, with a known probability, so that the log can say what other orders would have earned.

The outcomes of one fixed order tell nothing of any other. Where others had a chance, and the chance is logged, outcomes weighted by
1 / propensity tell of them without bias.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
Floats = NDArray[np.floating]
Order = NDArray[np.intp]
SMALLEST = np.finfo(np.float32).tiny
"""Scores are kept this far from 0 before their logarithm is taken."""


class Exploration(Protocol):
    """A way to draw the order that is shown."""

    name: str
    """As in the settings and in the impression."""

    def draw(self, worth: Floats, shown: int) -> tuple[Order, F8]:
        """The places, in the best order, of what is shown, and the propensity of each. Both (shown,).

        Args:
            worth: (m,) what orders the candidates, above 0, best first; m > 1.
            shown: how many are shown; at most m.
        """


class Swap:
    """With probability ``share`` one random pair of neighbours changes places (cf. FairPairs; Radlinski and Joachims, 2006).

    The pairs are those of the shown list, and its last item with the first that is not shown; p is ``share`` over their number. An
    item's propensity is the probability that a draw puts it at its position: p where it changed its place, else 1 less p for each
    pair that it is in.
    """

    name = "swap"

    def __init__(self, share: float, random: np.random.Generator) -> None:
        self._share, self._random = share, random

    def draw(self, worth: Floats, shown: int) -> tuple[Order, F8]:
        """As :class:`Exploration` says."""
        pairs = min(shown, len(worth) - 1)
        p, order = self._share / pairs, np.arange(pairs + 1)
        propensities: F8 = 1 - p * ((order > 0).astype(np.float64) + (order < pairs))
        if self._random.random() < self._share:
            first = int(self._random.integers(pairs))
            order[[first, first + 1]] = first + 1, first
            propensities[[first, first + 1]] = p
        return order[:shown], propensities[:shown]


class PlackettLuce:
    """Draws item after item, each in proportion to worth^(1 / ``temperature``) of those that are left (Luce, 1959; Plackett, 1975).

    All at once, by Gumbel noise on log worth / temperature (Yellott, 1977). An item's propensity is the probability of its choice
    at its step, given the items before it; their product over the list is the probability of the list.
    """

    name = "plackett-luce"

    def __init__(self, temperature: float, random: np.random.Generator) -> None:
        self._temperature, self._random = temperature, random

    def draw(self, worth: Floats, shown: int) -> tuple[Order, F8]:
        """As :class:`Exploration` says."""
        logs: F8 = np.log(np.maximum(worth, SMALLEST).astype(np.float64)) / self._temperature
        order = np.argsort(-(logs + self._random.gumbel(size=len(logs))), kind="stable")
        drawn = logs[order]
        left = np.logaddexp.accumulate(drawn[::-1])[::-1]  # of this item and all after it
        return order[:shown], np.exp(drawn - left)[:shown]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is shown, and by what chance."""

    order: Order
    """(n,) places among the candidates."""
    propensities: bytes = b""
    """As in :class:`shared.messages.Impression`."""
    explored: str = ""
    """As there."""
    changed: bool = False
    """Whether it is another order than the best."""


def drawn(exploration: Exploration | None, order: Order, worth: Floats, limit: int | None) -> Drawn:
    """The first ``limit`` of the best order, some perhaps in other places.

    Args:
        exploration: the way to draw; ``None`` shows the best order.
        order: (n,) places among the candidates, best first.
        worth: (m,) of the first m of them, which may change places among each other; the others keep theirs.
        limit: how many are shown; all where ``None``.
    """
    if exploration is None or len(worth) < 2:
        return Drawn(order[:limit])
    shown = len(order[:limit])
    places, chances = exploration.draw(worth, min(shown, len(worth)))
    propensities = np.ones(shown, np.float32)
    propensities[: len(places)] = chances
    there = np.r_[places, len(places) : shown]
    return Drawn(order[there], propensities.tobytes(), exploration.name, bool((there != np.arange(shown)).any()))
