"""``python -m services.updater.history [FOLDER]``: see ``importing.py``."""

import sys
from pathlib import Path

from services.updater.history.importing import main
from services.updater.settings import HistorySettings
from shared.errors import FreshetError
from shared.telemetry import log

if __name__ == "__main__":
    settings = HistorySettings.read()
    logger = log("history", settings.log_level)
    try:
        main(settings, Path(sys.argv[1]) if len(sys.argv) > 1 else None, logger)
    except FreshetError as error:
        logger.error("stopped", reason=str(error))
        sys.exit(1)
