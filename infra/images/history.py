"""``python -m infra.images.history [FOLDER | s3://BUCKET/PREFIX]``: import a shop's history, unless a bundle stands already."""

import os
import sys
import tempfile
from pathlib import Path

from shared.bundles.objects import Objects, S3Objects
from shared.bundles.storage import Storage
from shared.errors import BadSettings
from shared.settings import Settings
from shared.telemetry import plainly

S3 = "s3://"


def fetch(objects: Objects, prefix: str, folder: Path) -> None:
    """Bring a shop's files, which lie below a prefix, into a folder.

    Raises:
        BadSettings: there are none.
    """
    keys = objects.list(f"{prefix.rstrip('/')}/")
    if not keys:
        raise BadSettings(f"the bucket has nothing below {prefix}")
    for key in keys:
        if found := objects.read(key):
            (folder / Path(key).name).write_bytes(found.data)


def folders(named: list[str], settings: Settings) -> list[str]:
    """The same arguments, with a folder of the disk for one in a bucket, to which a task without a disk of its own is sent."""
    if not named or not named[0].startswith(S3):
        return named
    bucket, _, prefix = named[0].removeprefix(S3).partition("/")
    folder = tempfile.mkdtemp()
    fetch(S3Objects.connect(settings.model_copy(update={"bucket": bucket})), prefix, Path(folder))
    return [folder, *named[1:]]


if __name__ == "__main__":
    with plainly("history"):
        settings = Settings.read()
        served = Storage.connect(settings).pointer("latest")
        arguments = [] if served else folders(sys.argv[1:], settings)
    if served is not None:
        print(f"nothing to import: {served.version} is served")
    else:
        os.execv(sys.executable, [sys.executable, "-m", "services.updater.history", *arguments])
