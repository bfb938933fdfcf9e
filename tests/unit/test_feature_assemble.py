"""Inputs at the moment of the request."""

import math

import numpy as np
import pytest

from shared.errors import BundleRefused
from shared.features.assemble import Assembler, Features
from shared.features.counters import Counters
from shared.features.values import NEVER
from shared.keys import key, keys
from shared.messages import Behaviour, Inputs
from tests.features import START, at, event, plans

PLANS = plans()
ASSEMBLER = Assembler(PLANS, ("display",))
DAY = 86_400.0
ITEMS = ["tea", "mug", "new"]


def after(events: list[Behaviour], seconds: list[float], *, now: float, **changed: object) -> dict[str, np.ndarray]:
    counters = Counters(PLANS)
    counters.apply(at(events, seconds))
    asked: dict[str, object] = {
        "prices": np.array([3.0, math.nan, 7.0]),
        "categories": keys(["drinks", "kitchen", ""]),
        "brands": keys(["", "", ""]),
        "context": {"display": np.array([0, 1, 0], np.float32)},
    }
    features = ASSEMBLER.assemble(counters.read(["ann"], ITEMS), ASSEMBLER.inputs, now=START + now, **(asked | changed))
    return named(features)


def named(features: Features) -> dict[str, np.ndarray]:
    inputs = ASSEMBLER.inputs
    return dict(zip(inputs.user, features.user, strict=True)) | dict(zip(inputs.candidate, features.candidate.T, strict=True))


def test_counts_decay_to_the_moment_of_the_request():
    got = after([event(0), event(1)], [0, 0], now=DAY)
    assert got["user.purchases_1d"] == pytest.approx(2 / math.e)
    assert got["item.purchases_1d"] == pytest.approx([2 / math.e, 0, 0])


def test_a_pair_is_known_by_what_the_user_did_with_the_item_and_its_category():
    got = after([event(0, category="drinks", price=3.0), event(1, item_id="mug", action="view")], [0, 0], now=60)
    assert got["pair.bought"] == pytest.approx([math.exp(-60 / 2_592_000), 0, 0])
    assert got["pair.last_s"].tolist() == [60, 60, NEVER]
    assert got["pair.category_affinity"][0] == pytest.approx(4 / 5, rel=1e-4)
    assert got["pair.category_last_s"].tolist() == [60, NEVER, NEVER]


def test_a_price_is_compared_with_what_the_user_usually_pays():
    got = after([event(0, price=1.0, category="drinks")], [0], now=1)
    assert got["pair.price_vs_user"] == pytest.approx([math.log(4 / 2), 0, math.log(8 / 2)])
    assert got["item.price_vs_mean"] == pytest.approx([math.log(4 / 2), 0, 0])


def test_who_did_nothing_and_what_nobody_touched_have_finite_inputs():
    got = after([event(0, user_id="bob", item_id="other")], [0], now=1)
    assert all(np.isfinite(value).all() for value in got.values())
    assert got["user.recency_s"] == NEVER
    assert got["item.age_s"].tolist() == [0, 0, 0]


def test_context_is_handed_on_and_absent_context_is_zero():
    assert after([event(0)], [0], now=1)["context.display"].tolist() == [0, 1, 0]
    assert after([event(0)], [0], now=1, context={})["context.display"].tolist() == [0, 0, 0]


def test_the_profile_is_what_the_user_deals_with_most():
    counters = Counters(PLANS)
    counters.apply(at([event(0), event(1, item_id="mug", action="view")], [0, 0]))
    features = ASSEMBLER.assemble(
        counters.read(["ann"], []),
        Inputs(),
        now=START,
        prices=np.zeros(0),
        categories=keys([]),
        brands=keys([]),
    )
    assert dict(zip(features.history.tolist(), features.history_weights.tolist(), strict=True)) == pytest.approx(
        {key("tea"): 4.0, key("mug"): 1.0}
    )


def test_inputs_come_by_name_in_the_order_asked():
    counters = Counters(PLANS)
    counters.apply(at([event(0)], [0]))
    asked = Inputs(user=("user.recency_s",), candidate=("pair.bought", "item.purchases_7d"))
    rows = counters.read(["ann"], ["tea"])
    nothing = np.zeros(1, np.uint64)
    features = ASSEMBLER.assemble(rows, asked, now=START + 5, prices=np.array([math.nan]), categories=nothing, brands=nothing)
    assert features.user.tolist() == [5.0]
    assert features.candidate.shape == (1, 2)


def test_an_input_that_the_plan_lacks_is_refused_by_name():
    asked, none = Inputs(user=("user.smiles_1h",)), np.zeros(0, np.uint64)
    rows = Counters(PLANS).read(["ann"], [])
    with pytest.raises(BundleRefused, match=r"user\.smiles_1h"):
        ASSEMBLER.assemble(rows, asked, now=START, prices=np.zeros(0), categories=none, brands=none)
    assert ASSEMBLER.missing(asked) == ("user.smiles_1h",)


def test_many_users_at_many_moments_get_what_each_would_get_alone():
    counters = Counters(PLANS)
    events = [event(n, user_id=f"u{n % 5}", item_id=f"i{n % 7}", price=n + 1.0, category="drinks") for n in range(60)]
    counters.apply(at(events, [n * 1000.0 for n in range(60)]))
    users, items = [f"u{n}" for n in range(6)], [f"i{n + 1}" for n in range(6)]
    moments = START + 60_000 + np.arange(6) * 1e5
    arguments = {"prices": np.arange(6) + 2.0, "categories": keys(["drinks"] * 6), "brands": keys([""] * 6)}
    together = ASSEMBLER.assemble(counters.read(users, items), ASSEMBLER.inputs, now=moments, **arguments)
    for i in range(6):
        one = {name: value[i : i + 1] for name, value in arguments.items()}
        rows = counters.read(users[i : i + 1], items[i : i + 1])
        alone = ASSEMBLER.assemble(rows, ASSEMBLER.inputs, now=float(moments[i]), **one)
        assert np.array_equal(alone.user, together.user[i])
        assert np.array_equal(alone.candidate[0], together.candidate[i])
