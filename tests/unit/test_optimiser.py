"""One step by hand: the loss, what Adagrad does to a row, what AdamW does to the dense part, and how both are clipped."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from services.updater.learning.optimiser import Optimiser
from services.updater.learning.row_optimisers import START, row_optimiser
from services.updater.learning.tables import Tables
from shared.bundles.files import TABLES
from shared.tasks import LearningSettings

CPU = torch.device("cpu")


def optimiser(weight: float = 0.5, **settings: object) -> Optimiser:
    learning = LearningSettings(**({"batch": 8, "weight_decay": 0.0} | settings))  # type: ignore[arg-type]
    tables = Tables(dict.fromkeys(TABLES, 4), 2, 1, row_optimiser(learning, 2), CPU)
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    return Optimiser(model, tables, learning)


def step(on: Optimiser, row: int, gradient: list[float], dense: float = 0.0, count: int = 8) -> None:
    leaf = on.tables.values[[row]].requires_grad_()
    leaf.grad = torch.tensor([gradient])
    weight = next(on.model.parameters())
    assert weight.grad is not None
    weight.grad.fill_(dense)
    on.pace(count)
    on.step(leaf, torch.tensor([row]))
    on.age(count)


def test_a_row_moves_by_row_wise_adagrad_with_the_linear_weight_apart() -> None:
    on = optimiser(row_rate=0.1)
    step(on, 1, [0.3, 0.4, 0.2])
    vector, linear = math.sqrt(START + (0.09 + 0.16) / 2), math.sqrt(START + 0.04)
    assert on.tables.values[1].tolist() == pytest.approx([-0.1 * 0.3 / vector, -0.1 * 0.4 / vector, -0.1 * 0.2 / linear], rel=1e-6)
    step(on, 1, [0.3, 0.4, 0.2])  # the accumulator remembers: a smaller step
    assert on.tables.accumulators[1].tolist() == pytest.approx([START + 0.25, START + 0.08], rel=1e-6)


def test_the_unknown_row_never_moves() -> None:
    on = optimiser()
    step(on, on.tables.offset["item"], [1.0, 1.0, 1.0])
    assert not on.tables.values.any()


def test_gradients_are_clipped_over_rows_and_dense_weights_together() -> None:
    on = optimiser(row_rate=0.1, clip=1.0)
    step(on, 1, [3.0, 0.0, 0.0], dense=4.0)  # norm 5
    assert on.tables.accumulators[1, 0].item() == pytest.approx(START + 0.6**2 / 2, rel=1e-4)


def test_a_short_batch_makes_a_smaller_dense_step() -> None:
    full, short = optimiser(dense_rate=0.01), optimiser(dense_rate=0.01)
    step(full, 1, [0.0, 0.0, 0.0], dense=0.5, count=8)
    step(short, 1, [0.0, 0.0, 0.0], dense=0.5, count=2)
    moved = [0.5 - next(on.model.parameters()).item() for on in (full, short)]
    assert moved == pytest.approx([0.01, 0.0025], rel=1e-4)  # AdamW's first step is its rate


def test_accumulators_decay_each_so_many_rows() -> None:
    on = optimiser(decay_rows=10, row_decay=0.5)
    step(on, 1, [0.0, 0.0, 0.5], count=8)
    kept = on.tables.accumulators[1, 1].item()
    step(on, 2, [0.0, 0.0, 0.5], count=8)  # 16 rows learned: once
    assert on.tables.accumulators[1, 1].item() == pytest.approx(kept / 2)
    step(on, 2, [0.0, 0.0, 0.5], count=24)  # 40: three times more
    assert on.tables.accumulators[1, 1].item() == pytest.approx(kept / 16)


def test_the_state_holds_what_adamw_remembers() -> None:
    one, other = optimiser(), optimiser()
    step(one, 1, [0.1, 0.2, 0.3], dense=0.5)
    other.load(one.state())
    other.model.load_state_dict(one.model.state_dict())
    other.tables.load(one.tables.state())
    other.tables.values.copy_(one.tables.values)
    other.tables.accumulators.copy_(one.tables.accumulators)
    for on in (one, other):
        step(on, 1, [0.1, 0.2, 0.3], dense=-0.2)
    assert np.array_equal(next(one.model.parameters()).detach().numpy(), next(other.model.parameters()).detach().numpy())
    assert torch.equal(one.tables.values, other.tables.values)


def test_a_dry_run_leaves_dense_weights_and_moments_as_they_were() -> None:
    one, other = optimiser(), optimiser()
    for on in (one, other):
        if on is one:
            with on.dry_run():
                step(on, 0, [0.0, 0.0, 0.0], dense=0.7)
        step(on, 1, [0.1, 0.2, 0.3], dense=0.5)
        if on is one:
            with on.dry_run():
                step(on, 0, [0.0, 0.0, 0.0], dense=-0.7)
        step(on, 1, [0.1, 0.2, 0.3], dense=-0.2)
    assert [weight.tolist() for weight in one.model.parameters()] == [weight.tolist() for weight in other.model.parameters()]
    states = [{name: array.tolist() for name, array in on.state().items() if name != "learned"} for on in (one, other)]
    assert states[0] == states[1]


def two(**settings: object) -> Optimiser:
    """Of two dense weights, which begin alike."""
    learning = LearningSettings(**({"batch": 8, "weight_decay": 0.1} | settings))  # type: ignore[arg-type]
    model = nn.ModuleDict({"here": nn.Linear(1, 1, bias=False), "there": nn.Linear(1, 1, bias=False)})
    for weight in model.parameters():
        nn.init.constant_(weight, 0.5)
    return Optimiser(model, Tables(dict.fromkeys(TABLES, 4), 2, 1, row_optimiser(learning, 2), CPU), learning)


def pulled(on: Optimiser, times: int) -> tuple[float, float]:
    """Both weights after so many steps of one gradient."""
    for _ in range(times):
        for weight in on.model.parameters():
            if weight.requires_grad and weight.grad is not None:
                weight.grad.fill_(0.3)
        leaf = on.tables.values[[1]].requires_grad_()
        leaf.grad = torch.zeros(1, 3)
        on.pace(8)
        on.step(leaf, torch.tensor([1]))
    here, there = (weight.item() for weight in on.model.parameters())
    return here, there


def test_what_is_frozen_neither_moves_nor_decays_and_goes_on_from_its_own_moments() -> None:
    whole, held = two(), two()
    pulled(held, 3)
    before = pulled(whole, 3)
    held.freeze(("here",))
    here, there = pulled(held, 2)
    assert here == before[0]
    assert there == pulled(whole, 2)[1]
    held.freeze(())
    assert pulled(held, 2)[0] == pulled(two(), 5)[0]  # its fourth and fifth step
    assert held.state()["here.weight.step"] == 5
    assert held.state()["there.weight.step"] == 7


def test_all_dense_weights_may_be_frozen() -> None:
    one = two()
    one.freeze(("here", "there"))
    assert pulled(one, 2) == (0.5, 0.5)


def test_weights_that_moved_less_often_are_told_apart_after_a_load() -> None:
    one, other = two(), two()
    one.freeze(("here",))
    pulled(one, 3)
    state = {name: array for name, array in one.state().items() if not name.startswith("here")}  # as an older checkpoint lacks it
    other.model.load_state_dict(one.model.state_dict())
    other.load(state)
    one.freeze(())
    assert pulled(other, 2) == pulled(one, 2)
