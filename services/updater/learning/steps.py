"""What one step of learning takes, and a step's record on CUDA.

A step is some 200 small kernels: to launch them one by one takes the host longer than the GPU needs to run them. So a step is
recorded once, as a CUDA graph, and from then on the record is launched as one, on the tensors that it was made with.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.updater.learning.device import moved

I8 = NDArray[np.int64]


class Step(NamedTuple):
    """n rows of a batch on the device, k distinct table rows among them; L labels."""

    where: Tensor
    """(k,) the distinct table rows, globally; 0, a row that never moves, may stand there more than once."""
    places: Tensor
    """(n, 6) where in them each row's are."""
    text: Tensor
    """(n, T)."""
    profile: Tensor
    """(n, T)."""
    pooled: Tensor
    """(n, D) as the items' vectors were when the batch began: a step moves none of them for being in a history."""
    dense: Tensor
    """(n, U + C) normalised."""
    log_odds: Tensor
    """(n,)."""
    labels: Tensor
    """(n, L)."""
    late: Tensor
    """(n, L) 1 where the label is positive and was learned as negative."""
    weights: Tensor
    """(n, L) what each label counts."""
    share: Tensor
    """(L,) of the positives, those that are late."""

    def part(self, rows: slice) -> "Step":
        """The same table rows, and these of the batch's."""
        return Step._make([self.where, *(column[rows] for column in self[1:-1]), self.share])


class Record:
    """A step as CUDA replays it. Weights that lie elsewhere need another record.

    Args:
        move: what a step does: to tensors that stay where they are, with nothing that the host must read.
        like: a step with as many table rows as any to come. ``move`` does it thrice, so that libraries allocate what they need.
        rows: the batch's rows in a step at most.
    """

    def __init__(self, move: Callable[[Step], None], like: Step, rows: int) -> None:
        columns = (column.new_zeros(rows, *column.shape[1:]) for column in like[1:-1])
        self._given = Step._make([torch.zeros_like(like.where), *columns, torch.zeros_like(like.share)])
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                move(self._given)
        torch.cuda.current_stream().wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            move(self._given)

    def replay(self, step: Step) -> None:
        """Do this step; where it has fewer rows, what an earlier one left behind them counts nothing."""
        for given, column in zip(self._given, step, strict=True):
            given[: len(column)].copy_(column)
        self._given.weights[len(step.places) :].zero_()
        self._graph.replay()


def spans(count: int, size: int) -> list[slice]:
    """The slices that cut ``count`` rows into batches."""
    return [slice(start, start + size) for start in range(0, count, size)]


def steps_of(rows: I8, size: int, columns: Sequence[Tensor], share: Tensor, *, alike: bool) -> list[tuple[I8, Step]]:
    """A batch in steps of so many rows, each with its distinct table rows.

    All steps' table rows go to the device at once, so that none waits for a copy.

    Args:
        rows: (n, 6) table rows.
        size: of a step; the last may be shorter.
        columns: (n, …) on the device, what :class:`Step` has from ``text`` to ``weights``.
        share: the step's.
        alike: whether all steps have as many table rows, as recorded ones must: the unknown row fills them up.
    """
    parts = spans(len(rows), size)
    distinct, places = _placed(rows, parts)
    width = rows.shape[1] * size if alike else 0
    padded = [np.pad(one, (0, max(0, width - len(one)))) for one in distinct]
    where = torch.split(moved(np.concatenate(padded), share.device), [len(one) for one in padded])
    given = (moved(places, share.device), *columns)
    return [
        (unique, Step._make([mine, *(column[span] for column in given), share]))
        for unique, mine, span in zip(distinct, where, parts, strict=True)
    ]


def _placed(rows: I8, parts: list[slice]) -> tuple[list[I8], I8]:
    """The distinct ones among a batch's table rows (n, 6), step by step, and where in its step's each is (n, 6)."""
    found = [np.unique(rows[span], return_inverse=True) for span in parts]
    return [unique for unique, _ in found], np.concatenate([inverse.reshape(-1, rows.shape[1]) for _, inverse in found])
