"""Which items bots seem to push: a cumulated sum for each item, against a model that the attack cannot teach.

Bots come under new names, a few clicks each, so that nothing of one of them stands out. Together they click an item more often than
the frozen base expects, while the model that learns from them soon expects it too. So, over the rows of users younger than a day,

    S ← max(0, S + Σ (y − p_frozen − 0.2))        alarm at S ≥ 8, over once S is back at 0

(Page's one-sided CUSUM). An item under alarm is a suspect: while it is one, its rows of young users are not learned, whatever their
labels; those of older users are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.updater.learning.batches import Batch
from shared.keys import keys
from shared.messages import Inputs
from shared.tasks import BreakerSettings

AGE = "user.age_s"
"""The input that tells how old a user is: seconds since the user's first event, 0 for one who is seen for the first time."""
YOUNG = 86_400.0
HIGHEST = 2.0
"""Times the alarm that a sum may reach, so that an attack's end is noticed soon."""
FORGOTTEN, SWEEP = 86_400.0, 3_600.0
"""Seconds of the plans' time after which an item that no young user was shown is nobody's suspect, and between two looks."""

F8 = NDArray[np.float64]


def young(batch: Batch, inputs: Inputs) -> NDArray[np.bool_]:
    """The rows of users younger than a day, (n,). None where the model does not read :data:`AGE`."""
    if AGE not in inputs.user:
        return np.zeros(len(batch), np.bool_)
    found: NDArray[np.bool_] = (batch.user_features[:, inputs.user.index(AGE)] < YOUNG)[batch.list]
    return found


def spared(batch: Batch, suspects: tuple[str, ...], inputs: Inputs) -> Batch:
    """The batch in which no label of a suspect's row of a young user counts."""
    if not suspects:
        return batch
    out = young(batch, inputs) & np.isin(batch.keys["item"], keys(suspects))
    return replace(batch, counted=np.where(out[:, None], np.float32(0), batch.counted))


@dataclass
class Cusum:
    """The sums of the items that have one."""

    settings: BreakerSettings
    sums: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Key of an item → its sum, and the plan's time of its newest row."""
    suspects: set[int] = field(default_factory=set)
    swept: float = 0.0
    """The plan's time of the last look for what is forgotten."""

    def see(self, batch: Batch, expected: F8, inputs: Inputs, now: float) -> set[int]:
        """Take a window; the items that are suspects since.

        Args:
            expected: (n,) what the frozen base says.
            now: the plan's time, seconds.
        """
        rows = young(batch, inputs)
        late = batch.kinds[batch.list]  # a late outcome: its list's row was seen with what was expected of it
        told = np.where(late, batch.labels[:, 0], batch.labels[:, 0] - expected - self.settings.slack)[rows]
        items, which = np.unique(batch.keys["item"][rows], return_inverse=True)
        gains = np.bincount(which, told, len(items))
        before = set(self.suspects)
        for item, gain in zip(items.tolist(), gains.tolist(), strict=True):
            self._add(item, gain, now)
        if now - self.swept >= SWEEP:
            self._forget(now)
        return self.suspects - before

    def _add(self, item: int, gain: float, now: float) -> None:
        level = min(self.sums.get(item, (0.0, now))[0] + gain, HIGHEST * self.settings.alarm)
        if level <= 0:
            self.sums.pop(item, None)
            self.suspects.discard(item)
            return
        self.sums[item] = level, now
        if level >= self.settings.alarm:
            self.suspects.add(item)

    def _forget(self, now: float) -> None:
        self.swept = now
        for item in [item for item, (_, seen) in self.sums.items() if now - seen > FORGOTTEN]:
            del self.sums[item]
            self.suspects.discard(item)

    def state(self) -> Mapping[str, tuple[float, float, bool]]:
        """To keep: key → sum, time, whether it is a suspect."""
        return {str(item): (level, seen, item in self.suspects) for item, (level, seen) in self.sums.items()}

    def load(self, state: Mapping[str, tuple[float, float, bool]]) -> None:
        """Go on from what was kept."""
        self.sums = {int(item): (level, seen) for item, (level, seen, _) in state.items()}
        self.suspects = {int(item) for item, (*_, suspect) in state.items() if suspect}
