"""What each group of inputs adds to a score: how far the logit falls when the group is replaced by what is usual.

Usual is the unknown row for an id, the mean for a dense feature (0 once normalised), no text for a text. Contributions of groups
that work together (FM, the layers) overlap, so they need not add up to the logit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.model.dense import Profile
from shared.model.row_map import Rows
from shared.model.scorer import Features, Scorer
from shared.model.sides import field_side

F4 = NDArray[np.float32]

GROUPS = ("user", "item", "history", "text", "category_brand", "user_counters", "item_counters", "pair", "context", "time")


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a score is made from, before it is put together."""

    moment: F4
    """(3, dim + 1) rows of user, hour and weekday."""
    item: F4
    """(n, dim + 1) the items' rows."""
    category_brand: F4
    """(n, S) both sides added."""
    texts: F4
    """(n, text_dim)."""
    profile: Profile
    user: F4
    """(U,) normalised."""
    candidate: F4
    """(n, C) normalised."""


def contributions(
    scorer: Scorer, features: Features, rows: Rows, user: int, time: float, log_odds: F4 | None = None
) -> dict[str, NDArray[np.float32]]:
    """What each group adds to the first label's logit of each candidate: group → (n,); arguments as of ``Scorer.score_rows``."""
    parts = _parts(scorer, features, rows, user, time)
    columns = scorer.manifest.inputs.candidate
    whole = _logits(scorer, parts, log_odds)
    return {group: whole - _logits(scorer, _without(group, columns)(parts), log_odds) for group in GROUPS}


def _without(group: str, columns: tuple[str, ...]) -> Callable[[Parts], Parts]:
    """What takes a group out."""
    prefix = {"item_counters": "item.", "pair": "pair.", "context": "context."}.get(group)
    if prefix:
        kept = np.array([not name.startswith(prefix) for name in columns], np.float32)
        return lambda parts: replace(parts, candidate=parts.candidate * kept)
    return {
        "user": lambda parts: replace(parts, moment=parts.moment * np.array([[0], [1], [1]], np.float32)),
        "time": lambda parts: replace(parts, moment=parts.moment * np.array([[1], [0], [0]], np.float32)),
        "item": lambda parts: replace(parts, item=np.zeros_like(parts.item)),
        "history": lambda parts: replace(parts, profile=replace(parts.profile, pooled=0 * parts.profile.pooled)),
        "text": lambda parts: replace(parts, texts=0 * parts.texts, profile=replace(parts.profile, text=0 * parts.profile.text)),
        "category_brand": lambda parts: replace(parts, category_brand=np.zeros_like(parts.category_brand)),
        "user_counters": lambda parts: replace(parts, user=np.zeros_like(parts.user)),
    }[group]


def _parts(scorer: Scorer, features: Features, rows: Rows, user: int, time: float) -> Parts:
    sides, attributes = scorer.sides.rows, scorer.sides.attributes[rows]
    return Parts(
        moment=scorer.moment_rows(user, time),
        item=scorer.tables["item"].values[rows],
        category_brand=sides["category"][attributes[:, 0]] + sides["brand"][attributes[:, 1]],
        texts=scorer.texts.vectors[attributes[:, 2]],
        profile=scorer.profile(features),
        user=scorer.dense.user(features.user),
        candidate=scorer.dense.candidate(features.candidate),
    )


def _logits(scorer: Scorer, parts: Parts, log_odds: F4 | None) -> F4:
    """The first label's logits. (n,)."""
    user = scorer.dense.user_side(parts.moment, parts.profile, parts.user)
    items = field_side("item", parts.item, parts.texts, scorer.dense) + parts.category_brand
    candidate = np.column_stack([parts.candidate, parts.texts @ parts.profile.text])
    logits: F4 = scorer.run("logits", user, items, candidate, log_odds)[:, 0]
    return logits
