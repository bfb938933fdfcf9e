"""An updater that learns the opposite of what happened: what the gate is there for."""

from dataclasses import replace

import uvloop

from services.updater import __main__ as entry
from services.updater.learning.batches import Batch
from services.updater.learning.learner import Learner
from services.updater.settings import UpdaterSettings
from shared.telemetry import log

learn = Learner.learn


def backward(self: Learner, batch: Batch, window: int) -> None:
    """What was bought counts as left, and what was left as bought."""
    learn(self, replace(batch, labels=1 - batch.labels), window)


if __name__ == "__main__":
    Learner.learn = backward  # type: ignore[method-assign]
    settings = UpdaterSettings.read()
    uvloop.run(entry.main(settings, log("updater", settings.log_level)))
