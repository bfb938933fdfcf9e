"""Examples as columns: one row for each shown item, in the order of the plan."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.catalogue import Assortment
from services.updater.learning.histories import Histories
from shared.errors import BadRecord
from shared.impressions import misfit
from shared.keys import key, keys
from shared.messages import Example, Impression, Inputs, Origin
from shared.model.moment import moment_keys

F4 = NDArray[np.float32]
U8 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Batch:
    """m lists with n shown items in all. A correction is a list of one item."""

    list: NDArray[np.int64]
    """(n,) whose list each row is of."""
    origins: tuple[Origin, ...]
    """m."""
    kinds: NDArray[np.bool_]
    """(m,) true for a correction."""
    time: NDArray[np.float64]
    """(m,) when the list was asked for: event time, seconds."""
    keys: dict[str, U8]
    """(n,) id of each table's row."""
    text: NDArray[np.int32]
    """(n,) row of the item's text."""
    histories: Histories
    """p; lists of one history share one."""
    history: NDArray[np.int64]
    """(m,) which of them is whose."""
    user_features: F4
    """(m, U) as served; NaN where unknown."""
    candidate_features: F4
    """(n, C) as served; NaN where unknown."""
    log_odds: F4
    """(n,)."""
    served: F4
    """(n,) the score as served."""
    labels: F4
    """(n, L)."""
    late: F4
    """(n, L) 1 where the label is positive and was learned as negative."""
    counted: F4
    """(n, L) 0 where the label is not known: a correction tells one head alone."""

    def __len__(self) -> int:
        return len(self.list)

    def numbers(self) -> F4:
        """(n, U + C) the dense features of each row."""
        return np.concatenate([self.user_features[self.list], self.candidate_features], axis=1)


@dataclass(slots=True)
class Refused:
    """Examples that no batch can hold, and why."""

    examples: list[tuple[Example, BadRecord]] = field(default_factory=list)
    degraded: int = 0
    """Served without the feature store: never learned."""


@dataclass(slots=True)
class _Row:
    """An example on its way into a batch."""

    example: Example
    labels: F4
    late: F4
    counted: F4


class Batcher:
    """Turns examples into batches for one model.

    Args:
        inputs: the model's dense features, by name. Of an impression's features those missing here are left out, and
            those it lacks are NaN.
        labels: actions, one head each.
        assortment: what is known of the items.
    """

    def __init__(self, inputs: Inputs, labels: tuple[str, ...], assortment: Assortment) -> None:
        self.inputs, self.labels, self.assortment = inputs, labels, assortment

    def batch(self, examples: Sequence[Example], learned: Callable[[Origin], bool]) -> tuple[Batch, Refused]:
        """One batch of these examples.

        A correction of a list in the same batch becomes part of it. One of a list that ``learned`` says was learned before
        revokes what was paid for the negative; any other is a plain positive.
        """
        refused = Refused()
        rows: dict[Origin, _Row] = {}
        for example in examples:
            try:
                self._take(example, rows, learned, refused)
            except BadRecord as error:
                refused.examples.append((example, error))
        return self._columns(list(rows.values())), refused

    def _take(self, example: Example, rows: dict[Origin, _Row], learned: Callable[[Origin], bool], refused: Refused) -> None:
        impression = example.impression
        check(example)
        if impression.degraded:
            refused.degraded += 1
            return
        if example.kind == "list":
            rows[example.origin] = self._list(example)
            return
        for outcome in example.outcomes:
            if outcome.action in self.labels:
                self._correct(example, self.labels.index(outcome.action), rows, learned)

    def _list(self, example: Example) -> _Row:
        shape = (len(example.impression.items), len(self.labels))
        labels = np.zeros(shape, np.float32)
        for outcome in example.outcomes:
            if outcome.action in self.labels:
                labels[outcome.index, self.labels.index(outcome.action)] = 1
        return _Row(example, labels, np.zeros(shape, np.float32), np.ones(shape, np.float32))

    def _correct(self, example: Example, label: int, rows: dict[Origin, _Row], learned: Callable[[Origin], bool]) -> None:
        assert example.corrects is not None
        index = example.position
        if (whole := rows.get(example.corrects)) is not None and index < len(whole.labels):
            whole.labels[index, label] = 1
            return
        only = np.zeros((1, len(self.labels)), np.float32)
        only[0, label] = 1
        rows[example.origin] = _Row(example, only, only * np.float32(learned(example.corrects)), only)

    def _columns(self, rows: list[_Row]) -> Batch:
        shown = [row.example.impression for row in rows]
        counts = np.array([len(impression.items) for impression in shown], np.int64)
        lists = np.repeat(np.arange(len(rows)), counts)
        time = np.array([impression.time for impression in shown], np.float64)
        item = _items(shown)
        category, brand, text = self.assortment.describe(item)
        histories, history = Histories.distinct(((i.history, i.history_weights) for i in shown), self.assortment)
        hour, weekday = moment_keys(time)
        labels = len(self.labels)
        return Batch(
            list=lists,
            origins=tuple(row.example.origin for row in rows),
            kinds=np.array([row.example.kind == "correction" for row in rows], np.bool_),
            time=time,
            keys={
                "user": keys(impression.user_id for impression in shown)[lists],
                "item": item,
                "category": category,
                "brand": brand,
                "hour": hour[lists],
                "weekday": weekday[lists],
            },
            text=text,
            histories=histories,
            history=history,
            user_features=self._named(shown, "user"),
            candidate_features=self._named(shown, "candidate"),
            log_odds=np.concatenate([_floats(i.log_odds, len(i.items)) for i in shown] or [np.zeros(0, np.float32)]),
            served=np.concatenate([_floats(i.scores, len(i.items)) for i in shown] or [np.zeros(0, np.float32)]),
            labels=_stacked([row.labels for row in rows], labels),
            late=_stacked([row.late for row in rows], labels),
            counted=_stacked([row.counted for row in rows], labels),
        )

    def _named(self, shown: Sequence[Impression], side: str) -> F4:
        """A side's features in the model's columns, matched by name."""
        wanted: tuple[str, ...] = getattr(self.inputs, side)
        parts = []
        for impression in shown:
            names: tuple[str, ...] = getattr(impression.inputs, side)
            rows = 1 if side == "user" else len(impression.items)
            values = np.frombuffer(getattr(impression, f"{side}_features"), "<f4").reshape(rows, len(names))
            parts.append(values if names == wanted else _matched(values, names, wanted))
        return _stacked(parts, len(wanted))


