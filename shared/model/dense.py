"""The dense weights as serving uses them: cut by side once a bundle, and the user side they make once a request."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.bundles.files import BIN_PARTS, FIELDS, KNOTS, POOLING, bins_of, dense_shapes
from shared.bundles.manifest import Manifest
from shared.errors import BundleRefused
from shared.messages import Inputs
from shared.model.numbers import Bins, Normaliser

F4 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user deals with; zeros without a history."""

    text: F4
    """(text_dim,) the mean of the items' texts, of length 1."""
    pooled: F4
    """(dim,) the items' vectors by the square roots of their weights, which have length 1 together."""


class Dense:
    """One version of the dense part."""

    def __init__(self, weights: Mapping[str, F4], inputs: Inputs, dim: int) -> None:
        """Cut the weights (all of :func:`shared.bundles.files.dense_shapes`) by who needs them."""
        self.weights, self.inputs, self.dim = weights, inputs, dim
        users = len(inputs.user)
        self.user = Normaliser(weights["mean"][:users], weights["scale"][:users])
        self.candidate = Normaliser(weights["mean"][users:], weights["scale"][users:])
        self.fields = {name: _field_weights(weights, name, dim) for name in ("item", "category", "brand")}
        """(dim, hidden[0]) the first layer's weights for each field of the item side."""
        self.user_weights = _user_weights(weights, dim, inputs)
        self.user_bins = BinWeights.of(weights, dim, slice(0, users)) if bins_of(weights) else None

    @classmethod
    def checked(cls, weights: Mapping[str, F4], manifest: Manifest) -> "Dense":
        """The dense part of a bundle.

        Raises:
            BundleRefused: ``shapes`` for a weight that is missing, not known here, or of another shape, ``non_finite`` for values
                that are not numbers.
        """
        labels, bins = len(manifest.labels), bins_of(weights)
        shapes = dense_shapes(manifest.inputs, labels, manifest.dim, manifest.hidden, manifest.text_dim, bins)
        if unknown := sorted(weights.keys() - shapes.keys()):
            raise BundleRefused("shapes", f"its formula is not known here: what are the dense weights {', '.join(unknown)}?")
        for name, shape in shapes.items():
            found = weights.get(name)
            if found is None and name == POOLING:
                continue
            if found is None or found.shape != shape or found.dtype != np.float32:
                described = "missing" if found is None else f"{found.dtype} {found.shape}"
                raise BundleRefused("shapes", f"the dense weight {name} is {described}, it should be float32 {shape}")
            if not np.isfinite(found).all():
                raise BundleRefused("non_finite", f"the dense weight {name} holds values that are not finite numbers")
        return cls(weights, manifest.inputs, manifest.dim)

    def user_side(self, rows: F4, profile: Profile, normalised: F4) -> F4:
        """What a request brings to every candidate.

        Args:
            rows: (3, dim + 1) the values of user, hour and weekday.
            profile: what the user deals with.
            normalised: (U,) the user's dense features.

        Returns:
            (1, S): see ``sides.py``.
        """
        weights, dim = self.weights, self.dim
        width = self.user_weights.shape[1]
        vectors = np.empty((4, dim), np.float32)
        vectors[:3] = rows[:, :dim]
        np.matmul(weights["profile_projection"], profile.text, out=vectors[3])
        vectors[3] += weights["profile_projection_bias"]
        if POOLING in weights:
            vectors[3] += weights[POOLING] @ profile.pooled
        side = np.empty((1, width + dim + 1), np.float32)
        np.matmul(np.concatenate([vectors.ravel(), normalised]), self.user_weights, out=side[0, :width])
        side[0, :width] += weights["layers.0.bias"]
        np.sum(vectors, axis=0, out=side[0, width:-1])
        flat = vectors.ravel()
        side[0, -1] = weights["bias"][0] + rows[:, dim].sum() - 0.5 * (flat @ flat)
        if self.user_bins is not None:
            side[0] += self.user_bins(normalised)
        return side


@dataclass(frozen=True, slots=True)
class BinWeights:
    """What the bins of F features add to a side of S columns."""

    bins: Bins
    sums: F4
    """(F·B, BIN_PARTS + 1) what the first layer takes of them, then the linear weights."""
    columns: F4
    """(BIN_PARTS + 1, S) where these belong."""

    @classmethod
    def of(cls, weights: Mapping[str, F4], dim: int, features: slice) -> "BinWeights":
        """Of these among the dense features."""
        count = bins_of(weights)
        mine = slice(features.start * count, features.stop * count)
        sums = np.concatenate([weights["bins_projection"][:, mine], weights["bins_linear"][None, mine]]).T
        layer = weights["layers.0.weight"][:, -BIN_PARTS:].T  # (BIN_PARTS, hidden)
        columns = np.zeros((BIN_PARTS + 1, layer.shape[1] + dim + 1), np.float32)
        columns[:-1, : layer.shape[1]] = layer
        columns[-1, -1] = 1
        normaliser = Normaliser(weights["mean"][features], weights["scale"][features])
        return cls(Bins.of(weights[KNOTS][features], normaliser), np.ascontiguousarray(sums), columns)

    def __call__(self, normalised: F4) -> F4:
        """(F,) → (S,)."""
        parts: F4 = self.bins(normalised) @ self.sums
        added: F4 = parts @ self.columns
        return added


def candidate_weights(weights: Mapping[str, F4], dim: int, inputs: Inputs) -> F4:
    """What the candidate's own features and the cosine add to a side, as (C + 1, S)."""
    layer = weights["layers.0.weight"]
    start = len(FIELDS) * dim + len(inputs.user)
    own = layer[:, start : start + len(inputs.candidate) + 1].T  # (C + 1, hidden)
    columns = np.zeros((own.shape[0], own.shape[1] + dim + 1), np.float32)
    columns[:, : own.shape[1]] = own
    columns[-1, -1] = weights["cosine_weight"][0]
    return columns


def _field_weights(weights: Mapping[str, F4], field: str, dim: int) -> F4:
    start = FIELDS.index(field) * dim
    return np.ascontiguousarray(weights["layers.0.weight"][:, start : start + dim].T)


def _user_weights(weights: Mapping[str, F4], dim: int, inputs: Inputs) -> F4:
    """Of user, hour, weekday, profile and the user's dense features, as (4·dim + U, hidden[0])."""
    layer, dense = weights["layers.0.weight"], len(FIELDS) * dim
    columns = [layer[:, : 4 * dim], layer[:, dense : dense + len(inputs.user)]]
    return np.ascontiguousarray(np.concatenate(columns, axis=1).T)
