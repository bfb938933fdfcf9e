"""What a shop could have shown: the bought product hidden among others that it sold lately, without giving the answer away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0
NOTHING = -1
"""The index of a list of which nothing was bought."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product that may be shown, described only by what the shop knew before the basket."""

    item_id: str
    price: float
    """For one unit, at the shop's last sale of it."""
    display: float
    """1 where the basket's store displays it specially this week, else 0."""
    mailer: float
    """1 where the store's mailer of this week shows it, else 0."""
    log_odds: float
    """log(mean √sales of the pool / √sales of this one): takes the sampling ∝ √sales out of the model's logit."""
    sold: int
    """Lines sold in the 28 days before: the popularity baseline."""
    age: float
    """Seconds since the shop's first sale of it: the item-age baseline."""


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One bought product among others, shuffled."""

    line: int
    """Which of the basket's lines was bought."""
    bought: int
    """Its index in ``candidates``, or :data:`NOTHING`. Never send it."""
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Products of one list by number, shuffled; ``bought`` is the index of the bought one."""

    products: NDArray[np.int64]
    bought: int


class Pool:
    """Products the shop sold in the 28 days before a moment, with their sales and last prices.

    Positives and negatives come from it alike: a bought product outside it makes no list. Feed it lines in time order.
    """

    def __init__(self, products: int, days: float = 28.0) -> None:
        self.sold = np.zeros(products, np.int64)
        self.price = np.full(products, np.nan)
        self.first = np.full(products, np.inf)
        self.span = days * DAY
        self.weights = np.zeros(products)
        self._head = self._tail = 0
        self._mean = 0.0

    def advance(self, now: float, times: NDArray[np.float64], products: NDArray[np.int64], prices: NDArray[np.float64]) -> None:
        """Make it the pool of ``now``: sales in [now − 28 days, now). The arrays are all the shop's lines, in time order."""
        head = int(np.searchsorted(times, now, side="left"))
        tail = int(np.searchsorted(times, now - self.span, side="left"))
        sold = products[self._head : head]
        np.add.at(self.sold, sold, 1)
        self.price[sold] = prices[self._head : head]
        np.minimum.at(self.first, sold, times[self._head : head])
        np.subtract.at(self.sold, products[self._tail : tail], 1)
        self._head, self._tail = head, tail
        self.weights = np.sqrt(self.sold)
        self._mean = float(self.weights.sum()) / max(int(np.count_nonzero(self.sold)), 1)

    def log_odds(self, products: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the sampling ∝ √sales adds to a product's log-odds of being the bought one, against a uniform draw."""
        weights: NDArray[np.float64] = self.weights[products]
        return np.log(self._mean / weights)

    def draw(self, basket: Sequence[int], size: int, rng: np.random.Generator) -> list[tuple[int, Draw]]:
        """A list of ``size`` products for each of the basket's lines in the pool: (line, draw). Empty where the pool is too small.

        The others are drawn ∝ √sales without replacement, none from the basket.
        """
        weights = self.weights.copy()
        weights[list(basket)] = 0.0
        if np.count_nonzero(weights) < 4 * size:
            return []
        edges = np.cumsum(weights)
        lines = [line for line, product in enumerate(basket) if self.sold[product]]
        return [(line, _shuffled(basket[line], _distinct(edges, size - 1, rng), rng)) for line in lines]


def listed(
    pool: Pool, line: int, draw: Draw, now: float, names: Sequence[str], display: Sequence[bool], mailer: Sequence[bool]
) -> CandidateList:
    """A draw as what the shop knew of each product at ``now``; names and promotions are those of the draw's products."""
    columns = zip(draw.products.tolist(), names, display, mailer, pool.log_odds(draw.products).tolist(), strict=True)
    candidates = tuple(
        Candidate(
            item_id=name,
            price=float(pool.price[product]),
            display=float(shown),
            mailer=float(mailed),
            log_odds=log_odds,
            sold=int(pool.sold[product]),
            age=now - float(pool.first[product]),
        )
        for product, name, shown, mailed, log_odds in columns
    )
    return CandidateList(line, draw.bought, candidates)


def _distinct(edges: NDArray[np.float64], count: int, rng: np.random.Generator) -> list[int]:
    """This many different numbers, each drawn with probability ∝ the step of ``edges`` at it."""
    found: dict[int, None] = {}
    while len(found) < count:
        draws = np.searchsorted(edges, rng.random(2 * count) * edges[-1], side="right")
        found.update(dict.fromkeys(draws.tolist()))
    return list(found)[:count]


def _shuffled(bought: int, others: list[int], rng: np.random.Generator) -> Draw:
    order = rng.permutation(len(others) + 1)
    products = np.array([bought, *others])[order]
    return Draw(products, int(np.flatnonzero(order == 0)[0]))
