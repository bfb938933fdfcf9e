"""Open Bandit (ZOZO): fashion items as a logging policy showed them, and what was clicked, as the owner's CSV or parquet.

Every impression is a list of one item; users are told by their four features, which many share. Few impressions were clicked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.datasets.candidates import NOTHING, Candidate, CandidateList
from shared.datasets.files import rows
from shared.datasets.moments import Moment
from shared.messages import Behaviour, Item

OWNER = "https://research.zozo.com/data.html"
CONTEXT = ("position", "affinity")


@dataclass(frozen=True, slots=True)
class Place(Candidate):
    """An item where it was shown."""

    position: float
    """1 left, 2 centre, 3 right."""
    affinity: float
    """The set's own affinity of the user to the item, 0 where unknown."""
    propensity: float
    """Probability with which the logging policy showed it there. No input: it is what the policy knew."""


class OpenBandit:
    """Impressions of one logging policy.

    Args:
        folder: with the policy's file and its items.
        policy: ``random`` or ``bts``.

    Raises:
        BadSettings: a file is missing.
    """

    def __init__(self, folder: Path, policy: str) -> None:
        self._shown = sorted(rows(folder, (f"{policy}.parquet", f"{policy}.csv"), OWNER), key=lambda row: row["timestamp"])
        lines = rows(folder, (f"{policy}_items.parquet", f"{policy}_items.csv"), OWNER)
        opened = _time(self._shown[0])
        self.items: dict[str, Item] = {
            name: Item(item_id=name, time=opened, category=line["item_feature_1"], brand=line["item_feature_3"])
            for line in lines
            for name in [_name(line)]
        }

    def moments(self) -> Iterator[Moment]:
        """Each impression, in time order."""
        for number, row in enumerate(self._shown):
            time, user = _time(row), "-".join(row[f"user_feature_{i}"][:8] for i in range(4))
            item = self.items[_name(row)]
            actions = ("view", "click") if row["click"] else ("view",)
            events = [
                Behaviour(
                    event_id=f"{number}-{action}",
                    user_id=user,
                    item_id=item.item_id,
                    action=action,
                    time=time,
                    category=item.category,
                    brand=item.brand,
                )
                for action in actions
            ]
            yield Moment(user, time.timestamp(), tuple(events), (_list(row, item.item_id),))


def _time(row: Mapping[str, Any]) -> datetime:
    time = row["timestamp"]
    return time if isinstance(time, datetime) else datetime.fromisoformat(time)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['campaign']}-{row['item_id']}"


def _list(row: Mapping[str, Any], item_id: str) -> CandidateList:
    place = Place(
        item_id=item_id, price=float("nan"), display=0.0, mailer=0.0, log_odds=0.0, sold=0, age=0.0,
        position=float(row["position"]), affinity=float(row.get(f"user-item_affinity_{row['item_id']}") or 0.0),
        propensity=float(row["propensity_score"]),
    )  # fmt: skip
    return CandidateList(0, 0 if row["click"] else NOTHING, (place,))
