"""The next basket: what is found of it among ten, and what so few households can tell."""

import numpy as np

from tests.bench.learning.baskets import Questions, over
from tests.learning import batch, shown


def asked() -> Questions:
    """Three households are asked of five products each; the first product of each was bought before."""
    rows = batch([shown(offset) for offset in range(3)])
    first = np.arange(len(rows)) % 5 == 0
    target = first | (np.arange(len(rows)) == 1)
    return Questions(rows, target, np.array([[1, 1], [1, 0], [2, 0]]), first.astype(np.float64))


def test_a_household_that_wanted_nothing_new_says_nothing_of_new_products() -> None:
    found = asked().recalls(np.zeros(15))
    assert np.array_equal(found, [[1.0, 1.0, 1.0], [1.0, 1.0, np.nan], [0.5, 0.5, np.nan]], equal_nan=True)
    assert asked().measure(np.zeros(15)) == {
        "recall_at_10": 2.5 / 3, "repeat_recall_at_10": 2.5 / 3, "explore_recall_at_10": 1.0,
    }  # fmt: skip


def test_a_reserved_place_goes_to_the_best_new_product_and_only_where_the_order_gave_it_none() -> None:
    rows = batch([shown(offset, items=12) for offset in range(2)])
    place = np.arange(len(rows)) % 12
    questions = Questions(rows, np.isin(place, [9, 11]), np.array([[1, 1], [1, 1]]), (place < 10).astype(np.float64))
    known_first = np.where(place == 11, 0.905, 1 - place / 100)  # of the new ones 11 is the better
    assert questions.recalls(known_first).tolist() == [[0.5, 1.0, 0.0]] * 2
    assert questions.recalls(known_first, 1).tolist() == [[0.5, 0.0, 1.0]] * 2
    new_first = np.where(place == 11, 2.0, 1 - place / 100)
    assert np.array_equal(questions.recalls(new_first, 1), questions.recalls(new_first))
    assert questions.trade(known_first)[:2] == [[0.5, 0.0], [0.5, 1.0]]


def test_the_ratio_to_the_usual_order_has_an_interval_that_is_wide_where_households_are_few() -> None:
    dice = np.random.default_rng(0)
    few = dice.random((20, 3))
    usual = few * dice.choice([0.5, 1.5], (20, 1))
    many = over(np.repeat(few, 50, axis=0), np.repeat(usual, 50, axis=0))["recall_over_usual"]
    value, low, high = over(few, usual)["recall_over_usual"]
    assert value == few[:, 0].mean() / usual[:, 0].mean()
    assert low < value < high
    assert high - low > 5 * (many[2] - many[1])
