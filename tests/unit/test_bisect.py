"""The window that did the harm is named, and no window that was only unlucky to be near it."""

import msgspec
import pytest

from services.updater.bisect import divided, questions, steps
from services.updater.learning.batches import Batcher
from services.updater.loop import Student
from services.updater.publishing.releases import Position
from services.updater.race.challengers import Race
from services.updater.windows.window import Window
from shared.errors import BadInput
from shared.messages import Example, WindowPlan
from shared.origins import Origins
from tests import learning
from tests.unit.test_updater_replay import no_catalogue

LISTS, WINDOWS, POISONED = 40, 8, 4


def a_student() -> Student:
    model = learning.learner()
    batcher = Batcher(learning.INPUTS, ("purchase",), model.assortment)
    return Student(Race(model), batcher, Position(0, 0, {}, Origins()), no_catalogue)


def all_bought(example: Example) -> Example:
    """As a botnet would have it."""
    shown = range(len(example.impression.items))
    return msgspec.structs.replace(example, outcomes=tuple(learning.bought(index) for index in shown))


def windows(poisoned: int = POISONED) -> list[Window]:
    made = []
    for number in range(1, WINDOWS + 1):
        lists = [learning.shown(offset) for offset in range(LISTS * number, LISTS * (number + 1))]
        some = [all_bought(one) for one in lists] if number == poisoned else lists
        made.append(Window(WindowPlan(task="ranking", window=number, epoch=1, ranges={}), some))
    return made


def test_the_window_that_did_the_harm_is_named() -> None:
    looked_at, judges = divided(windows(), 2 * LISTS * 5)
    assert [window.plan.window for window in judges] == [7, 8]
    found = sorted(steps(a_student(), looked_at, judges), key=lambda step: -step.harm)
    assert found[0].window == POISONED
    assert found[0].harm > 3 * max(0.0, found[1].harm)


def test_without_poison_no_window_does_as_much() -> None:
    poisoned, clean = (
        max(step.harm for step in steps(a_student(), *divided(windows(window), 2 * LISTS * 5))) for window in (POISONED, 0)
    )
    assert clean < poisoned / 3


def test_the_judges_know_what_came_late() -> None:
    lists = [learning.shown(1), learning.shown(3)]
    late = learning.correction(5, lists[0], index=2)
    of_another = learning.correction(6, learning.shown(99), index=0)
    judges = [Window(WindowPlan(task="ranking", window=1, epoch=1, ranges={}), [*lists, late, of_another])]
    asked = questions(a_student().batcher, judges)
    assert asked.labels[:, 0].tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]


def test_too_few_windows_are_told_so() -> None:
    with pytest.raises(BadInput, match="8 windows follow that checkpoint"):
        divided(windows(), 10_000)
