"""Fields by the dozen: what the tags of ``README.md`` look like when they are written for each action and horizon."""

from typing import Any

from feast import Field
from feast.types import Array, Float64, Int64

HORIZONS = {"10m": 600, "1h": 3_600, "1d": 86_400, "7d": 604_800}
ACTIONS = {"views": "view", "clicks": "click", "carts": "cart", "purchases": "purchase"}
MONTH = "2592000"


def total(name: str, statistic: str, action: str, horizon: int | str) -> Field:
    """A decayed sum."""
    return Field(name=name, dtype=Float64, tags={"statistic": statistic, "action": action, "horizon": str(horizon)})


def moment(name: str, statistic: str, action: str = "any") -> Field:
    """A first or last time in microseconds since 1970, 0 for never."""
    return Field(name=name, dtype=Int64, tags={"statistic": statistic, "action": action})


def counts(kind: str) -> list[Field]:
    """Every action at every horizon: ``user_views_10m`` to ``user_purchases_7d``."""
    return [
        total(f"{kind}_{plural}_{span}", "count", action, seconds)
        for plural, action in ACTIONS.items()
        for span, seconds in HORIZONS.items()
    ]


def prices(kind: str) -> list[Field]:
    """The level and the spread of log(1 + price) over a month."""
    statistics = ("priced", "log_price", "log_price_squared")
    return [total(f"{kind}_{statistic}_30d", statistic, "any", MONTH) for statistic in statistics]


def table(of: str, length: int, *, priced: bool = False) -> list[Field]:
    """The user's table of what they deal with most; see ``shared/features/tables.py``."""
    weights = {"statistic": "weight", "weights": "view=1,click=1,favourite=2,cart=2,purchase=4", "horizon": MONTH}
    parts: dict[str, tuple[Any, dict[str, str]]] = {
        "keys": (Int64, {"statistic": "key"}),
        "weights": (Float64, weights),
        "purchases": (Float64, {"statistic": "count", "action": "purchase", "horizon": MONTH}),
        "last": (Int64, {"statistic": "last"}),
    }
    if priced:
        parts |= {s: (Float64, {"statistic": s, "action": "any", "horizon": MONTH}) for s in ("priced", "log_price")}
    shape = {"table": of, "length": str(length)}
    return [Field(name=f"user_{of}_{part}", dtype=Array(kind), tags=shape | tags) for part, (kind, tags) in parts.items()]
