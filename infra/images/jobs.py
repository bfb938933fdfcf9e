"""``python -m infra.images.jobs keys|bucket``: what must stand before services start, beside topics and the declared features.

Each does nothing where its work is done already, so that ``docker compose up`` may run it again. A rotation of the keys has steps:
``keys next``, ``keys promote``, ``keys retire``.
"""

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial

from infra.local import prepare, rotation
from infra.local.settings import StackSettings
from shared.errors import FreshetError


def keys(*steps: str) -> None:
    """The pair of keys; the one that verifies is copied to where ranking finds it, the one that signs stays where it is."""
    settings = StackSettings.read()
    prepare.keys(settings)
    for step in steps:
        rotation.STEPS[step](*settings.keys)
    shutil.copy(settings.keys[1], os.environ["FRESHET_VERIFY_KEY"])


def bucket() -> None:
    """The bucket of bundles and checkpoints."""
    prepare.bucket(StackSettings.read())


JOBS: dict[tuple[str, ...], Callable[[], None]] = {("keys",): keys, ("bucket",): bucket}
JOBS |= {("keys", step): partial(keys, step) for step in rotation.STEPS}

if __name__ == "__main__":
    if (asked := tuple(sys.argv[1:])) not in JOBS:
        sys.exit(f"usage: python -m infra.images.jobs {' | '.join(map(' '.join, JOBS))}")
    try:
        JOBS[asked]()
    except FreshetError as error:
        sys.exit(str(error))
