"""Pretraining on history: a few passes in time order, stopped by log loss on the part that comes last."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from structlog.stdlib import BoundLogger

from services.updater.evaluation.metrics import Quality
from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.learner import Learner
from shared.messages import Example

CHUNK = 500
"""Lists in a batch: what is in memory at once."""
SURVEYED = 5_000
"""Lists whose numbers say where the bins lie."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """How long to learn from history. AUC picks worse settings than log loss does."""

    epochs: int = 2
    held_back: float = 0.1
    """Share of the lists, the newest, that stopping is decided on."""

    def run(self, learner: Learner, batcher: Batcher, examples: Sequence[Example], log: BoundLogger) -> dict[str, float]:
        """Learn all of it with nothing frozen, then set the task's frozen parts; what the held-back part measured.

        A pass that made the held-back loss worse is undone and ends it. The held-back part is learned last, once.
        """
        cut = int(len(examples) * (1 - self.held_back))
        learner.start_at(_rate(examples), _numbers(batcher, examples[:cut]))
        best, kept, window = Quality(0, float("nan"), float("inf"), float("nan"), float("nan")), learner.state(), 0
        for epoch in range(self.epochs):
            for batch in chunks(batcher, examples[:cut]):
                window += 1
                learner.learn(batch, window, rehearse=False)
            found = measure(learner, batcher, examples[cut:])
            log.info(
                "pretraining", epoch=epoch + 1, lists=cut, held_back=len(examples) - cut, auc=found.auc, log_loss=found.log_loss
            )
            if not found.log_loss < best.log_loss:
                learner.load(kept)
                break
            best, kept = found, learner.state()
        for batch in chunks(batcher, examples[cut:]):
            window += 1
            learner.learn(batch, window, rehearse=False)
        learner.freeze(learner.task.model.frozen)
        return {
            "pretraining.rows": float(best.rows), "pretraining.auc": best.auc, "pretraining.logloss": best.log_loss,
            "pretraining.ece": best.ece, "pretraining.group_auc": best.group_auc,
        }  # fmt: skip


def chunks(batcher: Batcher, examples: Sequence[Example]) -> Iterator[Batch]:
    """The examples in batches of :data:`CHUNK` lists, in their order."""
    for start in range(0, len(examples), CHUNK):
        yield batcher.batch(examples[start : start + CHUNK], lambda _: True)[0]


def measure(learner: Learner, batcher: Batcher, examples: Sequence[Example]) -> Quality:
    """Quality of the first head on these lists, without learning."""
    labels, scores, lists = [], [], []
    for number, batch in enumerate(chunks(batcher, examples)):
        labels.append(batch.labels[:, 0])
        scores.append(learner.predict(batch)[:, 0])
        lists.append(batch.list + number * CHUNK)
    return Quality.of(*(np.concatenate(part) if part else np.zeros(0) for part in (labels, scores, lists)))  # type: ignore[arg-type]


def _numbers(batcher: Batcher, examples: Sequence[Example]) -> NDArray[np.float32] | None:
    """The dense features (rows, U + C) of some :data:`SURVEYED` lists that lie evenly among these; none without a list."""
    surveyed = examples[:: max(1, len(examples) // SURVEYED)]
    return np.concatenate([batch.numbers() for batch in chunks(batcher, surveyed)]) if surveyed else None


def _rate(examples: Sequence[Example]) -> float:
    """Share of positives, kept away from 0 and 1."""
    rows = sum(len(example.impression.items) for example in examples)
    positives = sum(len({outcome.index for outcome in example.outcomes}) for example in examples)
    return min(max(positives / max(rows, 1), 0.001), 0.999)
