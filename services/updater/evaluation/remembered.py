"""What the test step remembers, as arrays of a checkpoint: after a restart the gate sees on at once.

Windows stand one after another, the settled ones first; ``rows`` cuts them. A challenger's predictions are NaN in windows from
before it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.prequential import Measured, Prequential
from services.updater.learning.rows import Arrays
from shared.messages import Impression, Origin

PREFIX = "prequential/"


def saved(prequential: Prequential) -> Arrays:
    """The arrays; :func:`recall` reads them."""
    windows = [*prequential.settled, *prequential.waiting]
    rivals = sorted({name for measured in windows for name in measured.rivals})
    arrays: Arrays = {
        "settled": np.array(len(prequential.settled)),
        "tested": np.array(prequential.tested),
        "planned_at": np.array([measured.planned_at for measured in windows], np.float64),
        "rows": np.array([len(measured) for measured in windows], np.int64),
        "groups": _joined([measured.groups for measured in windows], np.int64),
        "labels": _joined([measured.labels for measured in windows], np.float64),
        "cold": _joined([measured.cold for measured in windows], np.bool_),
        "new": _joined([measured.new for measured in windows], np.bool_),
        "young": _joined([measured.young for measured in windows], np.bool_),
        "lists": np.array(
            [
                (number, origin.partition, origin.offset, row)
                for number, measured in enumerate(windows)
                for origin, row in measured.first.items()
            ],
            np.int64,
        ).reshape(-1, 4),
        "shown": np.array(list(prequential.exposures), np.uint64),
        "shown_times": np.array(list(prequential.exposures.values()), np.int64),
    }
    for name in ("live", "calibrated", "served", "frozen"):
        arrays[f"scores/{name}"] = _joined([measured.scores[name] for measured in windows], np.float64)
    for name in rivals:
        unknown = (np.full(len(measured), np.nan) for measured in windows)
        parts = [measured.rivals.get(name, nothing) for measured, nothing in zip(windows, unknown, strict=True)]
        arrays[f"rivals/{name}"] = _joined(parts, np.float64)
    return {PREFIX + name: array for name, array in arrays.items()}


def recall(prequential: Prequential, state: Mapping[str, NDArray[Any]]) -> None:
    """Remember what :func:`saved` gave; a checkpoint from before there was such a thing leaves all as it is."""
    arrays: dict[str, NDArray[Any]] = {name.removeprefix(PREFIX): array for name, array in kept(state).items()}
    if not arrays:
        return
    ends, settled = np.cumsum(arrays["rows"]), int(arrays["settled"])
    for number, (end, rows) in enumerate(zip(ends.tolist(), arrays["rows"].tolist(), strict=True)):
        span, lists = slice(end - rows, end), arrays["lists"][arrays["lists"][:, 0] == number]
        columns = {name: array[span].copy() for name, array in arrays.items() if name.startswith(("scores/", "rivals/"))}
        measured = Measured(
            planned_at=float(arrays["planned_at"][number]),
            groups=arrays["groups"][span],
            labels=arrays["labels"][span].copy(),
            scores={"calibrated": columns["scores/live"], **_of(columns, "scores/")},
            cold=arrays["cold"][span],
            first={Origin(Impression.topic, partition, offset): row for _, partition, offset, row in lists.tolist()},
            rivals={name: column for name, column in _of(columns, "rivals/").items() if not np.isnan(column).all()},
            # neither is in a checkpoint from before it was noted
            new=arrays["new"][span] if "new" in arrays else np.zeros(rows, np.bool_),
            young=arrays["young"][span] if "young" in arrays else np.zeros(rows, np.bool_),
        )
        (prequential.settled if number < settled else prequential.waiting).append(measured)
    prequential.exposures |= zip(arrays["shown"].tolist(), arrays["shown_times"].tolist(), strict=True)
    prequential.tested = int(arrays["tested"])


def kept(state: Mapping[str, NDArray[Any]]) -> Arrays:
    """A checkpoint's part that :func:`recall` reads, for a checkpoint that is made from it."""
    return {name: array for name, array in state.items() if name.startswith(PREFIX)}


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _of(columns: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[np.float64]]:
    return {name.removeprefix(prefix): column for name, column in columns.items() if name.startswith(prefix)}
