"""How good predictions are: each measure takes labels (n,) of 0 and 1, and scores (n,), probabilities."""

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
BINS = 10
SMALLEST = 1e-7
"""Probabilities are kept this far away from 0 and 1."""


def auc(labels: F4, scores: F4) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties count half. 0.5 where one side is empty.

    By rank sums (Mann & Whitney, 1947).
    """
    positives = int((labels > 0.5).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return 0.5
    return float((_ranks(scores)[labels > 0.5].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(labels: F4, scores: F4) -> float:
    """Mean binary cross-entropy in nats."""
    return float(losses(labels, scores).mean())


def losses(labels: F4, scores: F4) -> NDArray[np.float64]:
    """Each row's binary cross-entropy in nats, (n,)."""
    p = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(-np.where(labels > 0.5, np.log(p), np.log1p(-p)))


def calibration_error(labels: F4, scores: F4) -> float:
    """Expected calibration error: mean distance of predicted and observed rate over ten bins of equal count."""
    order = np.argsort(scores, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [abs(float(scores[part].mean()) - float(labels[part].mean())) * len(part) for part in bins]
    return sum(gaps) / len(labels)


def group_auc(labels: F4, scores: F4, groups: NDArray[np.int64]) -> float:
    """AUC inside each list, averaged over the lists that have both labels, by their length; 0.5 where none has.

    Args:
        groups: (n,) whose list each row is of.
    """
    _, group = np.unique(groups, return_inverse=True)
    order = np.lexsort((scores, group))
    group, positive, scores = group[order], labels[order] > 0.5, scores[order]
    sizes = np.bincount(group)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    same = np.append(False, (scores[1:] == scores[:-1]) & (group[1:] == group[:-1]))
    ties = np.cumsum(~same) - 1
    places = np.arange(1, len(scores) + 1) - starts
    ranks = (np.bincount(ties, places) / np.bincount(ties))[ties]
    positives = np.bincount(group, positive)
    pairs = positives * (sizes - positives)
    both = pairs > 0
    if not both.any():
        return 0.5
    sums = np.bincount(group, ranks * positive)
    per_list = (sums - positives * (positives + 1) / 2)[both] / pairs[both]
    return float(np.average(per_list, weights=sizes[both]))


def _ranks(scores: F4) -> NDArray[np.float64]:
    """Ranks from 1; equal scores share their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse])
