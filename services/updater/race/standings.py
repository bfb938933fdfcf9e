"""Where the race stands: every configuration that learned beside the champion, with the evidence for it and against it.

A challenger is compared with the champion list by list: how much less it lost, on predictions that both made before they learned
the list. The comparison may be looked at after every window, for as long as it lasts, because its interval is a *confidence
sequence*: with probability 1 − α it holds at all moments at once.

With gains X_i ≥ −c, S = Σ X_i and V = Σ X_i², each exp(λ (S − Σ E[X_i | before]) − ψ(λ) V) with ψ(λ) = (−ln(1 − cλ) − cλ) / c² and
λ in [0, 1/c) is a supermartingale that begins at 1 (Fan, Grama and Liu, 2015; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", 2021). So by Ville's inequality S stays below Σ E + (ln(J/α) + ψ(λ) V) / λ at
all times, for J rates λ at once, and the smallest of these is how far S may reach. Nothing else is assumed: no independence, no
fixed distribution; models and shop may drift. What is bounded is the mean of the conditional expectations up to now (Choe and
Ramdas, "Comparing sequential forecasters", 2024).

A gain is bounded by nothing smaller than the log loss of a sure mistake, so c is set, and what is bounded is the mean of gains cut
off at −c: a list in which the challenger loses more counts as c in V and in that mean, but whole in S, which makes the bound lower
still. The upper bound is the same for the negated gains. Large gains are not cut: a broken champion is seen within a few lists.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.updater.evaluation.metrics import SMALLEST
from shared.tasks import LearningSettings

F8 = NDArray[np.float64]
WORST = -np.log(SMALLEST)
"""Nats: the loss of a row whose probability was wrong and sure, or no number."""
CUT = 1.0
"""c, nats a row."""
RATES = 0.9 / CUT * 0.5 ** np.arange(12)
"""λ: from a few lists to many millions, one of them is near the best."""
COST = (-np.log1p(-CUT * RATES) - CUT * RATES) / CUT**2
REMEMBERED = 256
"""Configurations of the past that are kept: what proposals are made from."""


class Evidence(msgspec.Struct, frozen=True):
    """The gains of one challenger over the champion, summed up."""

    lists: int = 0
    total: float = 0.0
    squares: float = 0.0
    """Of the gains, cut off at −c."""
    negated: float = 0.0
    """Squares of the negated gains, cut off at −c."""

    def add(self, gains: F8) -> "Evidence":
        """With the gains of these lists, nats a row."""
        cut, negated = np.maximum(gains, -CUT), np.maximum(-gains, -CUT)
        return Evidence(
            self.lists + len(gains),
            self.total + float(gains.sum()),
            self.squares + float(cut @ cut),
            self.negated + float(negated @ negated),
        )

    @property
    def mean(self) -> float:
        """Nats a row; 0 before the first list."""
        return self.total / max(self.lists, 1)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Bounds of the mean gain; each is wrong at any moment ever with probability ``alpha`` at most."""
        down, up = (reach(squares, alpha) / max(self.lists, 1) for squares in (self.squares, self.negated))
        return max(self.mean - down, -WORST), min(self.mean + up, WORST)


