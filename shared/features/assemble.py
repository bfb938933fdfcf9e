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
from shared.features.decay import Reals, Times, microseconds
from shared.features.plan import Words
from shared.features.plans import Plans
from shared.features.rows import Rows
from shared.features.values import Entries, Values, since
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
        self._items, self._categories, self._brands = (Entries(user, name) for name in ("item", "category", "brand"))
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
        user, user_price = self._user.at(rows.user, moment)
        item, item_price = self._item.at(rows.items, moment)
        with np.errstate(invalid="ignore"):
            log_price = np.log1p(prices)
        pair = self._pairs(rows, moment, log_price, user_price, item_price, categories, brands)
        given = context or {}
        sent = [given.get(name, np.zeros(len(prices), np.float32)) for name in self.context]
        candidate = np.column_stack([item, *pair, *sent])
        keys, weights = self._history(rows.user, moment)
        alone = len(rows.user) == 1
        return Features(
            user=(user[0] if alone else user)[..., pick_user].astype(np.float32),
            candidate=candidate[:, pick_candidate].astype(np.float32),
            history=keys[0][weights[0] > 0] if alone else keys,
            history_weights=weights[0][weights[0] > 0] if alone else weights,
        )

    def _pairs(
        self,
        rows: Rows,
        now: Times,
        log_price: Reals,
        user_price: Reals,
        item_price: Reals,
        categories: NDArray[np.uint64],
        brands: NDArray[np.uint64],
    ) -> list[Reals]:
        """The columns of :data:`PAIR`, each (n,)."""
        item, category, brand = (
            entries.find(rows.user, keys)
            for entries, keys in ((self._items, rows.item_keys), (self._categories, categories), (self._brands, brands))
        )
        factor = self._items.factor(rows.user, now)
        in_category, in_brand = (entries.factor(rows.user, now) for entries in (self._categories, self._brands))
        count = category.sum("priced") * in_category
        usual = np.nan_to_num(user_price)
        within = np.where(np.isnan(user_price), np.nan, (category.sum("log_price") * in_category + usual) / (count + 1.0))
        return [
            np.nan_to_num(log_price),
            np.nan_to_num(log_price - item_price),
            item.sum("count") * factor,
            item.sum("weight") * factor,
            since(item.last(), now),
            category.sum("weight") * in_category / (self._categories.block(rows.user, "weight").sum(1) * in_category + 1.0),
            since(category.last(), now),
            brand.sum("weight") * in_brand / (self._brands.block(rows.user, "weight").sum(1) * in_brand + 1.0),
            since(brand.last(), now),
            np.nan_to_num(log_price - user_price),
            np.nan_to_num(log_price - within),
        ]

    def _history(self, users: Words, now: Times) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        weights = self._items.block(users, "weight") * self._items.factor(users, now)[:, None]
        return self._items.block(users, "key").view(np.uint64), weights.astype(np.float32)

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
