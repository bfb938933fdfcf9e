"""Between the loop and the publisher: what is due, what the gate says, and what goes into the next bundle."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.evaluation import remembered
from services.updater.evaluation.prequential import Prequential
from services.updater.guards.gate import Gate
from services.updater.learning.batches import Batch
from services.updater.learning.cuts import first_rows
from services.updater.learning.learner import Learner
from services.updater.publishing.bundle import Chain, Release
from services.updater.publishing.checkpoints import Progress
from services.updater.publishing.published import Change
from services.updater.publishing.publisher import Publisher, Saved
from services.updater.publishing.schedule import Due, Schedule
from services.updater.race.challengers import Race
from services.updater.windows.gaps import Gaps
from services.updater.windows.plans import window_of
from services.updater.windows.window import Ledger
from shared.bundles.manifest import Curve, File
from shared.errors import BundleRefused
from shared.messages import Example
from shared.origins import Origins

CANARIES = 256
MEASURE_S = 2.0


@dataclass
class Position:
    """How far learning has come: what a manifest and a checkpoint say."""

    window: int
    plans_offset: int
    offsets: dict[str, int]
    origins: Origins
    catalogues: list[File] = field(default_factory=list)
    gaps: Gaps = field(default_factory=Gaps)


@dataclass(frozen=True)
class Served:
    """What readers held when this life began."""

    window: int
    dense: dict[str, NDArray[np.float32]]
    """The newest dense part up to there; its rows may be newer."""
    weights_sha256: str
    calibrator: Mapping[str, Curve] = field(default_factory=dict)


class Releases:
    """Decides after every window; the publisher does the rest beside the loop.

    Args:
        served: what the pointer named at the start: nothing is published up to it, and there the rebuilt weights must be its own.
        good: the full bundle to fall back to: the newest that has proven good, the base before any has.
    """

    def __init__(
        self, race: Race, publisher: Publisher, schedule: Schedule, gate: Gate, prequential: Prequential, epoch: int,
        served: Served, good: str, log: BoundLogger,
    ) -> None:  # fmt: skip
        self._race, self._publisher, self._schedule, self._gate = race, publisher, schedule, gate
        self._prequential, self._epoch, self._served, self._log = prequential, epoch, served, log
        self._good = good
        self._candidate: Release | None = None
        self._ledger = Ledger()
        self._refused = ""
        self._anew = False
        self._last: Batch | None = None
        self._canaries: Batch | None = None
        self._canary_scores = np.zeros(0, np.float32)
        self._measures: dict[str, float] = {}
        self._checkpointed = 0
        self._measured_at = float("-inf")

    def note(self, window: int, learned: list[Example], batch: Batch, joined: list[File], trace_id: str = "") -> None:
        """A window has been learned; ``joined`` are the catalogue files that it brought."""
        self._ledger.add(window, learned, joined, trace_id)
        self._last = batch if len(batch) else self._last
        self.resume(window)

    def resume(self, window: int) -> None:
        """Compare, where the restart has come to what is served, and go on from it.

        Raises:
            BundleRefused: ``diverged``: the weights that the log makes are not those that are served.
        """
        if window != self._served.window:
            return
        published = self._publisher.published
        if self._anew:
            published.clear()
        published.apply(Change(self._moved(), self._served.dense))
        self._anew = False
        if published.sha256() != self._served.weights_sha256:
            raise BundleRefused(
                "diverged",
                f"the weights that the checkpoint and the plans make differ from {self._publisher.chain.version} as published: "
                "another kind of device, another lock, or damage; `freshet bundles restore` goes back to an older checkpoint",
            )
        self._ledger = Ledger()

    def promoted(self) -> None:
        """The race has another champion: no delta leads to its weights, and what the old one scored says nothing of it."""
        self._anew, self._candidate, self._canaries = True, None, None

    def offer(self, position: Position, now: float) -> None:
        """Publish if it is time and the gate lets it. Raises what stopped the publisher, such as :class:`shared.errors.Fenced`."""
        self._measure(now)
        if self._publisher.busy or not self._ledger.last or position.window <= self._served.window:
            return
        due = self._schedule.due(now)
        if due is None or not self._quality_holds(now):
            return
        self._release(self._whole(due), position, now)

    def finish(self, position: Position, now: float, seconds: float) -> None:
        """The last word of a life: a full bundle with what readers lack, and a checkpoint of what they hold."""
        if not self._publisher.drain(seconds) or self._refused or position.window < self._served.window:
            return
        if position.window > window_of(self._publisher.chain.version):
            self._release(Due(full=True, dense=True, checkpoint=True), position, now)
            self._publisher.drain(now + seconds - time.monotonic())
        elif position.window > self._checkpointed:
            self._publisher.checkpoint(self._saved(self._publisher.chain.version, position))

    def saved(self) -> int:
        """The window of this life's newest checkpoint; 0 before the first."""
        return self._publisher.saved

    def close(self) -> None:
        """Give up what is still on its way: the next life makes it again."""
        self._publisher.close()

    @property
    def _learner(self) -> Learner:
        return self._race.champion

    def _whole(self, due: Due) -> Due:
        """After a refused bundle only a full one makes sense: no delta fits what readers hold."""
        return Due(True, True, due.checkpoint) if self._anew else due

    def _release(self, due: Due, position: Position, now: float) -> None:
        change = Change(self._moved(), _copied(self._learner) if due.dense else None)
        if reason := self._gate.weights(change.arrays()) or self._canary():
            self._refuse(reason)
            self._schedule.done(Due(False, False, False), now)
            return
        if due.full:
            self._prequential.calibrate()  # not more often: each look is another chance to take luck for a gain
        release = Release(
            window=position.window, epoch=self._epoch, due=due, change=change, anew=self._anew, ledger=self._ledger,
            offsets=dict(position.offsets), catalogues=tuple(position.catalogues), metrics=self._measures,
            calibrator=self._prequential.curves, created=time.time(),
            learning=self._learner.task.learning,
        )  # fmt: skip
        if due.checkpoint and self._candidate is None:
            self._candidate = release
        saved = self._saved(release.version, position) if due.checkpoint else None
        self._publisher.publish(release, saved, self._kept())
        self._schedule.done(due, now)
        self._ledger, self._anew, self._refused = Ledger(), False, ""
        exported.gate_open.set(1)
        if due.full:
            self._choose_canaries()

    def _saved(self, version: str, position: Position) -> Saved:
        self._checkpointed = position.window
        progress = Progress(
            version=version, window=position.window, epoch=self._epoch, plans_offset=position.plans_offset,
            offsets=dict(position.offsets), origins=position.origins.state(),
            gaps=position.gaps.state(), catalogues=tuple(position.catalogues),
            weights_sha256=self._learner.weights_sha256(), good=self._good, race=self._race.standing,
        )  # fmt: skip
        return Saved(progress, self._learner.state() | self._race.state() | remembered.saved(self._prequential))

    def _moved(self) -> dict[str, Any]:
        """The rows that moved or changed their owner since the last call; all of them where readers must begin anew."""
        tables = self._learner.tables
        tables.touched |= tables.renamed  # a renamed row is told whole
        changes = tables.full() if self._anew else tables.delta()
        tables.reset()
        return changes

    def _canary(self) -> str:
        if self._canaries is None:
            return ""
        now = self._learner.predict(self._canaries)[:, 0]
        exported.canary_shift.set(float(np.abs(now - self._canary_scores).mean()))
        return self._gate.canaries(self._canary_scores, now)

    def _choose_canaries(self) -> None:
        """From the last window learned, with the scores that the bundle just released gives them."""
        if self._last is not None:
            self._canaries = first_rows(self._last, CANARIES)
            self._canary_scores = self._learner.predict(self._canaries)[:, 0]

    def _quality_holds(self, now: float) -> bool:
        reason = self._judged() if now == self._measured_at else self._refused
        if reason.startswith("quality") and not self._refused.startswith("quality"):
            self._refuse(reason)
            self._fall_back()
        elif self._refused.startswith("quality") and not reason:
            self._refused = ""
        return not reason.startswith("quality")

    def _judged(self) -> str:
        """What the gate says of the settled rows. Where they are good, so is a bundle that is older than all of them."""
        recent = self._prequential.recent()
        reason = self._gate.quality(recent)
        if not reason and self._candidate and self._gate.enough(recent) and self._candidate.created <= recent.planned_at:
            self._good, self._candidate = self._candidate.version, None
        return reason

    def _kept(self) -> frozenset[str]:
        """What may be fallen back to, now or once it has proven good."""
        return frozenset({self._good, self._candidate.version if self._candidate else self._good})

    def _refuse(self, reason: str) -> None:
        """Publish nothing until the gate opens again, and then everything."""
        self._refused, self._anew = reason, True
        exported.refused.labels(reason).inc()
        exported.gate_open.set(0)
        self._log.error("the gate refused a bundle", reason=reason, **self._measures)

    def _fall_back(self) -> None:
        """Send readers back to the bundle that has proven good; one that waits for its proof has come under suspicion."""
        self._candidate = None
        self._publisher.fall_back(Chain(self._good, self._good), self._epoch)

    def _measure(self, now: float) -> None:
        if now - self._measured_at >= MEASURE_S:
            self._measured_at, self._measures = now, self._prequential.measure()
            exported.measured(self._measures)


def _copied(learner: Learner) -> dict[str, NDArray[np.float32]]:
    return {name: weight.copy() for name, weight in learner.dense().items()}
