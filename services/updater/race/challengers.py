"""The race: other ways to learn the same windows beside the champion, and when one of them takes its place.

A challenger begins as the champion's copy and learns on under its own settings. What changes in the race stands in a window's plan
(:class:`shared.messages.Turn`) before it happens, so that log and plans make the same weights again; the challengers' states are
in the checkpoint. The README says what it costs and how often it is wrong.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.updater import exported
from services.updater.evaluation.metrics import calibration_error, losses
from services.updater.evaluation.prequential import F8, SMALLEST_SLICE, Measured
from services.updater.learning.batches import Batch
from services.updater.learning.learner import Learner
from services.updater.learning.parallel import Together
from services.updater.race.proposals import propose
from services.updater.race.standings import WORST, Entrant, Standing
from shared.messages import Turn
from shared.tasks import CHALLENGERS, LearningSettings, RaceSettings

Propose = Callable[[Standing], LearningSettings]
PREFIX = "challengers"


class Race:
    """The champion and its challengers.

    Args:
        champion: whose predictions are served.
        standing: what came before; a champion alone where there is none.
        challengers: the challengers' learners, by name.
        propose: makes the next settings from what was seen.
    """

    def __init__(
        self, champion: Learner, standing: Standing | None = None, challengers: Mapping[str, Learner] | None = None,
        propose: Propose = propose,
    ) -> None:  # fmt: skip
        self.champion, self.challengers = champion, dict(challengers or {})
        self.standing = standing or Standing.of(champion.task.learning)
        self._rules, self._declared, self._propose = champion.task.race, champion.task.challengers, propose
        self._proposal: LearningSettings | None = None
        self._next: Turn | None = None

    def follow(self, turn: Turn | None, window: int) -> str:
        """Do what a window's plan says before the window is tested; the name of who is champion from now on, if anybody else."""
        self._next = None
        if turn is None:
            return ""
        exported.forget_challengers()
        for name in turn.leaves:
            self.standing = self.standing.leave(name)
            del self.challengers[name]
        if turn.promotes:
            self.standing = self.standing.promote(turn.promotes)
            self.champion = self.challengers.pop(turn.promotes)
            exported.promotions.inc()
        for name, settings in turn.enters.items():
            self._enter(name, msgspec.json.decode(settings, type=LearningSettings), window)
        return turn.promotes

    def join(self, together: Together) -> None:
        """From now on everybody's steps are shared with other processes, whose races follow the same plans."""
        for learner in (self.champion, *self.challengers.values()):
            learner.join(together)

    def learn(self, batch: Batch, window: int) -> None:
        """Everybody learns the window."""
        self.champion.learn(batch, window)
        for challenger in self.challengers.values():
            challenger.learn(batch, window)

    def judge(self, settled: Iterable[Measured], recent: Iterable[Measured] = ()) -> None:
        """Count windows whose labels have just settled, and decide what the next plan says.

        Args:
            settled: these windows, once each.
            recent: the settled windows that are still kept: what the guards look at.
        """
        for measured in settled:
            self.standing = self.standing.count({name: gains(measured, name) for name in measured.rivals})
        self._next = self._decided(list(recent))
        for one in self.standing.challengers:
            lower, upper = one.interval(self._rules.alpha)
            exported.challenger(one.name, one.evidence.lists, (lower, one.evidence.mean, upper), one.held)

    def turn(self) -> Turn | None:
        """What the next plan says of the race; ``None`` where all stays as it is."""
        return self._next

    def state(self) -> dict[str, NDArray[Any]]:
        """The challengers' states, for the checkpoint; :func:`state_of` takes one out again."""
        states = {name: learner.state() for name, learner in self.challengers.items()}
        return {f"{PREFIX}/{name}/{part}": array for name, state in states.items() for part, array in state.items()}

    def _decided(self, recent: list[Measured]) -> Turn | None:
        running, margin = self.standing.challengers, self._rules.margin
        bounds = {one.name: one.interval(self._rules.alpha) for one in running}
        better = [one.name for one in running if bounds[one.name][0] > margin]
        held = {name: guard for name in better if (guard := guarded(recent, name, self._rules))}
        self.standing = self.standing.hold(held)
        promotes = max((name for name in better if name not in held), key=lambda name: bounds[name][0], default="")
        leaves = tuple(one.name for one in running if bounds[one.name][1] < margin or self._withdrawn(one))
        staying = [one for one in running if one.name not in (*leaves, promotes)]
        turn = Turn(leaves=leaves, promotes=promotes if promotes not in leaves else "", enters=self._entering(staying))
        return turn if turn != Turn() else None

    def _withdrawn(self, one: Entrant) -> bool:
        """Whether the task declares it no more, and nobody proposed it."""
        return one.settings not in self._declared and not self._rules.proposed

    def _entering(self, staying: list[Entrant]) -> dict[str, str]:
        """Those who enter next: the declared ones that never did, then what is proposed."""
        room, known = CHALLENGERS - len(staying), self.standing.known()
        entering = [one for one in self._declared if one not in known][:room]
        proposed = sum(one.settings not in self._declared for one in staying)
        if proposed < self._rules.proposed and len(entering) < room:
            self._proposal = self._proposal or self._propose(self.standing)
            entering.append(self._proposal)
        return {name: msgspec.json.encode(one).decode() for name, one in self.standing.named(entering).items()}

    def _enter(self, name: str, settings: LearningSettings, window: int) -> None:
        self._proposal = None
        self.standing = self.standing.enter(name, settings, window)
        task = msgspec.structs.replace(self.champion.task, learning=settings)
        challenger = Learner(task, self.champion.inputs, self.champion.assortment, self.champion.device)
        challenger.freeze(self.champion.frozen)
        challenger.load(self.champion.state())
        if self.champion.trainer.together:
            challenger.join(self.champion.trainer.together)
        self.challengers[name] = challenger


