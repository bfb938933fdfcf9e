"""The figures of every set and model, as JSON: ``online_retail.freshet.auc`` is the mean over seeds, ``sd.auc`` its spread."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.learning.baskets import ABOUT, Questions
from tests.bench.learning.contestants import Contestant
from tests.bench.learning.play import Played

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

    def add(self, played: Played, contestants: Mapping[str, Contestant]) -> None:
        """Measure what was played of a set."""
        stream, judge, chosen = played.prepared.stream, played.judge, played.prepared.of
        figures = self.sets.setdefault(chosen.name, {})
        figures["about"] = {
            "text": chosen.about, "lists": len(stream.batch.time), "rows": len(stream.batch), "history_lists": stream.start,
            "live_rows": len(judge.labels), "positives": float(judge.labels.sum()), "window_s": chosen.window,
            "delay_median_s": chosen.delays.median, "delay_p90_s": chosen.delays.p90,
        }  # fmt: skip
        base = played.runs.get("freshet")
        for name, run in played.runs.items():
            measured = [judge.measure(scores.astype(np.float64)) for scores in run.scores]
            names = [metric for metric in measured[0] if all(metric in one for one in measured)]
            found: dict[str, Any] = {metric: float(np.mean([one[metric] for one in measured])) for metric in names}
            found[SPREAD] = {metric: float(np.std([one[metric] for one in measured])) for metric in SPREADS if metric in names}
            found |= {"seeds": len(run.scores), "setting": run.setting, "cpu_s": run.cpu, "group": contestants[name].group}
            found["about"] = contestants[name].about
            if contestants[name].group == "ages":
                found |= {"age": name.removeprefix("age_"), "window_s": contestants[name].window}
            if base is not None and name != "freshet" and contestants[name].group == "models":
                first = (base.scores[0].astype(np.float64), run.scores[0].astype(np.float64))
                found["freshet_less_this"] = judge.difference(*first)
            figures[name] = found
        if (questions := played.prepared.questions) is not None:
            self._ask(questions, played, figures)

    @staticmethod
    def _ask(questions: Questions, played: Played, figures: dict[str, Any]) -> None:
        """Next baskets: into each model's figures, and as a table of their own."""
        models = {}
        for name, run in played.runs.items():
            found = [questions.measure(answers.astype(np.float64)) for answers in run.answers]
            models[name] = {metric: float(np.mean([one[metric] for one in found])) for metric in found[0]}
            figures[name] |= models[name]
        figures["next_basket"] = {"about": ABOUT, "households": len(questions.wanted), "models": models}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) and abs(value) < 1e5 else value
