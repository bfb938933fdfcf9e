"""``python -m services.updater.history [FOLDER]``: see ``importing.py``."""

import sys
from pathlib import Path

from services.updater.history.importing import main
from services.updater.settings import HistorySettings
from shared.telemetry import log, plainly

if __name__ == "__main__":
    with plainly("history"):
        settings = HistorySettings.read()
        main(settings, Path(sys.argv[1]) if len(sys.argv) > 1 else None, log("history", settings.log_level))
