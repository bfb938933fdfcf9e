"""The user's tables: the items, categories and brands that a user deals with most, in the user's own row.

An entry that is not there yet takes an empty slot, or that of the entry with the smallest decayed weight.
"""

import numpy as np
from numpy.typing import NDArray

from shared.errors import BadSettings
from shared.features.decay import Reals
from shared.features.events import Events
from shared.features.plan import Field, Plan, Words
from shared.features.statistics import AMOUNTS, Actions, Vocabulary, horizon
from shared.features.turns import Numbers, Passage, Turns, in_rounds

Keys = NDArray[np.int64]


class Table:
    """One table of a plan, compiled once: columns of ``length`` words each, entry i at word i of each."""

    def __init__(self, plan: Plan, name: str, vocabulary: Vocabulary) -> None:
        fields = {field.tags["statistic"]: field for field in plan.fields if field.tags.get("table") == name}
        if not {"key", "weight"} <= fields.keys() or len({field.length for field in fields.values()}) != 1:
            raise BadSettings(f"{plan.view}: the table of {name} needs fields key and weight, all of one length")
        self.name, self.length, self.tau = name, fields["key"].length, horizon(fields["weight"])
        self.key, self.weight = plan.column(fields["key"].name), plan.column(fields["weight"].name)
        self.last = plan.column(fields["last"].name) if "last" in fields else None
        self.sums = [(plan.column(f.name), s, vocabulary.weights(f)) for s, f in fields.items() if s in AMOUNTS]
        self.width = plan.words
        self.decayed = np.concatenate([np.arange(column, column + self.length) for column, _, _ in self.sums])

    @classmethod
    def all(cls, plan: Plan, vocabulary: Vocabulary) -> "list[Table]":
        """Every table of a plan."""
        return [cls(plan, name, vocabulary) for name in dict.fromkeys(_tables(plan.fields))]

    def fold(self, words: Words, turns: Turns, actions: Actions, events: Events) -> None:
        """Add a batch to the rows. ``actions`` and ``events`` are in the order of arrival."""
        order = turns.order
        keys = {"item": events.item_key, "category": events.category, "brand": events.brand}[self.name].view(np.int64)[order]
        actions = actions[order]
        passage = turns.passage(self.tau)
        growth = np.exp((turns.times - passage.epoch * self.tau) / self.tau)
        added = [(column, growth * AMOUNTS[s](events)[order] * weights[actions]) for column, s, weights in self.sums]
        strength = next(amount for column, amount in added if column == self.weight)
        for now in in_rounds(turns.rank()):
            self._pass(words, turns, passage, now)
            counted = now[(keys[now] != 0) & (strength[now] > 0)]
            if len(counted):
                self._add(words, turns, counted, keys[counted], added)

    def _pass(self, words: Words, turns: Turns, passage: Passage, now: NDArray[np.intp]) -> None:
        passed = now[passage.step[now] > 0]
        if len(passed):
            shrink = np.exp(-passage.step[passed].astype(np.float64))
            words[turns.rows[passed][:, None], self.decayed] *= shrink[:, None]

    def _add(self, words: Words, turns: Turns, now: NDArray[np.intp], keys: Keys, added: list[tuple[int, Reals]]) -> None:
        rows = turns.rows[now]
        base = rows * self.width + self._slots(words, rows, keys)
        flat = words.reshape(-1)
        for column, amount in added:
            flat[base + column] += amount[now]
        if self.last is not None:
            whole = flat.view(np.int64)
            whole[base + self.last] = np.maximum(whole[base + self.last], turns.times[now])

    def _slots(self, words: Words, rows: Numbers, keys: Keys) -> Numbers:
        """The entry of each key in its row, made where it was missing. Rows are distinct. Shape (k,)."""
        whole = words.view(np.int64)
        found = whole[rows, self.key : self.key + self.length] == keys[:, None]
        slots: Numbers = found.argmax(1)
        new = np.flatnonzero(~found[np.arange(len(rows)), slots])
        if len(new):
            place = words[rows[new], self.weight : self.weight + self.length].argmin(1)
            slots[new] = place
            cells = rows[new] * self.width + place
            flat = words.reshape(-1)
            for column, _, _ in self.sums:
                flat[cells + column] = 0.0
            flat.view(np.int64)[cells + self.key] = keys[new]
            if self.last is not None:
                flat.view(np.int64)[cells + self.last] = 0
        return slots


def _tables(fields: tuple[Field, ...]) -> list[str]:
    return [field.tags["table"] for field in fields if "table" in field.tags]
