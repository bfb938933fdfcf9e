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
    """Seconds from each time to now, at least 0; :data:`NEVER` where there is none (0) or it is longer ago."""
    return np.where(times == 0, NEVER, np.clip((now - times) / SECOND, 0.0, NEVER))


class Values:
    """The numbers of one view's plain fields, compiled once.

    Attributes:
        names: of the columns of :meth:`at`, without the view's prefix.
    """

    def __init__(self, plan: Plan, prefix: str) -> None:
        sums = [f for f in plan.fields if "table" not in f.tags and f.tags.get("statistic") in AMOUNTS]
        self.horizons = np.array(sorted({horizon(f) for f in sums}), np.int64)
        self.sums = np.array([plan.column(f.name) for f in sums], np.int64)
        self.horizon = np.searchsorted(self.horizons, [horizon(f) for f in sums])
        found = {f.tags["statistic"]: i for i, f in enumerate(sums)}
        self.price = (found["log_price"], found["priced"]) if {"log_price", "priced"} <= found.keys() else None
        self.counts = [i for i, f in enumerate(sums) if f.tags["statistic"] in ("count", "quantity")]
        self.place = {sums[i].name.removeprefix(f"{prefix}_"): i for i in self.counts}
        self.first = next((plan.column(f.name) for f in plan.fields if f.tags.get("statistic") == "first"), TIME)
        self.shares = [span for span in ("1d", "7d") if all(f"{action}_{span}" in self.place for action in ACTIONS)]
        self.trend = {"purchases_1d", "purchases_7d"} <= self.place.keys()
        self.names = [
            *self.place,
            *("recency_s", "age_s", "mean_log_price"),
            *(f"purchase_share_{span}" for span in self.shares),
            *(["purchase_trend_1d"] if self.trend else []),
        ]

    def at(self, words: Words, now: Times) -> tuple[Reals, Reals]:
        """The numbers at ``now``, and the mean of log(1 + price), NaN where no price was seen.

        Args:
            words: (n, words) rows.
            now: (1,) or (n,).

        Returns:
            (n, len(names)) and (n,).
        """
        newest = words.view(np.int64)[:, TIME]
        sums = words[:, self.sums] * factors(newest, self.horizons, now)[:, self.horizon]
        mean = self._mean_price(sums)
        first = words.view(np.int64)[:, self.first]
        age = np.where(first == 0, 0.0, np.clip((now - first) / SECOND, 0.0, NEVER))
        derived = [since(newest, now), age, np.nan_to_num(mean), *self._shares(sums), *self._trend(sums)]
        return np.column_stack([sums[:, self.counts], *derived]), mean

    def _mean_price(self, sums: Reals) -> Reals:
        if self.price is None:
            return np.full(len(sums), np.nan)
        total, count = self.price
        seen = sums[:, count] > 1e-12
        return np.where(seen, sums[:, total] / np.where(seen, sums[:, count], 1.0), np.nan)

    def _shares(self, sums: Reals) -> list[Reals]:
        """Purchases among all actions, weighted with the prior."""
        shares = []
        for span in self.shares:
            bought = sums[:, self.place[f"purchases_{span}"]]
            total = sums[:, [self.place[f"{action}_{span}"] for action in ACTIONS]].sum(1)
            shares.append((bought + PRIOR_EVENTS * PRIOR_SHARE) / (total + PRIOR_EVENTS))
        return shares

    def _trend(self, sums: Reals) -> list[Reals]:
        """Log of the day's purchases over the week's daily mean, both with half a purchase more."""
        if not self.trend:
            return []
        day, week = sums[:, self.place["purchases_1d"]], sums[:, self.place["purchases_7d"]]
        return [np.log((day + 0.5) / (week / 7 + 0.5))]


class Entries:
    """One of the user's tables, as it is looked up."""

    def __init__(self, plan: Plan, table: str) -> None:
        fields = {f.tags["statistic"]: f for f in plan.fields if f.tags.get("table") == table}
        self.length, self.tau = fields["key"].length, np.array([horizon(fields["weight"])], np.int64)
        self.columns = {statistic: plan.column(f.name) for statistic, f in fields.items()}

    def find(self, users: Words, keys: NDArray[np.uint64]) -> "Found":
        """Each key's entry in the user's table (or in its own user's). Key 0 is never found."""
        start = self.columns["key"]
        same = users.view(np.uint64)[:, start : start + self.length] == keys[:, None]
        slot = same.argmax(1)
        rows = np.arange(len(keys))
        return Found(self, users, rows if len(users) > 1 else np.zeros_like(rows), slot, same[rows, slot] & (keys != 0))

    def block(self, users: Words, statistic: str) -> Reals:
        """A whole column of the table. Shape (users, length)."""
        start = self.columns[statistic]
        return users[:, start : start + self.length]

    def factor(self, users: Words, now: Times) -> Reals:
        """What turns the table's sums into their values at ``now``. Shape (users,)."""
        return factors(users.view(np.int64)[:, TIME], self.tau, now)[:, 0]


class Found:
    """Entries found for n keys."""

    def __init__(
        self, entries: Entries, users: Words, rows: NDArray[np.intp], slot: NDArray[np.intp], hit: NDArray[np.bool_]
    ) -> None:
        self.entries, self.users, self.rows, self.slot, self.hit = entries, users, rows, slot, hit

    def sum(self, statistic: str) -> Reals:
        """A sum as it is kept, 0 where there is no entry. Shape (n,)."""
        return np.where(self.hit, self.users[self.rows, self.entries.columns[statistic] + self.slot], 0.0)

    def last(self) -> Times:
        """The entry's last time, 0 where there is no entry. Shape (n,)."""
        return np.where(self.hit, self.users.view(np.int64)[self.rows, self.entries.columns["last"] + self.slot], 0)
