"""The frozen base, asked once of each batch, however many want to know."""

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.prequential import Model
from services.updater.learning.batches import Batch


class Reference:
    """Remembers what the model said of the last batch; the model must not learn."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batch: Batch | None = None
        self._said: NDArray[np.float32] = np.zeros((0, 1), np.float32)

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """Probabilities (n, L)."""
        if self._batch is not batch:
            self._batch, self._said = batch, self._model.predict(batch)
        return self._said
