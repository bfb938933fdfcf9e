"""The Complete Journey gives no answer away: each rule on the real shop's data, recomputed here from its lines."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from services.updater.evaluation.metrics import auc
from shared.datasets.complete_journey import LIST, Basket, Journey

START, END = datetime(2017, 5, 1, tzinfo=UTC), datetime(2017, 7, 1, tzinfo=UTC)
DAYS_28 = 28 * 86_400.0


@pytest.fixture(scope="module")
def journey() -> Journey:
    return Journey.load(60, seed=3)


@pytest.fixture(scope="module")
def baskets(journey: Journey) -> list[Basket]:
    return list(journey.baskets(START, END))


class Shop:
    """What the shop had sold, straight from the lines."""

    def __init__(self, journey: Journey) -> None:
        self.lines = journey.lines
        self.number = {product.item_id: n for n, product in enumerate(journey.products)}

    def before(self, item_id: str, moment: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The rows that sold this item before a moment, in time order."""
        return np.flatnonzero((self.lines.product == self.number[item_id]) & (self.lines.time < moment))

    def sold(self, item_id: str, moment: float) -> int:
        return int((self.lines.time[self.before(item_id, moment)] >= moment - DAYS_28).sum())


@pytest.fixture(scope="module")
def shop(journey: Journey) -> Shop:
    return Shop(journey)


def some(baskets: list[Basket]) -> Iterator[Basket]:
    """A few of them: recomputing is slow."""
    return iter([basket for basket in baskets if basket.lists][::15])


def test_there_is_enough_to_judge(baskets: list[Basket]) -> None:
    assert sum(len(basket.lists) for basket in baskets) > 1_000
    assert any(len(basket.lists) < len(basket.lines) for basket in baskets)


def test_every_candidate_was_sold_in_the_28_days_before(baskets: list[Basket], shop: Shop) -> None:
    for basket in some(baskets):
        for candidates in basket.lists:
            for candidate in candidates.candidates:
                assert candidate.sold == shop.sold(candidate.item_id, basket.time.timestamp()) > 0


def test_a_line_has_a_list_exactly_where_its_product_is_in_the_pool(baskets: list[Basket], shop: Shop) -> None:
    for basket in some(baskets):
        known = [n for n, line in enumerate(basket.lines) if shop.sold(line.item_id, basket.time.timestamp())]
        assert [candidates.line for candidates in basket.lists] == known


def test_price_and_age_of_every_candidate_are_of_sales_before_the_basket(baskets: list[Basket], shop: Shop) -> None:
    for basket in some(baskets):
        moment = basket.time.timestamp()
        for candidate in basket.lists[0].candidates:
            rows = shop.before(candidate.item_id, moment)
            at_once = rows[shop.lines.time[rows] == shop.lines.time[rows[-1]]]  # several baskets may be paid in one second
            assert candidate.price in shop.lines.price[at_once]
            assert candidate.age == moment - shop.lines.time[rows[0]]


def test_what_is_paid_now_does_not_reach_the_candidate(baskets: list[Basket]) -> None:
    """The bought product is described by the last sale, so its price differs from the paid one about as often as prices move."""
    pairs = [
        (candidates.candidates[candidates.bought].price, basket.lines[candidates.line].price)
        for basket in baskets
        for candidates in basket.lists
    ]
    assert np.mean([shown != paid for shown, paid in pairs]) > 0.2


def test_promotions_of_all_candidates_come_from_the_same_store_and_week(journey: Journey, baskets: list[Basket]) -> None:
    lines = journey.lines
    at = {str(basket): row for row, basket in reversed(list(enumerate(lines.basket.tolist())))}
    for basket in some(baskets):
        row = at[basket.basket_id]
        for candidates in basket.lists:
            ids = np.array([int(candidate.item_id) for candidate in candidates.candidates])
            flags = journey.promotions.at(ids, int(lines.store[row]), int(lines.week[row]))
            assert [candidate.display + 2 * candidate.mailer for candidate in candidates.candidates] == flags.tolist()


def test_a_list_has_a_fixed_length_distinct_items_and_none_of_the_baskets_other_products(baskets: list[Basket]) -> None:
    for basket in baskets:
        bought = [line.item_id for line in basket.lines]
        for candidates in basket.lists:
            shown = [candidate.item_id for candidate in candidates.candidates]
            assert len(shown) == len(set(shown)) == LIST
            assert shown[candidates.bought] == bought[candidates.line]
            assert set(shown) & set(bought) == {bought[candidates.line]}


def test_the_place_in_the_list_says_nothing(baskets: list[Basket]) -> None:
    places = np.array([candidates.bought for basket in baskets for candidates in basket.lists])
    labels = (np.arange(LIST)[None, :] == places[:, None]).ravel() * 1.0
    position = np.tile(-np.arange(LIST, dtype=np.float64), len(places))
    assert auc(labels, position) == pytest.approx(0.5, abs=4 * np.sqrt(1 / 12 / len(places)))
    assert np.bincount(places, minlength=LIST).min() > 0.07 * len(places)


def test_the_same_candidates_whatever_the_start(journey: Journey, baskets: list[Basket]) -> None:
    late = START + timedelta(days=40)
    assert list(journey.baskets(late, END)) == [basket for basket in baskets if basket.time >= late]


def test_the_future_of_the_shop_does_not_change_a_list(journey: Journey, baskets: list[Basket]) -> None:
    """Everything after the baskets' end is taken away: sales, prices and first sales must not have come from there."""
    rows = journey.lines.time < END.timestamp()
    columns = {name: getattr(journey.lines, name)[rows] for name in journey.lines.__slots__}
    past = Journey(type(journey.lines)(**columns), journey.products, journey.promotions, journey.seed)
    assert list(past.baskets(START, END)) == baskets


def test_baskets_come_in_time_order_and_one_basket_is_one_moment(baskets: list[Basket]) -> None:
    assert all(before.time <= after.time for before, after in pairwise(baskets))
    assert len({basket.basket_id for basket in baskets}) == len(baskets)


def test_every_line_is_reported_under_an_id_of_its_own_and_answers_no_ranking_yet(baskets: list[Basket]) -> None:
    events = [event for basket in baskets for event in basket.moment().events]
    assert len({event.event_id for event in events}) == len(events)
    assert all(event.request_id is None for event in events)
