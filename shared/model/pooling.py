"""How much each item of a history counts where the items' vectors are pooled."""

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]
LEAST = np.float32(1e-30)
"""Below any sum of counts: without a history there is nothing to divide."""


def shares(weights: F4) -> F4:
    """√(w / Σw) along the last axis: of length 1 together, so that h items that agree say √h times what one says.

    Args:
        weights: (…, h) decayed counts; 0 for no item.
    """
    out: F4 = np.sqrt(weights / np.maximum(weights.sum(-1, keepdims=True), LEAST))
    return out
