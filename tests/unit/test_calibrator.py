"""Calibration: curves that make probabilities come true, never change a list's order, and are used where they help alone."""

import numpy as np
import pytest

from services.updater.evaluation.calibrator import applied, curves, fitted, isotonic, platt
from services.updater.evaluation.metrics import calibration_error, log_loss
from shared.bundles.manifest import Curve
from shared.model.calibration import log_odds, probabilities

KINDS = ("platt", "isotonic")


def rows(n: int = 40_000, a: float = 1.0, b: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels that come true at σ(a·x + b), and the probabilities σ(x) that were said."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.5, 1.2, n)
    return (rng.random(n) < probabilities(a * x + b)).astype(float), probabilities(x)


def test_platt_finds_the_line_that_the_labels_follow() -> None:
    curve = platt(*rows(200_000, a=0.7, b=0.5))
    x = np.array([-3.0, 0.0, 2.0])
    assert curve(x) == pytest.approx(0.7 * x + 0.5, abs=0.06)


def test_isotonic_is_scikit_learns_at_its_knots() -> None:
    from sklearn.isotonic import IsotonicRegression

    labels, scores = rows(20_000, a=0.6)
    curve = isotonic(labels, scores, bins=20)
    order = np.argsort(scores, kind="stable").reshape(20, 1_000)
    means = scores[order].mean(1)
    shares = (labels[order].sum(1) + means) / 1_001
    expected = IsotonicRegression().fit_transform(means, shares)
    assert np.unique(expected.round(12)).tolist() == pytest.approx(probabilities(np.array(curve.y)).tolist(), abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_probabilities_of_other_rows_come_true(kind: str) -> None:
    curve = fitted(kind, *rows(40_000, a=0.6, b=0.8, seed=1))
    labels, said = rows(100_000, a=0.6, b=0.8, seed=2)
    assert calibration_error(labels, said) > 0.05
    assert calibration_error(labels, probabilities(curve(log_odds(said)))) < 0.012
    assert log_loss(labels, probabilities(curve(log_odds(said)))) < log_loss(labels, said)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_curve_rises_everywhere(kind: str, seed: int) -> None:
    curve = fitted(kind, *rows(8_000, a=0.4, b=1.0, seed=seed))
    x = np.linspace(-30, 30, 20_001)
    assert (np.diff(curve(x)) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_calibrated_already_is_left_alone(kind: str) -> None:
    assert [fitted(kind, *rows(20_000, seed=seed)) for seed in range(10)].count(None) >= 9


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_rows_say_nothing(kind: str) -> None:
    labels, scores = rows(500, b=3.0)
    assert fitted(kind, labels, scores) is None
    assert fitted(kind, np.ones(5_000), np.full(5_000, 0.5)) is None


def test_scores_that_order_the_wrong_way_round_are_not_turned() -> None:
    labels, scores = rows(20_000, a=-1.0)
    assert platt(labels, scores) is None


def test_each_segment_has_its_curve_and_a_small_one_that_of_all() -> None:
    (labels, scores), (others, said) = rows(20_000, b=1.0), rows(20_000, b=-1.0, seed=3)
    both, new = (np.concatenate(pair) for pair in ((labels, others), (np.zeros(20_000, bool), np.ones(20_000, bool))))
    mixed = np.random.default_rng(0).permutation(40_000)  # in time, known and new users come as they come
    found = curves("platt", both[mixed], np.concatenate([scores, said])[mixed], new[mixed])
    zero = np.zeros(1)
    assert found["known"](zero)[0] == pytest.approx(1.0, abs=0.1)
    assert found["new"](zero)[0] == pytest.approx(-1.0, abs=0.1)
    few = np.arange(20_000) < 100
    small = curves("platt", labels, scores, few)
    assert small["new"](zero)[0] == pytest.approx(1.0, abs=0.1)


def test_applied_moves_each_row_by_its_users_curve() -> None:
    up = Curve((0.0, 1.0), (1.0, 2.0))
    done = applied({"new": up}, np.array([0.5, 0.5]), np.array([False, True]))
    assert done.tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-1))])


def test_beyond_its_knots_a_curve_goes_on_at_slope_one() -> None:
    curve = Curve((-1.0, 0.0, 2.0), (-2.0, 0.0, 1.0))
    assert curve(np.array([-3.0, -1.0, -0.5, 1.0, 2.0, 5.0])).tolist() == [-4.0, -2.0, -1.0, 0.5, 1.0, 4.0]
