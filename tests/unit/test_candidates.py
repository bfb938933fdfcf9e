"""The pool that hides a bought product among others without giving the answer away."""

import numpy as np
import pytest

from shared.datasets.candidates import DAY, Pool

TIMES = np.array([0.0, 1.0, 2.0, 3.0, 3.0]) * DAY
PRODUCTS = np.array([0, 1, 1, 2, 0])
PRICES = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def pool_at(days: float, span: float = 28.0) -> Pool:
    pool = Pool(4, span)
    pool.advance(days * DAY, TIMES, PRODUCTS, PRICES)
    return pool


def test_a_pool_holds_only_what_was_sold_before_its_moment() -> None:
    pool = pool_at(3.0)  # the sales at that very moment are not known yet
    assert pool.sold.tolist() == [1, 2, 0, 0]
    assert pool.price[:2].tolist() == [1.0, 3.0]


def test_a_pool_forgets_sales_older_than_its_span() -> None:
    assert pool_at(3.5, span=2.0).sold.tolist() == [1, 1, 1, 0]


def test_advancing_in_steps_equals_one_step() -> None:
    steps = Pool(4, 2.0)
    for day in (1.0, 1.5, 3.0, 4.0):
        steps.advance(day * DAY, TIMES, PRODUCTS, PRICES)
    assert steps.sold.tolist() == pool_at(4.0, span=2.0).sold.tolist()


def test_log_odds_take_the_sampling_out() -> None:
    pool = pool_at(3.0)
    expected = np.log((1 + np.sqrt(2)) / 2 / np.sqrt([1, 2]))
    assert pool.log_odds(np.array([0, 1])) == pytest.approx(expected)


def stocked(sold: list[int]) -> Pool:
    pool = Pool(len(sold))
    products = np.repeat(np.arange(len(sold)), sold)
    pool.advance(DAY, np.zeros(len(products)), products, np.ones(len(products)))
    return pool


def test_negatives_are_distinct_and_never_of_the_basket() -> None:
    pool = stocked([3] * 60)
    rng = np.random.default_rng(1)
    for _ in range(50):
        for line, draw in pool.draw([4, 9], 10, rng):
            assert len(set(draw.products.tolist())) == 10
            assert draw.products[draw.bought] == (4, 9)[line]
            assert {4, 9} & set(draw.products.tolist()) == {(4, 9)[line]}


def test_negatives_are_drawn_in_proportion_to_the_root_of_sales() -> None:
    pool = stocked([1] * 500 + [9] * 500 + [1])
    rng = np.random.default_rng(2)
    products = np.concatenate([np.delete(draw.products, draw.bought) for _ in range(2000) for _, draw in pool.draw([1000], 2, rng)])
    assert np.mean(products >= 500) == pytest.approx(0.75, abs=0.03)


def test_a_bought_product_outside_the_pool_makes_no_list() -> None:
    pool = stocked([1] * 60 + [0])
    assert [line for line, _ in pool.draw([60, 5], 10, np.random.default_rng(3))] == [1]


def test_the_bought_product_stands_anywhere_in_the_list() -> None:
    pool = stocked([1] * 60)
    rng = np.random.default_rng(4)
    positions = [draw.bought for _ in range(500) for _, draw in pool.draw([0], 10, rng)]
    assert np.bincount(positions, minlength=10).min() > 20


def test_too_small_a_pool_makes_no_list() -> None:
    assert stocked([1] * 20).draw([0], 10, np.random.default_rng(5)) == []
