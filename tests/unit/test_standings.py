"""The race's evidence: an interval that may be looked at after every window, and how a standing changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.updater.race.standings import WORST, Entrant, Evidence, Standing, reach
from shared.tasks import LearningSettings

GAINS = st.lists(st.floats(-WORST, WORST), min_size=1, max_size=50)
OTHER, THIRD = LearningSettings(row_rate=0.01), LearningSettings(row_rate=0.1)
STREAMS, LISTS, WINDOW = 400, 4_000, 10


def evidence(gains: list[float]) -> Evidence:
    return Evidence().add(np.array(gains))


@settings(deadline=None)
@given(GAINS, GAINS)
def test_windows_are_summed_whatever_their_cuts(first: list[float], second: list[float]) -> None:
    one, other = evidence(first + second), evidence(first).add(np.array(second))
    assert one.lists == other.lists
    assert one.interval(0.05) == pytest.approx(other.interval(0.05))


@settings(deadline=None)
@given(GAINS, st.floats(1e-6, 0.5), st.floats(1e-6, 0.5))
def test_the_interval_holds_the_mean_and_is_wider_the_surer_it_must_be(gains: list[float], one: float, other: float) -> None:
    wide, narrow = (evidence(gains).interval(alpha) for alpha in sorted((one, other)))
    assert wide[0] <= narrow[0] <= np.mean(gains) + 1e-9
    assert np.mean(gains) - 1e-9 <= narrow[1] <= wide[1]


@settings(deadline=None)
@given(GAINS)
def test_what_holds_for_gains_holds_for_losses(gains: list[float]) -> None:
    lower, upper = evidence(gains).interval(0.05)
    mirrored = evidence([-gain for gain in gains]).interval(0.05)
    assert mirrored == pytest.approx((-upper, -lower))


def streams(kind: str) -> np.ndarray:
    """(streams, lists) of gains whose mean is 0, as two equal configurations would give."""
    rng = np.random.default_rng(1)
    if kind == "skewed":  # many small gains and few large losses, which a normal interval takes for a gain
        return np.where(rng.random((STREAMS, LISTS)) < 0.002, -0.998, 0.002)
    return rng.normal(0, 0.05, (STREAMS, LISTS))


def ever(lower: np.ndarray) -> float:
    """Share of the streams whose lower bound was above 0 at any window's end."""
    return float((lower[:, WINDOW - 1 :: WINDOW] > 0).any(1).mean())


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_equal_configurations_are_told_apart_in_at_most_5_of_100_streams_though_every_window_is_looked_at(kind: str) -> None:
    gains = streams(kind)
    count, total, squares = np.arange(1, LISTS + 1), gains.cumsum(1), np.square(gains).cumsum(1)
    lower = total - np.vectorize(reach)(squares[:, WINDOW - 1 :: WINDOW], 0.05).repeat(WINDOW, 1)
    assert ever(lower) <= 0.05
    normal = total - 1.645 * np.sqrt(np.maximum(squares - total**2 / count, 0))
    assert ever(normal) > 0.15  # an interval for one look is wrong far more often


def test_a_gain_is_seen_in_time() -> None:
    gains = np.random.default_rng(2).normal(0.01, 0.05, 4_000)
    assert Evidence().add(gains[:200]).interval(0.025)[0] < 0 < Evidence().add(gains).interval(0.025)[0]


def test_identical_predictions_are_never_better_and_in_the_end_surely_not() -> None:
    assert Evidence().add(np.zeros(100)).interval(0.05)[0] < 0
    lower, upper = Evidence().add(np.zeros(20_000)).interval(0.05)
    assert -0.001 < lower < 0 < upper < 0.001


def test_the_shares_of_all_comparisons_are_at_most_alpha() -> None:
    settings = LearningSettings()
    reaches = [Entrant(name="c", settings=settings, test=n, evidence=Evidence(100)).interval(0.05)[1] for n in (1, 2, 3)]
    assert reaches == [Evidence(100).interval(0.05 / share)[1] for share in (2, 6, 12)]
    assert sum(1 / (n * (n + 1)) for n in range(1, 10_000)) < 1


def raced() -> Standing:
    standing = Standing.of(LearningSettings()).enter("c1", OTHER, 1).enter("c2", THIRD, 1)
    return standing.count({"c1": np.full(10, 0.1), "c2": np.full(10, -0.1)})


def test_who_is_promoted_takes_the_place_and_the_others_begin_anew_against_it() -> None:
    after = raced().promote("c1")
    assert (after.champion.name, after.champion.settings) == ("c1", OTHER)
    assert [one.name for one in after.past] == ["c0"]
    (left,) = after.challengers
    assert (left.name, left.test, left.evidence) == ("c2", 3, Evidence())
    assert left.level == after.champion.value == pytest.approx(0.1)


def test_who_leaves_is_remembered_and_no_name_is_given_twice() -> None:
    after = raced().leave("c2")
    assert after.named([LearningSettings(dropout=0.5)]) == {"c3": LearningSettings(dropout=0.5)}
    assert after.past[0].value == pytest.approx(-0.1)
    assert THIRD in after.known()
    with pytest.raises(ValueError, match="the race has \\['c1'\\]"):
        after.find("c2")


def test_settings_changed_by_hand_are_the_champions_and_nothing_is_compared_with_the_old_ones() -> None:
    by_hand = LearningSettings(batch=32)
    promoted = raced().promote("c1")
    assert promoted.declare(LearningSettings()) is promoted
    after = raced().declare(by_hand)
    assert after.champion.settings == after.declared == by_hand
    assert [one.evidence for one in after.challengers] == [Evidence(), Evidence()]
