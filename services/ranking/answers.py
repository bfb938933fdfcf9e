"""What scores become: an answer, its reasons, and the impression that is learned from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.ranking.explore import Drawn, Order
from services.ranking.requests import Answer, Ranked
from shared import traces
from shared.features.assemble import Features
from shared.keys import key
from shared.messages import Impression
from shared.model.explain import contributions
from shared.model.row_map import Rows
from shared.model.scorer import Scorer

F4 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scored:
    """Candidates with the very features that they were scored with."""

    scorer: Scorer
    ids: list[str]
    rows: Rows
    user_id: str
    now: float
    features: Features
    log_odds: F4 | None
    scores: F4
    """(n,) probability of the first label."""
    degraded: bool


def reasons_of(scored: Scored) -> dict[str, F4]:
    """What each group of inputs added to each candidate's logit: group → (n,)."""
    return contributions(scored.scorer, scored.features, scored.rows, key(scored.user_id), scored.now, scored.log_odds)


def values_of(scored: Scored) -> list[dict[str, float]]:
    """Each candidate's dense features by name, the user's among them."""
    inputs = scored.scorer.manifest.inputs
    user = dict(zip(inputs.user, scored.features.user.tolist(), strict=True))
    return [user | dict(zip(inputs.candidate, one, strict=True)) for one in scored.features.candidate.tolist()]


def answer_of(
    request_id: str,
    scored: Scored,
    order: Order,
    reasons: dict[str, F4] | None = None,
    values: list[dict[str, float]] | None = None,
) -> Answer:
    """The candidates in this order, with their reasons and values where asked for."""
    manifest, places, scores = scored.scorer.manifest, order.tolist(), scored.scores[order].tolist()
    items = [
        Ranked(
            scored.ids[place],
            score,
            position,
            {group: float(added[place]) for group, added in reasons.items()} if reasons else None,
            values[place] if values else None,
        )
        for position, (place, score) in enumerate(zip(places, scores, strict=True))
    ]
    return Answer(request_id, manifest.version, manifest.window, scored.degraded, items)


def impression_of(answer: Answer, task: str, scored: Scored, drawn: Drawn) -> Impression:
    """What was shown, with the very features it was scored with, and by what chance."""
    features, order = scored.features, drawn.order
    return Impression(
        request_id=answer.request_id,
        task=task,
        user_id=scored.user_id,
        time=scored.now,
        bundle=answer.bundle,
        inputs=scored.scorer.manifest.inputs,
        items=tuple(item.item_id for item in answer.items),
        scores=scored.scores[order].tobytes(),
        propensities=drawn.propensities,
        explored=drawn.explored,
        log_odds=b"" if scored.log_odds is None else scored.log_odds[order].tobytes(),
        user_features=features.user.tobytes(),
        candidate_features=features.candidate[order].tobytes(),
        history=features.history.tobytes(),
        history_weights=features.history_weights.tobytes(),
        degraded=scored.degraded,
        trace=traces.current(),
    )
