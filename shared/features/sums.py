"""The fold of decayed sums and of first and last times into rows, a batch at a time, as if one event at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.features.decay import Reals, Times
from shared.features.events import Events
from shared.features.plan import Plan, Words
from shared.features.statistics import AMOUNTS, Actions, Vocabulary, horizon
from shared.features.turns import Numbers, Turns, in_rounds

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of one statistic and horizon of which an event meets at most one."""

    statistic: str
    columns: Numbers
    """(actions,) word of the sum that an event of each action adds to; -1 for none."""


class Sheet:
    """What a plan's plain fields count, compiled once."""

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.width = plan.words
        self.horizons: dict[int, list[Sums]] = {}
        self._decayed: dict[int, Numbers] = {}  # the words that a passed landmark shrinks, by horizon
        self.moments: list[tuple[int, bool, NDArray[np.bool_]]] = []  # (word, is it the first time, which actions)
        for field in plan.fields:
            statistic = field.tags.get("statistic")
            if "table" in field.tags or statistic is None:
                continue
            counted = vocabulary.weights(field) > 0
            if statistic in ("first", "last"):
                self.moments.append((plan.column(field.name), statistic == "first", counted))
            else:
                self._place(self.horizons.setdefault(horizon(field), []), statistic, counted, plan.column(field.name))

        for tau, sums in self.horizons.items():
            words = np.concatenate([s.columns for s in sums])
            self._decayed[tau] = np.unique(words[words >= 0])

    @staticmethod
    def _place(sums: list[Sums], statistic: str, counted: NDArray[np.bool_], column: int) -> None:
        for other in sums:
            if other.statistic == statistic and not (counted & (other.columns >= 0)).any():
                other.columns[counted] = column
                return
        sums.append(Sums(statistic, np.where(counted, column, -1)))

    def fold(self, words: Words, turns: Turns, actions: Actions, events: Events) -> None:
        """Add a batch to the rows. ``actions`` and ``events`` are in the order of arrival."""
        actions = actions[turns.order]
        amounts = {s.statistic: AMOUNTS[s.statistic](events)[turns.order] for sums in self.horizons.values() for s in sums}
        for tau, sums in self.horizons.items():
            self._add(words, turns, tau, sums, actions, amounts)
        flat = words.view(np.int64).reshape(-1)
        for column, first, counted in self.moments:
            mine = counted[actions]
            _mark(flat, turns.rows[mine] * self.width + column, turns.times[mine], first)

    def _add(self, words: Words, turns: Turns, tau: int, sums: list[Sums], actions: Actions, amounts: dict[str, Reals]) -> None:
        passage = turns.passage(tau)
        growth = np.exp((turns.times - passage.epoch * tau) / tau)
        kept = self._decayed[tau]
        targets = [(s.columns[actions], growth * amounts[s.statistic]) for s in sums]
        flat = words.reshape(-1)
        for now in in_rounds(turns.levels(passage.step)):
            passed = now[passage.step[now] > 0]
            if len(passed):
                words[turns.rows[passed][:, None], kept] *= np.exp(-passage.step[passed].astype(np.float64))[:, None]
            base = turns.rows[now] * self.width
            for columns, added in targets:
                column = columns[now]
                meets = column >= 0
                np.add.at(flat, (base + column)[meets], added[now][meets])


def _mark(flat: Times, cells: Numbers, times: Times, first: bool) -> None:
    if not first:
        np.maximum.at(flat, cells, times)
        return
    flat[cells[flat[cells] == 0]] = NEVER
    np.minimum.at(flat, cells, times)
