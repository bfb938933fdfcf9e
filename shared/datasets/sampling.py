"""Lists for a shop that kept no impressions: each event with the label hides its item among others that the shop sold before.

Negatives are sampled, and every figure made from them should say so. They are drawn ∝ √sales from the 28 days *before* the moment,
never from later ones, and each list carries the log-odds that take the sampling out (see :mod:`shared.datasets.candidates`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from shared.datasets.candidates import CandidateList, Pool, listed
from shared.datasets.moments import Moment, stamped
from shared.messages import Behaviour, Item


def everyone(_: str) -> bool:
    """Lists are made for every user."""
    return True


def part(users: Iterable[str], share: float, seed: int) -> Callable[[str], bool]:
    """Whether a user is one of so large a share of these, drawn by the seed."""
    everybody = sorted(set(users))
    drawn: list[str] = np.random.default_rng(seed).permutation(everybody)[: round(share * len(everybody))].tolist()
    return set(drawn).__contains__


@dataclass(frozen=True)
class Sampled:
    """A shop's events with sampled lists.

    Args:
        items: the catalogue by id.
        events: in time order.
        label: the action that makes a list.
        size: items in a list.
        seed: of the draws.
        asked: users whose events make lists; the others' events count all the same.
    """

    items: Mapping[str, Item]
    events: Sequence[Behaviour]
    label: str
    size: int
    seed: int
    asked: Callable[[str], bool] = everyone

    def moments(self) -> Iterator[Moment]:
        """What each user did at each moment, in time order, with the lists it makes."""
        sales = _Sales.of(stamped(event, self.items) for event in self.events if event.action == self.label)
        pool, rng = Pool(len(sales.names)), np.random.default_rng(self.seed)
        for time, at_once in groupby(self.events, attrgetter("time")):
            now = time.timestamp()
            pool.advance(now, sales.times, sales.products, sales.prices)
            for user_id, events in _by_user(at_once).items():
                bought = [event.item_id for event in events if event.action == self.label]
                basket = [sales.numbers[item] for item in bought] if self.asked(user_id) else []
                lists = tuple(self._lists(pool, basket, sales.names, now, rng))
                yield Moment(user_id, now, tuple(stamped(event, self.items) for event in events), lists)

    def _lists(
        self, pool: Pool, basket: list[int], names: Sequence[str], now: float, rng: np.random.Generator
    ) -> Iterator[CandidateList]:
        none = [False] * self.size
        for line, draw in pool.draw(basket, self.size, rng) if basket else ():
            chosen = [names[product] for product in draw.products]
            if all(name in self.items for name in chosen):
                yield listed(pool, line, draw, now, chosen, none, none)


@dataclass(frozen=True, slots=True)
class _Sales:
    """Stamped events with the label as columns, and the items by number."""

    names: list[str]
    numbers: dict[str, int]
    times: NDArray[np.float64]
    products: NDArray[np.int64]
    prices: NDArray[np.float64]

    @classmethod
    def of(cls, events: Iterable[Behaviour]) -> "_Sales":
        sold = list(events)
        numbers = {item_id: i for i, item_id in enumerate(dict.fromkeys(event.item_id for event in sold))}
        return cls(
            names=list(numbers),
            numbers=numbers,
            times=np.array([event.time.timestamp() for event in sold], np.float64),
            products=np.array([numbers[event.item_id] for event in sold], np.int64),
            prices=np.array([np.nan if event.price is None else event.price for event in sold], np.float64),
        )


def _by_user(events: Iterable[Behaviour]) -> dict[str, list[Behaviour]]:
    found: dict[str, list[Behaviour]] = {}
    for event in events:
        found.setdefault(event.user_id, []).append(event)
    return found
