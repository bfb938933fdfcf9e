"""Fits what makes probabilities come true as often as they say: to settled rows, by what was predicted before they were learned.

Users that the model knows and those that it does not have a curve each. A list has one user, so that no curve changes its order.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.metrics import losses
from shared.bundles.manifest import Curve
from shared.model.calibration import log_odds, probabilities

F8 = NDArray[np.float64]
LEAST = 200
"""Positives, and negatives, below which rows say nothing."""
IN_A_BIN = 40
"""Positives, and negatives, that an isotonic curve's finest part has on average."""
MOST_BINS = 50
FAR = 20.0
"""Log-odds at which a straight curve has its two knots."""
STEPS = 20
SURE = 2.0
"""Standard errors by which a curve must lower the log loss of rows that it was not fitted to."""


def curves(kind: str, labels: F8, scores: F8, new: NDArray[np.bool_]) -> dict[str, Curve]:
    """The curves of the segments ``known`` and ``new``; one with too few rows takes the curve of all, and there may be none.

    Args:
        kind: ``platt`` or ``isotonic``.
        labels: (n,) settled, the oldest first.
        scores: (n,) probabilities predicted before the rows were learned.
        new: (n,) whether the model did not know the user.
    """
    segments = {"known": ~new, "new": new}
    found = {name: fitted(kind, labels[rows], scores[rows]) for name, rows in segments.items()}
    whole = fitted(kind, labels, scores)
    chosen = {name: curve or whole for name, curve in found.items()}
    return {name: curve for name, curve in chosen.items() if curve}


def fitted(kind: str, labels: F8, scores: F8) -> Curve | None:
    """One curve; ``None`` where rows are too few, or where the older half's curve does not surely help the newer half."""
    half = len(labels) // 2
    trial = _fit(kind, labels[:half], scores[:half])
    if trial is None:
        return None
    after = probabilities(trial(log_odds(scores[half:])))
    gain = losses(labels[half:], scores[half:]) - losses(labels[half:], after)
    if gain.mean() <= SURE * gain.std() / len(gain) ** 0.5:
        return None
    return _fit(kind, labels, scores)


def _fit(kind: str, labels: F8, scores: F8) -> Curve | None:
    positives = int(labels.sum())
    fewest = min(positives, len(labels) - positives)
    if fewest < LEAST:
        return None
    return platt(labels, scores) if kind == "platt" else isotonic(labels, scores, min(fewest // IN_A_BIN, MOST_BINS))


def platt(labels: F8, scores: F8) -> Curve | None:
    """log-odds → a·log-odds + b of the highest likelihood (Platt, 1999), by Newton's method; ``None`` where a ≤ 0."""
    x = np.stack([log_odds(scores), np.ones(len(scores))])  # (2, n)
    theta = np.array([1.0, 0.0])
    for _ in range(STEPS):
        p = probabilities(theta @ x)
        step = np.linalg.solve((x * (p * (1 - p) + 1e-9)) @ x.T, x @ (labels - p))
        theta = theta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    a, b = theta.tolist()
    return Curve((-FAR, FAR), (b - a * FAR, b + a * FAR)) if np.isfinite(theta).all() and a > 0 else None


def isotonic(labels: F8, scores: F8, bins: int) -> Curve | None:
    """The rising curve nearest to the shares of positives in bins of equal mass (pool adjacent violators; Ayer et al., 1955).

    Each pool is a knot at its mean (centred isotonic regression; Oron and Flournoy, 2017), so that what differs stays different.
    """
    order = np.argsort(scores, kind="stable")
    cuts = np.linspace(0, len(order), bins + 1).round().astype(int)[:-1]
    sizes = np.diff([*cuts, len(order)]).astype(np.float64)
    means = np.add.reduceat(scores[order], cuts) / sizes
    shares = (np.add.reduceat(labels[order], cuts) + means) / (sizes + 1)  # one row more, which says what was predicted
    pools: list[tuple[float, float, float]] = []  # size, mean, share
    for pool in zip(sizes.tolist(), means.tolist(), shares.tolist(), strict=True):
        pools.append(pool)
        while len(pools) > 1 and (pools[-2][2] >= pools[-1][2] or pools[-2][1] >= pools[-1][1]):
            pools[-2:] = [_pooled(*pools[-2:])]
    _, x, y = np.array(pools).T
    return Curve(tuple(log_odds(x).tolist()), tuple(log_odds(y).tolist()))


def _pooled(one: tuple[float, float, float], other: tuple[float, float, float]) -> tuple[float, float, float]:
    size = one[0] + other[0]
    return size, (one[0] * one[1] + other[0] * other[1]) / size, (one[0] * one[2] + other[0] * other[2]) / size


def applied(curves: Mapping[str, Curve], scores: F8, new: NDArray[np.bool_]) -> F8:
    """Probabilities (n,) as serving would give them with these curves."""
    done = scores.copy()
    for name, rows in (("known", ~new), ("new", new)):
        if name in curves:
            done[rows] = probabilities(curves[name](log_odds(scores[rows])))
    return done
