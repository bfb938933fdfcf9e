"""How table rows move: row-wise Adagrad, FTRL-Proximal, or plain SGD.

Each remembers of a row what it needs, its accumulators, beside the row: one tensor for the N rows of all tables, (N, ``width``).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from shared.tasks import LearningSettings

START = 1e-8
"""Where a sum of squared gradients begins."""
EPSILON = 1e-10


class RowOptimiser(Protocol):
    """One way to move rows; k rows of D + 1 numbers."""

    width: int
    """Accumulators of each row."""

    def begin(self, values: Tensor) -> Tensor:
        """The accumulators of rows that begin at these values (k, D + 1). Shape (k, ``width``)."""

    def move(self, values: Tensor, accumulators: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """Move these rows (k,) of all values and accumulators, in place, by their gradient (k, D + 1).

        What has no gradient stays as it is, bit for bit.
        """

    def fade(self, accumulators: Tensor, share: float) -> None:
        """Forget, in place, all but this share of the squared gradients; no weight moves by it."""


class Adagrad:
    """Row-wise Adagrad (Duchi et al., 2011): w ← w − rate · g / √Σ mean(g²), the mean over the vector; the linear weight apart."""

    def __init__(self, settings: LearningSettings, dim: int) -> None:
        self.width, self._rate = 2, settings.row_rate

    def begin(self, values: Tensor) -> Tensor:
        """Both sums at their start."""
        return values.new_full((len(values), self.width), START)

    def move(self, values: Tensor, accumulators: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """Add to the sums, then step."""
        vector, linear = gradient[:, :-1], gradient[:, -1]
        sums = accumulators.index_select(0, rows) + torch.stack([vector.square().mean(1), linear.square()], dim=1)
        accumulators.index_copy_(0, rows, sums)
        scale = -self._rate / (sums.sqrt() + EPSILON)
        values.index_add_(0, rows, torch.cat([vector * scale[:, :1], (linear * scale[:, 1])[:, None]], dim=1))

    def fade(self, accumulators: Tensor, share: float) -> None:
        """Smaller sums, larger steps."""
        accumulators *= share


class Ftrl:
    """FTRL-Proximal (McMahan et al., 2013), for each number by itself, with z = Σg − Σσw and n = Σg²:

        σ = (√(n + g²) − √n) / rate,  w = −(z − sign(z)·l1) / ((β + √n) / rate + l2), and 0 where |z| ≤ l1

    Without l1 and l2 it is Adagrad for each number by itself. A row begins with the z that its first values have.
    """

    def __init__(self, settings: LearningSettings, dim: int) -> None:
        self.width, self._rate = 2 * (dim + 1), settings.row_rate
        self._l1, self._l2, self._beta = settings.row_l1, settings.row_l2, START**0.5

    def begin(self, values: Tensor) -> Tensor:
        """n at 0."""
        return torch.cat([self._held(values, torch.zeros_like(values)), torch.zeros_like(values)], dim=1)

    def move(self, values: Tensor, accumulators: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """Add to z and n, then say what the weights are."""
        z, n = accumulators[rows].chunk(2, dim=1)
        before, after = values[rows], n + gradient.square()
        z = z + gradient - (after.sqrt() - n.sqrt()) / self._rate * before
        accumulators[rows] = torch.cat([z, after], dim=1)
        values[rows] = torch.where(gradient == 0, before, self._weights(z, after))

    def fade(self, accumulators: Tensor, share: float) -> None:
        """Smaller n, and the z that leaves the weights where they are."""
        z, n = accumulators.chunk(2, dim=1)
        kept = self._held(self._weights(z, n), n * share)
        accumulators.copy_(torch.cat([torch.where(z.abs() > self._l1, kept, z), n * share], dim=1))

    def _weights(self, z: Tensor, n: Tensor) -> Tensor:
        weights: Tensor = -z.sign() * (z.abs() - self._l1).clamp(min=0) / self._divisor(n)
        return weights

    def _held(self, weights: Tensor, n: Tensor) -> Tensor:
        """The z of these weights at this n: the other way round."""
        z: Tensor = -weights * self._divisor(n) - weights.sign() * self._l1
        return z

    def _divisor(self, n: Tensor) -> Tensor:
        divisor: Tensor = (self._beta + n.sqrt()) / self._rate + self._l2
        return divisor


class Sgd:
    """Small-batch SGD: w ← w − rate · g. Nothing is remembered; the clip over the whole step keeps FM terms from diverging."""

    def __init__(self, settings: LearningSettings, dim: int) -> None:
        self.width, self._rate = 0, settings.row_rate

    def begin(self, values: Tensor) -> Tensor:
        """Nothing, (k, 0)."""
        return values.new_zeros(len(values), 0)

    def move(self, values: Tensor, accumulators: Tensor, rows: Tensor, gradient: Tensor) -> None:
        """Step."""
        values[rows] -= gradient * self._rate

    def fade(self, accumulators: Tensor, share: float) -> None:
        """Nothing."""


def row_optimiser(settings: LearningSettings, dim: int) -> RowOptimiser:
    """The one that the settings name, for vectors of width ``dim``."""
    kinds: dict[str, Callable[[LearningSettings, int], RowOptimiser]] = {"adagrad": Adagrad, "ftrl": Ftrl, "sgd": Sgd}
    return kinds[settings.row_optimiser](settings, dim)
