"""The measures of quality agree with scikit-learn and with sums by hand."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from services.updater.evaluation.metrics import Quality, auc, calibration_error, group_auc, log_loss


def rows(n: int, seed: int = 0, decimals: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.random(n).round(decimals)
    return (rng.random(n) < probabilities).astype(float), probabilities, rng.integers(0, n // 10, n)


@pytest.mark.parametrize("decimals", [8, 1])  # with one decimal most scores tie
def test_auc_is_scikit_learns(decimals: int) -> None:
    labels, probabilities, _ = rows(1000, decimals=decimals)
    assert auc(labels, probabilities) == pytest.approx(roc_auc_score(labels, probabilities), abs=1e-12)


def test_log_loss_is_scikit_learns() -> None:
    labels, probabilities, _ = rows(1000)
    assert log_loss(labels, probabilities) == pytest.approx(sklearn_log_loss(labels, probabilities), abs=1e-9)


@pytest.mark.parametrize("decimals", [8, 1])
def test_group_auc_is_the_mean_over_lists_that_have_both_labels(decimals: int) -> None:
    labels, probabilities, groups = rows(600, 3, decimals)
    each = [
        roc_auc_score(labels[groups == g], probabilities[groups == g])
        for g in np.unique(groups)
        if 0 < labels[groups == g].mean() < 1
    ]
    assert group_auc(labels, probabilities, groups) == pytest.approx(np.mean(each), abs=1e-12)


def test_calibration_error_is_the_gap_of_each_bin_weighted_by_its_rows() -> None:
    labels = np.array([0, 0, 1, 1, 1, 0.0])
    probabilities = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    by_hand = (abs(1 / 3 - 0.2) * 3 + abs(2 / 3 - 0.8) * 3) / 6
    assert calibration_error(labels, probabilities, bins=2) == pytest.approx(by_hand)


@pytest.mark.parametrize("n", range(1, 16))
def test_with_fewer_rows_than_bins_each_row_is_a_bin(n: int) -> None:
    labels, probabilities = np.arange(n) % 2.0, np.arange(1, n + 1) / (n + 1)
    assert calibration_error(labels, probabilities, bins=15) == pytest.approx(np.abs(labels - probabilities).mean())


def test_probabilities_that_come_true_have_nearly_no_calibration_error() -> None:
    labels, probabilities, _ = rows(200_000)
    assert calibration_error(labels, probabilities) < 0.005
    assert calibration_error(labels, probabilities / 2) > 0.2


def test_what_cannot_be_measured_is_nan() -> None:
    ones = np.ones(3)
    assert np.isnan(auc(ones, ones))
    assert np.isnan(group_auc(ones, ones, np.arange(3)))
    empty = Quality.of(ones[:0], ones[:0], np.zeros(0, np.int64))
    assert empty.rows == 0
    assert np.isnan([empty.auc, empty.log_loss, empty.ece, empty.group_auc]).all()
