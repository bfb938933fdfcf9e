"""The project's learner as it takes part: learning on, frozen, or trained anew on everything; with all inputs or fewer."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from services.updater.evaluation.metrics import log_loss
from services.updater.history.pretraining import SURVEYED
from services.updater.learning.batches import Batch
from services.updater.learning.catalogue import Assortment
from services.updater.learning.cuts import cut
from services.updater.learning.learner import Learner
from shared.messages import Inputs
from shared.tasks import Task
from tests.bench.learning.protocol import F8, I8, Known, Stream, TrainedAnew

CHUNK = 500
"""Lists that history is learned in at once."""
HELD_BACK = 0.1
"""Share of history, the newest, that stopping is decided on, as in ``services/updater/history/pretraining.py``."""


@dataclass(frozen=True)
class Sight:
    """What a model sees of a row: without text the vectors are zeros; without counters only prices and context are left."""

    text: bool = True
    counters: bool = True

    def inputs(self, inputs: Inputs) -> Inputs:
        """The dense inputs that are left."""
        return inputs if self.counters else Inputs((), tuple(name for name in inputs.candidate if _plain(name)))

    def of(self, batch: Batch, inputs: Inputs) -> Batch:
        """The batch as it is seen."""
        if not self.text:
            used, history = np.unique(batch.history, return_inverse=True)
            histories = batch.histories.part(used)
            silent = replace(histories, profiles=np.zeros_like(histories.profiles))
            batch = replace(batch, text=np.zeros_like(batch.text), histories=silent, history=history)
        if not self.counters:
            left = [i for i, name in enumerate(inputs.candidate) if _plain(name)]
            batch = replace(batch, user_features=batch.user_features[:, :0], candidate_features=batch.candidate_features[:, left])
        return batch


def _plain(name: str) -> bool:
    return name == "item.log_price" or name.startswith("context.")


WHOLE = Sight()


class Freshet:
    """The updater's own learner with the task's settings.

    Args:
        task: the set's.
        inputs: every dense input of the set.
        assortment: its items.
        sight: what of it is seen.
        epochs: passes over history, at most; a pass that makes the held-back log loss worse is undone.
    """

    def __init__(self, task: Task, inputs: Inputs, assortment: Assortment, sight: Sight = WHOLE, epochs: int = 2) -> None:
        self.task, self.inputs, self.assortment, self.sight, self.epochs = task, inputs, assortment, sight, epochs
        self.window = 0
        self.learner = self._fresh()

    def _fresh(self) -> Learner:
        return Learner(self.task, self.sight.inputs(self.inputs), self.assortment, torch.device("cpu"))

    def begin(self, stream: Stream, lists: I8) -> None:
        """Passes in time order, stopped by log loss; the held-back part is learned last, once."""
        self.learner = self._fresh()
        held = lists[int(len(lists) * (1 - HELD_BACK)) :]
        known = lists[: len(lists) - len(held)]
        rate = float(cut(stream.batch, lists).labels[:, 0].mean())
        surveyed = self.sight.of(cut(stream.batch, known[:: max(1, len(known) // SURVEYED)]), self.inputs)
        self.learner.start_at(min(max(rate, 0.001), 0.999), surveyed.numbers())
        best, kept = np.inf, self.learner.state()
        for _ in range(self.epochs):
            self._pass(stream, known)
            measured = cut(stream.batch, held)
            found = log_loss(measured.labels[:, 0].astype(np.float64), self.predict(measured))
            if not found < best:
                self.learner.load(kept)
                break
            best, kept = found, self.learner.state()
        self._pass(stream, held)
        self.learner.freeze(self.task.model.frozen)

    def predict(self, rows: Batch) -> F8:
        """Probabilities (n,)."""
        return self.learner.predict(self.sight.of(rows, self.inputs))[:, 0].astype(np.float64)

    def learn(self, known: Known) -> None:
        """One pass over the window's examples and corrections."""
        self.take(known.examples())

    def _pass(self, stream: Stream, lists: I8) -> None:
        for start in range(0, len(lists), CHUNK):
            self.take(cut(stream.batch, lists[start : start + CHUNK]), rehearse=False)

    def take(self, batch: Batch, *, rehearse: bool = True) -> None:
        """One pass over these lists."""
        self.window += 1
        self.learner.learn(self.sight.of(batch, self.inputs), self.window, rehearse=rehearse)


class Frozen(Freshet):
    """The same, never learning after history; what it sees stays fresh."""

    def learn(self, known: Known) -> None:
        """Nothing."""


class Retrained(TrainedAnew, Freshet):
    """The same, trained anew on everything known once in so many seconds.

    Args:
        period: seconds.
    """

    def __init__(self, *parts: object, period: float, **named: object) -> None:
        super().__init__(*parts, **named)  # type: ignore[arg-type]
        self.period = period


def column(batch: Batch, inputs: Inputs, name: str) -> NDArray[np.float32]:
    """One dense input by name, (n,)."""
    if name in inputs.user:
        found: NDArray[np.float32] = batch.user_features[batch.list, inputs.user.index(name)]
        return found
    return batch.candidate_features[:, inputs.candidate.index(name)]
