"""Builds one life of the updater from a checkpoint: the learner, the frozen base beside it, the gate and the publisher."""

from dataclasses import dataclass

import msgspec
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.stdlib import BoundLogger

from services.updater import recovery
from services.updater.evaluation import remembered
from services.updater.evaluation.prequential import Prequential
from services.updater.evaluation.reference import Reference
from services.updater.guards.breaker import Breaker
from services.updater.guards.control import Control
from services.updater.guards.drift import Drift
from services.updater.guards.gate import Gate
from services.updater.learning.batches import Batcher
from services.updater.learning.catalogue import Assortment
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.loop import Student
from services.updater.publishing.bundle import Chain, Composer
from services.updater.publishing.checkpoints import Arrays
from services.updater.publishing.published import Change, Published
from services.updater.publishing.publisher import Announce, Publisher, Track
from services.updater.publishing.releases import Position, Releases
from services.updater.publishing.schedule import Schedule
from services.updater.race.challengers import Race, state_of
from services.updater.race.standings import Entrant, Standing
from services.updater.recovery import Checkpoint
from services.updater.settings import UpdaterSettings
from services.updater.windows.gaps import Gaps
from shared.bundles.files import Catalogue, decode_catalogue
from shared.bundles.manifest import File
from shared.bundles.storage import Storage
from shared.errors import BundleRefused
from shared.messages import Example, Inputs, Verdict
from shared.origins import Origins
from shared.tasks import Task


@dataclass(frozen=True)
class Life:
    """What the loop works with."""

    student: Student
    prequential: Prequential
    releases: Releases
    breaker: Breaker
    control: Control

    def judge(self, examples: list[Example], now: float) -> Verdict:
        """What is not learned of examples that come next, at this moment."""
        return self.breaker.judge(examples, self.student.preview(examples), now)


@dataclass(frozen=True)
class Beginning:
    """Where a life begins, as :mod:`services.updater.recovery` and the plans' topic say."""

    checkpoint: Checkpoint
    chain: Chain
    """What readers hold."""
    epoch: int
    planned: tuple[str, ...]
    """Catalogue files that the plans to replay name."""


def begin(
    settings: UpdaterSettings, task: Task, storage: Storage, key: Ed25519PrivateKey, beginning: Beginning, announce: Announce,
    log: BoundLogger, track: Track | None = None,
) -> Life:  # fmt: skip
    """Everything in the state that the checkpoint describes; the pointer now carries this life's epoch.

    Raises:
        Fenced: a newer updater took over meanwhile.
        BundleRefused: something stored is missing or damaged, or the weights are not those that are served.
    """
    student = student_of(task, storage, beginning.checkpoint)
    learner, inputs = student.learner, student.learner.inputs
    if settings.drift:
        drift = Drift(inputs, log)
        drift.begin()
        student.watch = drift.watch
    first = recovery.base(storage)
    base = Reference(loaded(task, inputs, learner.assortment, learner.device, first.state))
    published = Published.empty(task.model.capacity, task.model.dim)
    published.apply(Change(learner.tables.full(), learner.dense()))
    composer = Composer(task, inputs, learner.trainable(), key)
    publisher = Publisher(
        storage, composer, published, beginning.chain, settings.keep_fulls, beginning.planned, announce, log, track
    )
    publisher.point(beginning.chain, beginning.epoch)
    served = recovery.served(storage, beginning.chain)
    ripe_s = task.attribution if settings.ripe_s is None else settings.ripe_s
    prequential = Prequential(task.labels[0], ripe_s, task.gate.rows, base, task.calibrator, served.calibrator)
    remembered.recall(prequential, beginning.checkpoint.state)
    good = beginning.checkpoint.progress.good or first.progress.version
    schedule, gate = Schedule.of(settings), Gate(task.gate)
    releases = Releases(student.race, publisher, schedule, gate, prequential, beginning.epoch, served, good, log)
    releases.resume(student.position.window)
    breaker = Breaker(task.breaker, base, inputs, log)
    control = Control(storage, breaker, log)
    control.begin()
    return Life(student, prequential, releases, breaker, control)


def student_of(task: Task, storage: Storage, checkpoint: Checkpoint) -> Student:
    """The champion and its challengers in a checkpoint's state, with what came before it.

    Raises:
        BundleRefused: something stored is missing or damaged.
    """
    progress = checkpoint.progress
    assortment = assortment_of(task, storage, checkpoint)
    race = race_of(task, storage.manifest(progress.version).inputs, assortment, checkpoint)
    position = Position(
        progress.window, progress.plans_offset, dict(progress.offsets), Origins.load(progress.origins), list(progress.catalogues),
        Gaps.load(progress.gaps),
    )  # fmt: skip
    return Student(race, Batcher(race.champion.inputs, task.labels, assortment), position, Catalogues(storage))


def assortment_of(task: Task, storage: Storage, checkpoint: Checkpoint) -> Assortment:
    """What a checkpoint's catalogues tell of the items.

    Raises:
        BundleRefused: one is missing or damaged.
    """
    assortment = Assortment(task.model.text_dim)
    for file in checkpoint.progress.catalogues:
        assortment.add(decode_catalogue(storage.get_blob(file)))
    return assortment


def race_of(task: Task, inputs: Inputs, assortment: Assortment, checkpoint: Checkpoint) -> Race:
    """Everybody's learner under the settings that each had, or the task's where those were changed by hand."""
    standing = (checkpoint.progress.race or Standing.of(task.learning)).declare(task.learning)

    def configured(one: Entrant, state: Arrays) -> Learner:
        return loaded(msgspec.structs.replace(task, learning=one.settings), inputs, assortment, choose(), state)

    challengers = {one.name: configured(one, state_of(one.name, checkpoint.state)) for one in standing.challengers}
    race = Race(configured(standing.champion, checkpoint.state), standing, challengers)
    race.judge(())
    return race


def loaded(task: Task, inputs: Inputs, assortment: Assortment, device: torch.device, state: Arrays) -> Learner:
    """A learner in this state, its frozen parts set."""
    learner = Learner(task, inputs, assortment, device)
    learner.freeze(task.model.frozen)
    learner.load(dict(state))
    return learner


class Catalogues:
    """Reads the catalogue files that plans name."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self, key: str) -> tuple[File, Catalogue]:
        """The file under this storage key, its content checked.

        Raises:
            BundleRefused: ``corrupt``: it is missing or is not what its name says.
        """
        found = self._storage.objects.read(key)
        if found is None:
            raise BundleRefused("corrupt", f"the catalogue file {key} is not in the storage")
        file = File(key.rsplit("/", 1)[-1], len(found.data))
        return file, decode_catalogue(self._storage.get_blob(file))
