"""The bench of attacks: its shop is the same every time, and what it says of the filter of robots holds."""

import numpy as np
import pytest

from tests.bench.attacks import scenarios
from tests.bench.attacks.scenarios import Bench, enough, labels_of, robots
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


def test_what_bots_push_is_pushed_less_far_with_the_safeguards(monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = {"HISTORY": 800, "LIVE": 1_800, "FROM": 600, "UNTIL": 1_400}
    for name, moments in shorter.items():
        monkeypatch.setattr(scenarios, name, moments)
    found = {(one.name, one.run): one for one in scenarios.bots(Bench.of())}
    botnet, bursts = (
        [found[name, run].inflation or 0.0 for run in ("without", "with")]
        for name in ("botnet, five clicks a user", "bursts of 400 clicks")
    )
    assert botnet[0] > 1.4
    assert botnet[1] < 1 + 0.6 * (botnet[0] - 1)
    assert bursts[0] > bursts[1] > 1
    assert "i3" in found["botnet, five clicks a user", "with"].said
    assert not found["nothing wrong", "all"].said
