"""Orders leave the best one as often as the log says, and the log's chances make other orders' outcomes known without bias."""

from collections import Counter
from collections.abc import Callable
from math import log, prod

import numpy as np
import pytest
from numpy.typing import NDArray

from services.ranking.explore import Exploration, PlackettLuce, Swap, drawn

WORTH = np.array([0.5, 0.3, 0.2, 0.1, 0.05], np.float32)
BEST = np.arange(len(WORTH))
DRAWS = 20_000
Made = Callable[[np.random.Generator], Exploration]


def swap(random: np.random.Generator) -> Exploration:
    return Swap(0.4, random)


def plackett_luce(random: np.random.Generator) -> Exploration:
    return PlackettLuce(0.8, random)


BOTH = pytest.mark.parametrize("made", [swap, plackett_luce])


def draws(made: Made, limit: int | None, seed: int = 3, count: int = DRAWS) -> list[tuple[tuple[int, ...], NDArray[np.float32]]]:
    """(order, propensities) of many rankings of the same candidates."""
    exploration = made(np.random.default_rng(seed))
    shown = [drawn(exploration, BEST, WORTH, limit) for _ in range(count)]
    return [(tuple(one.order.tolist()), np.frombuffer(one.propensities, np.float32)) for one in shown]


def near(count: int, probability: float, of: int = DRAWS) -> bool:
    """Whether so many of so many are within five standard deviations of what the probability says."""
    return abs(count - of * probability) <= 5 * np.sqrt(of * probability * (1 - probability)) + 1e-3


@pytest.mark.parametrize("limit", [1, 3, 4, 5, None])
def test_swaps_put_items_at_positions_as_often_as_they_say(limit: int | None) -> None:
    counts, said = Counter[tuple[int, int]](), dict[tuple[int, int], set[float]]()
    for order, chances in draws(swap, limit):
        assert len(order) == len(chances) == (limit or len(WORTH))
        for position, (item, chance) in enumerate(zip(order, chances.tolist(), strict=True)):
            counts[position, item] += 1
            said.setdefault((position, item), set()).add(chance)
    assert {len(values) for values in said.values()} == {1}  # the same item at the same position had the same chance
    for place, (chance,) in said.items():
        assert near(counts[place], chance), place
    for position in range(limit or len(WORTH)):  # nothing else was ever possible there
        assert sum(next(iter(said[at, item])) for at, item in said if at == position) == pytest.approx(1, abs=1e-6)


def test_a_swap_changes_one_pair_of_neighbours_in_its_share_of_the_answers() -> None:
    orders = Counter(order for order, _ in draws(swap, 3))
    assert set(orders) == {(0, 1, 2), (1, 0, 2), (0, 2, 1), (0, 1, 3)}  # the last with the first that would not have been shown
    assert near(orders[0, 1, 2], 0.6)
    assert all(near(count, 0.4 / 3) for order, count in orders.items() if order != (0, 1, 2))


def test_plackett_luce_chooses_each_step_as_often_as_it_says_given_the_steps_before() -> None:
    steps, said = Counter[tuple[int, ...]](), dict[tuple[int, ...], float]()
    for order, chances in draws(plackett_luce, 3):
        for step in range(3):
            steps[order[: step + 1]] += 1
            said[order[: step + 1]] = float(chances[step])
    for start, chance in said.items():
        before = steps[start[:-1]] if len(start) > 1 else DRAWS
        assert near(steps[start], chance, before), start


def test_plackett_luce_is_what_its_formula_says_and_the_product_the_chance_of_the_list() -> None:
    weights = WORTH.astype(np.float64) ** (1 / 0.8)
    lists = Counter[tuple[int, ...]]()
    for order, chances in draws(plackett_luce, 3):
        left = weights.sum() - np.cumsum([0.0, *weights[list(order)][:-1]])
        np.testing.assert_allclose(chances, weights[list(order)] / left, rtol=1e-5)
        lists[order] += 1
    for order, count in lists.items():
        left = weights.sum() - np.cumsum([0.0, *weights[list(order)][:-1]])
        assert near(count, prod((weights[list(order)] / left).tolist())), order


