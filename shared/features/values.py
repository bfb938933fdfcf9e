"""A view's rows turned into numbers at a moment: decayed counts, ages and mean prices, under the names that models use.

The field ``user_purchases_1d`` is the input ``user.purchases_1d``.
"""

import numpy as np
from numpy.typing import NDArray

from shared.features.arena import TIME
from shared.features.decay import SECOND, Reals, Times, factors
from shared.features.plan import Plan, Words
from shared.features.statistics import AMOUNTS, horizon

NEVER = 31_536_000.0
"""Seconds since what never happened: a year, which is also the most that any recency says."""
PRIOR_EVENTS, PRIOR_SHARE = 10.0, 0.1
"""A share of purchases starts as one in ten, worth ten events."""
ACTIONS = ("views", "clicks", "carts", "purchases")


def since(times: Times, now: Times) -> Reals:
    """Seconds from each time to now, from 0 to :data:`NEVER`, which it also is where there is no time (0). Shapes broadcast."""
    seconds = np.minimum(np.maximum((now - times) / SECOND, 0.0), NEVER)
    seconds[times == 0] = NEVER
    return seconds


class Level:
    """The mean log price of each row: (n,) ``mean``, 0 where no price was ``seen``."""

    __slots__ = ("mean", "seen")

    def __init__(self, total: Reals, count: Reals) -> None:
        self.seen = count > 1e-12
        self.mean = np.divide(total, count, out=np.zeros_like(total), where=self.seen)


class Values:
    """The numbers of one view's plain fields, compiled once.

    Attributes:
        names: of the numbers of :meth:`at`, without the view's prefix.
    """

    def __init__(self, plan: Plan, prefix: str) -> None:
        sums = [f for f in plan.fields if "table" not in f.tags and f.tags.get("statistic") in AMOUNTS]
        sums.sort(key=lambda field: field.tags["statistic"] not in ("count", "quantity"))  # what is an input of its own first
        self._horizons = np.array(sorted({horizon(f) for f in sums}), np.int64)
        self._sums = np.array([plan.column(f.name) for f in sums], np.int64)
        self._horizon = np.searchsorted(self._horizons, [horizon(f) for f in sums])
        statistics = [f.tags["statistic"] for f in sums]
        self._price = [statistics.index(name) for name in ("log_price", "priced") if name in statistics]
        counts = [f.name.removeprefix(f"{prefix}_") for f in sums if f.tags["statistic"] in ("count", "quantity")]
        place = {name: i for i, name in enumerate(counts)}
        first = next((plan.column(f.name) for f in plan.fields if f.tags.get("statistic") == "first"), TIME)
        self._moments = np.array([TIME, first])
        shares = [span for span in ("1d", "7d") if all(f"{action}_{span}" in place for action in ACTIONS)]
        self._shared = np.array([[place[f"{action}_{span}"] for action in ACTIONS] for span in shares], np.int64)
        self._trend = [place[name] for name in ("purchases_1d", "purchases_7d") if name in place]
        self.names = [
            *counts,
            *("recency_s", "age_s", "mean_log_price"),
            *(f"purchase_share_{span}" for span in shares),
            *(["purchase_trend_1d"] if len(self._trend) == 2 else []),
        ]
        self._counts = len(counts)

    def at(self, words: Words, now: Times, out: Reals) -> Level:
        """Write the numbers at ``now`` into ``out``.

        Args:
            words: (n, words) rows.
            now: (1,) or (n,).
            out: (n, len(names)).

        Returns:
            The level of prices.
        """
        moments = words.view(np.int64)[:, self._moments]
        sums = words[:, self._sums]
        sums *= factors(moments[:, 0], self._horizons, now)[:, self._horizon]
        n = self._counts
        out[:, :n] = sums[:, :n]
        ages = since(moments, now[:, None])
        out[:, n] = ages[:, 0]
        out[:, n + 1] = np.where(moments[:, 1] == 0, 0.0, ages[:, 1])
        level = self._level(sums)
        out[:, n + 2] = level.mean
        self._rates(sums, out[:, n + 3 :])
        return level

    def _level(self, sums: Reals) -> Level:
        if len(self._price) < 2:
            return Level(np.zeros(len(sums)), np.zeros(len(sums)))
        total, count = self._price
        return Level(sums[:, total], sums[:, count])

    def _rates(self, sums: Reals, out: Reals) -> None:
        """Purchases among all actions, weighted with the prior; and the log of the day's purchases over the week's daily mean."""
        shares = len(self._shared)
        if shares:
            taken = sums[:, self._shared]
            out[:, :shares] = (taken[:, :, -1] + PRIOR_EVENTS * PRIOR_SHARE) / (taken.sum(2) + PRIOR_EVENTS)
        if len(self._trend) == 2:
            day, week = self._trend
            out[:, shares] = np.log((sums[:, day] + 0.5) / (sums[:, week] / 7 + 0.5))


class Entries:
    """One of the user's tables, as it is looked up; compiled once.

    Args:
        plan: the user's view.
        table: ``item``, ``category`` or ``brand``.
        sums: statistics that a look-up brings, in this order.
    """

    def __init__(self, plan: Plan, table: str, sums: tuple[str, ...]) -> None:
        fields = {f.tags["statistic"]: f for f in plan.fields if f.tags.get("table") == table}
        self._length, self.tau = fields["key"].length, horizon(fields["weight"])
        starts = {statistic: plan.column(f.name) for statistic, f in fields.items()}
        self._key, self._weight, self._width = starts["key"], starts["weight"], plan.words
        self._found = np.array([starts[statistic] for statistic in (*sums, "last")], np.int64)

    def find(self, users: Words, keys: NDArray[np.uint64]) -> tuple[Reals, Times]:
        """What the user's (or each key's own user's) table says of keys.

        Key 0 stands for no key: it finds nothing, or an empty entry, which says the same.

        Returns:
            The sums as they are kept (n, sums), and the entry's last time (n,); 0 where there is no entry.
        """
        same = users.view(np.uint64)[:, self._key : self._key + self._length] == keys[:, None]
        slot, rows = same.argmax(1), np.arange(len(keys))
        missing = ~same[rows, slot]
        if len(users) > 1:
            slot = slot + rows * self._width
        entries = users.reshape(-1)[slot[:, None] + self._found]
        entries[missing] = 0.0
        return entries[:, :-1], entries.view(np.int64)[:, -1]

    def block(self, users: Words) -> tuple[NDArray[np.uint64], Reals]:
        """The whole table: keys and kept weights, each (users, length)."""
        keys = users.view(np.uint64)[:, self._key : self._key + self._length]
        return keys, users[:, self._weight : self._weight + self._length]
