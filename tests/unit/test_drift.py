"""Detectors tell of a loss or a feature that is no longer what it was, and keep quiet where nothing changed."""

from dataclasses import replace

import numpy as np
import structlog

from services.updater.evaluation.prequential import Measured, Prequential
from services.updater.guards.drift import Drift
from services.updater.learning.batches import Batch
from services.updater.loop import learn
from shared.messages import Inputs
from tests import learning
from tests.unit.test_updater_replay import a_student, windows

WINDOWS = 400
LOG = structlog.stdlib.get_logger()


def a_drift(inputs: Inputs = learning.INPUTS) -> Drift:
    drift = Drift(inputs, LOG)
    drift.begin().join()
    return drift


def a_window(number: int, *, loss: float = 0.3, shift: float = 0.0) -> tuple[Batch, Measured]:
    """Twenty lists; ``loss`` is the mean of what their negatives cost, ``shift`` is added to the input ``price``."""
    rng = np.random.default_rng(number)
    batch = learning.window(20 * number)
    batch.candidate_features[:, 1] += shift
    scores = 1 - np.exp(-rng.gamma(20, loss / 20, len(batch)))
    return batch, Measured(0.0, batch.list, np.zeros(len(batch)), {"live": scores}, np.zeros(len(batch), np.bool_), {})


def told(drift: Drift, windows: list[tuple[Batch, Measured]]) -> set[tuple[str, str]]:
    return {found for batch, measured in windows for found in drift.watch(batch, measured)}


def test_nothing_is_told_where_nothing_changes() -> None:
    assert not told(a_drift(), [a_window(n) for n in range(WINDOWS)])


def test_a_loss_that_doubles_is_told_by_those_that_watch_it() -> None:
    drift = a_drift()
    told(drift, [a_window(n) for n in range(WINDOWS // 2)])
    found = told(drift, [a_window(n, loss=0.6) for n in range(WINDOWS // 2, WINDOWS)])
    assert {("adwin", "loss"), ("page_hinkley", "loss"), ("kswin", "score")} == found


def test_a_feature_that_moves_is_told_by_its_name() -> None:
    drift = a_drift()
    told(drift, [a_window(n) for n in range(WINDOWS // 2)])
    assert told(drift, [a_window(n, shift=0.5) for n in range(WINDOWS // 2, WINDOWS)]) == {("adwin", "price")}


def test_a_feature_that_nobody_knows_is_no_number() -> None:
    drift = a_drift()
    batch, measured = a_window(0)
    batch.candidate_features[:, 1] = np.nan
    assert drift.watch(batch, measured) == []


class Releases:
    """Publishes nothing."""

    def note(self, *_: object) -> None: ...

    def offer(self, *_: object) -> None: ...


def test_the_loop_shows_each_new_window_once_it_is_tested_and_no_replayed_one() -> None:
    student, seen = a_student(), list[int]()
    student.watch = lambda batch, measured: seen.append(len(measured))
    every = [replace(window, replayed=window.plan.window == 1) for window in windows()]
    learn(every, student, Prequential("purchase", 0.0, 1, student.learner), Releases(), LOG)  # type: ignore[arg-type]
    assert seen == [60, 0, 55, 60, 5]  # the third holds a correction alone


def test_windows_before_the_detectors_are_there_are_not_watched() -> None:
    assert Drift(learning.INPUTS, LOG).watch(*a_window(0)) == []
