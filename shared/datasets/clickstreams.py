"""Shops that logged views, carts and purchases: REES46's multi-category shop and RetailRocket, in their owners' formats.

Neither kept impressions: a list is an item that was looked at, among others that were looked at in the 28 days before (see
:mod:`shared.datasets.sampling`). What a session does to one item again counts once.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.datasets.files import rows
from shared.datasets.sampling import Sampled, everyone, part
from shared.messages import Behaviour, Item

REES46 = "https://rees46.com/en/datasets"
RETAIL_ROCKET = "https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"
LIST = 10
ROCKET_ACTIONS = {"view": "view", "addtocart": "cart", "transaction": "purchase"}


def rees46(folder: Path, seed: int) -> Sampled:
    """REES46's events: ``events.parquet``, or a month's file such as ``2019-Oct.csv``.

    Raises:
        BadSettings: the set is not in the folder.
    """
    lines = rows(folder, ("events.parquet", "2019-Oct.csv"), REES46)
    return _shop([_rees46_event(number, line) for number, line in enumerate(lines)], seed)


def retail_rocket(folder: Path, share: float, seed: int) -> Sampled:
    """RetailRocket's ``events.csv``; its hashed item properties are left out. Lists are this share of its visitors', events all.

    Raises:
        BadSettings: the set is not in the folder.
    """
    lines = rows(folder, ("events.parquet", "events.csv"), RETAIL_ROCKET)
    asked = part((str(line["visitorid"]) for line in lines), share, seed)
    return _shop([_rocket_event(number, line) for number, line in enumerate(lines)], seed, asked)


def _rees46_event(number: int, line: Mapping[str, Any]) -> Behaviour:
    time = line["event_time"]
    moment = time if isinstance(time, datetime) else datetime.strptime(time, "%Y-%m-%d %H:%M:%S UTC")
    return Behaviour(
        event_id=f"e{number}",
        user_id=str(line["user_id"]),
        item_id=str(line["product_id"]),
        action="cart" if line["event_type"] == "remove_from_cart" else line["event_type"],
        time=moment.replace(tzinfo=UTC),
        session=line["user_session"],
        price=line["price"],
        category=(line["category_code"] or str(line["category_id"]))[:64],
        brand=line["brand"],
    )


def _rocket_event(number: int, line: Mapping[str, Any]) -> Behaviour:
    return Behaviour(
        event_id=f"e{number}",
        user_id=str(line["visitorid"]),
        item_id=str(line["itemid"]),
        action=ROCKET_ACTIONS[line["event"]],
        time=datetime.fromtimestamp(line["timestamp"] / 1000, UTC),
    )


def _shop(events: Iterable[Behaviour], seed: int, asked: Callable[[str], bool] = everyone) -> Sampled:
    first: dict[tuple[str, str, str], Behaviour] = {}
    for event in sorted(events, key=lambda event: event.time):
        first.setdefault((event.session or event.user_id, event.item_id, event.action), event)
    items = {
        event.item_id: Item(item_id=event.item_id, time=event.time, category=event.category, brand=event.brand)
        for event in reversed(first.values())
    }
    return Sampled(items, list(first.values()), "view", LIST, seed, asked)
