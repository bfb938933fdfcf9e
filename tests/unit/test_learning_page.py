"""The page says what the figures say, losing rows included."""

from typing import Any

from tests.bench.learning import goals
from tests.bench.learning.page import sentences, table
from tests.bench.learning.plot import gains


def row(loss: float, group: str = "models", interval: tuple[float, float, float] | None = None, **more: Any) -> dict[str, Any]:
    found = {"auc": 0.7, "logloss": loss, "ece": 0.01, "mrr": 0.5, "seeds": 1, "cpu_s": {"learn": 2.0}, "group": group, "sd": {}}
    found["first"] = {"auc": more.get("auc", 0.7), "logloss": loss, "ece": 0.01}
    if interval is not None:
        found["freshet_less_this"] = {"auc": [0.0, -0.1, 0.1], "logloss": list(interval)}
    return found | more


def test_a_rival_that_wins_stands_above_and_is_called_better() -> None:
    figures = {
        "freshet": row(0.42),
        "vowpal_wabbit": row(0.41, interval=(0.01, 0.005, 0.015)),
        "shown_order": row(0.9, "orders", (-0.5, -0.6, -0.4)),
    }
    names = [line.split("|")[1].strip() for line in list(table(figures))[2:]]
    assert names == ["vowpal_wabbit", "**freshet**", "shown_order"]
    said = " ".join(sentences(figures))
    assert "the best rival by log loss (vowpal_wabbit)" in said
    assert "freshet is worse" in said


def test_an_interval_that_holds_zero_is_no_difference() -> None:
    figures = {"freshet": row(0.42), "frozen_counters": row(0.421, interval=(-0.001, -0.003, 0.001))}
    assert "no difference that the data can tell" in " ".join(sentences(figures))


def test_a_full_retrain_is_compared_by_its_cost() -> None:
    figures = {"freshet": row(0.42), "retrained_weekly": row(0.43, interval=(-0.01, -0.02, -0.005), cpu_s={"learn": 120.0})}
    assert "1/60 of it" in " ".join(sentences(figures))


def test_what_text_gives_to_cold_items_is_told_beside_what_else_both_models_see() -> None:
    figures = {
        "freshet": row(0.42),
        "freshet_ids_text": row(0.43, **{"item_cold.auc": 0.71}),
        "freshet_ids_alone": row(0.44, **{"item_cold.auc": 0.66}),
    }
    [said] = [sentence for sentence in sentences(figures) if sentence.startswith("Cold items")]
    assert said == ("Cold items, without counters and categories, AUC of rows: 0.7100 with text, 0.6600 with ids alone: +0.0500.")


def test_the_gain_is_told_by_age_youngest_first_and_is_nothing_for_a_model_that_never_learns() -> None:
    figures = {
        "frozen_counters": row(0.5, auc=0.70),
        "age_1d": row(0.45, "ages", auc=0.72, age="1d", window_s=86_400.0),
        "age_1min": row(0.44, "ages", auc=0.75, age="1min", window_s=60.0),
    }
    assert [(age, round(gain, 3)) for age, gain in gains(figures).items()] == [("1min", 0.05), ("1d", 0.02), ("never", 0.0)]


def test_goals_whose_models_did_not_play_are_told_as_not_played() -> None:
    told = "\n".join(goals.lines({"trivago": {"freshet": row(0.12, mrr=0.61)}}))
    assert "| trivago | MRR within lists | ≥ 0.6 | 0.61 | yes |" in told
    assert "| trivago | log loss less that of the best rival | ≤ 0 | – | not played |" in told
    assert "| movielens_100k | AUC of a snapshot up to a day old | ≥ 0.735 | – | not played |" in told
    missed = "\n".join(goals.lines({"trivago": {"freshet": row(0.12), "lightgbm_6h": row(0.11)}}))
    assert missed.count("**missed**") == 2
