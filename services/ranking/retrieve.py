"""Exact retrieval: of all items, those whose factors agree best with the user's, by the model's own terms without its layers."""

import numpy as np
from numpy.typing import NDArray

from shared.model.scorer import Scorer

F4 = NDArray[np.float32]


def nearest(scorer: Scorer, user: F4, profile: F4, count: int) -> list[str]:
    """The ids of the nearest items, best first.

    An item's nearness is FM and the linear terms of its rows and text: ½‖s_user + s_item‖² + linear_item + cosine_weight·cosine,
    the logit less what the layers and the bins add and what is the same for all items. May run in a thread beside a swap.

    Args:
        scorer: the model.
        user: (S,) the user side.
        profile: (text_dim,).
        count: how many at most.
    """
    dim, table = scorer.dense.dim, scorer.tables["item"]
    keys = table.keys[: table.rows]
    rows = np.flatnonzero(keys)
    factors = _factors(scorer, rows, dim)  # (items, dim + 1)
    vectors = factors[:, :dim] + user[-dim - 1 : -1]
    cosines = scorer.texts.vectors @ profile
    near = 0.5 * np.einsum("nd,nd->n", vectors, vectors) + factors[:, dim]
    texts = scorer.sides.attributes[rows, 2]
    near += scorer.dense.weights["cosine_weight"][0] * cosines.take(texts, mode="clip")  # a swap may just have added a text
    best = np.argpartition(-near, count - 1)[:count] if count < len(near) else np.arange(len(near))
    best = best[np.argsort(-near[best], kind="stable")]
    names = scorer.texts.ids
    return [names[one] for one in keys[rows[best]].tolist() if one in names]


def _factors(scorer: Scorer, rows: NDArray[np.intp], dim: int) -> F4:
    """The items' vectors' sums and linear terms, without the layers' columns. (n, dim + 1)."""
    sides, attributes = scorer.sides.rows, scorer.sides.attributes[rows]
    out: F4 = sides["item"][rows, -dim - 1 :] + sides["category"][attributes[:, 0], -dim - 1 :]
    out += sides["brand"][attributes[:, 1], -dim - 1 :]
    return out
