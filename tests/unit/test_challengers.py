"""The race: who enters, who is promoted, who is held back, and that log and plans make the same weights again."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from services.updater.assembly import race_of
from services.updater.evaluation.prequential import Prequential
from services.updater.publishing.checkpoints import Progress
from services.updater.race.challengers import Race, gains, guarded, state_of
from services.updater.race.standings import Standing
from services.updater.recovery import Checkpoint
from services.updater.windows.window import Window
from shared.errors import BadSettings
from shared.messages import Turn
from shared.tasks import LearningSettings, RaceSettings
from tests import learning
from tests.racing import BAD, GOOD, bent, learned, measured, planned, student, task

WINDOWS = 16
STREAM = 120
"""Windows of a short stream, a tenth of which a bad start may cost; what follows the promotion has nothing to tell."""


def promotion(windows: list[Window]) -> int:
    """The window that says of a promotion."""
    return next(window.plan.window for window in windows if window.plan.race and window.plan.race.promotes)


def test_without_challengers_nothing_is_raced() -> None:
    one = student(msgspec.structs.replace(task(GOOD), challengers=()))
    windows = learned(one, planned(one, 1, 3))
    assert not one.race.challengers
    assert {window.plan.race for window in windows} == {None}


def test_a_challenger_begins_as_the_champions_copy_and_learns_its_own_way() -> None:
    one = student(task(GOOD, BAD))
    _, batch = one.admit(next(planned(one, 1, 1)))
    (challenger,) = one.race.challengers.values()
    assert challenger.weights_sha256() == one.learner.weights_sha256()
    one.race.learn(batch, 1)
    assert challenger.weights_sha256() != one.learner.weights_sha256()


def test_a_challenger_may_rehearse_beside_a_champion_that_does_not_and_a_checkpoint_holds_its_memory() -> None:
    one = student(task(GOOD, msgspec.structs.replace(GOOD, rehearsal=1.0)))
    learned(one, planned(one, 1, 3))
    ((name, challenger),) = one.race.challengers.items()
    assert len(challenger.memory) > 0 == len(one.learner.memory)
    restored = learning.learner(challenger.task)
    restored.load(state_of(name, one.race.state()))
    assert learning.same(restored.state(), challenger.state())


def test_a_challenger_with_the_champions_settings_stays_its_copy_bit_for_bit_and_leaves_as_one_that_gains_nothing() -> None:
    one = student(task(GOOD, BAD, margin=0.05))
    one.race._declared = (GOOD,)
    one.race.follow(Turn(enters={"twin": msgspec.json.encode(GOOD).decode()}), 0)
    (twin,) = one.race.challengers.values()
    learned(one, planned(one, 1, 3))
    assert twin.weights_sha256() == one.learner.weights_sha256()
    learned(one, planned(one, 4, WINDOWS))
    assert [entrant.settings for entrant in one.race.standing.past] == [GOOD]


def test_a_champion_with_a_hundred_times_the_rates_is_replaced_within_a_tenth_of_the_stream_and_the_better_weights_go_on() -> None:
    one, alone = student(task(BAD, GOOD)), student(msgspec.structs.replace(task(GOOD), challengers=()))
    windows = learned(one, planned(one, 1, WINDOWS))
    assert promotion(windows) - 1 <= 0.1 * STREAM
    assert one.learner.task.learning == GOOD
    learned(alone, planned(alone, 1, WINDOWS))
    assert one.learner.weights_sha256() == alone.learner.weights_sha256()
    assert not one.race.challengers


def test_a_champion_that_predicts_no_numbers_is_replaced_too() -> None:
    one = measured(live=1, c1=1)
    one.scores["live"][:] = np.nan
    assert (gains(one, "c1") > 10).all()
    one.rivals["c1"][:] = np.nan
    assert not gains(one, "c1").any()


def test_gains_are_the_mean_of_each_lists_rows() -> None:
    one = measured(lists=3, live=1, c1=1)
    one.labels[:], one.scores["live"][:], one.rivals["c1"][:] = 1, 0.25, 0.5
    one.rivals["c1"][:5] = 0.125
    assert gains(one, "c1") == pytest.approx([-np.log(2), np.log(2), np.log(2)])


def interrupted(after: int, windows: list[Window], *, forget: bool = False) -> str:
    """The weights where a life ends after so many windows and another goes on from its checkpoint, by the plans alone."""
    first = student(task(BAD, GOOD))
    learned(first, iter(windows[:after]))
    standing = first.race.standing if not forget else Standing.of(BAD)
    progress = Progress(version="v", window=after, epoch=1, plans_offset=0, offsets={}, origins={}, race=standing)
    checkpoint = Checkpoint(progress, first.learner.state() | first.race.state())
    resumed = race_of(task(BAD, GOOD), learning.INPUTS, learning.assortment(), checkpoint)
    second = student(task(BAD, GOOD), resumed)
    learned(second, iter(windows[after:]))
    return second.learner.weights_sha256()


@pytest.fixture(scope="module")
def raced() -> tuple[list[Window], str]:
    """Windows with a promotion in their plans, and the weights that they made."""
    one = student(task(BAD, GOOD))
    return learned(one, planned(one, 1, WINDOWS)), one.learner.weights_sha256()


def test_a_life_that_replays_the_plans_has_the_weights_of_one_that_was_not_interrupted(raced: tuple[list[Window], str]) -> None:
    windows, weights = raced
    at = promotion(windows)
    assert {interrupted(after, windows) for after in (0, 1, at - 2, at - 1, at, at + 1, WINDOWS)} == {weights}


def test_without_the_race_in_the_checkpoint_the_weights_would_be_others(raced: tuple[list[Window], str]) -> None:
    windows, weights = raced
    at = promotion(windows)
    assert interrupted(at, windows, forget=True) != weights
    with pytest.raises(ValueError, match="the plans name the challenger"):
        interrupted(at - 1, windows, forget=True)


def test_without_the_plans_word_the_weights_would_be_others(raced: tuple[list[Window], str]) -> None:
    windows, weights = raced
    silent = [Window(msgspec.structs.replace(window.plan, race=None), window.examples) for window in windows]
    assert interrupted(promotion(windows) - 1, silent) != weights


def test_a_window_left_out_keeps_its_word_of_the_race(raced: tuple[list[Window], str]) -> None:
    windows, weights = raced
    at = promotion(windows) - 1
    again = [
        *windows[:at],
        Window(msgspec.structs.replace(windows[at].plan, without=True), windows[at].examples),
        *windows[at + 1 :],
    ]
    one = student(task(BAD, GOOD))
    learned(one, iter(again))
    assert one.learner.task.learning == GOOD
    assert one.learner.weights_sha256() != weights


def test_a_challenger_of_few_rows_waits() -> None:
    assert guarded([measured(lists=100, live=0, c1=1)], "c1", RaceSettings()) == "rows"
    assert guarded([], "c1", RaceSettings()) == "rows"


def test_a_challenger_that_is_worse_calibrated_is_held_back() -> None:
    fair = measured(2_000, live=0, c1=1)
    assert guarded([fair], "c1", RaceSettings(calibration=0.02)) == ""
    high = bent(fair, "c1", 0.5)
    assert gains(high, "c1").mean() > 0
    assert guarded([high], "c1", RaceSettings(calibration=0.02)) == "calibration"
    assert guarded([high], "c1", RaceSettings(calibration=1.0)) == ""


def test_a_challenger_that_gives_cold_items_far_less_than_they_are_due_is_held_back() -> None:
    unfair = measured(live=1, c1=1)
    unfair.rivals["c1"][unfair.cold] /= 10
    loose = RaceSettings(calibration=1.0)
    assert guarded([unfair], "c1", loose) == "exposure"
    assert guarded([unfair], "c1", msgspec.structs.replace(loose, exposure=0.0)) == ""


def test_a_champion_that_gives_cold_items_more_than_they_are_due_does_not_keep_its_place_by_that() -> None:
    overdone = measured(live=1, c1=1)
    overdone.scores["live"][overdone.cold] += 1
    overdone.labels[overdone.cold] = 0
    overdone.rivals["c1"][overdone.cold] /= 10
    assert guarded([overdone], "c1", RaceSettings(calibration=1.0)) == ""


def test_a_guard_keeps_the_better_challenger_waiting_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.updater.race.challengers.guarded", lambda recent, name, rules: "calibration")
    one = student(task(BAD, GOOD))
    windows = learned(one, planned(one, 1, WINDOWS))
    assert not [window for window in windows if window.plan.race and window.plan.race.promotes]
    assert [entrant.held for entrant in one.race.standing.challengers] == ["calibration"]


def test_a_challenger_that_the_task_declares_no_more_leaves() -> None:
    one = student(task(GOOD, BAD, LearningSettings(batch=16, row_rate=0.01)))
    learned(one, planned(one, 1, 2))
    state = Checkpoint(
        Progress(version="v", window=2, epoch=1, plans_offset=0, offsets={}, origins={}, race=one.race.standing),
        one.learner.state() | one.race.state(),
    )
    after = race_of(task(GOOD, BAD), learning.INPUTS, learning.assortment(), state)
    assert after.turn() == Turn(leaves=("c2",))


def test_more_than_four_are_refused() -> None:
    with pytest.raises(BadSettings, match="more than 4 challengers"):
        task(GOOD, BAD, BAD, BAD, BAD, proposed=1)


def proposing() -> Iterator[LearningSettings]:
    for rate in (0.02, 0.04, 0.06):
        yield msgspec.structs.replace(GOOD, row_rate=rate)


def test_what_is_proposed_fills_the_place_of_who_left() -> None:
    some = proposing()
    the_task = msgspec.structs.replace(task(GOOD, proposed=1), challengers=())
    race = Race(learning.learner(the_task), propose=lambda standing: next(some))
    one = student(the_task, race)
    learned(one, planned(one, 1, 2))
    assert [entrant.settings.row_rate for entrant in race.standing.challengers] == [0.02]
    race.follow(Turn(leaves=("c1",)), 3)
    race.judge(())
    assert race.turn() == Turn(enters={"c2": msgspec.json.encode(msgspec.structs.replace(GOOD, row_rate=0.04)).decode()})
    learned(one, planned(one, 4, 5))
    assert [entrant.settings.row_rate for entrant in race.standing.challengers] == [0.04]


def test_a_promotion_makes_the_challengers_predictions_the_live_ones() -> None:
    prequential = Prequential("purchase", 0.0, 20_000, learning.learner())
    before, during, waits = measured(live=0), measured(live=0, c1=1, c2=0.5), measured(live=0, c1=1)
    prequential.settled += [before, during]
    prequential.waiting.append(waits)
    own, last = during.rivals["c1"], waits.rivals["c1"]
    prequential.promote("c1")
    assert list(prequential.settled) == [during]
    assert during.scores["live"] is own
    assert waits.scores["live"] is last
    assert list(during.rivals) == ["c2"]
