"""From impressions, receipts and the base bundle to rows that can be judged."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.local.report.quality import Rows
from services.shopper.log import Accepted, Asked
from services.updater.evaluation.metrics import auc
from shared.keys import key, keys
from shared.messages import Impression
from shared.model.scorer import Scorer

F4 = NDArray[np.float32]


@dataclass(slots=True)
class Logged:
    """The features as they were served, in the order of the bundle that reads them."""

    user: F4
    candidate: F4
    history: NDArray[np.uint64]
    history_weights: F4


def base_scores(base: Scorer, impression: Impression) -> NDArray[np.float64]:
    """What the base bundle would have said of the very features that were logged. Shape (n,).

    Inputs are matched by name; one that the impression lacks is unknown to the base.
    """
    n = len(impression.items)
    features = Logged(
        user=_columns(np.frombuffer(impression.user_features, "<f4")[None], impression.inputs.user, base.manifest.inputs.user)[0],
        candidate=_columns(
            np.frombuffer(impression.candidate_features, "<f4").reshape(n, -1),
            impression.inputs.candidate,
            base.manifest.inputs.candidate,
        ),
        history=np.frombuffer(impression.history, "<u8"),
        history_weights=np.frombuffer(impression.history_weights, "<f4"),
    )
    log_odds = np.frombuffer(impression.log_odds, "<f4") if impression.log_odds else None
    scores = base.score(features, keys(impression.items), key(impression.user_id), impression.time, log_odds)
    return scores[:, 0].astype(np.float64)


def _columns(values: F4, has: Sequence[str], wants: Sequence[str]) -> F4:
    if tuple(has) == tuple(wants):
        return values
    at = {name: column for column, name in enumerate(has)}
    unknown = np.full((len(values), 1), np.nan, np.float32)
    return np.concatenate([values[:, [at[name]]] if name in at else unknown for name in wants], axis=1)


def judged(
    asked: Iterable[Asked],
    accepted: Iterable[Accepted],
    impressions: Mapping[str, Impression],
    base: Scorer | None,
    shown_before: Mapping[str, int] | None = None,
) -> Rows:
    """One row for each shown item, in the order served.

    Args:
        asked: the play's requests.
        accepted: its receipts: what was bought.
        impressions: by request_id. Degraded ones are left out: nothing learns from them.
        base: the base bundle; without it ``frozen`` is NaN.
        shown_before: item → lists of the history that it was in.
    """
    bought = {(line.request_id, line.item_id) for line in accepted if line.request_id and line.offset >= 0}
    shown = Counter(shown_before or {})
    labels, scores, base_says = list[float](), list[float](), list[float]()
    lists, users, exposures, windows = list[int](), list[int](), list[int](), list[int]()
    served = sorted((line for line in asked if line.request_id in impressions), key=lambda line: line.finished_wall)
    for number, line in enumerate(served):
        impression = impressions[line.request_id]
        if impression.degraded:
            continue
        live = np.frombuffer(impression.scores, "<f4").tolist()
        frozen = base_scores(base, impression).tolist() if base else [np.nan] * len(live)
        for item in impression.items:
            labels.append(float((line.request_id, item) in bought))
            exposures.append(shown[item])
            shown[item] += 1
        scores += live
        base_says += frozen
        lists += [number] * len(live)
        users += [key(impression.user_id) >> 1] * len(live)
        windows += [line.window] * len(live)
    floats = [np.array(column, np.float64) for column in (labels, scores, base_says)]
    numbers = [np.array(column, np.int64) for column in (lists, users, exposures, windows)]
    return Rows(floats[0], floats[1], floats[2], numbers[0], numbers[1], numbers[2], numbers[3])


def alone(asked: Iterable[Asked]) -> dict[str, float]:
    """AUC of what should say little: popularity, item age, and the place in the list as it was sent (about .5, or it leaks)."""
    lines = [line for line in asked if line.bought >= 0 and line.sales]
    if not lines:
        return {}
    labels = np.concatenate([np.arange(line.size) == line.bought for line in lines]).astype(np.float64)
    columns = {
        "popularity": np.concatenate([line.sales for line in lines]),
        "item_age": np.concatenate([line.ages for line in lines]),
        "position": np.concatenate([-np.arange(line.size, dtype=np.float64) for line in lines]),
    }
    return {name: auc(labels, column) for name, column in columns.items()}
