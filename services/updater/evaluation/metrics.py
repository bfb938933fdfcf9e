"""How good predictions are: AUC, log loss, calibration error and group AUC, from labels and probabilities of n rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
BINS = 15
SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1 in the log loss."""


def auc(labels: F8, scores: F8) -> float:
    """Share of (positive, negative) pairs in the right order, ties half (Mann–Whitney U / n₁n₀). NaN without both kinds."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct score, from 1
    return float((ranks[inverse][labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(labels: F8, probabilities: F8) -> float:
    """Mean binary cross-entropy in nats. NaN without rows."""
    return float(losses(labels, probabilities).mean()) if len(labels) else float("nan")


def losses(labels: F8, probabilities: F8) -> F8:
    """Binary cross-entropy of each row, (n,)."""
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    loss: F8 = -np.where(labels > 0, np.log(p), np.log1p(-p))
    return loss


def calibration_error(labels: F8, probabilities: F8, bins: int = BINS) -> float:
    """Mean |share of positives − mean probability| over bins of equal mass (ECE; Naeini et al., 2015). NaN without rows."""
    if not len(labels):
        return float("nan")
    order = np.argsort(probabilities, kind="stable")
    cuts = np.linspace(0, len(order), min(bins, len(order)), endpoint=False).round().astype(int)
    gap = np.add.reduceat(labels[order].astype(np.float64), cuts) - np.add.reduceat(probabilities[order].astype(np.float64), cuts)
    return float(np.abs(gap).sum() / len(order))


def group_auc(labels: F8, scores: F8, groups: NDArray[np.integer]) -> float:
    """Mean AUC within each group (a list) that has both kinds of labels. NaN without such a group."""
    order = np.lexsort([scores, groups])
    _, group, sizes = np.unique(groups[order], return_inverse=True, return_counts=True)
    positives = np.bincount(group, labels[order], len(sizes))
    negatives = sizes - positives
    whole = (positives > 0) & (negatives > 0)
    if not whole.any():
        return float("nan")
    sums = np.bincount(group, _mean_ranks(group, scores[order]) * labels[order], len(sizes))
    within = (sums[whole] - positives[whole] * (positives[whole] + 1) / 2) / (positives[whole] * negatives[whole])
    return float(within.mean())


def _mean_ranks(group: NDArray[np.integer], scores: F8) -> F8:
    """Rank of each row within its group, from 1, ties sharing their mean; rows sorted by (group, score)."""
    n = len(group)
    starts = np.r_[0, np.flatnonzero((np.diff(group) != 0) | (np.diff(scores) != 0)) + 1]  # of runs that tie
    ends = np.r_[starts[1:], n]
    first = np.r_[0, np.flatnonzero(np.diff(group)) + 1][group]  # where each row's group begins
    ranks: F8 = np.repeat((starts + ends - 1) / 2, ends - starts) - first + 1
    return ranks


@dataclass(frozen=True, slots=True)
class Quality:
    """All four figures of some rows."""

    rows: int
    auc: float
    log_loss: float
    ece: float
    group_auc: float

    @classmethod
    def of(cls, labels: F8, probabilities: F8, groups: NDArray[np.integer]) -> "Quality":
        """Measure rows; ``groups`` is each row's list."""
        return cls(
            len(labels),
            auc(labels, probabilities),
            log_loss(labels, probabilities),
            calibration_error(labels, probabilities),
            group_auc(labels, probabilities, groups),
        )
