"""How good predictions were, by the updater's own measures, and the interval of a paired difference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.metrics import BINS, Quality, losses

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
DRAWS = 500


@dataclass(frozen=True, slots=True)
class Rows:
    """One row for each shown item, in the order served. All arrays are (n,)."""

    labels: F8
    """1 where it was bought."""
    live: F8
    """Probability as served."""
    frozen: F8
    """Probability of the base bundle on the features that were logged with the impression."""
    lists: I8
    """Number of the list, growing."""
    users: I8
    """Number of the user."""
    exposures: I8
    """Times that the item had been shown before, history included."""
    windows: I8
    """Window of the bundle that served it."""

    def where(self, kept: NDArray[np.bool_]) -> "Rows":
        """Only these rows."""
        return Rows(*(getattr(self, name)[kept] for name in self.__slots__))


class Ranked:
    """Rows sorted by score once, so that the AUC of many weightings is quick."""

    def __init__(self, labels: F8, scores: F8) -> None:
        self._labels = labels
        distinct, self._rank = np.unique(scores, return_inverse=True)
        self._count = len(distinct)

    def auc(self, weights: F8 | None = None) -> float:
        """The AUC with a weight for each row (n,), or with equal ones."""
        weights = np.ones(len(self._labels)) if weights is None else weights
        bought = np.bincount(self._rank, weights * self._labels, self._count)
        others = np.bincount(self._rank, weights * (1 - self._labels), self._count)
        pairs = bought.sum() * others.sum()
        if not pairs:
            return float("nan")
        below = np.cumsum(others) - others
        return float((bought * (below + others / 2)).sum() / pairs)


def calibration(labels: F8, probabilities: F8, bins: int = BINS) -> tuple[F8, F8, F8]:
    """Bins of equal count by probability: (mean probability, share bought, rows), each (bins,)."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return (
        np.array([probabilities[part].mean() for part in parts]),
        np.array([labels[part].mean() for part in parts]),
        np.array([float(len(part)) for part in parts]),
    )


def measures(rows: Rows, scores: F8) -> dict[str, float]:
    """``auc``, ``logloss``, ``ece`` and ``group_auc`` of these probabilities."""
    if not len(scores):
        return {}
    found = Quality.of(rows.labels, scores, rows.lists)
    return {"auc": found.auc, "logloss": found.log_loss, "ece": found.ece, "group_auc": found.group_auc}


def paired(rows: Rows, draws: int = DRAWS, seed: int = 7) -> dict[str, dict[str, float]]:
    """Live less frozen on the same rows, with the 95% interval of a bootstrap over users.

    Users are drawn with replacement, since one user's lists are alike (percentile bootstrap of clusters, Efron 1979).
    ``auc`` is better above 0, ``logloss`` below 0.
    """
    generator = np.random.default_rng(seed)
    live, frozen = Ranked(rows.labels, rows.live), Ranked(rows.labels, rows.frozen)
    loss = losses(rows.labels, rows.live) - losses(rows.labels, rows.frozen)
    _, user = np.unique(rows.users, return_inverse=True)
    count = int(user.max(initial=-1)) + 1
    if not count:
        return {}
    aucs, logs = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        weights = np.bincount(generator.integers(count, size=count), minlength=count).astype(float)[user]
        aucs[draw] = live.auc(weights) - frozen.auc(weights)
        logs[draw] = np.average(loss, weights=weights) if weights.any() else 0.0
    return {
        "auc": _interval(live.auc() - frozen.auc(), aucs),
        "logloss": _interval(float(loss.mean()), logs),
    }


def _interval(value: float, drawn: F8) -> dict[str, float]:
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"difference": value, "low": float(low), "high": float(high)}
