"""Decides whether a bundle may be served: every bundle by its weights, and now and then the whole of learning by its quality."""

from collections.abc import Iterable
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.metrics import losses
from services.updater.evaluation.prequential import Measured, slices
from shared.tasks import GateSettings

F4 = NDArray[np.float32]


class Gate:
    """The task's limits, and the canaries: rows whose scores may not jump between two bundles."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings

    def weights(self, arrays: Iterable[F4]) -> str:
        """Why these weights may not be served; empty where they may."""
        for array in arrays:
            if not np.isfinite(array).all():
                return "non_finite"
            if array.size and float(np.linalg.norm(array.reshape(-1, array.shape[-1]), axis=1).max()) > self._settings.max_norm:
                return "norm"
        return ""

    def canaries(self, served: F4, now: F4) -> str:
        """Why scores moved too far from those of the serving bundle; both (n,) of the same rows."""
        if not np.isfinite(now).all():
            return "non_finite"
        return "canary" if len(now) and float(np.abs(now - served).mean()) > self._settings.canary_shift else ""

    def enough(self, recent: Measured | None) -> TypeGuard[Measured]:
        """Whether there are settled rows enough to say anything."""
        return recent is not None and len(recent) >= self._settings.rows

    def quality(self, recent: Measured | None) -> str:
        """Why learning has gone wrong, by paired log loss over the settled rows and each slice; empty below ``rows`` rows.

        The predictions were made before the rows were learned, so they are honest ones.
        """
        if not self.enough(recent):
            return ""
        live = {name: losses(recent.labels, scores) for name, scores in recent.scores.items()}
        for rival, own in (("frozen", "live"), ("served", "calibrated" if "calibrated" in live else "live")):
            worse = live[own] - live[rival]
            for name, rows in slices(recent).items():
                if float(worse[rows].mean()) > self._settings.margin:
                    return f"quality_{rival}{'_' + name.rstrip('.') if name else ''}"
        return ""
