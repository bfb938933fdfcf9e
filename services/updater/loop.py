"""The learning loop: test, train, publish, window by window, wherever the windows come from."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from structlog.stdlib import BoundLogger

from services.updater import exported
from services.updater.evaluation.prequential import Measured, Prequential
from services.updater.guards.cusum import spared
from services.updater.learning.batches import Batch, Batcher, Refused
from services.updater.learning.learner import Learner
from services.updater.publishing.releases import Position, Releases
from services.updater.race.challengers import Race
from services.updater.windows.planner import advanced
from services.updater.windows.window import Window
from shared import traces
from shared.bundles.files import Catalogue
from shared.bundles.manifest import File
from shared.errors import BadRecord
from shared.failpoints import failpoint
from shared.messages import Example, Origin
from shared.origins import Origins

Fetch = Callable[[str], tuple[File, Catalogue]]
"""Reads a catalogue file by its storage key."""
Bury = Callable[[Example, BadRecord], None]
"""Keeps an example that cannot be learned as a dead letter."""
Watch = Callable[[Batch, Measured], object]
"""Looks on at a window that was tested."""


@dataclass
class Student:
    """Champion and challengers with what stands around them: what came before, and what has been learned of it."""

    race: Race
    batcher: Batcher
    position: Position
    fetch: Fetch
    bury: Bury = lambda example, error: None
    watch: Watch = lambda batch, measured: None
    previewed: tuple[Sequence[Example], Batch, Refused] | None = None
    """The examples of the last preview, and what was made of them."""
    joined: list[File] = field(default_factory=list)
    """Catalogue files that the last window brought."""
    promoted: str = ""
    """The challenger that the last window's plan made the champion."""

    @property
    def learner(self) -> Learner:
        """The champion: what is served and told of."""
        return self.race.champion

    def admit(self, window: Window) -> tuple[list[Example], Batch]:
        """What of the window is learned: each origin once, as one batch; what cannot be learned is counted.

        What its plan says of the race is done first.
        """
        self.promoted = self.race.follow(window.plan.race, window.plan.window)
        position = self.position
        position.offsets = advanced(position.offsets, window.plan)
        position.window, position.plans_offset = window.plan.window, window.plans_offset
        self.joined = [self._join(key) for key in window.plan.catalogues]
        position.catalogues += self.joined
        before = Origins(position.origins.highest)
        new = [example for example in window.examples if position.origins.is_new(example.origin)]
        learned = [] if window.plan.without else new
        if window.plan.without:
            self._pass_over(new, before)
        batch, refused = self._batch(window, learned, before)
        batch = spared(batch, window.plan.verdict.suspects, self.batcher.inputs)
        self._count(window, new, learned, refused)
        unusable = {id(example) for example, _ in refused.examples}
        return [one for one in learned if id(one) not in unusable and not one.impression.degraded], batch

    def preview(self, examples: Sequence[Example]) -> Batch:
        """What would be learned of examples that come next; nothing changes by it."""
        before = Origins(self.position.origins.highest)
        seen = Origins(before.highest)
        batch, refused = self.batcher.batch([one for one in examples if seen.is_new(one.origin)], self._paid(before))
        self.previewed = examples, batch, refused
        return batch

    def _batch(self, window: Window, learned: Sequence[Example], before: Origins) -> tuple[Batch, Refused]:
        """The batch of what is learned; that of the preview where it was of all this, and nothing joined since."""
        if self.previewed and learned and self.previewed[0] is window.examples and not window.plan.catalogues:
            return self.previewed[1:]
        return self.batcher.batch(learned, self._paid(before))

    def _paid(self, before: Origins) -> Callable[[Origin], bool]:
        """Tells of a list whether it was learned before."""
        return lambda origin: before.passed(origin) and not self.position.gaps.holds(origin)

    def _pass_over(self, examples: Iterable[Example], before: Origins) -> None:
        for example in examples:
            self.position.gaps.add(example.origin, before)
            before.is_new(example.origin)

    def _join(self, key: str) -> File:
        file, catalogue = self.fetch(key)
        self.batcher.assortment.add(catalogue)
        return file

    def _count(self, window: Window, new: list[Example], learned: list[Example], refused: Refused) -> None:
        exported.skipped.labels("delivered_before").inc(len(window.examples) - len(new))
        exported.skipped.labels("left_out").inc(len(new) - len(learned))
        if window.plan.verdict.skips:
            exported.windows_skipped.labels(window.plan.verdict.skips).inc()
        exported.skipped.labels("degraded").inc(refused.degraded)
        for example, error in refused.examples:
            exported.skipped.labels(error.code).inc()
            if not window.replayed:
                self.bury(example, error)


def learn(
    windows: Iterable[Window | None], student: Student, prequential: Prequential, releases: Releases, log: BoundLogger
) -> None:
    """Learn until the windows end; ``None`` among them is a moment without one.

    Raises:
        Fenced: another updater took over.
    """
    for window in windows:
        if window is None:
            releases.offer(student.position, time.monotonic())
            continue
        began = time.monotonic()
        learned, batch = student.admit(window)
        if student.promoted:
            prequential.promote(student.promoted)
            releases.promoted()
        rankings = (example.impression.trace for example in learned)
        with traces.linked("window", rankings, window=window.plan.window, rows=len(batch)) as trace_id:
            # test: the model has not seen this window, so its score is an honest one
            prequential.test(student.learner, batch, window.plan.planned_at, student.race.challengers)
            if len(batch) and not window.replayed:
                student.watch(batch, prequential.waiting[-1])
            prequential.correct(learned)
            student.race.judge(prequential.ripen(window.plan.planned_at), prequential.settled)

            # train: one pass over the features that were logged at serving time
            student.race.learn(batch, window.plan.window)
            if learned:
                failpoint("learn")
        releases.note(window.plan.window, learned, batch, student.joined, trace_id)

        # publish: what readers lack, and now and then all that a restart needs
        if not window.replayed:
            releases.offer(student.position, time.monotonic())
        _report(window, learned, batch, time.monotonic() - began, log)


def follow(windows: Iterable[Window], student: Student) -> None:
    """Learn what another process tests and publishes; see :mod:`services.updater.learning.parallel`."""
    for window in windows:
        _, batch = student.admit(window)
        student.race.learn(batch, window.plan.window)


def _report(window: Window, learned: list[Example], batch: Batch, seconds: float, log: BoundLogger) -> None:
    exported.window.set(window.plan.window)
    exported.rows.inc(len(batch))
    exported.window_seconds.observe(seconds)
    for example in learned:
        exported.examples.labels(example.kind).inc()
        for outcome in example.outcomes:
            exported.outcomes.labels(outcome.action).inc()
    log.debug("learned", window=window.plan.window, examples=len(learned), rows=len(batch), seconds=round(seconds, 4))