def reach(squares: float, alpha: float) -> float:
    """How far a sum of gains may ever be above that of their expectations, by the sum of their squares."""
    return float(((np.log(len(RATES) / alpha) + COST * squares) / RATES).min())


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration."""

    name: str
    settings: LearningSettings
    window: int = 0
    """From which on it learned beside the champion."""
    test: int = 0
    """Which of the race's comparisons is its own, from 1 on; 0 for the first champion."""
    level: float = 0.0
    """What the champion that it is compared with gained over the first one: the sum of the promotions' gains."""
    evidence: Evidence = Evidence()
    held: str = ""
    """The guard that keeps it from a promotion that its gain has earned: ``rows``, ``calibration`` or ``exposure``."""

    @property
    def value(self) -> float:
        """Its gain over the first champion, nats a row."""
        return self.level + self.evidence.mean

    def interval(self, alpha: float) -> tuple[float, float]:
        """Bounds of its gain over the champion, at its own share of the race's ``alpha``.

        The n-th comparison gets α / n(n + 1). All shares together are α, however many there will be: that is how often a race
        promotes a configuration that is not better, ever.
        """
        return self.evidence.interval(alpha / (self.test * (self.test + 1)))


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The whole race as a checkpoint tells it. Each verb returns the standing after it."""

    champion: Entrant
    declared: LearningSettings
    """The task's own settings when the champion was theirs or took their place."""
    challengers: tuple[Entrant, ...] = ()
    past: tuple[Entrant, ...] = ()
    """Who left, oldest first: replaced champions, and challengers that were shown not to pay."""
    tests: int = 0
    """Comparisons begun."""

    @classmethod
    def of(cls, settings: LearningSettings) -> "Standing":
        """A champion alone."""
        return cls(champion=Entrant(name="c0", settings=settings), declared=settings)

    def declare(self, settings: LearningSettings) -> "Standing":
        """Take the task's own settings for the champion where they were changed by hand since."""
        if settings == self.declared:
            return self
        champion = msgspec.structs.replace(self.champion, settings=settings)
        return msgspec.structs.replace(self, declared=settings)._against(champion, self.challengers)

    def named(self, settings: Sequence[LearningSettings]) -> dict[str, LearningSettings]:
        """Who enters next, by names that nobody had."""
        return {f"c{number}": one for number, one in enumerate(settings, self.tests + 1)}

    def enter(self, name: str, settings: LearningSettings, window: int) -> "Standing":
        """One challenger more."""
        test = self.tests + 1
        entrant = Entrant(name=name, settings=settings, window=window, test=test, level=self.champion.value)
        return msgspec.structs.replace(self, challengers=(*self.challengers, entrant), tests=test)

    def promote(self, name: str) -> "Standing":
        """A challenger is champion; the others are compared anew, with it."""
        others = tuple(one for one in self.challengers if one.name != name)
        retired = msgspec.structs.replace(self, past=(*self.past, self.champion)[-REMEMBERED:])
        return retired._against(self.find(name), others)

    def leave(self, name: str) -> "Standing":
        """A challenger learns no more."""
        others = tuple(one for one in self.challengers if one.name != name)
        return msgspec.structs.replace(self, challengers=others, past=(*self.past, self.find(name))[-REMEMBERED:])

    def count(self, gains: Mapping[str, F8]) -> "Standing":
        """With the gains of a window's lists, by challenger."""
        counted = tuple(
            msgspec.structs.replace(one, evidence=one.evidence.add(gains[one.name])) if one.name in gains else one
            for one in self.challengers
        )
        return msgspec.structs.replace(self, challengers=counted)

    def hold(self, held: Mapping[str, str]) -> "Standing":
        """With the guards that hold challengers back, by name."""
        marked = tuple(msgspec.structs.replace(one, held=held.get(one.name, "")) for one in self.challengers)
        return msgspec.structs.replace(self, challengers=marked)

    def find(self, name: str) -> Entrant:
        """The challenger of this name.

        Raises:
            ValueError: there is none: the plans are of another race.
        """
        for one in self.challengers:
            if one.name == name:
                return one
        raise ValueError(f"the plans name the challenger {name}, and the race has {[one.name for one in self.challengers]}")

    def known(self) -> tuple[LearningSettings, ...]:
        """Every configuration that is or was in the race."""
        return tuple(one.settings for one in (self.champion, *self.challengers, *self.past))

    def _against(self, champion: Entrant, challengers: tuple[Entrant, ...]) -> "Standing":
        again = tuple(
            msgspec.structs.replace(one, test=self.tests + n, level=champion.value, evidence=Evidence(), held="")
            for n, one in enumerate(challengers, 1)
        )
        return msgspec.structs.replace(self, champion=champion, challengers=again, tests=self.tests + len(again))
