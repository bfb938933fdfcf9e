"""Bins of the dense features: where they lie, what falls into them, and what becomes of them in another model's hands."""

import numpy as np
import pytest

from services.updater.learning.normaliser import knots
from shared.errors import BadSettings
from shared.messages import Inputs
from shared.model.numbers import Bins, Normaliser
from tests.learning import INPUTS, learner, task, window

STILL = Normaliser(np.zeros(1, np.float32), np.ones(1, np.float32))


def slog1p(*values: float) -> list[float]:
    return np.log1p(values).tolist()


def test_bins_hold_as_many_of_history_each() -> None:
    values = np.random.default_rng(0).exponential(5, (10_001, 2)).astype(np.float32)
    values[::3, 1] = np.nan  # unknown: not counted
    for feature, mine in enumerate(knots(values, 8)):
        known = np.log1p(values[np.isfinite(values[:, feature]), feature])
        held = np.histogram(known, mine.astype(np.float64))[0]
        assert held.sum() == pytest.approx(len(known), abs=3)
        assert held == pytest.approx(np.full(8, len(known) / 8), abs=3)


def test_quantiles_that_fall_together_leave_bins_that_say_nothing() -> None:
    mostly_none = np.concatenate([np.zeros((900, 1)), np.full((100, 1), 3.0)]).astype(np.float32)
    found = knots(mostly_none, 4)
    assert found[0] == pytest.approx(slog1p(0, 3, 3, 3, 3))
    bins = Bins.of(found, STILL)
    assert bins(np.array(slog1p(0), np.float32)).tolist() == [0, 0, 0, 0]
    assert bins(np.array(slog1p(3), np.float32)) == pytest.approx([1, 0, 0, 0])
    for nothing in (np.full((5, 1), np.nan, np.float32), np.ones((5, 1), np.float32)):
        assert not Bins.of(knots(nothing, 4), STILL).slope.any()


def test_a_number_has_passed_the_bins_below_it_and_its_share_of_its_own() -> None:
    bins = Bins.of(np.array([[0, 1, 3], [-1, 0, 1]], np.float32), Normaliser(np.zeros(2, np.float32), np.ones(2, np.float32)))
    assert bins(np.array([2, -5], np.float32)).tolist() == [1, 0.5, 0, 0]
    assert bins(np.array([0.25, 0.5], np.float32)).tolist() == [0.25, 0, 1, 0.5]


def test_bins_lie_where_they_lay_however_the_normaliser_moves() -> None:
    lie, number = np.array([[0.5, 1, 2]], np.float32), np.array([2.5], np.float32)
    moved = Normaliser(np.array([0.7], np.float32), np.array([1.9], np.float32))
    before, after = (Bins.of(lie, each)(each(number)) for each in (STILL, moved))
    assert after == pytest.approx(before, abs=1e-6)
    assert 0 < before[1] < 1


def test_a_model_without_bins_has_no_weight_of_them() -> None:
    one = learner(task(bins=0))
    one.learn(window(0), 1)
    assert not [name for name in one.dense() if "bins" in name or name == "knots"]


def test_a_checkpoint_of_before_bins_predicts_the_same_and_goes_on() -> None:
    before, one = learner(task(bins=0)), learner()
    before.learn(window(0, 60), 1)
    state = before.state()
    del state["learner/knots"]
    one.load(state)
    assert one.predict(window(100)) == pytest.approx(before.predict(window(100)), abs=1e-6)
    for each in (before, one):
        each.learn(window(60), 2)
    assert one.predict(window(100)) == pytest.approx(before.predict(window(100)), abs=1e-3)
    assert not one.dense()["knots"].any()


@pytest.mark.parametrize("inputs", [INPUTS, Inputs(user=("bought_7d",), candidate=INPUTS.candidate)])
@pytest.mark.parametrize("bins", [0, 4])
def test_a_checkpoint_of_other_bins_is_refused_with_what_to_do(bins: int, inputs: Inputs) -> None:
    with pytest.raises(BadSettings, match="the checkpoint's bins are not those of the task 'ranking': put"):
        learner(task(bins=bins), inputs).load(learner().state())


def test_bins_go_with_their_feature_and_one_that_emerges_has_none() -> None:
    one = learner()
    one.learn(window(0, 60), 1)
    after = Inputs(user=("bought_7d",), candidate=("new", *INPUTS.candidate))
    other = learner(inputs=after)
    other.load(one.state())
    first, second, bins = one.dense(), other.dense(), one.task.model.bins
    assert first["bins_linear"].any()
    for name in ("bins_linear", "bins_projection"):
        cut, kept = (weights[name].reshape(*weights[name].shape[:-1], -1, bins) for weights in (first, second))
        assert np.array_equal(kept[..., [0, 2, 3, 4], :], cut[..., [1, 2, 3, 4], :])
        assert not kept[..., 1, :].any()
    assert np.array_equal(second["knots"][[0, 2, 3, 4]], first["knots"][[1, 2, 3, 4]])
    assert not second["knots"][1].any()
