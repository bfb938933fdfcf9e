"""What a field's tags mean: which events it counts, and how much each counts.

Tags of a counter:

    statistic   count, quantity, log_price, log_price_squared or priced (events with a price): decayed sums;
                weight (a decayed sum weighted by action, see ``weights``); first or last: a time; key: an entry's key
    action      ``any``, or the actions it counts, separated by commas
    horizon     τ in seconds (decayed sums)
    weights     action=number pairs, separated by commas; other actions do not count (weight)
    table       item, category or brand: the field is one column of the user's table of those, ``length`` entries long
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.errors import BadSettings
from shared.features.decay import SECOND, Reals
from shared.features.events import Events
from shared.features.plan import Field, Plan

Actions = NDArray[np.int64]


def _log_price(events: Events) -> Reals:
    return np.nan_to_num(np.log1p(events.price))


AMOUNTS: dict[str, Callable[[Events], Reals]] = {
    "count": lambda events: np.ones(len(events)),
    "weight": lambda events: np.ones(len(events)),
    "quantity": lambda events: events.quantity,
    "log_price": _log_price,
    "log_price_squared": lambda events: _log_price(events) ** 2,
    "priced": lambda events: (~np.isnan(events.price)).astype(np.float64),
}
"""How much one event adds to a sum, before decay."""


class Vocabulary:
    """The actions that a plan counts, as small numbers; 0 is any other."""

    def __init__(self, plan: Plan) -> None:
        names = {name for field in plan.fields for name in _named(field) if name != "any"}
        self.numbers = {name: i for i, name in enumerate(sorted(names), 1)}

    def __len__(self) -> int:
        return len(self.numbers) + 1

    def encode(self, actions: list[str]) -> Actions:
        """The actions' numbers. Shape (n,)."""
        get = self.numbers.get
        return np.array([get(action, 0) for action in actions], np.int64)

    def weights(self, field: Field) -> Reals:
        """How much an event of each action counts for a field: 0 or 1, or the field's weights. Shape (actions,)."""
        chosen = np.zeros(len(self))
        if "weights" in field.tags:
            for name, weight in _weights(field).items():
                chosen[self.numbers[name]] = weight
        elif "any" in _named(field):
            chosen[:] = 1
        else:
            chosen[[self.numbers[name] for name in _named(field)]] = 1
        return chosen


def horizon(field: Field) -> int:
    """τ in microseconds.

    Raises:
        BadSettings: the tag is missing or no number of seconds.
    """
    try:
        return int(field.tags["horizon"]) * SECOND
    except (KeyError, ValueError):
        raise BadSettings(f"field {field.name}: tag horizon must be a whole number of seconds") from None


def _weights(field: Field) -> dict[str, float]:
    pairs = (pair.split("=") for pair in field.tags["weights"].split(","))
    return {name.strip(): float(weight) for name, weight in pairs}


def _named(field: Field) -> list[str]:
    if "weights" in field.tags:
        return list(_weights(field))
    return [name.strip() for name in field.tags.get("action", "any").split(",")]