def state_of(name: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A challenger's part of a checkpoint."""
    start = f"{PREFIX}/{name}/"
    return {key.removeprefix(start): array for key, array in state.items() if key.startswith(start)}


def gains(measured: Measured, name: str) -> F8:
    """How much less a challenger lost than the champion in each list, nats a row; no number is as bad as any. Shape (lists,)."""
    both = measured.scores["live"], measured.rivals[name]
    live, own = (np.nan_to_num(losses(measured.labels, scores), nan=WORST) for scores in both)
    _, inverse, counts = np.unique(measured.groups, return_inverse=True, return_counts=True)
    means: F8 = np.bincount(inverse, live - own, len(counts)) / counts
    return means


def guarded(recent: Iterable[Measured], name: str, rules: RaceSettings) -> str:
    """The guard that holds a challenger back, by the rows that it and the champion predicted: ``rows`` where there are too few."""
    parts = [measured for measured in recent if name in measured.rivals]
    if sum(map(len, parts)) < SMALLEST_SLICE:
        return "rows"
    labels, cold = (np.concatenate([getattr(part, column) for part in parts]) for column in ("labels", "cold"))
    live, own = np.concatenate([np.stack([part.scores["live"], part.rivals[name]], axis=1) for part in parts]).T
    if calibration_error(labels, own) > calibration_error(labels, live) + rules.calibration:
        return "calibration"
    lists = np.cumsum(np.concatenate([np.r_[True, np.diff(part.groups) != 0] for part in parts]))
    due = min(_first_to(cold, live, lists), float(cold[labels > 0].mean()) if labels.any() else 1.0)
    return "exposure" if _first_to(cold, own, lists) < rules.exposure * due else ""


def _first_to(cold: NDArray[np.bool_], scores: F8, lists: NDArray[np.int64]) -> float:
    """Share of the lists whose highest score is a cold item's."""
    order = np.lexsort([-scores, lists])
    first = np.r_[True, np.diff(lists[order]) != 0]
    return float(cold[order[first]].mean())
