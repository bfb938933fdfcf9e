"""What becomes of a dense feature before the first layer: it is made comparable, and it falls into bins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
NARROWEST = 1e-5
"""A bin that is narrower than this, in deviations, says nothing."""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Makes dense features comparable: x → clip((slog1p(x) − mean)·scale, ±5), slog1p(x) = sign(x)·log1p(|x|), and NaN → 0."""

    mean: F4
    scale: F4

    def __call__(self, values: F4) -> F4:
        """The same shape, (…, features)."""
        out = np.log1p(np.abs(values))
        np.copysign(out, values, out=out)
        out -= self.mean
        out *= self.scale
        np.clip(out, -5, 5, out=out)
        np.copyto(out, 0, where=np.isnan(out))
        return out


@dataclass(frozen=True, slots=True)
class Bins:
    """The piecewise linear encoding of numbers (Gorishniy et al., 2022): B bins for each of F features, so that what one says may
    bend where history's quantiles lie."""

    low: F4
    """(F, B) where each begins, normalised."""
    slope: F4
    """(F, B) one over its width; 0 where it says nothing, as quantiles that fall together do."""

    @classmethod
    def of(cls, knots: F4, normaliser: Normaliser) -> "Bins":
        """Between knots (F, B + 1) of slog1p, which rise. They lie where they lay in history however the normaliser moves."""
        normal = (knots - normaliser.mean[:, None]) * normaliser.scale[:, None]
        width = np.diff(normal, axis=1)
        slope = np.where(width > NARROWEST, 1 / np.maximum(width, NARROWEST), 0).astype(np.float32)
        return cls(np.ascontiguousarray(normal[:, :-1]), slope)

    def __call__(self, normalised: F4) -> F4:
        """The share of each bin that a number has passed: (F,) → (F·B,), a feature's bins side by side."""
        passed: F4 = np.clip((normalised[:, None] - self.low) * self.slope, 0, 1)
        return passed.ravel()
