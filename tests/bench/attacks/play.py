"""The loop as a batch: the features' fold behind its guard makes examples, the updater's loop learns them window by window."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from services.features.guard import Guard
from services.features.users import VIEW
from services.updater.evaluation.prequential import Prequential
from services.updater.guards.breaker import Breaker
from services.updater.guards.drift import Drift
from services.updater.history.past import Past
from services.updater.history.pretraining import Pretraining
from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment
from services.updater.learning.learner import Learner
from services.updater.loop import Student, learn
from services.updater.publishing.releases import Position
from services.updater.race.challengers import Race
from services.updater.windows.window import Window
from shared.bundles.files import Catalogue
from shared.bundles.manifest import File
from shared.datasets.moments import Moment
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.keys import key
from shared.messages import Behaviour, Example, Verdict, WindowPlan
from shared.origins import Origins
from shared.tasks import RANKING, BreakerSettings, LearningSettings, ModelSettings, Task
from tests.bench.attacks.shop import TEXT, Shop
from tests.features import plans

F8 = NDArray[np.float64]
LISTS = 100
"""In a window."""
CAPACITY = {"user": 4_096, "item": 512, "category": 64, "brand": 64, "hour": 32, "weekday": 8}
TASK = msgspec.structs.replace(
    RANKING, labels=("click",), context=(), model=ModelSettings(dim=8, hidden=(32, 16), text_dim=TEXT, capacity=CAPACITY)
)


class Guarded(Past):
    """The fold of behaviour behind the features service's guards.

    Args:
        usual: share of people's events that are acts; at 1 nobody is a robot.
        retries: whether an id that comes again is left out.
    """

    def __init__(self, *parts: object, usual: float = 1.0, retries: bool = True) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self.usual, self.retries = usual, retries
        self.guards: dict[str, Guard] = {}

    def verdict(self, event: Behaviour) -> str:
        """What the service would say of it."""
        guard = self.guards.setdefault(event.user_id, Guard())
        found = guard.judge(key(event.event_id), round(event.time.timestamp() * 1e6), 0.0, event.action != VIEW, self.usual)
        return "count" if found == "retry" and not self.retries else found

    def _take(self, group: list[Moment]) -> Iterator[Example]:
        kept = [replace(moment, events=tuple(one for one in moment.events if self.verdict(one) == "count")) for moment in group]
        return super()._take(kept)


@dataclass(frozen=True)
class Ready:
    """A shop whose history was learned."""

    shop: Shop
    past: Guarded
    state: dict[str, NDArray[np.generic]]

    @classmethod
    def of(cls, shop: Shop, history: list[Moment]) -> "Ready":
        """Fold and learn it."""
        assembler = Assembler(plans(), ())
        past = Guarded(Counters(plans(), 1_024), assembler, assembler.inputs, shop.items(), TASK.name, "click")
        examples = list(past.examples(history))
        learner = ready_learner(shop, past, TASK)
        batcher = Batcher(learner.inputs, TASK.labels, learner.assortment)
        Pretraining().run(learner, batcher, examples, structlog.stdlib.get_logger())
        return cls(shop, past, learner.state())

    def examples(self, moments: Sequence[Moment], **guard: object) -> list[Example]:
        """What follows the history, by the fold behind these guards."""
        past = copy.copy(self.past)
        past.counters, past.guards = copy.deepcopy(self.past.counters), copy.deepcopy(self.past.guards)
        for name, value in guard.items():
            setattr(past, name, value)
        return list(past.examples(moments))

    def learner(self, learning: LearningSettings) -> Learner:
        """In the state after the history."""
        made = ready_learner(self.shop, self.past, msgspec.structs.replace(TASK, learning=learning))
        made.load(dict(self.state))
        made.freeze(TASK.model.frozen)
        return made


def ready_learner(shop: Shop, past: Past, task: Task) -> Learner:
    """One that has seen nothing."""
    assortment = Assortment(TEXT)
    assortment.add(shop.catalogue())
    return Learner(task, past.inputs, assortment, torch.device("cpu"))


class Unpublished:
    """Releases of a shop that serves nobody."""

    def note(self, *_: object) -> None: ...

    def offer(self, *_: object) -> None: ...


@dataclass
class Seen:
    """What a run left."""

    scores: list[F8] = field(default_factory=list)
    """Of the questions' rows, window by window, each before the window was learned."""
    skipped: list[str] = field(default_factory=list)
    """Why windows were."""
    suspects: set[str] = field(default_factory=set)
    drift: dict[str, int] = field(default_factory=dict)


def played(
    ready: Ready, examples: Sequence[Example], asked: Sequence[Example], *, guarded: bool, learning: LearningSettings | None = None,
    breaks: BreakerSettings = TASK.breaker,
) -> Seen:  # fmt: skip
    """Let the loop learn the examples, and ask it what people were shown, as it was shown in its window's time.

    Args:
        guarded: whether the breaker judges.
        breaks: when it does what.
    """
    log, seen = structlog.stdlib.get_logger(), Seen()
    learning = learning or TASK.learning
    learner, base = ready.learner(learning), ready.learner(learning)
    student = Student(Race(learner), Batcher(learner.inputs, TASK.labels, learner.assortment), Position(0, 0, {}, Origins()), _none)
    breaker = Breaker(breaks, base, learner.inputs, log)
    drift = Drift(learner.inputs, log)
    drift.begin().join()

    def watch(*window: object) -> None:
        for detector, _ in drift.watch(*window):  # type: ignore[arg-type]
            seen.drift[detector] = seen.drift.get(detector, 0) + 1

    def windows() -> Iterator[Window]:
        questions = iter(asked)
        waiting = next(questions, None)
        for number, start in enumerate(range(0, len(examples), LISTS), 1):
            part = list(examples[start : start + LISTS])
            now, due = part[-1].impression.time, []
            while waiting is not None and waiting.impression.time <= now:
                due.append(waiting)
                waiting = next(questions, None)
            batch = student.batcher.batch(due, lambda _: False)[0]
            seen.scores.append(student.learner.predict(batch)[:, 0].astype(np.float64))
            verdict = breaker.judge(part, student.preview(part), now) if guarded else Verdict()
            seen.suspects |= set(verdict.suspects)
            seen.skipped += [verdict.skips] * bool(verdict.skips)
            plan = WindowPlan(
                task=TASK.name, window=number, epoch=1, ranges={}, planned_at=now, without=bool(verdict.skips), verdict=verdict
            )
            yield Window(plan, part)

    student.watch = watch
    learn(windows(), student, Prequential("click", 60.0, 1, base), Unpublished(), log)  # type: ignore[arg-type]
    return seen


def _none(key: str) -> tuple[File, Catalogue]:
    raise AssertionError(key)
