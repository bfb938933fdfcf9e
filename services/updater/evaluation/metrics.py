"""How good predictions are: AUC, log loss, calibration error and group AUC, from labels and probabilities of n rows."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
BINS = 15
SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1 in the log loss."""


def auc(labels: F8, scores: F8) -> float:
    """Share of (positive, negative) pairs in the right order, ties half (Mann–Whitney U / n₁n₀). NaN without both kinds."""
    order = np.argsort(scores)
    return _auc(labels[order], scores[order])


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
    order = np.argsort(probabilities, kind="stable")
    return _calibration_error(labels[order], probabilities[order], bins)


def group_auc(labels: F8, scores: F8, groups: I8) -> float:
    """Mean AUC within each group (a list) that has both kinds of labels. NaN without such a group."""
    order = np.lexsort([scores, groups])
    return _group_auc(labels[order], scores[order], groups[order])


def _auc(labels: F8, scores: F8) -> float:
    """Of rows sorted by score."""
    return _group_auc(labels, scores, np.zeros(len(labels), np.int64))


def _calibration_error(labels: F8, probabilities: F8, bins: int) -> float:
    """Of rows sorted by probability."""
    if not len(labels):
        return float("nan")
    cuts = np.linspace(0, len(labels), min(bins, len(labels)), endpoint=False).round().astype(int)
    gap = np.add.reduceat(labels.astype(np.float64), cuts) - np.add.reduceat(probabilities.astype(np.float64), cuts)
    return float(np.abs(gap).sum() / len(labels))


def _group_auc(labels: F8, scores: F8, groups: I8) -> float:
    """Of rows sorted by (group, score)."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    sizes = np.diff(starts, append=len(groups))
    group = np.repeat(np.arange(len(starts)), sizes)
    positives = np.bincount(group, labels, len(sizes))
    negatives = sizes - positives
    whole = (positives > 0) & (negatives > 0)
    if not whole.any():
        return float("nan")
    sums = np.bincount(group, _mean_ranks(group, scores) * labels, len(sizes))
    within = (sums[whole] - positives[whole] * (positives[whole] + 1) / 2) / (positives[whole] * negatives[whole])
    return float(within.mean())


def _mean_ranks(group: I8, scores: F8) -> F8:
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
    def of(cls, labels: F8, probabilities: F8, groups: I8) -> "Quality":
        """Measure rows; ``groups`` is each row's list."""
        return Sorted.of(labels, probabilities, groups).quality()


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows that are sorted once, however many parts of them are measured."""

    labels: F8
    probabilities: F8
    groups: I8
    by_score: I8
    """Which rows count, in the order of their scores."""
    by_group: I8
    """The same, list by list."""

    @classmethod
    def of(cls, labels: F8, probabilities: F8, groups: I8) -> "Sorted":
        """All rows."""
        by_score, by_group = np.argsort(probabilities, kind="stable"), np.lexsort([probabilities, groups])
        return cls(labels, probabilities, groups, by_score, by_group)

    def part(self, rows: NDArray[np.bool_]) -> "Sorted":
        """Those of them that are among ``rows``, which says so of every row."""
        return replace(self, by_score=self.by_score[rows[self.by_score]], by_group=self.by_group[rows[self.by_group]])

    def quality(self) -> Quality:
        """Measure what counts."""
        labels, probabilities, lists = self.labels[self.by_score], self.probabilities[self.by_score], self.by_group
        return Quality(
            len(labels),
            _auc(labels, probabilities),
            log_loss(labels, probabilities),
            _calibration_error(labels, probabilities, BINS),
            _group_auc(self.labels[lists], self.probabilities[lists], self.groups[lists]),
        )
