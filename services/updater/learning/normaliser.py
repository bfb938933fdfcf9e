"""Online moments of the dense features, what makes counters of any size comparable; and the knots of their bins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.rows import F8, Arrays
from shared.model.numbers import Normaliser

F4 = NDArray[np.float32]

SMALLEST = 1e-3
"""A feature whose deviation is less than this counts as constant: its scale is 1."""


def slog1p(values: NDArray[np.float32]) -> F8:
    """sign(x)·log1p(|x|), of any shape."""
    found: F8 = np.copysign(np.log1p(np.abs(values.astype(np.float64))), values)
    return found


def knots(values: NDArray[np.float32], bins: int) -> F4:
    """Where each feature's bins begin and end, for as many of these rows in each as may be.

    Args:
        values: (k, F) of history; NaN where unknown.
        bins: B of each feature.

    Returns:
        (F, B + 1) of slog1p, rising; where fewer quantiles differ, the last are alike. All alike without a value.
    """
    out = np.zeros((values.shape[1], bins + 1), np.float32)
    for feature, column in enumerate(slog1p(values).T):
        known = column[np.isfinite(column)]
        if len(known):
            found = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)).astype(np.float32))
            out[feature] = np.pad(found, (0, bins + 1 - len(found)), mode="edge")
    return out


@dataclass(slots=True)
class Moments:
    """Count, mean and squared deviations of each feature's slog1p, over every finite value (Chan et al., 1979)."""

    count: F8
    mean: F8
    squares: F8

    @classmethod
    def of(cls, features: int) -> "Moments":
        """Before any value."""
        return cls(np.zeros(features), np.zeros(features), np.zeros(features))

    def update(self, columns: slice, values: NDArray[np.float32]) -> None:
        """Take in (k, w) values of these w columns."""
        x = slog1p(values)
        known = np.isfinite(x)
        n = known.sum(0)
        if not n.any():
            return
        mean = np.where(known, x, 0).sum(0) / np.maximum(n, 1)
        squares = np.square(np.where(known, x - mean, 0)).sum(0)
        before = self.count[columns]
        total = np.maximum(before + n, 1)
        shift = np.where(n > 0, mean - self.mean[columns], 0)
        self.squares[columns] += np.where(n > 0, squares + shift**2 * before * n / total, 0)
        self.mean[columns] += shift * n / total
        self.count[columns] += n

    def normaliser(self) -> Normaliser:
        """The moments as the model's ``mean`` and ``scale`` weights, float32."""
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        scale = np.where(deviation > SMALLEST, 1 / np.maximum(deviation, SMALLEST), 1.0)
        return Normaliser(self.mean.astype(np.float32), scale.astype(np.float32))

    def state(self) -> Arrays:
        """All of it, as arrays."""
        return {"count": self.count.copy(), "mean": self.mean.copy(), "squares": self.squares.copy()}

    @classmethod
    def load(cls, state: Arrays) -> "Moments":
        """What :meth:`state` gave."""
        return cls(*(np.array(state[name], np.float64) for name in ("count", "mean", "squares")))
