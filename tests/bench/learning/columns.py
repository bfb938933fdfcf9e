"""A whole set as one batch, and parts of it: made once by the project's own fold and assembly, then kept on disk."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.histories import Histories
from shared.bundles.files import TABLES
from shared.messages import Example, Origin

I8 = NDArray[np.int64]
TOGETHER = 2_000
"""Lists that are turned into columns at once."""
BY_LIST = ("kinds", "time", "history", "user_features")
BY_ROW = ("text", "candidate_features", "log_odds", "served", "labels", "late", "counted")


def whole(batcher: Batcher, examples: Iterable[Example]) -> Batch:
    """All examples as one batch, its lists numbered from 0 in their order."""
    return joined([batcher.batch(part, lambda _: True)[0] for part in parts(examples, TOGETHER)])


def parts(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    """The examples so many at a time."""
    rest = iter(examples)
    while part := list(islice(rest, size)):
        yield part


def joined(batches: list[Batch]) -> Batch:
    """One batch of several; its histories are all of theirs."""
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


def beside(first: Batch, second: Batch) -> Batch:
    """Both, of one whole set: the second's lists after the first's, the histories still shared."""
    none = first.histories.part(np.zeros(0, np.int64))
    return replace(joined([replace(first, histories=none), replace(second, histories=none)]), histories=first.histories)


def save(batch: Batch, file: Path) -> None:
    """Keep a whole set."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part.npz")
    columns = {name: getattr(batch, name) for name in ("list", *BY_LIST, *BY_ROW)}
    columns |= {f"keys.{name}": column for name, column in batch.keys.items()}
    np.savez(partial, **columns, **{f"histories.{name}": getattr(batch.histories, name) for name in Histories.__slots__})
    partial.replace(file)


def load(file: Path) -> Batch:
    """What :func:`save` kept."""
    kept = np.load(file)
    return Batch(
        origins=tuple(Origin("lists", 0, number) for number in range(len(kept["kinds"]))),
        keys={name: kept[f"keys.{name}"] for name in TABLES},
        histories=Histories(**{name: kept[f"histories.{name}"] for name in Histories.__slots__}),
        **{name: kept[name] for name in ("list", *BY_LIST, *BY_ROW)},
    )
