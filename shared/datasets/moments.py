"""What one user did at one moment, and the lists that it answers: the form in which every data set is played."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shared.datasets.candidates import CandidateList
from shared.messages import Behaviour, Item


@dataclass(frozen=True, slots=True)
class Moment:
    """What one user did at one moment, and the lists that it answers."""

    user_id: str
    time: float
    events: tuple[Behaviour, ...]
    """Stamped with category, brand and price, as the collector does it."""
    lists: tuple[CandidateList, ...] = ()


class Shop(Protocol):
    """Where a past comes from: a shop's own files, or a public data set."""

    @property
    def items(self) -> Mapping[str, Item]:
        """The catalogue by id."""

    def moments(self) -> Iterator[Moment]:
        """The past in time order."""


def stamped(event: Behaviour, items: Mapping[str, Item]) -> Behaviour:
    """The event with what it leaves out of category, brand and price taken from its item, by the collector's rule."""
    item = items.get(event.item_id)
    if item is None:
        return event
    return msgspec.structs.replace(
        event,
        category=item.category if event.category is None else event.category,
        brand=item.brand if event.brand is None else event.brand,
        price=item.price if event.price is None else event.price,
    )
