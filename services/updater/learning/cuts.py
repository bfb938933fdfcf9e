"""Batches cut and joined, and as plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from services.updater.learning.histories import Histories
from shared.bundles.files import TABLES
from shared.messages import Origin

I8 = NDArray[np.int64]
BY_LIST = ("kinds", "time", "history", "user_features")
BY_ROW = ("text", "candidate_features", "log_odds", "served", "labels", "late", "counted")


def joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several, at least one; its histories are all of theirs."""
    lists = np.cumsum([0, *(len(batch.kinds) for batch in batches)])[:-1]
    histories = np.cumsum([0, *(len(batch.histories) for batch in batches)])[:-1]
    moved = [
        replace(batch, list=batch.list + first, history=batch.history + shift)
        for batch, first, shift in zip(batches, lists.tolist(), histories.tolist(), strict=True)
    ]
    return replace(
        batches[0],
        list=np.concatenate([batch.list for batch in moved]),
        origins=tuple(origin for batch in batches for origin in batch.origins),
        histories=Histories.joined([batch.histories for batch in batches]),
        keys={name: np.concatenate([batch.keys[name] for batch in batches]) for name in TABLES},
        **{name: np.concatenate([getattr(batch, name) for batch in moved]) for name in (*BY_LIST, *BY_ROW)},
    )


def rows_of(batch: Batch, lists: I8) -> I8:
    """The rows of these lists, in their order."""
    starts, ends = np.searchsorted(batch.list, lists), np.searchsorted(batch.list, lists, side="right")
    counts = ends - starts
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows: I8 = np.repeat(starts, counts) + steps
    return rows


def cut(batch: Batch, lists: I8, rows: I8 | None = None) -> Batch:
    """These lists alone, in this order, or these rows of them, each its list's only one; the histories are shared, not copied."""
    chosen = rows_of(batch, lists) if rows is None else rows
    order = np.argsort(lists)
    number = order[np.searchsorted(lists, batch.list[chosen], sorter=order)] if rows is None else np.arange(len(chosen))
    return replace(
        batch,
        list=number,
        origins=tuple(batch.origins[one] for one in lists.tolist()),
        keys={name: column[chosen] for name, column in batch.keys.items()},
        **{name: getattr(batch, name)[lists] for name in BY_LIST},
        **{name: getattr(batch, name)[chosen] for name in BY_ROW},
    )


def first_rows(batch: Batch, count: int) -> Batch:
    """The batch cut to its first ``count`` rows at most; its lists stay."""
    keys = {name: column[:count] for name, column in batch.keys.items()}
    return replace(batch, keys=keys, **{name: getattr(batch, name)[:count] for name in ("list", *BY_ROW)})


def own_histories(batch: Batch) -> Batch:
    """The same with no more histories than its lists have."""
    used, history = np.unique(batch.history, return_inverse=True)
    return replace(batch, histories=batch.histories.part(used), history=history)


def arrays(batch: Batch) -> dict[str, NDArray[Any]]:
    """All of it but where its lists came from."""
    columns = {name: getattr(batch, name) for name in ("list", *BY_LIST, *BY_ROW)}
    columns |= {f"keys.{name}": column for name, column in batch.keys.items()}
    return columns | {f"histories.{name}": getattr(batch.histories, name) for name in Histories.__slots__}


def of_arrays(columns: Mapping[str, NDArray[Any]]) -> Batch:
    """What :func:`arrays` gave; its lists are numbered where they came from."""
    return Batch(
        origins=tuple(Origin("lists", 0, number) for number in range(len(columns["kinds"]))),
        keys={name: columns[f"keys.{name}"] for name in TABLES},
        histories=Histories(**{name: columns[f"histories.{name}"] for name in Histories.__slots__}),
        **{name: columns[name] for name in ("list", *BY_LIST, *BY_ROW)},
    )
