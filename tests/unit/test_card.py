"""A full bundle's card says what is served, in the figures of its manifest; a delta has none."""

from pathlib import Path

from services.updater.publishing.card import card
from tests import learning
from tests.unit.test_updater_publishing import EVERYTHING, ROWS, Bench, bench

__all__ = ["bench"]

MEASURED = {"rows": 12_000.0, "positives": 900.0, "live.auc": 0.81234, "frozen.auc": 0.79, "live.cold.auc": 0.75}


def test_it_says_what_moves_what_is_frozen_and_how_good_it_is() -> None:
    model = learning.learner()
    said = card(model.task, model.inputs, model.trainable(), "00000007-0002", 1_700_000_000.0, MEASURED)
    assert said.startswith("# ranking 00000007-0002\n\nMade 2023-11-14 22:13:20 UTC.")
    assert "| the learner | 0.8123 | – | – | – |" in said
    assert "| the learner, items shown fewer than 20 times | 0.7500 |" in said
    assert "as served" not in said.split("## Quality")[1].split("## Limits")[0]
    assert "sold_1d, price, context.display." in said


def test_before_anything_has_settled_it_says_so() -> None:
    model = learning.learner()
    assert "Nothing has settled yet" in card(model.task, model.inputs, (), "00000001-0001", 0.0, {})


def test_the_bases_figures_are_those_of_pretraining() -> None:
    model = learning.learner()
    held_back = {"pretraining.rows": 4_000.0, "pretraining.auc": 0.8}
    said = card(model.task, model.inputs, (), "00000000-0001", 0.0, held_back)
    assert "Of the lists that pretraining held back: rows 4,000, auc 0.8." in said


def test_a_full_bundle_carries_it_and_a_delta_does_not(bench: Bench, tmp_path: Path) -> None:
    full, delta = bench.learn(EVERYTHING), bench.learn(ROWS)
    assert bench.storage.get_blob(full.files["card"]).decode().startswith(f"# ranking {full.version}")
    assert "card" not in delta.files
