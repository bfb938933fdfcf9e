"""Between probabilities and log-odds, for those who calibrate."""

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
SMALLEST = 1e-9
"""Probabilities are kept this far from 0 and 1."""


def log_odds(probabilities: F8) -> F8:
    """ln(p / (1 − p)), the same shape."""
    p = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    odds: F8 = np.log(p) - np.log1p(-p)
    return odds


def probabilities(log_odds: F8) -> F8:
    """1 / (1 + e⁻ˣ), the same shape, of any size without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * log_odds))
