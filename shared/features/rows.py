"""What one read of the online store brings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.features.plan import Words


@dataclass(frozen=True, slots=True)
class Rows:
    """A user's row and n items' rows, each in its plan's words; what the store does not have is the plan's default."""

    user: Words
    """(1, user words), or (n, user words): a user for each item."""
    items: Words
    """(n, item words)."""
    item_keys: NDArray[np.uint64]
    """(n,)."""
    catalogue: Words | None = None
    """(n, catalogue words), where it was asked for."""
    degraded: bool = False
    """The store was away: all rows are defaults."""
