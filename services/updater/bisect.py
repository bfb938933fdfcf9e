"""Which window did the harm? The windows after a checkpoint are learned again, and the model is asked after each of them.

Log, plans and checkpoint make every step the weights that it had the first time. The questions are lists that came after all of
those windows, with every outcome that is known by now: the window that raises their log loss most is the one to leave out, by
``freshet bundles restore VERSION --without WINDOW``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from services.updater.assembly import student_of
from services.updater.evaluation.metrics import log_loss
from services.updater.learning.batches import Batch, Batcher
from services.updater.loop import Student
from services.updater.publishing.checkpoints import Checkpoints
from services.updater.recovery import Checkpoint
from services.updater.settings import UpdaterSettings
from services.updater.windows.kafka import KafkaWindows, PlanLog
from services.updater.windows.window import Window
from shared.bundles.storage import Storage
from shared.dead_letters import DeadLetters
from shared.errors import BadInput
from shared.kafka import consumer, producer, started
from shared.tasks import task


@dataclass(frozen=True, slots=True)
class Step:
    """A window, and what learning it did to the answers."""

    window: int
    examples: int
    loss: float
    """Log loss after it."""
    harm: float
    """How much it raised the log loss."""


async def replayed(settings: UpdaterSettings, checkpoint: Checkpoint) -> list[Window]:
    """The windows of the lineage that come after a checkpoint, read from Kafka.

    Raises:
        FreshetError: some of their examples are no longer on the topic.
    """
    clients = [await started(make(settings)) for make in (producer, consumer, consumer)]
    send, plans, examples = clients
    try:
        log = PlanLog(settings.task, plans, send, checkpoint.plans())
        await log.follow()
        planned = log.plans.after(checkpoint.progress.window)
        windows = KafkaWindows(
            settings, log, examples, DeadLetters(send, "updater"), planned, checkpoint.progress.offsets, lambda: (), lambda: 0
        )
        await windows.start()
        return [window for _ in planned if (window := await windows.next())]
    finally:
        for client in clients:
            await client.stop()


def divided(windows: Sequence[Window], rows: int) -> tuple[Sequence[Window], Sequence[Window]]:
    """Those to look at, and the newest ones, which together show so many candidates and are the judges.

    Raises:
        BadInput: nothing is left to look at.
    """
    shown, first = 0, len(windows)
    while first and shown < rows:
        first -= 1
        shown += sum(len(example.impression.items) for example in windows[first].examples if example.kind == "list")
    if not first:
        raise BadInput(
            f"{len(windows)} windows follow that checkpoint, and all of them are needed to judge: take an older one, or fewer rows",
            field="rows",
        )
    return windows[:first], windows[first:]


def questions(batcher: Batcher, judges: Sequence[Window]) -> Batch:
    """The judges' lists, with the outcomes that came late among their labels; of the items, what was known at the checkpoint."""
    lists = {example.origin: example for window in judges for example in window.examples if example.kind == "list"}
    late = [example for window in judges for example in window.examples if example.corrects in lists]
    return batcher.batch([*lists.values(), *late], lambda _: False)[0]


def steps(student: Student, windows: Sequence[Window], judges: Sequence[Window]) -> Iterator[Step]:
    """Learn window after window, each as it was learned the first time."""
    asked = questions(student.batcher, judges)
    labels = asked.labels[:, 0].astype(np.float64)

    def loss() -> float:
        return log_loss(labels, student.learner.predict(asked)[:, 0].astype(np.float64))

    before = loss()
    for window in windows:
        _, batch = student.admit(window)
        student.race.learn(batch, window.plan.window)
        after = loss()
        yield Step(window.plan.window, len(window.examples), after, after - before)
        before = after


async def bisect(settings: UpdaterSettings, version: str, rows: int) -> list[Step]:
    """The steps of the windows after a version's checkpoint, the most harmful first.

    Args:
        rows: how many shown candidates judge; they are of the newest windows.

    Raises:
        BadInput: too few windows follow the checkpoint.
        BundleRefused: there is no checkpoint of that version; says which there are.
        FreshetError: some examples are no longer on the topic.
    """
    storage = Storage.connect(settings)
    checkpoint = Checkpoint(*Checkpoints(storage).load(version))
    looked_at, judges = divided(await replayed(settings, checkpoint), rows)
    student = student_of(task(settings.task), storage, checkpoint)
    return sorted(steps(student, looked_at, judges), key=lambda step: -step.harm)
