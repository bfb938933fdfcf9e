"""A life that begins from a checkpoint and replays the plans has the weights of one that was never interrupted; and only so."""

from services.updater.learning.batches import Batcher
from services.updater.learning.learner import Learner
from services.updater.loop import Student
from services.updater.publishing.releases import Position
from services.updater.race.challengers import Race
from services.updater.windows.window import Window
from shared.bundles.files import Catalogue
from shared.bundles.manifest import File
from shared.messages import Example, WindowPlan
from shared.origins import Origins
from tests import learning

LISTS = 12
TASK = learning.task(rehearsal=0.5)
"""Whose memory is part of what a restart must bring back."""


def no_catalogue(key: str) -> tuple[File, Catalogue]:
    raise AssertionError(key)


def a_student(model: Learner | None = None, position: Position | None = None) -> Student:
    model = model or learning.learner(TASK)
    batcher = Batcher(learning.INPUTS, ("purchase",), model.assortment)
    return Student(Race(model), batcher, position or Position(0, 0, {}, Origins()), no_catalogue)


def examples() -> list[Example]:
    """Lists, a late outcome, and a second delivery two windows later, as after a kill of the joiner."""
    lists = [learning.shown(offset) for offset in range(4 * LISTS)]
    late = learning.correction(5, lists[3], index=2)
    return [*lists[: 2 * LISTS], late, *lists[LISTS : 2 * LISTS], *lists[2 * LISTS :]]


def windows(size: int = LISTS, without: int = 0) -> list[Window]:
    every = examples()
    cuts = range(0, len(every), size)
    return [
        Window(
            WindowPlan(task="ranking", window=n, epoch=1, ranges={"0": (at, min(at + size, len(every)))}, without=n == without),
            every[at : at + size],
        )
        for n, at in enumerate(cuts, start=1)
    ]


def learned(student: Student, some: list[Window]) -> str:
    for window in some:
        _, batch = student.admit(window)
        student.race.learn(batch, window.plan.window)
    return student.learner.weights_sha256()


def interrupted(after: int, *, forget_origins: bool = False) -> str:
    first = a_student()
    learned(first, windows()[:after])
    state, position = first.learner.state(), first.position
    model = learning.learner(TASK)
    model.load(state)
    fence = Origins() if forget_origins else Origins.load(position.origins.state())
    second = a_student(model, Position(position.window, 0, dict(position.offsets), fence))
    return learned(second, windows()[after:])


def test_an_interrupted_life_has_the_weights_of_one_that_was_not() -> None:
    whole = learned(a_student(), windows())
    assert {interrupted(after) for after in range(1, len(windows()))} == {whole}


def test_without_the_fence_a_second_delivery_is_seen_in_the_weights() -> None:
    assert interrupted(2, forget_origins=True) != learned(a_student(), windows())


def test_other_cuts_make_other_weights_which_is_why_plans_are_written_first() -> None:
    assert learned(a_student(), windows(size=LISTS - 1)) != learned(a_student(), windows())


def test_a_window_left_out_is_passed_over_and_not_learned_later() -> None:
    student = a_student()
    weights = learned(student, windows(without=2))
    assert weights != learned(a_student(), windows())
    assert student.position.offsets == {"0": len(examples())}
    assert student.position.origins.passed(learning.shown(4 * LISTS - 1).origin)
