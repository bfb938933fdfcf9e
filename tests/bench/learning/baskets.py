"""Next basket: of all that a household could buy, what are the ten likeliest, and how much of its last basket is among them?"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from services.updater.learning.cuts import cut, rows_of
from shared.datasets.moments import Moment
from shared.keys import keys
from tests.bench.learning.columns import load, save
from tests.bench.learning.protocol import F8

TOP = 10
RESERVED = (0, 1, 2, 3, 4, 5)
"""Of the ten places, those that are kept for new products, as a shop's page may."""
RESAMPLES = 500
MEASURES = ("recall_at_10", "repeat_recall_at_10", "explore_recall_at_10")
ABOUT = (
    "The target is each household's last basket, of products in at least 17 baskets of the sample, where it lies in the live part; "
    "asked are all that the household bought before and the 500 products sold most in the 28 days before. Personal top frequency "
    "is baskets_before: it ranks by the number of the household's baskets that held a product, then by sales."
)


@dataclass(frozen=True)
class Questions:
    """Every household's question.

    Args:
        batch: a list of candidates each; nothing of it is learned.
        target: (n,) whether the row's product is in the basket.
        wanted: (m, 2) products of the basket that were bought before, and that are new, asked or not.
        before: (n,) baskets of the household that held the product.
    """

    batch: Batch
    target: NDArray[np.bool_]
    wanted: NDArray[np.int64]
    before: F8

    def since(self, moment: float) -> "Questions":
        """Those asked at this moment or later."""
        lists = np.flatnonzero(self.batch.time >= moment)
        rows = rows_of(self.batch, lists)
        return Questions(cut(self.batch, lists), self.target[rows], self.wanted[lists], self.before[rows])

    def between(self, begin: float, end: float) -> Batch:
        """The questions asked in [begin, end)."""
        return cut(self.batch, np.flatnonzero((self.batch.time >= begin) & (self.batch.time < end)))

    def recalls(self, scores: F8, reserved: int = 0) -> F8:
        """Recall@10 of each household, (m, 3): of its basket, of its products that were bought before, of its new ones.

        NaN where nothing was wanted. ``reserved`` places go to new products whatever the scores of those bought before.
        """
        hits = np.zeros((len(self.wanted), 2))
        bounds = np.searchsorted(self.batch.list, np.arange(len(self.wanted) + 1))
        for number, (first, last) in enumerate(pairwise(bounds.tolist())):
            ranked = first + np.argsort(-scores[first:last], kind="stable")
            new = self.before[ranked] == 0
            fresh = max(int(new[:TOP].sum()), reserved)
            top = np.concatenate([ranked[~new][: TOP - fresh], ranked[new][:fresh]])
            found = top[self.target[top]]
            hits[number] = (self.before[found] > 0).sum(), (self.before[found] == 0).sum()
        found, wanted = (np.column_stack([part.sum(1), part]) for part in (hits, self.wanted))
        recalls: F8 = np.divide(found, wanted, out=np.full(found.shape, np.nan), where=wanted > 0)
        return recalls

    def measure(self, scores: F8) -> dict[str, float]:
        """The mean of each over households."""
        return dict(zip(MEASURES, np.nanmean(self.recalls(scores), axis=0).tolist(), strict=True))

    def trade(self, scores: F8) -> list[list[float]]:
        """Recall@10 of the basket and of new products, for each number of :data:`RESERVED` places."""
        return [np.nanmean(self.recalls(scores, places), axis=0)[[0, 2]].tolist() for places in RESERVED]

    def save(self, file: Path) -> None:
        """Keep them."""
        save(self.batch, file)
        np.savez(file.with_suffix(".wanted.npz"), target=self.target, wanted=self.wanted, before=self.before)

    @classmethod
    def load(cls, file: Path) -> "Questions":
        """What :meth:`save` kept."""
        kept = np.load(file.with_suffix(".wanted.npz"))
        return cls(load(file), kept["target"], kept["wanted"], kept["before"])


def over(recalls: F8, usual: F8, seed: int = 7) -> dict[str, list[float]]:
    """Recall@10 of the basket over the usual one's, and explore recall@10: value and 95% interval, by resampling households.

    Args:
        recalls, usual: (m, 3) see :meth:`Questions.recalls`; the usual one is what the first is held against.
        seed: of the resampling.
    """
    rng, households = np.random.default_rng(seed), len(recalls)
    everybody = np.arange(households)
    drawn = [everybody, *(rng.integers(0, households, households) for _ in range(RESAMPLES))]
    ratios = np.array([np.nanmean(recalls[one, 0]) / np.nanmean(usual[one, 0]) for one in drawn])
    explored = np.array([np.nanmean(recalls[one, 2]) for one in drawn])
    named = {"recall_over_usual": ratios, "explore_recall": explored}
    return {name: [float(values[0]), *np.percentile(values[1:], [2.5, 97.5]).tolist()] for name, values in named.items()}


def questions(
    batch: Batch, asked: list[Moment], common: frozenset[str], before: Mapping[str, frozenset[str]], times: F8
) -> Questions:
    """The questions with what the baskets held.

    Args:
        batch: a list for each of the moments, in their order.
        asked: the last moment of each household.
        common: products that may be targets.
        before: what each household bought before.
        times: (n,) baskets that held each row's product.
    """
    target = np.zeros(len(batch), np.bool_)
    wanted = np.zeros((len(asked), 2), np.int64)
    for number, moment in enumerate(asked):
        basket = frozenset(event.item_id for event in moment.events) & common
        rows = np.flatnonzero(batch.list == number)
        target[rows] = np.isin(batch.keys["item"][rows], keys(sorted(basket)))
        wanted[number] = len(basket & before[moment.user_id]), len(basket - before[moment.user_id])
    return Questions(batch, target, wanted, times)
