"""``python -m infra.images.jobs keys|bucket|features``: what must stand before services start, beside topics.

Each does nothing where its work is done already, so that ``docker compose up`` may run it again.
"""

import os
import shutil
import sys
from pathlib import Path

from infra.local import prepare
from infra.local.settings import StackSettings
from shared.errors import FreshetError


def keys() -> None:
    """The pair of keys; the one that verifies is copied to where ranking finds it, the one that signs stays where it is."""
    settings = StackSettings.read()
    prepare.keys(settings)
    shutil.copy(settings.keys[1], os.environ["FRESHET_VERIFY_KEY"])


def bucket() -> None:
    """The bucket of bundles and checkpoints."""
    prepare.bucket(StackSettings.read())


def features() -> None:
    """``feast apply``, where the declarations changed."""
    prepare.features(StackSettings.read(), Path(os.environ["FRESHET_FEATURES_HISTORY"]).parent)


JOBS = {"keys": keys, "bucket": bucket, "features": features}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in JOBS:
        sys.exit(f"usage: python -m infra.images.jobs {'|'.join(JOBS)}")
    try:
        JOBS[sys.argv[1]]()
    except FreshetError as error:
        sys.exit(str(error))
