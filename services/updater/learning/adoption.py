"""Take over a checkpoint of an earlier model: its features' columns are matched by name, and what it lacks begins at nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.updater.learning.rows import Arrays
from shared.bundles.files import BIN_PARTS, FIELDS, KNOTS, POOLING
from shared.errors import BadSettings
from shared.messages import Inputs
from shared.tasks import Task

FIRST_LAYER = "layers.0.weight"
BINNED = ("bins_linear", "bins_projection")


def taken_over(
    state: Mapping[str, NDArray[Any]], task: Task, inputs: Inputs, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Inputs, dict[str, Arrays]]:
    """A learner's state for this task's model, by part, and the features that it was of.

    Args:
        state: as a checkpoint has it, ``part/name``.
        task, inputs: whose model goes on with it.
        shapes: of that model's weights, by name.

    Raises:
        BadSettings: the state's model has another shape.
    """
    parts: dict[str, Arrays] = {}
    for name, array in state.items():
        part, rest = name.split("/", 1)
        parts.setdefault(part, {})[rest] = array
    before, bins = msgspec.json.decode(parts["learner"]["inputs"].tobytes(), type=Inputs), task.model.bins
    if KNOTS in parts["learner"] and parts["learner"][KNOTS].shape[1] != bins + 1:
        raise _misfit("bins", task)
    if before != inputs or KNOTS not in parts["learner"]:
        parts = Adoption(before, inputs, task.model.dim, bins).of(parts)
    for name in {POOLING, *BINNED} & shapes.keys():  # a checkpoint of before they were there has none
        for weights in (parts["dense"], parts.get("average", {})):
            weights.setdefault(name, np.zeros(shapes[name], np.float32))
    for name, shape in shapes.items():
        if parts["dense"][name].shape != shape:
            raise _misfit(name, task)
    return before, parts


def _misfit(what: str, task: Task) -> BadSettings:
    return BadSettings(
        f"the checkpoint's {what} are not those of the task {task.name!r}: put its model's settings back as they were, or "
        "import the history again for a base of the new shape"
    )


@dataclass(frozen=True, slots=True)
class Adoption:
    """From the features of a checkpoint to those of a model.

    Args:
        before: the checkpoint's.
        after: the model's.
        dim: width of the field vectors.
        bins: of each feature, in both; a checkpoint of before bins were there has none.
    """

    before: Inputs
    after: Inputs
    dim: int
    bins: int

    def of(self, parts: dict[str, Arrays]) -> dict[str, Arrays]:
        """The same state in the new columns. A feature that emerged starts at weight zero and without bins, one that vanished is
        dropped."""
        source = self._source()
        layer, bins = self._layer(source, binned=KNOTS in parts["learner"]), self._bins(source)
        moved = {
            part: {
                name: _pick(array, layer if name.startswith(FIRST_LAYER) else bins)
                for name, array in arrays.items()
                if name.startswith((FIRST_LAYER, *BINNED)) and array.ndim  # AdamW's count of steps has no columns
            }
            for part, arrays in parts.items()
            if part in ("dense", "average", "optimiser")
        }
        moved["moments"] = {name: _pick(array, source) for name, array in parts["moments"].items()}
        if KNOTS in parts["learner"]:
            moved["learner"] = {KNOTS: _pick(parts["learner"][KNOTS].T, source).T}
        return {part: arrays | moved.get(part, {}) for part, arrays in parts.items()}

    def _source(self) -> NDArray[np.int64]:
        """The old dense column of each new one; -1 for one that emerged."""
        places = {("user", name): i for i, name in enumerate(self.before.user)}
        places |= {("candidate", name): i + len(self.before.user) for i, name in enumerate(self.before.candidate)}
        wanted = [("user", name) for name in self.after.user] + [("candidate", name) for name in self.after.candidate]
        return np.array([places.get(name, -1) for name in wanted], np.int64)

    def _bins(self, source: NDArray[np.int64]) -> NDArray[np.int64]:
        """The old bin of each new one."""
        return np.where(source[:, None] < 0, -1, source[:, None] * self.bins + np.arange(self.bins)).ravel()

    def _layer(self, source: NDArray[np.int64], *, binned: bool) -> NDArray[np.int64]:
        """The old column of the first layer's input for each new one: fields, dense features, cosine, what the bins bring."""
        fields, dense = len(FIELDS) * self.dim, len(self.before.user) + len(self.before.candidate)
        parts = np.arange(BIN_PARTS if self.bins else 0) + fields + dense + 1
        return np.concatenate(
            [np.arange(fields), np.where(source < 0, -1, source + fields), [fields + dense], parts if binned else 0 * parts - 1]
        )


def _pick(array: NDArray[np.generic], columns: NDArray[np.int64]) -> NDArray[np.generic]:
    """These columns of the last axis, zeros for -1."""
    padded = np.concatenate([array, np.zeros((*array.shape[:-1], 1), array.dtype)], axis=-1)
    return np.ascontiguousarray(padded[..., columns])
