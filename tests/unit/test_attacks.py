"""The bench of attacks: its shop is the same every time, and what it says of the filter of robots holds."""

import numpy as np

from tests.bench.attacks.scenarios import enough, labels_of, robots
from tests.bench.attacks.shop import LIST, Shop, botnet
from tests.learning import shown


def test_bursts_of_robots_are_left_out_and_people_are_not() -> None:
    found = {one.burst: one for one in robots(people=300, days=2)}
    assert found[800].out >= 0.95
    assert found[400].out < 0.95
    assert found[60].out < 0.5  # what comes before the fortieth counts
    assert enough(0.95) == 780
    assert all(one.people <= 0.004 for one in found.values())


def test_people_do_the_same_every_time_and_another_seed_makes_others() -> None:
    shop = Shop.of(1)
    said = repr(shop.people(100, 20, 1))
    assert said == repr(Shop.of(1).people(100, 20, 1))
    assert said != repr(shop.people(100, 20, 2))


def test_each_bot_clicks_the_target_in_as_many_lists_as_it_may() -> None:
    bots = botnet(10, 50, lists=20, clicks=5, targets=(3,), seed=1)
    assert sorted({moment.user_id for moment in bots}) == ["bot0", "bot1", "bot2", "bot3"]
    for moment in bots:
        (ranked,) = moment.lists
        assert len({one.item_id for one in ranked.candidates}) == LIST
        assert ranked.candidates[ranked.bought].item_id == "i3" == moment.events[0].item_id


def test_labels_are_those_of_the_outcomes() -> None:
    assert np.flatnonzero(labels_of([shown(0), shown(1)])).tolist() == [0]
