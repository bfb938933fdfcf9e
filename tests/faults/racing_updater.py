"""The updater with a champion that learns a hundred times too fast, and a challenger that will take its place."""

import msgspec
import uvloop

from services.updater import __main__ as entry
from services.updater.settings import UpdaterSettings
from shared import tasks
from shared.tasks import RANKING, LearningSettings, RaceSettings
from shared.telemetry import log

TASK = msgspec.structs.replace(
    RANKING,
    learning=LearningSettings(row_rate=3.0, dense_rate=0.1),
    challengers=(LearningSettings(), LearningSettings(row_rate=0.01)),
    race=RaceSettings(calibration=1.0),
)

if __name__ == "__main__":
    tasks.TASKS[TASK.name] = TASK
    settings = UpdaterSettings.read()
    uvloop.run(entry.main(settings, log("updater", settings.log_level)))
