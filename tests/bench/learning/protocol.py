"""The prequential protocol: predict a window's lists whole, then learn what was known at its end; labels arrive late.

An outcome that came before its window ended is part of its list. A later one reaches the project's learner as a correction, in the
window in which it arrives, as the joiner would send it. A rival cannot take a negative back: it learns a list once, in the window
in which the list's outcome arrives, or its attribution ends without one. Of an outcome that comes later still (0.5% on retail, 1.1%
on trivago) the project's learner never hears; the rivals, and what is trained anew, are told of it when attribution ends.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from services.updater.learning.cuts import cut, rows_of
from tests.bench.learning.columns import beside

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from a list to its outcome: log-normal, by median and p90; what takes longer than ``attribution`` is lost."""

    median: float
    p90: float
    attribution: float

    def draw(self, lists: int, seed: int) -> F8:
        """(m,) seconds."""
        rng = np.random.default_rng(seed)
        return rng.lognormal(np.log(self.median), np.log(self.p90 / self.median) / 1.2816, lists)


@dataclass(frozen=True)
class Stream:
    """A set ready to be played: its lists in time order with the moments at which their outcomes arrive.

    Args:
        batch: the whole set, with the true labels.
        arrival: (m,) when each list's outcome arrives; infinite where there is none, or it comes too late.
        attribution: seconds after which a list without an outcome counts as negative for good.
        start: lists before this number are history.
        wait: seconds after which a list comes to the learner, as the joiner emits it.
    """

    batch: Batch
    arrival: F8
    attribution: float
    start: int
    wait: float = 0.0

    @classmethod
    def of(cls, batch: Batch, delays: Delays, warm: float, wait: float = 0.0, seed: int = 7) -> "Stream":
        """The first ``warm`` of the lists are history, rounded to whole moments."""
        delay = delays.draw(len(batch.time), seed)
        positive = np.bincount(batch.list, batch.labels[:, 0], len(batch.time)) > 0
        arrival = np.where(positive & (delay <= delays.attribution), batch.time + delay, np.inf)
        start = int(np.searchsorted(batch.time, batch.time[int(warm * len(batch.time))]))
        return cls(batch, arrival, delays.attribution, start, wait)

    @cached_property
    def settled(self) -> F8:
        """(m,) when each list's label is known for good."""
        known: F8 = np.where(np.isfinite(self.arrival), self.arrival, self.batch.time + self.attribution)
        return known

    @cached_property
    def positives(self) -> I8:
        """(m,) the row of each list's positive; -1 where it has none."""
        rows = np.full(len(self.batch.time), -1)
        found = np.flatnonzero(self.batch.labels[:, 0] > 0)
        rows[self.batch.list[found]] = found
        return rows

    def part(self, first: int, last: int) -> "Stream":
        """History alone, as a stream of its own: from list ``first`` on it is played, before that it is history."""
        lists = np.arange(last)
        return Stream(cut(self.batch, lists), self.arrival[:last], self.attribution, first, self.wait)


@dataclass(frozen=True)
class Known:
    """What is known when a window ends.

    Args:
        stream: all of it; look at nothing but through this window.
        number: of the window.
        begin, end: seconds since 1970.
        first, last: lists shown in the window.
    """

    stream: Stream
    number: int
    begin: float
    end: float
    first: int
    last: int

    @property
    def shown(self) -> I8:
        """Lists shown in this window."""
        return np.arange(self.first, self.last)

    @property
    def settled(self) -> I8:
        """Live lists whose label became known for good in this window."""
        settled = self.stream.settled[: self.last]
        lists: I8 = np.flatnonzero((settled >= self.begin) & (settled < self.end))
        return lists[lists >= self.stream.start]

    def history(self) -> I8:
        """Every list, history's too, whose label is known for good by the end: what a full retrain may learn."""
        settled = self.stream.settled[: self.last]
        lists: I8 = np.flatnonzero((settled < self.end) | (np.arange(self.last) < self.stream.start))
        return lists

    def examples(self) -> Batch:
        """The lists that came with the outcomes so far, and corrections of those before, in the order of their coming."""
        stream, batch = self.stream, self.stream.batch
        first, last = np.searchsorted(batch.time + stream.wait, [self.begin, self.end]).clip(stream.start).tolist()
        emitted = np.arange(first, last)
        lists = cut(batch, emitted)
        late = stream.arrival[emitted] >= self.end
        labels = np.where(late[lists.list][:, None], np.float32(0), lists.labels)
        arrival = stream.arrival[stream.start : first]
        corrected = stream.start + np.flatnonzero((arrival >= self.begin) & (arrival < self.end))
        only = cut(batch, corrected, stream.positives[corrected])
        corrections = replace(only, kinds=np.ones(len(corrected), np.bool_), late=np.ones_like(only.late))
        came = np.concatenate([lists.time + stream.wait, stream.arrival[corrected]])
        return cut(beside(replace(lists, labels=labels), corrections), np.argsort(came, kind="stable"))


class Model(Protocol):
    """What takes part. It begins on history, then predicts and learns window by window."""

    def begin(self, stream: Stream, lists: I8) -> None:
        """Learn these lists, in their order, with their true labels."""

    def predict(self, rows: Batch) -> F8:
        """Probabilities (n,) of whole lists; nothing is learned."""

    def learn(self, known: Known) -> None:
        """Learn what became known in a window."""


class TrainedAnew:
    """For a :class:`Model` that learns by beginning again, on all that is known, once in ``period`` seconds; may be infinite."""

    begin: Callable[[Stream, I8], None]
    period: float
    due = -np.inf

    def learn(self, known: Known) -> None:
        """Begin again where it is due; the first time is a period after the first window."""
        if np.isneginf(self.due):
            self.due = known.end + self.period
        elif known.end >= self.due:
            self.begin(known.stream, known.history())
            self.due = known.end + self.period


def windows(stream: Stream, seconds: float) -> Iterator[Known]:
    """The live lists in windows of so many seconds, cut at whole multiples; windows without a list are left out."""
    time = stream.batch.time
    begin = -np.inf
    first, number = stream.start, 0
    while first < len(time):
        end = (np.floor(time[first] / seconds) + 1) * seconds
        last = int(np.searchsorted(time, end))
        yield Known(stream, number, float(begin), float(end), first, last)
        begin, first, number = end, last, number + 1


class Asked(Protocol):
    """Lists that are predicted at their time and never learned."""

    def between(self, begin: float, end: float) -> Batch:
        """Those of [begin, end), whole."""


def replay(stream: Stream, model: Model, seconds: float, asked: Asked | None = None) -> tuple[F8, F8]:
    """Predictions (n,) of every live row, each made before its window was learned, and those of what was asked beside."""
    model.begin(stream, np.arange(stream.start))
    scores, answers, end = [], [np.zeros(0)], -np.inf
    for known in windows(stream, seconds):
        # test: the window's lists, whole, by a model that has seen none of them
        scores.append(model.predict(cut(stream.batch, known.shown)))
        if asked is not None:
            answers.append(model.predict(asked.between(known.begin, known.end)))
        # train: what is known when the window ends
        model.learn(known)
        end = known.end
    if asked is not None:
        answers.append(model.predict(asked.between(end, np.inf)))
    return np.concatenate(scores), np.concatenate(answers)


def live_rows(stream: Stream) -> I8:
    """The rows that :func:`replay` predicts."""
    return rows_of(stream.batch, np.arange(stream.start, len(stream.batch.time)))
