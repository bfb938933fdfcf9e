"""The mean of the dense weights: what it remembers, that it predicts and is served, and that steps go on from the weights."""

import numpy as np
import pytest
import torch
from torch import nn

from services.updater.learning.average import Average
from services.updater.learning.flat import Flat
from services.updater.learning.learner import Learner
from tests.learning import learner, task, window

WINDOWS = range(1, 30)


def learned(one: Learner, windows: range) -> None:
    """It learns these windows."""
    for number in windows:
        one.learn(window(20 * number), number)


class Scalar(nn.Module):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def become(self, value: float) -> None:
        with torch.no_grad():
            self.weight.fill_(value)


def followed(horizon: int, values: list[float], count: int) -> float:
    """The mean after steps of ``count`` rows that made these weights."""
    model = Scalar()
    average = Average(Flat(model), horizon)
    for step, value in enumerate(values, 1):
        model.become(value)
        average.follow(count, step * count)
    return float(average.values["weight"])


def test_a_young_model_looks_back_over_a_tenth_of_what_it_learned() -> None:
    assert followed(1_000, [1.0, 2.0, 6.0], 10) == 6.0
    assert followed(1_000, [0.0] * 19 + [1.0], 10) == pytest.approx(0.5)


def test_beyond_the_horizon_the_past_fades() -> None:
    assert followed(20, [0.0] * 40 + [1.0, 1.0], 10) == pytest.approx(0.75)


def test_a_step_longer_than_the_horizon_is_all_that_counts() -> None:
    assert followed(5, [3.0, 1.0], 10) == pytest.approx(1.0)


def test_without_a_horizon_the_weights_themselves_are_served() -> None:
    assert followed(0, [3.0, 1.0], 10) == 1.0


def test_the_mean_predicts_and_is_served_and_steps_go_on_from_the_weights() -> None:
    averaging, plain = (learner(task(average=steps)) for steps in (10, 0))
    for one in (averaging, plain):
        learned(one, WINDOWS)
    weights = averaging.state(), plain.state()
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[1] if name.startswith("dense/"))
    assert not np.array_equal(averaging.dense()["heads.weight"], plain.dense()["heads.weight"])
    asked = window(200)
    assert not np.array_equal(averaging.predict(asked), plain.predict(asked))
    for name, weight in plain.model.named_parameters():  # as if the mean had been what steps made
        with torch.no_grad():
            weight.copy_(averaging.average.values[name])
    np.testing.assert_allclose(plain.predict(asked), averaging.predict(asked), rtol=1e-6)


def test_what_is_frozen_later_is_served_as_it_was() -> None:
    one = learner(task(average=10))
    learned(one, WINDOWS)
    before = one.dense()["layers.0.weight"].copy()
    assert not np.array_equal(one.state()["dense/layers.0.weight"], before)
    one.freeze(("layers",))
    learned(one, range(30, 33))
    assert np.array_equal(one.dense()["layers.0.weight"], before)
    assert np.array_equal(one.state()["dense/layers.0.weight"], before)


def test_what_is_frozen_between_two_lives_is_served_as_it_was() -> None:
    before, after = learner(task(average=10)), learner(task(average=10))
    learned(before, WINDOWS)
    after.freeze(("layers",))
    after.load(before.state())
    learned(after, range(30, 33))
    assert np.array_equal(after.dense()["layers.0.weight"], before.dense()["layers.0.weight"])


def test_a_checkpoint_from_before_there_was_a_mean_begins_it_anew() -> None:
    old, new = learner(task(average=10)), learner(task(average=1_000))
    learned(old, WINDOWS)
    new.load({name: array for name, array in old.state().items() if not name.startswith("average/")})
    assert np.array_equal(new.dense()["heads.weight"], old.state()["dense/heads.weight"])


def test_without_a_horizon_from_now_on_what_is_served_stays() -> None:
    before, after = learner(task(average=10)), learner(task(average=0))
    learned(before, WINDOWS)
    assert not np.array_equal(before.dense()["heads.weight"], before.state()["dense/heads.weight"])
    after.load(before.state())
    assert after.weights_sha256() == before.weights_sha256()
