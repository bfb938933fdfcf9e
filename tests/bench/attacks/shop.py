"""A small synthetic shop whose people have tastes, and what bots do in it: moments of who was shown what, and did what."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.catalogue import build
from shared.bundles.files import Catalogue
from shared.datasets.candidates import NOTHING, Candidate, CandidateList
from shared.datasets.moments import Moment
from shared.messages import Behaviour, Item

ITEMS, CATEGORIES, PEOPLE, NEWCOMERS = 150, 10, 500, 60
"""``NEWCOMERS`` come each day beside the people of the first."""
LIST, LOOKED_AT, TEXT, TASTES = 10, 3, 16, 4
APART = 40.0
"""Seconds from one moment to the next."""
START, DAY = 1_700_000_000.0, 86_400.0
VOGUE, SEASON = 1.2, 1.5 * DAY

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """The items, by what people like in them: ``taste`` (ITEMS, TASTES), and how much an item is in vogue, which comes and goes."""

    taste: F8
    phase: F8
    """(ITEMS,) when an item is in vogue: only counters tell what is now."""
    texts: F8
    """(ITEMS, TEXT)."""

    @classmethod
    def of(cls, seed: int) -> "Shop":
        """Drawn."""
        rng = np.random.default_rng(seed)
        category = np.arange(ITEMS) % CATEGORIES
        taste = rng.normal(size=(CATEGORIES, TASTES))[category] + 0.6 * rng.normal(size=(ITEMS, TASTES))
        texts = rng.normal(size=(CATEGORIES, TEXT))[category] + 0.5 * rng.normal(size=(ITEMS, TEXT))
        return cls(taste, rng.uniform(0, 2 * np.pi, ITEMS), texts / np.linalg.norm(texts, axis=1, keepdims=True))

    def items(self) -> list[Item]:
        """Its lines."""
        when = datetime(2023, 1, 1, tzinfo=UTC)
        return [
            Item(item_id=f"i{i}", time=when, title=f"item {i}", category=f"c{i % CATEGORIES}", brand=f"b{i % 7}")
            for i in range(ITEMS)
        ]

    def catalogue(self) -> Catalogue:
        """Its lines with their texts."""
        return build(self.items(), {f"item {i}": text.astype(np.float16) for i, text in enumerate(self.texts)}, TEXT)

    def people(self, first: int, count: int, seed: int, shift: bool = False) -> list[Moment]:
        """Moments ``first`` to ``first + count`` of people: each is shown a list, looks at some of it, and clicks one or none.

        Args:
            shift: people like in those moments what they did not before.
        """
        rng = np.random.default_rng((seed, first))
        tastes = np.random.default_rng(seed).normal(size=(PEOPLE + 100 * NEWCOMERS, TASTES)) * (-1 if shift else 1)
        return [self._moment(n, tastes, rng) for n in range(first, first + count)]

    def _moment(self, number: int, tastes: F8, rng: np.random.Generator) -> Moment:
        time = START + number * APART
        user = int(rng.integers(PEOPLE + int(number * APART / DAY * NEWCOMERS)))
        shown = rng.choice(ITEMS, LIST, replace=False)
        vogue = VOGUE * np.sin(2 * np.pi * time / SEASON + self.phase[shown])
        odds = np.exp(self.taste[shown] @ tastes[user] + vogue)
        chances = np.append(odds, 12.0) / (odds.sum() + 12.0)
        clicked = int(rng.choice(LIST + 1, p=chances))
        looked_at = rng.choice(shown, LOOKED_AT, replace=False).tolist()
        events = [event(f"u{user}", item, "view", time, f"{number}-{n}") for n, item in enumerate(looked_at)]
        if clicked < LIST:
            events.append(event(f"u{user}", int(shown[clicked]), "click", time, f"{number}-click"))
        return Moment(f"u{user}", time, tuple(events), (ranked(shown.tolist(), clicked if clicked < LIST else NOTHING),))


def event(user: str, item: int, action: str, time: float, name: str) -> Behaviour:
    """What a user did to an item."""
    return Behaviour(
        event_id=name, user_id=user, item_id=f"i{item}", action=action, time=datetime.fromtimestamp(time, UTC),
        category=f"c{item % CATEGORIES}", brand=f"b{item % 7}",
    )  # fmt: skip


def ranked(shown: list[int], clicked: int) -> CandidateList:
    """A list of items by number, of which one was clicked."""
    candidates = tuple(Candidate(f"i{item}", float("nan"), 0.0, 0.0, 0.0, 0, 0.0) for item in shown)
    return CandidateList(0, clicked, candidates)


def botnet(first: int, count: int, lists: int, clicks: int, targets: tuple[int, ...], seed: int) -> list[Moment]:
    """So many lists of new users among moments ``first`` to ``first + count``, each of ``clicks`` clicks on the targets."""
    rng, moments = np.random.default_rng(seed), []
    for n, at in enumerate(np.sort(rng.uniform(first, first + count, lists)).tolist()):
        target, user, time = targets[n % len(targets)], f"bot{n // clicks}", START + at * APART
        others = rng.choice([item for item in range(ITEMS) if item not in targets], LIST - 1, replace=False).tolist()
        place = int(rng.integers(LIST))
        shown = [*others[:place], target, *others[place:]]
        moments.append(Moment(user, time, (event(user, target, "click", time, f"bot-{n}"),), (ranked(shown, place),)))
    return moments


def burst(number: int, clicks: int, targets: tuple[int, ...], user: str) -> list[Moment]:
    """One user's clicks on the targets, one a second, from moment ``number`` on; nobody was asked for a list."""
    start = START + number * APART
    return [
        Moment(user, start + n, (event(user, targets[n % len(targets)], "click", start + n, f"{user}-{n}"),)) for n in range(clicks)
    ]