def test_a_temperature_near_0_shows_the_best_order_and_a_high_one_any() -> None:
    cold, hot = (PlackettLuce(temperature, np.random.default_rng(1)) for temperature in (1e-3, 100.0))
    assert all((cold.draw(WORTH, 5)[0] == BEST).all() for _ in range(200))
    firsts = Counter(int(hot.draw(WORTH, 1)[0][0]) for _ in range(DRAWS))
    assert max(firsts.values()) < 1.2 * min(firsts.values())
    assert np.isfinite(hot.draw(np.array([0.9, 0.0], np.float32), 2)[1]).all()


@BOTH
def test_what_is_sold_out_keeps_its_place_behind_and_is_certain(made: Made) -> None:
    exploration, order = made(np.random.default_rng(5)), np.array([4, 2, 0, 1, 3])
    seen = set()
    for _ in range(500):
        shown = drawn(exploration, order, WORTH[:3], None)
        chances = np.frombuffer(shown.propensities, np.float32)
        assert sorted(shown.order[:3].tolist()) == [0, 2, 4]
        assert (shown.order[3:].tolist(), chances[3:].tolist()) == ([1, 3], [1.0, 1.0])
        assert shown.changed == (shown.order.tolist() != order.tolist())
        seen.add(shown.changed)
    assert seen == {True, False}


@BOTH
def test_where_nothing_can_change_the_order_is_certain(made: Made) -> None:
    shown = drawn(made(np.random.default_rng(5)), np.array([1, 0]), WORTH[:1], None)
    assert (shown.order.tolist(), shown.propensities, shown.explored, shown.changed) == ([1, 0], b"", "", False)
    off = drawn(None, np.array([1, 0]), WORTH[:2], 1)
    assert (off.order.tolist(), off.propensities, off.explored) == ([1], b"", "")


@BOTH
def test_the_same_seed_draws_the_same(made: Made) -> None:
    once, again, other = (draws(made, 3, seed, count=50) for seed in (1, 1, 2))
    assert [order for order, _ in once] == [order for order, _ in again] != [order for order, _ in other]


ATTRACTION = np.array([0.2, 0.5, 0.1, 0.6, 0.3])
"""How often each item is clicked where it is looked at: the model that orders them is wrong."""


def clicks(order: tuple[int, ...], random: np.random.Generator) -> NDArray[np.bool_]:
    """A shopper looks at position k with probability 1 / log2(k + 2), and clicks what attracts. (n,)."""
    return random.random(len(order)) < expected(order)


def expected(order: tuple[int, ...]) -> NDArray[np.float64]:
    return ATTRACTION[list(order)] / np.array([log(k + 2, 2) for k in range(len(order))])


def estimate(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))


@pytest.mark.parametrize("wanted", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (1, 0, 3), (0, 1, 3)])
def test_swapped_lists_weighted_by_propensity_tell_what_another_order_would_earn(wanted: tuple[int, ...]) -> None:
    """Item by item: a click depends on the item and its position, whatever the others (the position model)."""
    random = np.random.default_rng(11)
    weighted = []
    for order, chances in draws(swap, 3, seed=7):
        same = np.array(order) == np.array(wanted)
        weighted.append(float((clicks(order, random) * same / chances).sum()))
    mean, error = estimate(weighted)
    assert mean == pytest.approx(expected(wanted).sum(), abs=4 * error)


@pytest.mark.parametrize("wanted", [(0, 1, 2), (3, 1, 4), (4, 3, 2)])
def test_drawn_lists_weighted_by_the_product_tell_what_any_order_would_earn(wanted: tuple[int, ...]) -> None:
    """Position by position, each weighted by the chance of the items up to it."""
    random = np.random.default_rng(12)
    weighted, unweighted = [], []
    for order, chances in draws(plackett_luce, 3, seed=8):
        clicked = clicks(order, random)
        same = np.cumprod(np.array(order) == np.array(wanted))
        weighted.append(float((clicked * same / np.cumprod(chances)).sum()))
        unweighted.append(float(clicked.sum()))
    mean, error = estimate(weighted)
    assert mean == pytest.approx(expected(wanted).sum(), abs=4 * error)
    plain, error = estimate(unweighted)
    assert abs(plain - expected(wanted).sum()) > 8 * error  # what was shown earned something else
