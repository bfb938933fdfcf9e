"""What is measured of predictions: over all rows, within lists, by age of item and user, and paired between two models."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.metrics import auc, calibration_error, group_auc, log_loss, losses
from tests.bench.learning.protocol import F8, I8, Stream, live_rows

FRESH, COLD, WARM = 5, 20, 200
"""An item shown less often than the second is cold, and than the first fresh besides; more often than the third, warm."""
NEW = 2
"""A user seen at fewer moments than this is new."""
RESAMPLES = 500
BOOL = NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """The live rows of a stream with all that predictions are measured against; n rows, m lists."""

    labels: F8
    """(n,)."""
    lists: I8
    """(n,)."""
    units: I8
    """(n,) what is resampled whole: the moment of one user, with all its lists."""
    slices: Mapping[str, BOOL]
    """Rows that are looked at apart."""

    @classmethod
    def of(cls, stream: Stream) -> "Judge":
        """The judge of a stream's live rows."""
        rows, batch = live_rows(stream), stream.batch
        shown = _before(batch.keys["item"], np.ones(len(batch), np.bool_))
        users = batch.keys["user"][np.searchsorted(batch.list, np.arange(len(batch.time)))]
        begins = np.ones(len(users), np.bool_)  # of a moment: lists of one user at one time follow each other
        begins[1:] = (users[1:] != users[:-1]) | (batch.time[1:] != batch.time[:-1])
        moments = np.cumsum(begins) - 1
        met = _before(users[begins], np.ones(int(begins.sum()), np.bool_))[moments][batch.list]
        slices = {
            "item_fresh": shown < FRESH, "item_cold": shown < COLD,
            "item_young": (shown >= COLD) & (shown < WARM), "item_warm": shown >= WARM,
            "user_new": met < NEW, "user_known": met >= NEW,
        }  # fmt: skip
        return cls(
            labels=batch.labels[rows, 0].astype(np.float64),
            lists=batch.list[rows],
            units=np.unique(moments[batch.list[rows]], return_inverse=True)[1],
            slices={name: chosen[rows] for name, chosen in slices.items()},
        )

    def measure(self, scores: F8, slices: bool = True) -> dict[str, float]:
        """Every metric by name; a slice without both kinds of labels is left out."""
        found = self._all(scores)
        for name, rows in self.slices.items() if slices else ():
            if rows.sum() >= 200:
                found[f"{name}.auc"] = auc(self.labels[rows], scores[rows])
                found[f"{name}.logloss"] = log_loss(self.labels[rows], scores[rows])
                found[f"{name}.rows"] = float(rows.sum())
                asked = self.lists[rows & (self.labels > 0)]  # lists whose positive is of the slice, whatever stands beside it
                ranks = self.ranks(scores, asked)
                found[f"{name}.mrr"] = float((1 / ranks).mean()) if len(ranks) else float("nan")
        return {name: float(value) for name, value in found.items() if np.isfinite(value)}

    def _all(self, scores: F8) -> dict[str, float]:
        ranks = self.ranks(scores)
        return {
            "auc": auc(self.labels, scores),
            "logloss": log_loss(self.labels, scores),
            "ece": calibration_error(self.labels, scores),
            "group_auc": group_auc(self.labels, scores, self.lists),
            "mrr": float((1 / ranks).mean()) if len(ranks) else float("nan"),
            "ndcg": float((1 / np.log2(1 + ranks)).mean()) if len(ranks) else float("nan"),
        }

    def ranks(self, scores: F8, lists: I8 | None = None) -> F8:
        """Rank of the positive of each list that has one and something beside it, from 1; ties count half."""
        positive = np.flatnonzero(self.labels > 0)
        if lists is not None:
            positive = positive[np.isin(self.lists[positive], lists)]
        if not len(positive):
            return np.zeros(0)
        which = np.searchsorted(self.lists[positive], self.lists)
        known = (which < len(positive)) & (self.lists[positive[np.minimum(which, len(positive) - 1)]] == self.lists)
        rows, owner = np.flatnonzero(known), which[known]
        own = scores[positive][owner]
        above = np.bincount(owner, scores[rows] > own, len(positive)) + 0.5 * (np.bincount(owner, scores[rows] == own) - 1)
        sizes = np.bincount(owner)
        ranks: F8 = 1 + above[sizes > 1]
        return ranks

    def difference(self, first: F8, second: F8, seed: int = 7) -> dict[str, list[float]]:
        """AUC and log loss of the first less the second: the value and its paired 95% interval, by resampling whole moments.

        A resample's AUC is taken to first order, by what each row adds to it (:func:`influence`).
        """
        rng, units = np.random.default_rng(seed), int(self.units.max()) + 1
        area = np.bincount(self.units, influence(self.labels, first) - influence(self.labels, second), units)
        gap = np.bincount(self.units, losses(self.labels, first) - losses(self.labels, second), units)
        sizes = np.bincount(self.units, minlength=units)
        weights = (rng.multinomial(units, np.full(units, 1 / units)) for _ in range(RESAMPLES))
        sums = np.array([(one @ area, (one @ gap) / (one @ sizes)) for one in weights])
        low, high = np.percentile(sums, [2.5, 97.5], axis=0).tolist()
        better, cheaper = auc(self.labels, first) - auc(self.labels, second), float(gap.sum() / sizes.sum())
        return {"auc": [better, better + low[0], better + high[0]], "logloss": [cheaper, low[1], high[1]]}


def influence(labels: F8, scores: F8) -> F8:
    """What each row adds to the AUC, (n,): its own share of right pairs less the AUC, over the rows of its kind. The sum is 0."""
    positive = labels > 0
    found = np.empty(len(labels))
    for kind, sign in ((positive, 1.0), (~positive, -1.0)):
        others = np.sort(scores[~kind])
        below = np.searchsorted(others, scores[kind]) + np.searchsorted(others, scores[kind], side="right")
        right = (1 - sign) / 2 + sign * below / (2 * len(others))  # ties count half
        found[kind] = (right - right.mean()) / kind.sum()
    return found


def _before(keys: NDArray[np.uint64], counted: BOOL) -> I8:
    """How often each key stood before, (n,)."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(keys)])
    before = np.empty(len(keys), np.int64)
    before[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return before
