"""``python -m infra.images.history [FOLDER]``: import a shop's history, unless a bundle stands already."""

import os
import sys

from shared.bundles.storage import Storage
from shared.settings import Settings

if __name__ == "__main__":
    if (served := Storage.connect(Settings.read()).pointer("latest")) is not None:
        print(f"nothing to import: {served.version} is served")
    else:
        os.execv(sys.executable, [sys.executable, "-m", "services.updater.history", *sys.argv[1:]])
