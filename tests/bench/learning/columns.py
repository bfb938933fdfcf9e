"""A whole set as one batch, and parts of it: made once by the project's own fold and assembly, then kept on disk."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch, Batcher
from shared.bundles.files import TABLES
from shared.messages import Example, Origin

I8 = NDArray[np.int64]
TOGETHER = 2_000
"""Lists that are turned into columns at once."""
BY_LIST = ("kinds", "time", "profile", "user_features")
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
    """One batch of several; its profiles are all of theirs."""
    lists = np.cumsum([0, *(len(batch.kinds) for batch in batches)])[:-1]
    profiles = np.cumsum([0, *(len(batch.profiles) for batch in batches)])[:-1]
    moved = [
        replace(batch, list=batch.list + first, profile=batch.profile + shift)
        for batch, first, shift in zip(batches, lists.tolist(), profiles.tolist(), strict=True)
    ]
    return replace(
        batches[0],
        list=np.concatenate([batch.list for batch in moved]),
        origins=tuple(origin for batch in batches for origin in batch.origins),
        profiles=np.concatenate([batch.profiles for batch in batches]),
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
    """These lists alone, in this order, or these rows of them, each its list's only one; the profiles are shared, not copied."""
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
    """Both, of one whole set: the second's lists after the first's, the profiles still shared."""
    both = joined([replace(first, profiles=first.profiles[:0]), replace(second, profiles=second.profiles[:0])])
    return replace(both, profiles=first.profiles)


def save(batch: Batch, file: Path) -> None:
    """Keep a whole set."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part.npz")
    columns = {name: getattr(batch, name) for name in ("list", "profiles", *BY_LIST, *BY_ROW)}
    np.savez(partial, **columns, **{f"keys.{name}": column for name, column in batch.keys.items()})
    partial.replace(file)


def load(file: Path) -> Batch:
    """What :func:`save` kept."""
    kept = np.load(file)
    return Batch(
        origins=tuple(Origin("lists", 0, number) for number in range(len(kept["kinds"]))),
        keys={name: kept[f"keys.{name}"] for name in TABLES},
        **{name: kept[name] for name in ("list", "profiles", *BY_LIST, *BY_ROW)},
    )
