"""Feast's rows, handed to the function that the fast path uses."""

from functools import cache
from typing import Any

import numpy as np
from feast import FeatureView
from numpy.typing import NDArray

from shared.features.assemble import Assembler
from shared.features.online_store import compile_plan
from shared.features.plan import Plan
from shared.features.plans import Plans
from shared.features.rows import Rows
from shared.keys import keys

Columns = dict[str, list[Any]]


def input_names(*views: FeatureView) -> list[str]:
    """What an assembler makes of these views, as Feast may name it: ``user__purchases_1d`` is the input ``user.purchases_1d``."""
    inputs = assembler(*views).inputs
    return [name.replace(".", "__") for name in (*inputs.user, *inputs.candidate)]


def assembler(*views: FeatureView) -> Assembler:
    """The assembler of these views, without a context."""
    return Assembler(Plans.of(compile_plan("feast", view) for view in views), ())


@cache
def _declared() -> tuple[Assembler, Plan, Plan]:
    from feature_repo.definitions import item_activity, user_activity

    views = (user_activity, item_activity)
    return assembler(*views), compile_plan("feast", user_activity), compile_plan("feast", item_activity)


def serve(rows: Columns) -> Columns:
    """Every input of n pairs of a user and a candidate, as float32."""
    make, user, item = _declared()
    found = Rows(_words(user, rows), _words(item, rows), keys(rows["candidate"]))
    features = make.assemble(
        found,
        make.inputs,
        now=np.array(rows["now"], np.float64),
        prices=np.array(rows["candidate_price"], np.float64),
        categories=_keys(rows["candidate_category"]),
        brands=_keys(rows["candidate_brand"]),
    )
    values = np.column_stack([features.user.reshape(len(found.items), -1), features.candidate])
    names = (*make.inputs.user, *make.inputs.candidate)
    return {name.replace(".", "__"): list(column) for name, column in zip(names, values.T, strict=True)}


def _words(plan: Plan, rows: Columns) -> NDArray[np.float64]:
    """What Feast read, as the store has it; ``None`` is a missing row's field."""
    table = np.frombuffer(bytearray(plan.default * len(rows["candidate"])), plan.dtype)
    for field in plan.fields:
        for i, value in enumerate(rows[field.name]):
            if value is not None:
                table[field.name][i] = value
    table["_time"] = table[f"{plan.view.removesuffix('_activity')}_last"]
    return table.view(np.float64).reshape(-1, plan.words)


def _keys(values: list[int]) -> NDArray[np.uint64]:
    return np.array(values, np.int64).view(np.uint64)
