"""The report's measures, against scikit-learn and against cases worked out by hand."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from infra.local.report.quality import Ranked, Rows, calibration, measures, paired


def some_rows(n_lists: int = 400, size: int = 10, live: float = 1.5, frozen: float = 1.0, seed: int = 1) -> Rows:
    """Lists with one bought item each; both models know something, live more than frozen."""
    random = np.random.default_rng(seed)
    labels = np.zeros((n_lists, size))
    labels[np.arange(n_lists), random.integers(size, size=n_lists)] = 1
    labels = labels.ravel()
    lists = np.repeat(np.arange(n_lists), size)
    noise = random.normal(size=labels.shape)
    return Rows(
        labels,
        1 / (1 + np.exp(-(live * labels + noise - 2.2))),
        1 / (1 + np.exp(-(frozen * labels + noise - 2.2))),
        lists,
        lists // 8,
        np.arange(len(labels)) % 40,
        lists // 50,
    )


def test_a_weighted_auc_is_scikit_learns_also_with_ties() -> None:
    random = np.random.default_rng(0)
    labels, scores, weights = (random.random(500) < 0.2) * 1.0, random.integers(0, 9, 500) / 9, random.random(500)
    assert Ranked(labels, scores).auc() == pytest.approx(roc_auc_score(labels, scores))
    assert Ranked(labels, scores).auc(weights) == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights))


def test_auc_of_one_kind_only_is_no_number() -> None:
    assert np.isnan(Ranked(np.ones(3), np.array([0.1, 0.2, 0.3])).auc())


def test_the_measures_are_scikit_learns() -> None:
    rows = some_rows()
    found = measures(rows, rows.live)
    assert found["auc"] == pytest.approx(roc_auc_score(rows.labels, rows.live))
    assert found["logloss"] == pytest.approx(log_loss(rows.labels, rows.live))
    assert found["auc"] > measures(rows, rows.frozen)["auc"]


def test_every_row_is_in_one_calibration_bin() -> None:
    rows = some_rows()
    _, _, counts = calibration(rows.labels, rows.live)
    assert counts.sum() == len(rows.labels)


def test_the_better_model_is_better_beyond_the_interval() -> None:
    gain = paired(some_rows())
    assert gain["auc"]["low"] > 0
    assert gain["logloss"]["high"] < 0
    assert gain["auc"]["low"] < gain["auc"]["difference"] < gain["auc"]["high"]


def test_equal_models_differ_by_nothing() -> None:
    rows = some_rows()
    same = dataclasses.replace(rows, frozen=rows.live)
    assert paired(same)["auc"] == {"difference": 0.0, "low": 0.0, "high": 0.0}


def test_the_interval_is_about_users_so_more_rows_of_the_same_users_do_not_narrow_it() -> None:
    rows = some_rows()
    doubled = Rows(*(np.concatenate([getattr(rows, name)] * 2) for name in Rows.__slots__))
    width = [gain["high"] - gain["low"] for gain in (paired(rows)["auc"], paired(doubled)["auc"])]
    assert width[1] == pytest.approx(width[0], rel=0.15)


def test_no_rows_have_no_measures() -> None:
    rows = some_rows()
    none = rows.where(rows.exposures < 0)
    assert measures(none, none.live) == {}
    assert paired(none) == {}
