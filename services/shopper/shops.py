"""Which shop is played: the example's households, or a public set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from services.shopper.settings import ShopperSettings
from shared.datasets.complete_journey import Journey
from shared.datasets.moments import Moment
from shared.datasets.shops import between, named
from shared.errors import BadSettings
from shared.messages import Item
from shared.tasks import task


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop's catalogue, and what is played of its past."""

    name: str
    items: Sequence[Item]
    moments: Iterator[Moment]
    label: str
    """The action that answers a list."""


def load(settings: ShopperSettings, public_set: str = "") -> Shop:
    """The set of ``NAME:FOLDER``, or the example where none is named; raises as they do."""
    return public(public_set, settings) if public_set else example(settings)


def example(settings: ShopperSettings) -> Shop:
    """The sample of The Complete Journey.

    Raises:
        BadSettings: its package is not installed.
    """
    journey = Journey.load(settings.shopper_households, settings.shopper_seed, cache=settings.shopper_log / "cache")
    baskets = journey.baskets(settings.shopper_start, settings.shopper_end)
    return Shop("journey", list(journey.items()), (basket.moment() for basket in baskets), "purchase")


def public(words: str, settings: ShopperSettings) -> Shop:
    """A set, of ``NAME:FOLDER``.

    Raises:
        BadSettings: it is not there, the task cannot learn from it, or nothing of it lies between the play's start and end.
    """
    shop, folder = named(words)
    shop.check(task(settings.task))
    if settings.clock != "event":
        raise BadSettings(f"{shop.name} is played at its own time: set FRESHET_CLOCK=event here and for the stack")
    read = shop.read(folder, settings.shopper_seed)
    moments = between(read.moments(), settings.shopper_start, settings.shopper_end)
    if (first := next(moments, None)) is None:
        begins = next((datetime.fromtimestamp(moment.time, UTC).isoformat() for moment in read.moments()), "none")
        span = f"--start {settings.shopper_start.isoformat()} to --end {settings.shopper_end.isoformat()}"
        raise BadSettings(f"{shop.name} has nothing from {span}; its first moment is {begins}")
    return Shop(shop.name, list(read.items.values()), chain((first,), moments), shop.label)
