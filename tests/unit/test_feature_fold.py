"""Laws of the fold: order, cuts, decay, tables."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.features.arena import TIME
from shared.features.counters import Counters
from shared.features.decay import factors
from shared.features.events import Events
from shared.features.values import Values
from shared.keys import key
from tests.features import START, at, event, naive_sum, plans

PLANS = plans()
HORIZONS = {"10m": 600, "1h": 3_600, "1d": 86_400, "7d": 604_800}

happenings = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "eve"]),
        st.integers(0, 80),
        st.sampled_from(["view", "click", "cart", "purchase", "favourite", "gaze"]),
        st.floats(0, 3e6),
        st.one_of(st.none(), st.floats(0, 1e3)),
        st.sampled_from([None, "food", "toys"]),
    ),
    min_size=1,
    max_size=60,
)


def batch(rows: list[tuple[str, int, str, float, float | None, str | None]]) -> Events:
    events = [
        event(n, user_id=user, item_id=f"i{item}", action=action, price=price, category=category, brand=category)
        for n, (user, item, action, _, price, category) in enumerate(rows)
    ]
    return at(events, [row[3] for row in rows])


def folded(*batches: Events) -> Counters:
    counters = Counters(PLANS, 4)
    for events in batches:
        counters.apply(events)
    return counters


def snapshot(counters: Counters) -> dict[bytes, bytes]:
    return dict(counters.dump())


@settings(max_examples=150, deadline=None)
@given(happenings, st.lists(st.integers(0, 60)))
def test_the_cut_into_batches_changes_no_bit(rows, cuts):
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    pieces = [batch(rows[a:b]) for a, b in pairwise(edges)]
    assert snapshot(folded(*pieces)) == snapshot(folded(batch(rows)))


@settings(max_examples=100, deadline=None)
@given(happenings, st.floats(0, 1e6))
def test_sums_equal_their_definition_whatever_the_order(rows, later):
    now = round((START + max(row[3] for row in rows) + later) * 1e6) / 1e6
    counters = folded(batch(rows))
    for user in {row[0] for row in rows}:
        values = Values(PLANS.user.plan, "user")
        got = np.empty((1, len(values.names)))
        values.at(counters.read([user], ["x"]).user, np.array([round(now * 1e6)]), got)
        for plural, action in {"views": "view", "clicks": "click", "carts": "cart", "purchases": "purchase"}.items():
            times = [round((START + row[3]) * 1e6) / 1e6 for row in rows if row[0] == user and row[2] == action]
            for span, tau in HORIZONS.items():
                expected = naive_sum(times, [1.0] * len(times), tau, now)
                assert got[0, values.names.index(f"{plural}_{span}")] == pytest.approx(expected, rel=1e-9, abs=1e-200)


@settings(max_examples=60, deadline=None)
@given(happenings, st.randoms(use_true_random=False))
def test_arrival_order_changes_sums_by_no_more_than_rounding(rows, random):
    shuffled = random.sample(rows, len(rows))
    one, other = folded(batch(rows)), folded(batch(shuffled))
    plain = [PLANS.item.plan.column(field.name) for field in PLANS.item.plan.fields]
    for item in {row[1] for row in rows}:
        a, b = (c.read(["x"], [f"i{item}"]).items[0, plain] for c in (one, other))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-300)


@given(st.integers(0, 10**9), st.integers(0, 10**7), st.integers(0, 10**7))
def test_decay_composes(start, first, second):
    tau = np.array([86_400_000_000], np.int64)
    t0 = np.array([1_700_000_000_000_000 + start * 1_000_000], np.int64)
    whole = factors(t0, tau, t0 + (first + second) * 1_000_000)
    half = factors(t0, tau, t0 + first * 1_000_000)
    np.testing.assert_allclose(whole, half * math.exp(-second / 86_400), rtol=1e-9)


def test_a_moment_before_the_newest_event_counts_as_that_moment():
    newest, tau = np.array([1_000_000_000], np.int64), np.array([600_000_000], np.int64)
    assert factors(newest, tau, newest - 5) == factors(newest, tau, newest)


def test_the_table_keeps_the_items_dealt_with_most():
    favourites = [event(n, item_id=f"best{n % 3}") for n in range(30)]
    passing = [event(100 + n, item_id=f"once{n}", action="view") for n in range(200)]
    rows = folded(at([*favourites, *passing], range(230))).read(["ann"], ["x"]).user
    start = PLANS.user.plan.column("user_item_keys")
    kept = set(rows.view(np.uint64)[0, start : start + 64].tolist())
    assert {key(f"best{n}") for n in range(3)} <= kept
    assert len(kept) == 64
    assert key("once199") in kept
    assert key("once0") not in kept


def test_first_and_last_are_the_earliest_and_the_newest_event_however_late_they_come():
    rows = folded(at([event(0), event(1), event(2)], [50, 10, 30])).read(["ann"], ["tea"])
    ints = rows.items.view(np.int64)[0]
    moments = [ints[PLANS.item.plan.column(name)] for name in ("item_first", "item_last")]
    assert moments == [(START + 10) * 1e6, (START + 50) * 1e6]
    assert ints[TIME] == moments[1]


def test_a_row_that_nobody_wrote_reads_as_defaults():
    rows = folded(at([event(0)], [0])).read(["nobody"], ["tea", "nothing"])
    assert rows.user.tobytes() == PLANS.user.plan.default
    assert rows.items[1].tobytes() == PLANS.item.plan.default
    assert rows.items[0].tobytes() != PLANS.item.plan.default
