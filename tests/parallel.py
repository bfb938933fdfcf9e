"""``torchrun -m tests.parallel FOLDER``: a life of the learning loop that several processes share; each leaves its weights."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import structlog
from safetensors.numpy import save_file

from services.updater import recovery
from services.updater.assembly import Beginning, Life, begin
from services.updater.history.base import publish_base
from services.updater.learning import parallel
from services.updater.learning.device import choose
from services.updater.learning.learner import Learner
from services.updater.loop import follow, learn
from services.updater.publishing.bundle import Chain
from services.updater.settings import UpdaterSettings
from services.updater.windows.window import Window
from shared.bundles.objects import MemoryObjects
from shared.bundles.storage import Storage
from shared.messages import Example, WindowPlan
from tests import learning
from tests.bundles import a_key

LISTS = 10
TASK = learning.task(rehearsal=0.5)
log = structlog.stdlib.get_logger()


def a_life() -> Life:
    """One on a base that knows the catalogue, in a storage of its own."""
    storage, learner = Storage(MemoryObjects(), "ranking"), learning.learner(TASK)
    learner.learn(learning.window(0), 0)
    base = publish_base(storage, learner, [learning.catalogue()], a_key())
    beginning = Beginning(recovery.base(storage), Chain(base.version, base.version), 2, ())
    settings = UpdaterSettings(publish_s=0, dense_s=1e9, full_s=1e9)
    return begin(settings, TASK, storage, a_key(), beginning, lambda _: None, log)


def windows() -> Iterator[Window | None]:
    """Four of ten lists each, moments without one between them, and one of a single row: a late purchase."""
    late = learning.correction(5, learning.shown(3), index=2)
    cuts = [[learning.shown(offset) for offset in range(first, first + LISTS)] for first in range(0, 4 * LISTS, LISTS)]
    every: list[list[Example]] = [*cuts, [late]]
    for number, examples in enumerate(every, 1):
        at = (number - 1) * LISTS
        yield Window(WindowPlan(task="ranking", window=number, epoch=2, ranges={"0": (at, at + LISTS)}), examples)
        yield None


def alone() -> Life:
    """The same life in one process."""
    life = a_life()
    learn(windows(), life.student, life.prequential, life.releases, log)
    life.releases.close()
    return life


def weights(learner: Learner) -> dict[str, np.ndarray]:
    """Everything that a checkpoint holds."""
    return {name: np.ascontiguousarray(array) for name, array in learner.state().items()}


def main(folder: Path) -> None:
    """Rank 0 tests, learns and publishes, the others follow."""
    together = parallel.joined(choose())
    assert together is not None
    life = a_life()
    life.student.race.join(together)
    if together.rank:
        follow(together.told(), life.student)
    else:
        learn(together.tell(windows()), life.student, life.prequential, life.releases, log)
    life.releases.close()
    save_file(weights(life.student.learner), folder / f"{together.rank}.safetensors")
    together.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
