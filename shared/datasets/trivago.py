"""trivago (RecSys Challenge 2019): hotels shown in lists, and what a session did before: the owner's ``train.csv``, or parquet.

Each click-out holds the whole list as it was shown, with prices; exactly one item was clicked, where the list holds it. Looks at a
hotel (its pictures, information, deals, ratings, a search for it) are views. Beside price and position a shop can send what it
knows of the session: how the hotel stands among those that the session has dealt with. Times are seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from shared.datasets.candidates import Candidate, CandidateList
from shared.datasets.files import rows
from shared.datasets.moments import Moment
from shared.messages import Behaviour, Item

OWNER = "https://recsys.trivago.cloud/challenge/dataset"
FILES = ("actions.parquet", "train.csv")
CLICK = "clickout item"
VIEWS = frozenset(f"interaction item {what}" for what in ("image", "info", "deals", "rating")) | {"search for item"}
CONTEXT = ("position", "price_rank", "cheapest", "touched", "touches", "touch_rank", "passed", "next_after", "lists")


@dataclass(frozen=True, slots=True)
class Offer(Candidate):
    """A hotel at its place in a list, and how the session has dealt with it before."""

    position: float
    """From 1."""
    price_rank: float
    """Its place in the list by price, from 1."""
    cheapest: float
    """log of its price over the list's cheapest."""
    touched: float
    """1 where the session dealt with it before."""
    touches: float
    """How often."""
    touch_rank: float
    """1 for the hotel dealt with last, 2 for the one before, ...; 0 for none."""
    passed: float
    """How often an earlier list of the session showed it and another was clicked."""
    next_after: float
    """Places after the hotel dealt with last, negative before it; 0 where that is not in the list."""
    lists: float
    """Lists that the session clicked in before."""


@dataclass(slots=True)
class Session:
    """What a session did so far."""

    touches: dict[str, int] = field(default_factory=dict)
    """By hotel, the latest last."""
    shown: dict[str, int] = field(default_factory=dict)
    """How often each hotel was shown."""
    lists: int = 0

    def touch(self, item: str) -> None:
        """It deals with a hotel."""
        self.touches[item] = self.touches.pop(item, 0) + 1

    def show(self, items: tuple[str, ...]) -> None:
        """It was shown a list, and clicked in it."""
        self.lists += 1
        for item in items:
            self.shown[item] = self.shown.get(item, 0) + 1


class Trivago:
    """The platform's sessions.

    Raises:
        BadSettings: the set is not in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._actions = sorted(rows(folder, FILES, OWNER), key=lambda row: (row["timestamp"], row["session_id"], row["step"]))
        self.items = self._hotels()

    def moments(self) -> Iterator[Moment]:
        """Each view and each click-out, in time order."""
        sessions: dict[str, Session] = {}
        for action in self._actions:
            session = sessions.setdefault(action["session_id"], Session())
            hotel = str(action["reference"])
            if action["action_type"] == CLICK:
                lists = tuple(_lists(action, session))
                yield self._moment(action, "click", lists)
                session.show(_shown(action))
                session.touch(hotel)
            elif action["action_type"] in VIEWS and hotel.isdigit():
                yield self._moment(action, "view", ())
                session.touch(hotel)

    def _moment(self, action: Mapping[str, Any], kind: str, lists: tuple[CandidateList, ...]) -> Moment:
        item = self.items.get(str(action["reference"]))
        event = Behaviour(
            event_id=f"{action['session_id']}-{action['step']}",
            user_id=action["user_id"],
            item_id=str(action["reference"]),
            action=kind,
            time=datetime.fromtimestamp(action["timestamp"], UTC),
            session=action["session_id"],
            category=item.category if item else None,
        )
        return Moment(action["user_id"], float(action["timestamp"]), (event,), lists)

    def _hotels(self) -> dict[str, Item]:
        """Every hotel of any list, with the city that it was first shown in."""
        found: dict[str, Item] = {}
        for action in self._actions:
            for hotel in _shown(action):
                if hotel not in found:
                    time = datetime.fromtimestamp(action["timestamp"], UTC)
                    found[hotel] = Item(item_id=hotel, time=time, category=action["city"][:64])
        return found


def _shown(action: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(action["impressions"].split("|"))) if action["impressions"] else ()


def _lists(action: Mapping[str, Any], session: Session) -> Iterator[CandidateList]:
    hotels, clicked = _shown(action), str(action["reference"])
    if clicked not in hotels or len(hotels) < 2:
        return
    asked = dict(zip(action["impressions"].split("|"), action["prices"].split("|"), strict=True))
    prices = np.array([asked[hotel] for hotel in hotels], np.float64)
    ranks = prices.argsort(kind="stable").argsort(kind="stable") + 1
    recent = {hotel: rank for rank, hotel in enumerate(reversed(session.touches), 1)}
    last = next(reversed(session.touches), None)
    anchor = hotels.index(last) if last in hotels else None
    yield CandidateList(
        0,
        hotels.index(clicked),
        tuple(
            Offer(
                item_id=hotel, price=float(prices[i]), display=0.0, mailer=0.0, log_odds=0.0, sold=0, age=0.0, position=i + 1.0,
                price_rank=float(ranks[i]), cheapest=float(np.log(max(prices[i], 1.0) / max(prices.min(), 1.0))),
                touched=float(hotel in session.touches), touches=float(session.touches.get(hotel, 0)),
                touch_rank=float(recent.get(hotel, 0)), passed=float(session.shown.get(hotel, 0)),
                next_after=0.0 if anchor is None else float(i - anchor), lists=float(session.lists),
            )
            for i, hotel in enumerate(hotels)
        ),
    )  # fmt: skip
