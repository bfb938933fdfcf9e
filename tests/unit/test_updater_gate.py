"""The test step and the gate: when labels settle, what is calibrated by them, and what may not be served."""

import dataclasses

import msgspec
import numpy as np

from services.updater.evaluation.prequential import Measured, Prequential
from services.updater.guards.gate import Gate
from services.updater.learning.learner import AGE
from shared.features.assemble import Assembler
from shared.messages import Inputs
from shared.tasks import GateSettings
from tests import learning
from tests.features import plans


def test_the_gate_refuses_weights_that_are_not_numbers_or_too_large() -> None:
    gate = Gate(GateSettings(max_norm=10.0))
    assert gate.weights([np.ones((2, 3), np.float32)]) == ""
    assert gate.weights([np.array([[1, np.nan]], np.float32)]) == "non_finite"
    assert gate.weights([np.array([[1, 2], [9, 9]], np.float32)]) == "norm"


def test_the_gate_refuses_canaries_that_jump() -> None:
    gate, before = Gate(GateSettings(canary_shift=0.3)), np.full(4, 0.2, np.float32)
    assert gate.canaries(before, before + 0.2) == ""
    assert gate.canaries(before, before + 0.4) == "canary"


def measured(live: float, frozen: float, served: float, rows: int = 3_000) -> Measured:
    labels = (np.arange(rows) % 4 == 0).astype(np.float64)
    at = {"live": live, "frozen": frozen, "served": served}
    scores = {name: np.where(labels > 0, p, 1 - p) for name, p in at.items()}
    return Measured(0.0, np.arange(rows), labels, scores, np.arange(rows) < 1_500, {})


def test_the_gate_refuses_learning_that_is_worse_than_the_frozen_base_or_than_what_is_served() -> None:
    gate = Gate(GateSettings(margin=0.05, rows=2_000))
    assert gate.quality(measured(0.80, 0.78, 0.80)) == ""
    assert gate.quality(measured(0.70, 0.78, 0.70)) == "quality_frozen"
    assert gate.quality(measured(0.70, 0.70, 0.78)) == "quality_served"


def test_the_gate_looks_at_each_slice() -> None:
    part = measured(0.80, 0.80, 0.80)
    part.scores["live"][part.cold] = np.where(part.labels[part.cold] > 0, 0.7, 0.3)
    part.scores["live"][~part.cold] = np.where(part.labels[~part.cold] > 0, 0.9, 0.1)
    assert Gate(GateSettings(margin=0.05, rows=2_000)).quality(part) == "quality_frozen_cold"


def test_the_gate_looks_at_users_that_the_model_does_not_know() -> None:
    part = measured(0.80, 0.80, 0.80)
    part.new = np.arange(len(part)) % 3 < 2
    part.scores["live"][part.new] = np.where(part.labels[part.new] > 0, 0.7, 0.3)
    assert Gate(GateSettings(margin=0.1, rows=2_000)).quality(part) == "quality_frozen_new"


def test_the_gate_compares_what_would_be_served_with_what_was() -> None:
    part = measured(0.70, 0.70, 0.80)
    part.scores["calibrated"] = part.scores["served"]
    assert Gate(GateSettings(margin=0.05, rows=2_000)).quality(part) == ""


def test_the_gate_waits_for_rows_enough() -> None:
    assert Gate(GateSettings(rows=5_000)).quality(measured(0.6, 0.9, 0.9)) == ""


def test_a_label_settles_with_the_corrections_that_came_before() -> None:
    model = learning.learner()
    prequential = Prequential("purchase", ripe_s=10.0, rows=1_000, base=model)
    lists = [learning.shown(offset) for offset in (1, 3)]
    prequential.test(model, learning.batch(lists), planned_at=100.0)
    prequential.correct([learning.correction(7, lists[1], index=2)])
    prequential.ripen(109.0)
    assert prequential.recent() is None
    prequential.ripen(110.0)
    recent = prequential.recent()
    assert recent is not None
    assert np.flatnonzero(recent.labels).tolist() == [7]
    assert recent.cold.all()


