"""Several labels: what each one's weight does to the loss."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch

from services.updater.learning.batches import Batch
from shared.errors import BadSettings
from tests.learning import batch, bought, learner, same, shown, task

LABELS = ("click", "cart", "purchase")


def told(first: int) -> Batch:
    """Twenty lists whose first item is clicked, the second put into the cart, the third bought, each in another share of them."""
    examples = [
        msgspec.structs.replace(shown(n), outcomes=tuple(bought(i, action) for i, action in enumerate(LABELS) if n % (i + 2) == 0))
        for n in range(first, first + 20)
    ]
    return batch(examples, labels=LABELS)


def test_a_label_of_weight_zero_is_not_learned_and_the_others_are_as_if_it_were_unknown() -> None:
    one, other = learner(task(LABELS, loss_weights={"cart": 0.0})), learner(task(LABELS))
    for number in range(3):
        made = told(20 * number)
        one.learn(made, number)
        other.learn(replace(made, counted=made.counted * np.array([1, 0, 1], np.float32)), number)
    assert same(one.state(), other.state())


def test_a_labels_weight_scales_its_part_of_the_gradient() -> None:
    half, whole = (learner(task(LABELS, loss_weights=weights, clip=1e9, batch=400)) for weights in ({"cart": 0.5}, {"cart": 1.0}))
    for one in (half, whole):
        one.optimiser.dense = torch.optim.SGD(one.model.parameters(), lr=1.0)
    before = whole.dense()["heads.bias"].copy()
    for one in (half, whole):
        one.learn(told(0), 1)
    moved, less = (one.dense()["heads.bias"] - before for one in (whole, half))
    assert less == pytest.approx(moved * [1, 0.5, 1], rel=1e-4, abs=1e-7)


def test_weights_of_one_change_nothing_bit_for_bit() -> None:
    one, other = learner(task(LABELS)), learner(task(LABELS, loss_weights=dict.fromkeys(LABELS, 1.0)))
    for each in (one, other):
        each.learn(told(0), 1)
    assert same(one.state(), other.state())


def test_a_weight_of_no_label_is_refused() -> None:
    with pytest.raises(BadSettings, match="'view', which is no label of it"):
        task(LABELS, loss_weights={"view": 2.0})
