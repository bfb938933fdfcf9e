"""The figures of every set and model, as JSON: ``online_retail.freshet.auc`` is the mean over seeds, ``sd.auc`` its spread."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.learning.baskets import ABOUT, Questions, over
from tests.bench.learning.contestants import Contestant
from tests.bench.learning.play import Played
from tests.bench.learning.protocol import F8

FIRST, WHOLE = "first", ("auc", "logloss", "ece")
SPREAD, SPREADS = "sd", ("auc", "logloss", "ece", "mrr", "item_cold.auc")


@dataclass
class Results:
    """By set, then by model."""

    sets: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, file: Path) -> "Results":
        """What an earlier run wrote."""
        return cls(json.loads(file.read_text()) if file.exists() else {})

    def write(self, file: Path) -> None:
        """Every figure rounded to what it can say."""
        file.write_text(json.dumps(_rounded(self.sets), indent=1) + "\n")

    def put(self, name: str, figures: dict[str, Any]) -> None:
        """Take in a set's figures; models that were not played this time keep theirs, as long as the set is the same."""
        before = self.sets.get(name, {})
        same = before.get("about", {}).get("rows") == figures["about"]["rows"]
        self.sets[name] = (before if same else {}) | figures


def figures_of(played: Played, contestants: Mapping[str, Contestant]) -> dict[str, Any]:
    """Everything that is measured of a set: ``about`` it, then by model."""
    stream, judge, chosen = played.prepared.stream, played.judge, played.prepared.of
    not_played = sorted(set(chosen.models) - set(played.runs))
    about = {
        "text": chosen.about, "lists": len(stream.batch.time), "rows": len(stream.batch), "history_lists": stream.start,
        "live_rows": len(judge.labels), "positives": float(judge.labels.sum()), "window_s": chosen.window,
        "delay_median_s": chosen.delays.median, "delay_p90_s": chosen.delays.p90, "wait_s": chosen.task.wait,
        "not_played": not_played,
    }  # fmt: skip
    questions = played.prepared.questions
    if questions is not None:
        about |= {"next_basket": ABOUT, "households": len(questions.wanted)}
    figures: dict[str, Any] = {"about": about}
    for name, run in played.runs.items():
        slices = contestants[name].group == "models"
        found = _means([judge.measure(scores.astype(np.float64), slices) for scores in run.scores])
        if questions is not None:
            found |= _means([questions.measure(answers.astype(np.float64)) for answers in run.answers])
        contestant = contestants[name]
        found |= {
            "about": contestant.about,
            "group": contestant.group,
            "seeds": len(run.scores),
            "setting": run.setting,
            "cpu_s": run.cpu,
        }
        if contestant.group == "ages":
            found |= {"age": name.removeprefix("age_"), "window_s": contestant.window}
        figures[name] = found
    for name, difference in _differences(played, contestants).items():
        figures[name]["freshet_less_this"] = difference
    if questions is not None and {"freshet", "baskets_before"} <= played.runs.keys():
        own, usual = (_recalls(played, questions, name) for name in ("freshet", "baskets_before"))
        figures["freshet"] |= over(own, usual)
        answers = [questions.trade(found.astype(np.float64)) for found in played.runs["freshet"].answers]
        figures["freshet"]["reserved"] = np.mean(answers, axis=0).tolist()
    return figures


def _recalls(played: Played, questions: Questions, name: str) -> F8:
    """Each household's, (m, 3), the mean over seeds."""
    found: F8 = np.mean([questions.recalls(answers.astype(np.float64)) for answers in played.runs[name].answers], axis=0)
    return found


def _means(measured: list[dict[str, float]]) -> dict[str, Any]:
    """Over seeds; ``sd`` holds the spread, ``first`` what the first seed gave: the other seeds were not played by every model."""
    names = [metric for metric in measured[0] if all(metric in one for one in measured)]
    found: dict[str, Any] = {metric: float(np.mean([one[metric] for one in measured])) for metric in names}
    spread = {metric: float(np.std([one[metric] for one in measured])) for metric in SPREADS if metric in names}
    first = {metric: measured[0][metric] for metric in WHOLE if metric in names}
    return found | ({SPREAD: spread, FIRST: first} if first else {})


def _differences(played: Played, contestants: Mapping[str, Contestant]) -> dict[str, dict[str, list[float]]]:
    """The project's learner less each other model, of the first seed."""
    base = played.runs.get("freshet")
    if base is None:
        return {}
    own = base.scores[0].astype(np.float64)
    others = [name for name in played.runs if name != "freshet" and contestants[name].group == "models"]
    return {name: played.judge.difference(own, played.runs[name].scores[0].astype(np.float64)) for name in others}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) and abs(value) < 1e5 else value
