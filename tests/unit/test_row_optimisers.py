"""What moves a table's rows: each by hand, resumed bit for bit, and in the learner."""

import copy
import math

import numpy as np
import pytest
import torch

from services.updater.learning.row_optimisers import START, Ftrl, RowOptimiser, row_optimiser
from shared.tasks import LearningSettings
from tests.learning import learner, same, task, window

KINDS = ("adagrad", "ftrl", "sgd")
RATES = {"adagrad": 0.03, "ftrl": 0.03, "sgd": 1.0}
GRADIENTS = [[0.3, -0.4, 0.2], [0.1, 0.0, -0.5], [-0.2, 0.6, 0.1]]


def moved(kind: str, start: list[float], **settings: float) -> tuple[list[float], RowOptimiser]:
    """A row that began so, after the gradients."""
    optimiser = row_optimiser(LearningSettings(row_optimiser=kind, **settings), 2)  # type: ignore[arg-type]
    values = torch.tensor([[0.0] * 3, start], dtype=torch.float64)
    accumulators, rows = optimiser.begin(values), torch.tensor([1])
    for gradient in GRADIENTS:
        optimiser.move(values, accumulators, rows, torch.tensor([gradient], dtype=torch.float64))
    assert not values[0].any()
    return values[1].tolist(), optimiser


def test_sgd_steps_by_the_rate_and_remembers_nothing() -> None:
    values, optimiser = moved("sgd", [0.1, 0.2, 0.3], row_rate=0.5)
    assert optimiser.width == 0
    assert values == pytest.approx([0.1 - 0.1, 0.2 - 0.1, 0.3 + 0.1])


def test_ftrl_without_penalties_is_adagrad_for_each_number_by_itself() -> None:
    values, _ = moved("ftrl", [0.1, 0.2, 0.3], row_rate=0.1)
    for i, start in enumerate([0.1, 0.2, 0.3]):
        weight, squares = start, 0.0
        for gradient in GRADIENTS:
            squares += gradient[i] ** 2
            weight -= 0.1 * gradient[i] / (math.sqrt(START) + math.sqrt(squares))
        assert values[i] == pytest.approx(weight, abs=1e-9)


def test_ftrl_is_the_papers_algorithm() -> None:
    rate, l1, l2, beta = 0.1, 0.05, 0.3, math.sqrt(START)
    values, _ = moved("ftrl", [0.0, 0.0, 0.0], row_rate=rate, row_l1=l1, row_l2=l2)
    for i in range(3):
        z = n = weight = 0.0
        for gradient in GRADIENTS:  # McMahan et al., 2013, algorithm 1
            g = gradient[i]
            sigma = (math.sqrt(n + g * g) - math.sqrt(n)) / rate
            z, n = z + g - sigma * weight, n + g * g
            weight = 0.0 if abs(z) <= l1 else -(z - math.copysign(l1, z)) / ((beta + math.sqrt(n)) / rate + l2)
        assert values[i] == pytest.approx(weight, abs=1e-9)


def test_ftrls_l1_makes_weights_zero() -> None:
    assert moved("ftrl", [0.0, 0.0, 0.0], row_l1=10.0)[0] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_what_ftrl_forgets_moves_no_weight_and_makes_the_next_step_larger(l1: float) -> None:
    optimiser = Ftrl(LearningSettings(row_optimiser="ftrl", row_rate=0.1, row_l1=l1, row_l2=0.2), 2)
    values, rows = torch.tensor([[0.1, -0.2, 0.3]], dtype=torch.float64), torch.tensor([0])
    kept = values.clone(), optimiser.begin(values)
    optimiser.move(*kept, rows, torch.tensor([GRADIENTS[0]], dtype=torch.float64))
    faded = [part.clone() for part in kept]
    optimiser.fade(faded[1], 0.25)
    before = kept[0].clone()
    nearly = torch.tensor([[1e-12, 1e-12, 1e-12]], dtype=torch.float64)
    optimiser.move(*faded, rows, nearly)
    assert torch.allclose(faded[0], before, atol=1e-9)
    for part in (kept, faded):
        optimiser.move(*part, rows, torch.tensor([[0.05, 0.05, 0.05]], dtype=torch.float64))
    assert ((faded[0] - before).abs() > (kept[0] - before).abs()).all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_gradient_a_weight_stays_bit_for_bit(kind: str) -> None:
    optimiser = row_optimiser(LearningSettings(row_optimiser=kind), 16)  # type: ignore[arg-type]
    values = torch.randn(50, 17, generator=torch.Generator().manual_seed(1))
    before, accumulators = values.clone(), optimiser.begin(values)
    optimiser.move(values, accumulators, torch.arange(50), torch.zeros(50, 17))
    assert torch.equal(values, before)


