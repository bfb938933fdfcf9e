"""The test step: predictions made before learning, kept until their labels have settled, then measured.

A label is not known when its list is learned: late outcomes come as corrections. So a window's predictions wait for some time, take
the corrections that arrive, and count from then on. Three predictions of one row are compared: the learner's, the score as served,
and the frozen base's.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.calibrator import applied, curves
from services.updater.evaluation.metrics import Quality, Sorted
from services.updater.learning.batches import Batch
from shared.bundles.manifest import Curve
from shared.messages import Example, Origin, Outcome

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
COLD = 20
"""An item shown less often than this is cold."""
SMALLEST_SLICE = 1_000
"""Rows below which a slice says nothing."""


class Model(Protocol):
    """What can be tested."""

    def predict(self, batch: Batch) -> F4:
        """Probabilities (n, L)."""


class Acquainted(Model, Protocol):
    """A model that tells whom and what it has met."""

    def new(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether the model does not know the user of each row (n,)."""

    def young(self, batch: Batch) -> NDArray[np.bool_]:
        """Whether the item of each row (n,) had its first event less than a week before, or none."""


@dataclass(slots=True)
class Measured:
    """A window's lists with their predictions; n rows."""

    planned_at: float
    groups: NDArray[np.int64]
    """(n,) whose list each row is of."""
    labels: F8
    """(n,) of the first head; corrections still move it."""
    scores: dict[str, F8]
    """``live``, ``calibrated`` (what would be served now), ``served`` and ``frozen``, each (n,)."""
    cold: NDArray[np.bool_]
    """(n,)."""
    first: dict[Origin, int]
    """Where each list begins."""
    rivals: dict[str, F8] = field(default_factory=dict)
    """The challengers' predictions by name, each (n,)."""
    new: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) whether the model did not know the user; empty where nobody looked."""
    young: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(n,) whether the item was young; empty where nobody looked."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class Prequential:
    """The rows of the last windows, waiting and settled.

    Args:
        label: the action of the first head.
        ripe_s: seconds until a row's label counts as settled, by the plans' times.
        rows: settled rows that are kept, at least.
        base: the frozen base, scored on the same rows.
        calibrator: the task's.
        curves: what is served with; see :meth:`calibrate`.
    """

    label: str
    ripe_s: float
    rows: int
    base: Model
    calibrator: str = "none"
    curves: Mapping[str, Curve] = field(default_factory=dict)
    waiting: deque[Measured] = field(default_factory=deque)
    settled: deque[Measured] = field(default_factory=deque)
    exposures: dict[int, int] = field(default_factory=dict)
    tested: int = 0

    def test(self, model: Acquainted, batch: Batch, planned_at: float, challengers: Mapping[str, Model] | None = None) -> None:
        """Predict a window's lists before they are learned."""
        if not len(batch):
            return
        rows = ~batch.kinds[batch.list]
        starts = np.searchsorted(batch.list[rows], np.arange(len(batch.kinds)))
        self.tested += int(rows.sum())
        live, new = model.predict(batch)[rows, 0].astype(np.float64), model.new(batch)[rows]
        self.waiting.append(
            Measured(
                planned_at=planned_at,
                groups=batch.list[rows],
                labels=batch.labels[rows, 0].astype(np.float64),
                scores={
                    "live": live,
                    "calibrated": applied(self.curves, live, new),
                    "served": batch.served[rows].astype(np.float64),
                    "frozen": self.base.predict(batch)[rows, 0].astype(np.float64),
                },
                cold=self._expose(batch.keys["item"][rows]),
                first={origin: int(starts[i]) for i, origin in enumerate(batch.origins) if not batch.kinds[i]},
                rivals={name: one.predict(batch)[rows, 0].astype(np.float64) for name, one in (challengers or {}).items()},
                new=new,
                young=model.young(batch)[rows],
            )
        )

    def correct(self, examples: Iterable[Example]) -> None:
        """Let late outcomes move the labels that still wait.

        An outcome that came later than ``ripe_s`` counts for no row: where windows lie far apart, some would have waited longer
        for their labels than others.
        """
        for example in examples:
            if example.kind == "correction" and example.corrects and self._counts(example.outcomes[0]):
                for measured in self.waiting:
                    if (start := measured.first.get(example.corrects)) is not None:
                        measured.labels[start + example.position] = 1

    def ripen(self, now: float) -> list[Measured]:
        """Settle what has waited long enough, and return it."""
        ripe = []
        while self.waiting and self.waiting[0].planned_at + self.ripe_s <= now:
            ripe.append(self.waiting.popleft())
        self.settled += ripe
        held = sum(map(len, self.settled))
        while self.settled and held - len(self.settled[0]) >= self.rows:
            held -= len(self.settled.popleft())
        return ripe

    def promote(self, challenger: str) -> None:
        """A challenger is live from now on, by the predictions that it made; windows from before it say nothing of it."""
        for kept in (self.waiting, self.settled):
            parts = [part for part in kept if challenger in part.rivals]
            kept.clear()
            kept.extend(parts)
            for part in parts:
                part.scores["live"] = part.scores["calibrated"] = part.rivals.pop(challenger)
        self.curves = {}

    def calibrate(self) -> None:
        """Fit the curves anew to the settled rows; while there are none, what is served stays."""
        recent = self.recent()
        if self.calibrator != "none" and recent is not None and len(recent.new):
            self.curves = curves(self.calibrator, recent.labels, recent.scores["live"], recent.new)

    def recent(self) -> Measured | None:
        """All settled rows as one; ``None`` while there are none."""
        if not self.settled:
            return None
        parts = list(self.settled)
        shifts = np.cumsum([0] + [int(part.groups.max(initial=-1)) + 1 for part in parts])
        return Measured(
            planned_at=parts[0].planned_at,
            groups=np.concatenate([part.groups + shift for part, shift in zip(parts, shifts.tolist(), strict=False)]),
            labels=np.concatenate([part.labels for part in parts]),
            scores={name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
            cold=np.concatenate([part.cold for part in parts]),
            first={},
            new=np.concatenate([part.new for part in parts]),
            young=np.concatenate([part.young for part in parts]),
        )

    def measure(self) -> dict[str, float]:
        """Every metric of every prediction: ``live.auc``, ``frozen.cold.logloss``, ...; empty while nothing has settled."""
        recent = self.recent()
        if recent is None:
            return {}
        measures = {"rows": float(len(recent)), "positives": float(recent.labels.sum())}
        parts = slices(recent)
        for name, scores in recent.scores.items():
            if name == "calibrated" and not self.curves:
                continue  # the same as live
            whole = Sorted.of(recent.labels, scores, recent.groups)
            for part, rows in parts.items():
                measures |= {f"{name}.{part}{metric}": value for metric, value in _metrics(whole.part(rows).quality()).items()}
        return measures

    def _counts(self, outcome: Outcome) -> bool:
        return outcome.action == self.label and outcome.delay <= self.ripe_s

    def _expose(self, items: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Whether each shown item was cold, then count the showing."""
        keys, inverse, counts = np.unique(items, return_inverse=True, return_counts=True)
        before = np.array([self.exposures.get(key, 0) for key in keys.tolist()])
        self.exposures.update(zip(keys.tolist(), (before + counts).tolist(), strict=True))
        cold: NDArray[np.bool_] = (before < COLD)[inverse]
        return cold


def slices(measured: Measured) -> Mapping[str, NDArray[np.bool_]]:
    """The rows that are looked at apart: by how often the item was shown, by whether the user is known, by the item's age.

    The name ends the metric's prefix, and is empty for all rows.
    """
    parts = {"": np.ones(len(measured), np.bool_), "cold.": measured.cold, "warm.": ~measured.cold}
    if len(measured.new):
        parts |= {"new.": measured.new, "known.": ~measured.new}
    if measured.young.any():
        parts |= {"young.": measured.young, "old.": ~measured.young}
    return {name: rows for name, rows in parts.items() if not name or rows.sum() >= SMALLEST_SLICE}


def _metrics(quality: Quality) -> dict[str, float]:
    measures = {"auc": quality.auc, "logloss": quality.log_loss, "ece": quality.ece, "group_auc": quality.group_auc}
    return {name: value for name, value in measures.items() if np.isfinite(value)}
