"""The demo's past: what the sample's households bought before the shopper begins to play."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from shared.datasets.complete_journey import FIRST, Journey
from shared.datasets.moments import Moment, stamped
from shared.messages import Item


class TheJourney:
    """A sample of The Complete Journey up to a moment.

    Args:
        journey: the sample; its catalogue is whole, so that later products are known when they come.
        until: the past ends here.
    """

    def __init__(self, journey: Journey, until: datetime) -> None:
        self._journey, self._until = journey, until
        self.items: dict[str, Item] = {item.item_id: item for item in journey.items()}

    @classmethod
    def load(cls, households: int, seed: int, until: datetime, cache: Path) -> "TheJourney":
        """The sample that the shopper plays from ``until`` on."""
        return cls(Journey.load(households, seed, cache=cache), until)

    def moments(self) -> Iterator[Moment]:
        """Each basket with its lists and its purchases, in time order."""
        for basket in self._journey.baskets(FIRST, self._until):
            events = tuple(stamped(basket.event(line), self.items) for line in range(len(basket.lines)))
            yield Moment(basket.user_id, basket.time.timestamp(), events, basket.lists)
