"""Let contestants play a set: choose a setting on history, replay the rest, keep the predictions."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from structlog.stdlib import BoundLogger

from tests.bench.learning.contestants import Contestant, tune
from tests.bench.learning.measures import Judge
from tests.bench.learning.prepared import Prepared
from tests.bench.learning.protocol import F8, Model, replay

FIRST_SEED = 7
BRIEF = ("auc", "logloss", "ece", "mrr", "item_cold.auc")


@dataclass(frozen=True)
class Run:
    """One contestant's predictions of a set, by seed."""

    setting: Mapping[str, Any]
    scores: tuple[F8, ...]
    answers: tuple[F8, ...]
    """Of the set's questions, where it has some."""
    cpu: Mapping[str, float]
    """CPU-seconds of the first seed: ``tune``, ``begin``, ``predict``, ``learn``."""


@dataclass(frozen=True)
class Played:
    """A set with all that was played of it.

    Args:
        prepared: the set.
        folder: where predictions are kept.
    """

    prepared: Prepared
    folder: Path
    runs: dict[str, Run] = field(default_factory=dict)

    @cached_property
    def judge(self) -> Judge:
        """Of its live rows."""
        return Judge.of(self.prepared.stream)

    def kept(self, name: str) -> Run | None:
        """What was kept of a contestant."""
        file = self.folder / f"{name}.npz"
        if not file.exists():
            return None
        kept = np.load(file)
        about = json.loads(str(kept["about"]))
        return Run(about["setting"], tuple(kept["scores"]), tuple(kept["answers"]), about["cpu"])

    def keep(self, name: str, run: Run) -> None:
        """Keep a contestant's predictions."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = json.dumps({"setting": run.setting, "cpu": run.cpu})
        scores, answers = (np.stack(part).astype(np.float32) for part in (run.scores, run.answers))
        np.savez(self.folder / f"{name}.npz", scores=scores, answers=answers, about=np.array(about))


class Timed:
    """A model whose CPU-seconds are counted, by what it does."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.cpu = dict.fromkeys(("begin", "predict", "learn"), 0.0)

    def begin(self, *parts: Any) -> None:
        """Counted."""
        self._timed("begin", *parts)

    def predict(self, *parts: Any) -> F8:
        """Counted."""
        scores: F8 = self._timed("predict", *parts)
        return scores

    def learn(self, *parts: Any) -> None:
        """Counted."""
        self._timed("learn", *parts)

    def _timed(self, step: str, *parts: Any) -> Any:
        began = time.process_time()
        done = getattr(self.model, step)(*parts)
        self.cpu[step] += time.process_time() - began
        return done


def play(played: Played, name: str, contestants: Mapping[str, Contestant], seeds: int, log: BoundLogger) -> None:
    """Let one contestant play with the seeds that are not yet kept; with none wanted, take what is kept."""
    contestant, prepared = contestants[name], played.prepared
    run = played.kept(name)
    if not seeds:
        if run is not None:
            played.runs[name] = run
        return
    wanted = seeds if contestant.draws else 1
    began = time.process_time()
    if run is None:
        setting = prepared.of.settings.get(name) or _setting(played, contestant, contestants, seeds, log)
        run = Run(setting, (), (), {"tune": time.process_time() - began})
    for seed in range(FIRST_SEED + len(run.scores), FIRST_SEED + wanted):
        model = Timed(contestant.make(prepared, run.setting, seed))
        scores, answers = replay(prepared.stream, model, contestant.window or prepared.of.window, prepared.questions)
        cpu = run.cpu if run.scores else {**run.cpu, **model.cpu}
        run = Run(run.setting, (*run.scores, scores), (*run.answers, answers), cpu)
        played.keep(name, run)
        log.info("played", set=prepared.of.name, model=name, seed=seed, **run.setting, **_brief(played, scores), **model.cpu)
    played.runs[name] = run


def _setting(
    played: Played, contestant: Contestant, contestants: Mapping[str, Contestant], seeds: int, log: BoundLogger
) -> Mapping[str, Any]:
    if contestant.like is not None and contestant.like not in played.runs:
        play(played, contestant.like, contestants, seeds, log)
    liked = played.runs[contestant.like].setting if contestant.like else {}
    return tune(played.prepared, contestant, liked, FIRST_SEED)


def _brief(played: Played, scores: F8) -> dict[str, float]:
    found = played.judge.measure(scores)
    return {name: round(found[name], 4) for name in BRIEF if name in found}
