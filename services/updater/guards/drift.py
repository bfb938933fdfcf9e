"""Detectors of drift: they watch the prequential loss, the scores and the features, tell what they see, and change nothing.

A rate of learning that follows a detector was measured and does not pay: no gain in AUC, and 0.005 less where Page–Hinkley's false
alarms raise it. Against an abrupt change a shorter memory did better than any detector: ``row_decay`` 0.95 in
:class:`shared.tasks.LearningSettings`.

A detector is fed one number a window, a mean over its rows. The loss is that of the outcomes that came within the wait.
"""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.evaluation.metrics import log_loss
from services.updater.evaluation.prequential import Measured
from services.updater.learning.batches import Batch
from shared.messages import Inputs

if TYPE_CHECKING:
    from river.base import DriftDetector

DOUBT = 0.002
"""ADWIN's chance of a false alarm, shared among the features (Bifet and Gavaldà, 2007)."""
EXCESS, TOLERANCE = 5.0, 0.01
"""Page–Hinkley tells when the loss has been above its mean by ``TOLERANCE`` and by ``EXCESS`` nats in all, window by window."""
KSWIN_DOUBT = 1e-5
"""The p-value below which two samples of 30 windows' mean scores are not of one distribution (Kolmogorov–Smirnov)."""

Detectors = Mapping[tuple[str, str], "DriftDetector"]
"""(detector, what it watches) → itself."""


def detectors(inputs: Inputs) -> Detectors:
    """New ones. ``river`` takes seconds to import: not while a window waits."""
    from river.drift import ADWIN, KSWIN, PageHinkley

    features = (*inputs.user, *inputs.candidate)
    return {
        ("adwin", "loss"): ADWIN(delta=DOUBT),  # type: ignore[no-untyped-call]
        ("page_hinkley", "loss"): PageHinkley(delta=TOLERANCE, threshold=EXCESS, mode="up"),
        ("kswin", "score"): KSWIN(alpha=KSWIN_DOUBT, seed=7),
        **{("adwin", feature): ADWIN(delta=DOUBT / len(features)) for feature in features},  # type: ignore[no-untyped-call]
    }


class Drift:
    """The detectors of one life; a restart begins them anew."""

    def __init__(self, inputs: Inputs, log: BoundLogger, make: Callable[[Inputs], Detectors] = detectors) -> None:
        self._inputs, self._log, self._make = inputs, log, make
        self._detectors: Detectors = {}

    def begin(self) -> threading.Thread:
        """Make the detectors in a thread beside learning; windows until then are not watched."""
        thread = threading.Thread(target=self._begin, name="drift", daemon=True)
        thread.start()
        return thread

    def watch(self, batch: Batch, measured: Measured) -> list[tuple[str, str]]:
        """Take a window, as it was tested; which detectors told of drift, and what they watch."""
        found, signals = [], self._signals(batch, measured) if self._detectors else {}
        for (detector, name), one in self._detectors.items():
            if name in signals:
                one.update(signals[name])
                if one.drift_detected:
                    found.append((detector, name))
        for detector, name in found:
            exported.drift.labels(detector, name if name in ("loss", "score") else "feature").inc()
            self._log.warning("drift", detector=detector, watched=name)
        return found

    def _begin(self) -> None:
        self._detectors = self._make(self._inputs)

    def _signals(self, batch: Batch, measured: Measured) -> dict[str, float]:
        """One number each; what a window does not tell is left out."""
        lists = ~batch.kinds
        known: dict[str, float] = {}
        for names, values in (
            (self._inputs.user, batch.user_features[lists]),
            (self._inputs.candidate, batch.candidate_features[lists[batch.list]]),
        ):
            counts = (~np.isnan(values)).sum(0)
            sums = np.nan_to_num(values).sum(0, dtype=np.float64)
            known |= {name: float(sums[i] / counts[i]) for i, name in enumerate(names) if counts[i]}
        live = measured.scores["live"]
        told = {"loss": log_loss(measured.labels, live), "score": float(live.mean())} if len(measured) else {}
        return known | told
