"""How much each item of a history counts where the items' vectors are pooled."""

import numpy as np
from numpy.typing import NDArray

F4 = NDArray[np.float32]


def shares(weights: F4) -> F4:
    """√(w / Σw) along the last axis: of length 1 together, so that h items that agree say √h times what one says.

    Args:
        weights: (…, h) decayed counts; 0 for no item.
    """
    total = weights.sum(-1, keepdims=True)
    out: F4 = np.sqrt(weights / np.where(total > 0, total, 1), dtype=np.float32)
    return out
