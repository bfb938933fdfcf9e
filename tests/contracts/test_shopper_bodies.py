"""What the shopper sends is what the doors take, and what ranking answers is what the shopper reads."""

import msgspec
import numpy as np
import pytest

from services.collector.events import Event, Line
from services.collector.parse import Parser
from services.ranking.requests import Answer, Ranked, parse_rank
from services.shopper.doors import Ranking
from services.shopper.past import question
from services.shopper.synthetic import SyntheticPlay
from shared.datasets.complete_journey import Basket, Journey
from shared.tasks import RANKING
from tests.integration.test_shopper import FIRST, a_basket


@pytest.fixture
def basket() -> Basket:
    return a_basket(0, ["a", "b"])


def test_a_question_of_the_journey_is_one_that_ranking_takes(basket: Basket) -> None:
    request = parse_rank(msgspec.json.encode(question(basket.moment(), basket.lists[0], RANKING.context).body), RANKING.context)
    assert request.at == FIRST
    assert [candidate.item_id for candidate in request.candidates] == ["other0", "a", "other1", "other2"]
    assert request.candidates[0].context == {"display": 1.0, "mailer": 0.0}


@pytest.mark.parametrize("event_clock", [False, True])
def test_a_question_of_the_synthetic_load_is_too(event_clock: bool) -> None:
    items = [f"i{n}" for n in range(20)]
    play = SyntheticPlay(None, None, None, items, np.random.default_rng(1), "s", event_clock)  # type: ignore[arg-type]
    request = parse_rank(msgspec.json.encode(play.question(1_700_000_000.0).body), RANKING.context)
    assert (request.at is not None) == event_clock


def test_purchases_are_events_that_the_collector_takes(basket: Basket) -> None:
    events = [msgspec.structs.replace(basket.event(0), request_id="r1"), basket.event(1)]
    taken = Parser(Event).parse(msgspec.json.encode(events))
    assert [(event.event_id, event.request_id) for event in taken] == [("b0-a", "r1"), ("b0-b", None)]


def test_the_catalogue_is_one_that_the_collector_takes() -> None:
    items = list(Journey.load(3).items())[:500]
    assert [line.item_id for line in Parser(Line).parse(msgspec.json.encode(items))] == [item.item_id for item in items]


def test_an_answer_is_one_that_the_shopper_reads() -> None:
    answer = Answer("r", "00000001-0001", 1, False, [Ranked("a", 0.5, 0, {"item": 0.1}, {"item.price": 2.0})])
    read = msgspec.json.decode(msgspec.json.encode(answer), type=Ranking)
    assert (read.bundle, read.items[0].item_id, read.items[0].position) == ("00000001-0001", "a", 0)
