"""Behaviour as columns: what the fold works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shared.keys import key
from shared.messages import Behaviour

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

known_key = lru_cache(1 << 16)(key)
"""Keys of items, categories and brands come again and again."""


@dataclass(frozen=True, slots=True)
class Events:
    """n events in the order in which they count. ``time`` is int64 microseconds since 1970 UTC; price is NaN where unknown."""

    user: Sequence[str]
    item: Sequence[str]
    action: Sequence[str]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    quantity: NDArray[np.float64]
    item_key: NDArray[np.uint64]
    category: NDArray[np.uint64]
    brand: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.item)


def micros(moment: datetime) -> int:
    """A moment in whole microseconds since 1970 UTC, exactly."""
    return (moment - EPOCH) // MICROSECOND


def columns(events: Sequence[Behaviour], times: Sequence[int] | None = None) -> Events:
    """Messages as columns, in their order; ``times`` overrides the messages' own."""
    nan = float("nan")
    return Events(
        user=[e.user_id for e in events],
        item=[e.item_id for e in events],
        action=[e.action for e in events],
        time=np.array([micros(e.time) for e in events] if times is None else times, np.int64),
        price=np.array([nan if e.price is None else e.price for e in events], np.float64),
        quantity=np.array([e.quantity for e in events], np.float64),
        item_key=np.array([known_key(e.item_id) for e in events], np.uint64),
        category=np.array([known_key(e.category or "") for e in events], np.uint64),
        brand=np.array([known_key(e.brand or "") for e in events], np.uint64),
    )
