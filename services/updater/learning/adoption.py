"""Take over a checkpoint whose dense features differ: columns are matched by name."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.rows import Arrays
from shared.bundles.files import FIELDS
from shared.messages import Inputs

FIRST_LAYER = "layers.0.weight"


@dataclass(frozen=True, slots=True)
class Adoption:
    """From the features of a checkpoint to those of a model; ``dim`` is the field vectors' width."""

    before: Inputs
    after: Inputs
    dim: int

    def of(self, parts: dict[str, Arrays]) -> dict[str, Arrays]:
        """The same state in the new columns. A feature that emerged starts at weight zero, one that vanished is dropped."""
        fields, dense = len(FIELDS) * self.dim, len(self.before.user) + len(self.before.candidate)
        source = self._source()
        columns = np.concatenate([np.arange(fields), np.where(source < 0, -1, source + fields), [fields + dense]])
        moments = [f"{FIRST_LAYER}.exp_avg", f"{FIRST_LAYER}.exp_avg_sq"]
        first = {"dense": [FIRST_LAYER], "average": [FIRST_LAYER], "optimiser": moments}
        moved = {
            part: {name: _pick(parts[part][name], columns) for name in names if name in parts[part]}
            for part, names in first.items()
            if part in parts
        }
        moved["moments"] = {name: _pick(array, source) for name, array in parts["moments"].items()}
        return {part: arrays | moved.get(part, {}) for part, arrays in parts.items()}

    def _source(self) -> NDArray[np.int64]:
        """The old dense column of each new one; -1 for one that emerged."""
        places = {("user", name): i for i, name in enumerate(self.before.user)}
        places |= {("candidate", name): i + len(self.before.user) for i, name in enumerate(self.before.candidate)}
        wanted = [("user", name) for name in self.after.user] + [("candidate", name) for name in self.after.candidate]
        return np.array([places.get(name, -1) for name in wanted], np.int64)


def _pick(array: NDArray[np.generic], columns: NDArray[np.int64]) -> NDArray[np.generic]:
    """These columns of the last axis, zeros for -1."""
    padded = np.concatenate([array, np.zeros((*array.shape[:-1], 1), array.dtype)], axis=-1)
    return np.ascontiguousarray(padded[..., columns])
