"""A whole set as one batch, made once by the project's own fold and assembly, then kept on disk."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from services.updater.learning.batches import Batch, Batcher
from services.updater.learning.cuts import arrays, joined, of_arrays
from shared.messages import Example

TOGETHER = 2_000
"""Lists that are turned into columns at once."""


def whole(batcher: Batcher, examples: Iterable[Example]) -> Batch:
    """All examples as one batch, its lists numbered from 0 in their order."""
    return joined([batcher.batch(part, lambda _: True)[0] for part in parts(examples, TOGETHER)])


def parts(examples: Iterable[Example], size: int) -> Iterator[list[Example]]:
    """The examples so many at a time."""
    rest = iter(examples)
    while part := list(islice(rest, size)):
        yield part


def beside(first: Batch, second: Batch) -> Batch:
    """Both, of one whole set: the second's lists after the first's, the histories still shared."""
    none = first.histories.part(np.zeros(0, np.int64))
    return replace(joined([replace(first, histories=none), replace(second, histories=none)]), histories=first.histories)


def save(batch: Batch, file: Path) -> None:
    """Keep a whole set."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part.npz")
    np.savez(partial, allow_pickle=False, **arrays(batch))
    partial.replace(file)


def load(file: Path) -> Batch:
    """What :func:`save` kept."""
    with np.load(file) as kept:
        return of_arrays({name: kept[name] for name in kept.files})