@pytest.mark.parametrize("kind", KINDS)
def test_each_learns_goes_on_bit_for_bit_from_a_checkpoint_and_leaves_what_is_frozen(kind: str) -> None:
    declared = task(row_optimiser=kind, row_rate=RATES[kind], decay_rows=50, dropout=0.0)
    whole, resumed = learner(declared), learner(declared)
    learned = window(0, 60)

    def loss() -> float:
        p = whole.predict(learned)
        return float(-np.mean(np.where(learned.labels > 0, np.log(p), np.log1p(-p))))

    before = loss()
    for number in range(4):
        whole.learn(learned, number)
    assert loss() < before - 0.03
    resumed.load(copy.deepcopy(whole.state()))
    assert resumed.weights_sha256() == whole.weights_sha256()
    for one in (whole, resumed):
        one.freeze(("item",))
        one.learn(window(60), 5)
        one.learn(window(80), 6)
    assert same(whole.state(), resumed.state())
    items = [one.tables.weights()["item"][1] for one in (whole, learner(declared))]
    assert not np.array_equal(items[0], items[1])
    frozen = items[0].copy()
    whole.learn(window(100), 7)
    assert np.array_equal(whole.tables.weights()["item"][1][: len(frozen)], frozen)


def test_the_default_makes_the_weights_that_it_always_made() -> None:
    class Before:
        """Row-wise Adagrad as the learner had it when there was nothing to choose."""

        width = 2

        def begin(self, values: torch.Tensor) -> torch.Tensor:
            return torch.full((len(values), 2), 1e-8)

        def move(self, values: torch.Tensor, accumulators: torch.Tensor, rows: torch.Tensor, gradient: torch.Tensor) -> None:
            vector, linear = gradient[:, :-1], gradient[:, -1]
            sums = accumulators[rows] + torch.stack([vector.square().mean(1), linear.square()], dim=1)
            accumulators[rows] = sums
            scale = 0.03 / (sums.sqrt() + 1e-10)
            step = torch.cat([vector * scale[:, :1], (linear * scale[:, 1])[:, None]], dim=1)
            values[rows] -= step

        def fade(self, accumulators: torch.Tensor, share: float) -> None:
            accumulators *= share

    now, before = learner(task(decay_rows=50)), learner(task(decay_rows=50))
    before.tables.optimiser = Before()
    for number in range(4):
        now.learn(window(20 * number), number)
        before.learn(window(20 * number), number)
    assert same(now.state(), before.state())
    assert now.weights_sha256() == before.weights_sha256()


def test_a_checkpoint_of_another_optimiser_keeps_its_weights_and_begins_the_accumulators_anew() -> None:
    before, after = learner(task()), learner(task(row_optimiser="ftrl"))
    before.learn(window(0), 1)
    after.load(before.state())
    assert after.weights_sha256() == before.weights_sha256()
    begun = after.tables.optimiser.begin(after.tables.values)
    assert torch.equal(after.tables.accumulators, begun)
    after.learn(window(20), 2)
    assert after.weights_sha256() != before.weights_sha256()
