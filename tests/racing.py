"""A small shop in which one way to learn is better than another: windows whose plans the race itself writes."""

import dataclasses
from collections.abc import Iterator

import msgspec
import numpy as np

from services.updater.evaluation.prequential import Measured, Prequential
from services.updater.learning.batches import Batcher
from services.updater.loop import Student
from services.updater.publishing.releases import Position
from services.updater.race.challengers import Race
from services.updater.windows.window import Window
from shared.bundles.files import Catalogue
from shared.bundles.manifest import File
from shared.messages import Example, WindowPlan
from shared.origins import Origins
from shared.tasks import LearningSettings, RaceSettings, Task
from tests import learning

LISTS = 20
GOOD = LearningSettings(batch=16)
BAD = LearningSettings(batch=16, row_rate=3.0, dense_rate=0.1)
"""A hundred times the rates."""


def task(champion: LearningSettings = BAD, *challengers: LearningSettings, **race: object) -> Task:
    """The small task under these settings."""
    return msgspec.structs.replace(
        learning.task(), learning=champion, challengers=challengers or (GOOD,), race=RaceSettings(**race)
    )


def examples(window: int) -> list[Example]:
    """A window's lists."""
    return [learning.shown(offset) for offset in range(LISTS * window, LISTS * (window + 1))]


def no_catalogue(key: str) -> tuple[File, Catalogue]:
    raise AssertionError(key)


def student(the_task: Task, race: Race | None = None) -> Student:
    """One that begins."""
    race = race or Race(learning.learner(the_task))
    race.judge(())
    batcher = Batcher(learning.INPUTS, ("purchase",), race.champion.assortment)
    return Student(race, batcher, Position(0, 0, {}, Origins()), no_catalogue)


def planned(one: Student, first: int, last: int) -> Iterator[Window]:
    """Windows whose plans say what the race decides on the way."""
    for number in range(first, last + 1):
        plan = WindowPlan(task="ranking", window=number, epoch=2, ranges={}, planned_at=float(number), race=one.race.turn())
        yield Window(plan, examples(number))


def learned(one: Student, windows: Iterator[Window], prequential: Prequential | None = None) -> list[Window]:
    """Test and learn, as the loop does; the windows as they were planned."""
    seen = []
    prequential = prequential or Prequential("purchase", 0.0, 20_000, one.learner)
    for window in windows:
        _, batch = one.admit(window)
        if one.promoted:
            prequential.promote(one.promoted)
        prequential.test(one.learner, batch, window.plan.planned_at, one.race.challengers)
        one.race.judge(prequential.ripen(window.plan.planned_at), prequential.settled)
        one.race.learn(batch, window.plan.window)
        seen.append(window)
    return seen


def measured(lists: int = 400, **knows: float) -> Measured:
    """Lists of five with chances of their own, three in ten items cold; each prediction knows the chances (1) or their mean (0)."""
    rng = np.random.default_rng(3)
    odds = rng.normal(-1.5, 1.5, 5 * lists)
    labels = (rng.random(5 * lists) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    rate = labels.mean()
    scores = {name: know / (1 + np.exp(-odds)) + (1 - know) * rate for name, know in knows.items()}
    rivals = {name: score for name, score in scores.items() if name != "live"}
    cold = rng.random(5 * lists) < 0.3
    return Measured(0.0, np.repeat(np.arange(lists), 5), labels, {"live": scores["live"]}, cold, {}, rivals=rivals)


def bent(one: Measured, name: str, by: float) -> Measured:
    """With a challenger's log-odds all raised by so much."""
    odds = np.log(one.rivals[name] / (1 - one.rivals[name])) + by
    return dataclasses.replace(one, rivals=one.rivals | {name: 1 / (1 + np.exp(-odds))})
