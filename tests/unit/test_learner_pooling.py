"""A history's items speak where their vectors are pooled, and are not moved by it."""

from dataclasses import replace

import numpy as np
import pytest

from services.updater.learning.batches import Batch
from shared.keys import keys
from tests.learning import learner, task, window


def with_history_of(items: list[str], learned: Batch) -> Batch:
    """The lists as if their shoppers had dealt with these items, each as much."""
    rows = np.zeros((len(learned.histories), 1), np.int64)
    known = np.tile(keys(items), (len(rows), 1))
    return replace(
        learned, histories=replace(learned.histories, keys=known, shares=np.full(known.shape, len(items) ** -0.5, np.float32))
    )


@pytest.mark.parametrize("pooling", [True, False])
def test_what_a_shopper_dealt_with_speaks_where_items_are_pooled(pooling: bool) -> None:
    one = learner(task(pooling=pooling))
    one.learn(window(0, 60), 1)
    asked = window(100, 5)
    told, other = (one.predict(with_history_of(items, asked)) for items in (["i1", "i2"], ["i3", "i4"]))
    assert np.array_equal(told, other) is not pooling
    stranger, none = (one.predict(with_history_of([item], asked)) for item in ("never seen", ""))
    assert np.array_equal(stranger, none)


def test_being_in_a_history_moves_no_row() -> None:
    one = learner()
    one.learn(window(0, 60), 1)
    one.tables.reset()
    asked = window(100, 1)
    absent = next(f"i{n}" for n in range(40) if keys([f"i{n}"])[0] not in asked.keys["item"])
    one.learn(with_history_of([absent], asked), 2)
    row = one.tables.find({name: keys([absent]) if name == "item" else np.zeros(1, np.uint64) for name in one.tables.owners})[0, 1]
    assert one.tables.values[row].any()
    assert not one.tables.touched[row]


def test_a_checkpoint_of_before_pooling_predicts_the_same_and_learns_it() -> None:
    before, one = learner(task(pooling=False)), learner()
    before.learn(window(0, 60), 1)
    one.load(before.state())
    assert np.array_equal(one.predict(window(100)), before.predict(window(100)))
    one.learn(window(20, 30), 2)
    assert one.dense()["pooling"].any()
