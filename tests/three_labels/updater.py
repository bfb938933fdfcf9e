"""``python -m tests.three_labels.updater``: the updater of that shop."""

import uvloop

from services.updater import __main__ as entry
from services.updater.settings import UpdaterSettings
from shared.tasks import TASKS
from shared.telemetry import log
from tests.three_labels import TASK

if __name__ == "__main__":
    TASKS[TASK.name] = TASK
    settings = UpdaterSettings.read()
    uvloop.run(entry.main(settings, log("updater", settings.log_level)))