def test_a_label_that_came_later_than_rows_settle_counts_for_none() -> None:
    model = learning.learner()
    prequential = Prequential("purchase", ripe_s=10.0, rows=1_000, base=model)
    lists = [learning.shown(offset) for offset in (1, 3)]
    prequential.test(model, learning.batch(lists), planned_at=100.0)
    late = learning.correction(7, lists[1], index=2)
    outcome = msgspec.structs.replace(late.outcomes[0], delay=10.5)
    prequential.correct([msgspec.structs.replace(late, outcomes=(outcome,))])  # the next window after a quiet night
    prequential.ripen(40_000.0)
    recent = prequential.recent()
    assert recent is not None
    assert not recent.labels.any()


def test_a_user_is_new_until_the_learner_has_a_row_of_theirs() -> None:
    model = learning.learner()
    lists = learning.batch([learning.shown(offset) for offset in (1, 3)])
    assert model.new(lists).all()
    model.learn(lists, 1)
    assert not model.new(lists).any()


def test_an_item_is_young_for_a_week_after_its_first_event_and_measured_apart() -> None:
    assert AGE in Assembler(plans(), ()).inputs.candidate  # or no item that is really shown would be young
    inputs = Inputs(user=learning.INPUTS.user, candidate=("sold_1d", AGE))
    lists = learning.batch([learning.shown(offset, inputs=inputs) for offset in range(500)], inputs)
    ages = [3_600.0, 7 * 86_400.0 - 1, 7 * 86_400.0, np.nan, 9e9, 9e9]
    lists.candidate_features[:, 1] = np.resize(ages, len(lists))
    model = learning.learner(inputs=inputs)
    assert model.young(lists).tolist() == np.resize([True, True, False, True, False, False], len(lists)).tolist()
    prequential = Prequential("purchase", ripe_s=10.0, rows=3_000, base=model)
    prequential.test(model, lists, planned_at=0.0)
    prequential.ripen(10.0)
    measures = prequential.measure()
    assert {"live.young.auc", "live.old.auc", "frozen.young.logloss"} <= measures.keys()
    assert measures["live.young.logloss"] != measures["live.old.logloss"]


def test_a_model_without_the_input_calls_no_item_young() -> None:
    assert not learning.learner().young(learning.batch([learning.shown(1)])).any()


def test_curves_are_fitted_to_settled_rows_and_what_comes_after_is_calibrated() -> None:
    @dataclasses.dataclass
    class Shy:
        """Says half of what comes true."""

        labels: np.ndarray

        def predict(self, batch: object) -> np.ndarray:
            spread = np.linspace(0.05, 0.15, len(self.labels), dtype=np.float32)
            return np.random.default_rng(1).permutation(spread)[:, None]

        def new(self, batch: object) -> np.ndarray:
            return np.zeros(len(self.labels), np.bool_)

        young = new

    lists = learning.batch([learning.shown(offset) for offset in range(600)])
    lists.labels[:, 0] = np.random.default_rng(0).random(len(lists)) < 0.2
    shy = Shy(lists.labels[:, 0])
    prequential = Prequential("purchase", ripe_s=10.0, rows=3_000, base=shy, calibrator="isotonic")
    prequential.test(shy, lists, planned_at=0.0)
    prequential.calibrate()
    assert not prequential.curves  # nothing has settled
    prequential.ripen(10.0)
    prequential.calibrate()
    prequential.test(shy, lists, planned_at=20.0)
    last = prequential.waiting[-1].scores
    assert abs(last["calibrated"].mean() - 0.2) < 0.02 < abs(last["live"].mean() - 0.2)
    off = dataclasses.replace(prequential, calibrator="none", curves={})
    off.calibrate()
    assert not off.curves
