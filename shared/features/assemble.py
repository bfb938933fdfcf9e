"""From rows to a model's dense inputs at the moment of the request: the one function that serving, Feast and history share.

Inputs of a user: ``user.<field>`` decayed to the moment, ``user.recency_s``, ``user.age_s``, ``user.mean_log_price``,
``user.purchase_share_7d``, ... Inputs of a candidate: the same of its item under ``item.``, and

    item.log_price            log(1 + price) of the candidate, 0 where unknown
    item.price_vs_mean        its difference to the item's decayed mean
    pair.bought, pair.weight  how often this user bought it, and dealt with it, decayed
    pair.last_s               seconds since, a year where never
    pair.category_affinity    share of the category in the user's dealings; pair.category_last_s the seconds since
    pair.brand_affinity       the same of the brand; pair.brand_last_s
    pair.price_vs_user        log price less the mean that this user deals at
    pair.price_vs_category    log price less the user's mean within the category, drawn to the user's mean by one event
    context.<name>            what the shop sent with the candidate
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import BundleRefused
from shared.features.arena import TIME
from shared.features.decay import Reals, Times, factors, microseconds
from shared.features.plan import Words
from shared.features.plans import Plans
from shared.features.rows import Rows
from shared.features.values import Entries, Level, Values, since
from shared.messages import Inputs

PAIR = (
    *("item.log_price", "item.price_vs_mean", "pair.bought", "pair.weight", "pair.last_s", "pair.category_affinity"),
    *("pair.category_last_s", "pair.brand_affinity", "pair.brand_last_s", "pair.price_vs_user", "pair.price_vs_category"),
)


@dataclass(frozen=True, slots=True)
class Features:
    """The dense inputs of one request with n candidates, in the order of the ``Inputs`` they were made for."""

    user: NDArray[np.float32]
    """(U,); (n, U) where each candidate has its own user."""
    candidate: NDArray[np.float32]
    """(n, C)."""
    history: NDArray[np.uint64]
    """(h,) keys of the items that the user deals with most; (n, 64), 0 for none, where each candidate has its own user."""
    history_weights: NDArray[np.float32]
    """(h,) or (n, 64): their decayed weights."""


class Assembler:
    """Makes a model's dense inputs.

    Args:
        plans: the project's.
        context: names of the numbers that come with each candidate.
    """

    def __init__(self, plans: Plans, context: tuple[str, ...]) -> None:
        user = plans.user.plan
        self._user, self._item = Values(user, "user"), Values(plans.item.plan, "item")
        self._tables = (
            Entries(user, "item", ("count", "weight")),
            Entries(user, "category", ("weight", "log_price", "priced")),
            Entries(user, "brand", ("weight",)),
        )
        self._taus = np.array([table.tau for table in self._tables], np.int64)
        self.context = context
        self.inputs = Inputs(
            user=tuple(f"user.{name}" for name in self._user.names),
            candidate=(*(f"item.{name}" for name in self._item.names), *PAIR, *(f"context.{name}" for name in context)),
        )
        self._picks: dict[Inputs, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}

    def missing(self, inputs: Inputs) -> tuple[str, ...]:
        """The inputs that cannot be made."""
        return tuple(sorted({*inputs.user} - {*self.inputs.user} | {*inputs.candidate} - {*self.inputs.candidate}))

    def assemble(
        self,
        rows: Rows,
        inputs: Inputs,
        *,
        now: float | Reals,
        prices: Reals,
        categories: NDArray[np.uint64],
        brands: NDArray[np.uint64],
        context: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Features:
        """The inputs of n candidates.

        Args:
            rows: what the store has; its user is one row, or one for each candidate.
            inputs: names wanted, in order.
            now: seconds since 1970 UTC, one for all or (n,).
            prices: (n,), NaN where unknown.
            categories, brands: (n,) keys, 0 where unknown.
            context: (n,) each; what is not given is 0.

        Raises:
            BundleRefused: an input cannot be made.
        """
        pick_user, pick_candidate = self._pick(inputs)
        moment = np.array([microseconds(now)] if isinstance(now, (int, float)) else np.round(now * 1e6), np.int64)
        user, n = np.empty((len(rows.user), len(self._user.names))), len(self._item.names)
        candidate = np.empty((len(prices), len(self.inputs.candidate)))
        usual = self._user.at(rows.user, moment, user)
        paid = self._item.at(rows.items, moment, candidate[:, :n])
        self._prices(prices, paid, candidate[:, n : n + 2])
        kept = factors(rows.user.view(np.int64)[:, TIME], self._taus, moment)
        self._pairs(rows, moment, kept, candidate[:, n + 2 :], (candidate[:, n], prices), usual, (categories, brands))
        for i, name in enumerate(self.context, n + len(PAIR)):
            candidate[:, i] = (context or {}).get(name, 0.0)
        keys, weights = self._history(rows.user, kept)
        alone = len(rows.user) == 1
        return Features(
            user=(user[0] if alone else user)[..., pick_user].astype(np.float32),
            candidate=candidate[:, pick_candidate].astype(np.float32),
            history=keys[0][weights[0] > 0] if alone else keys,
            history_weights=weights[0][weights[0] > 0] if alone else weights,
        )

    @staticmethod
    def _prices(prices: Reals, paid: Level, out: Reals) -> None:
        """``item.log_price`` and ``item.price_vs_mean``."""
        known = prices == prices
        out[:, 0] = np.log1p(np.where(known, prices, 0.0))
        out[:, 1] = (out[:, 0] - paid.mean) * (known & paid.seen)

    def _pairs(
        self,
        rows: Rows,
        now: Times,
        factors: Reals,
        out: Reals,
        price: tuple[Reals, Reals],
        usual: Level,
        attributes: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    ) -> None:
        """The columns of :data:`PAIR` after the first two; ``price`` is log(1 + price) and the price."""
        users, (logged, given) = rows.user, price
        item, category, brand = (
            entries.find(users, keys) for entries, keys in zip(self._tables, (rows.item_keys, *attributes), strict=True)
        )
        of_item, of_category, of_brand = (factors[:, i, None] for i in range(3))
        out[:, 0:2] = item[0] * of_item
        out[:, 2:7:2] = since(np.column_stack([item[1], category[1], brand[1]]), now[:, None])
        within = category[0] * of_category
        for column, found, entries, factor in ((3, within, 1, of_category), (5, brand[0] * of_brand, 2, of_brand)):
            total = self._tables[entries].block(users)[1].sum(1) * factor[:, 0]
            out[:, column] = found[:, 0] / (total + 1.0)
        known = (given == given) & usual.seen
        out[:, 7] = (logged - usual.mean) * known
        out[:, 8] = (logged - (within[:, 1] + usual.mean) / (within[:, 2] + 1.0)) * known

    def _history(self, users: Words, factors: Reals) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        keys, weights = self._tables[0].block(users)
        return keys, (weights * factors[:, :1]).astype(np.float32)

    def _pick(self, inputs: Inputs) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if inputs not in self._picks:
            if absent := self.missing(inputs):
                raise BundleRefused("inputs", f"the feature plan has no {', '.join(absent)}; apply the fields or roll back")
            user, candidate = list(self.inputs.user), list(self.inputs.candidate)
            self._picks[inputs] = (
                np.array([user.index(name) for name in inputs.user], np.intp),
                np.array([candidate.index(name) for name in inputs.candidate], np.intp),
            )
        return self._picks[inputs]
