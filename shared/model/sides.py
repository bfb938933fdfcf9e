"""The two sides that a score is the meeting of: rows of S = hidden[0] + dim + 1 numbers that simply add up.

A side's columns are its share of the first layer's sums, the sum of its field vectors, and all of its linear terms less half of its
vectors' squares (so that half the square of the total vector sum completes the FM term). Item, category and brand have one such row
each, so that a change to one row refreshes one row, and a candidate's side is three gathers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.messages import Inputs

F4 = NDArray[np.float32]

FIELDS = ("user", "hour", "weekday", "profile", "item", "category", "brand")
"""The first layer's input begins with these vectors, in this order."""

CHUNK = 4_096
"""Rows that are built at once: about a millisecond of work."""


def field_weights(weights: Mapping[str, F4], field: str, dim: int) -> F4:
    """The first layer's weights for one field, as (dim, hidden[0])."""
    start = FIELDS.index(field) * dim
    return np.ascontiguousarray(weights["layers.0.weight"][:, start : start + dim].T)


def user_weights(weights: Mapping[str, F4], dim: int, inputs: Inputs) -> F4:
    """The first layer's weights for user, hour, weekday, profile and the user's dense features, as (4·dim + U, hidden[0])."""
    layer, dense = weights["layers.0.weight"], len(FIELDS) * dim
    columns = [layer[:, : 4 * dim], layer[:, dense : dense + len(inputs.user)]]
    return np.ascontiguousarray(np.concatenate(columns, axis=1).T)


def candidate_weights(weights: Mapping[str, F4], dim: int, inputs: Inputs) -> F4:
    """What the candidate's own features and the cosine add to a side, as (C + 1, S)."""
    layer = weights["layers.0.weight"]
    own = layer[:, len(FIELDS) * dim + len(inputs.user) :].T  # (C + 1, hidden)
    columns = np.zeros((own.shape[0], own.shape[1] + dim + 1), np.float32)
    columns[:, : own.shape[1]] = own
    columns[-1, -1] = weights["cosine_weight"][0]
    return columns


def side(vectors: F4, linear: F4, hidden: F4, out: F4) -> None:
    """Write the sides of single fields.

    Args:
        vectors: (k, dim) the field's vectors.
        linear: (k,) their linear terms.
        hidden: (dim, hidden[0]) the first layer's weights for the field.
        out: (k, S) where to write.
    """
    width, dim = hidden.shape[1], vectors.shape[1]
    np.matmul(vectors, hidden, out=out[:, :width])
    out[:, width : width + dim] = vectors
    out[:, -1] = linear - 0.5 * np.einsum("kd,kd->k", vectors, vectors)


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Makes dense features comparable: x → clip((slog1p(x) − mean)·scale, ±5), slog1p(x) = sign(x)·log1p(|x|), and NaN → 0."""

    mean: F4
    scale: F4

    def __call__(self, values: F4) -> F4:
        """The same shape, (…, features)."""
        out = np.log1p(np.abs(values))
        np.copysign(out, values, out=out)
        out -= self.mean
        out *= self.scale
        np.clip(out, -5, 5, out=out)
        np.copyto(out, 0, where=np.isnan(out))
        return out
