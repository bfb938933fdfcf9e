"""Exponential decay by event time, exact for late events and for any cut of the log into batches.

A decayed sum at time t is Σ wᵢ·exp(-(t - tᵢ)/τ). What is kept is forward decay (Cormode et al., ICDE 2009):
S = Σ wᵢ·exp((tᵢ - L)/τ) for a landmark L, the last multiple of τ that the row's newest event has passed. A late event is one more
term of the same sum; nothing has to be closed. When the newest event passes further multiples, k of them, S is multiplied by
exp(-k). L follows from the row's newest event, so it is not stored. Times are int64 microseconds.
"""

import numpy as np
from numpy.typing import NDArray

SECOND = 1_000_000
Times = NDArray[np.int64]
Reals = NDArray[np.float64]


def microseconds(seconds: float) -> int:
    """A time or a span in the unit of the rows."""
    return round(seconds * SECOND)


def factors(newest: Times, horizons: Times, now: Times) -> Reals:
    """What turns kept sums into their values at ``now``: exp((L - now)/τ).

    Args:
        newest: (n,) newest event of each row. A moment before it counts as that moment: what is known cannot be forgotten.
        horizons: (h,) τ.
        now: (n,) or (1,) the moment asked for.

    Returns:
        (n, h).
    """
    landmarks = newest[:, None] // horizons * horizons
    elapsed = landmarks - np.maximum(newest, now)[:, None]
    return np.exp(elapsed / horizons)