def check(example: Example) -> None:
    """Refuse an example whose parts do not fit together, or whose numbers would spoil the weights.

    Raises:
        BadRecord: ``shapes`` or ``values``, and which part.
    """
    impression = example.impression
    if wrong := misfit(impression):
        raise BadRecord("shapes", wrong)
    n = len(impression.items)
    if example.kind == "list" and any(not 0 <= outcome.index < n for outcome in example.outcomes):
        raise BadRecord("shapes", f"an outcome names an item outside the {n} shown")
    if example.kind == "correction" and (n != 1 or len(example.outcomes) != 1 or example.corrects is None):
        raise BadRecord("shapes", "a correction has one item, one outcome, and the list that it corrects")
    _check_values(impression)


def _check_values(impression: Impression) -> None:
    """All are finite, but that a feature may be NaN: unknown."""
    if not math.isfinite(impression.time):
        raise BadRecord("values", f"its time is {impression.time}")
    for name in ("scores", "log_odds", "history_weights"):
        if not np.isfinite(_floats(getattr(impression, name), 0)).all():
            raise BadRecord("values", f"{name} has a value that is not finite")
    for name in ("user_features", "candidate_features"):
        if np.isinf(_floats(getattr(impression, name), 0)).any():
            raise BadRecord("values", f"{name} has an infinite value")


def _items(shown: Iterable[Impression]) -> U8:
    known: dict[str, int] = {}
    return np.array([known.get(item) or known.setdefault(item, key(item)) for i in shown for item in i.items], np.uint64)


def _floats(data: bytes, count: int) -> F4:
    return np.frombuffer(data, "<f4") if data else np.zeros(count, np.float32)


def _stacked(parts: list[F4], columns: int) -> F4:
    return np.concatenate(parts) if parts else np.zeros((0, columns), np.float32)


def _matched(values: F4, names: tuple[str, ...], wanted: tuple[str, ...]) -> F4:
    place = {name: i for i, name in enumerate(names)}
    out = np.full((len(values), len(wanted)), np.nan, np.float32)
    for column, name in enumerate(wanted):
        if name in place:
            out[:, column] = values[:, place[name]]
    return out
