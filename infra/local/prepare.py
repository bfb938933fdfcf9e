"""What must stand before the services start: room on the disk, keys, topics, the bucket, and the declared features."""

import asyncio
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import redis

from infra.local import probes
from infra.local.engines import CREDENTIALS
from infra.local.settings import ROOT, StackSettings
from shared.bundles.signing import write_keys
from shared.errors import BadSettings, StorageUnavailable, StoreUnavailable, Unavailable
from shared.kafka import ensure_topics

ROOM = 1 << 30
"""Bytes that must be free before anything is started."""


def require_room(folder: Path, needed: int = ROOM) -> None:
    """Refuse to start on a full disk.

    Raises:
        BadSettings: says how much is free, and how much must be.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BadSettings(f"only {free / 1e9:.1f} GB are free on the disk of {folder}: free at least {needed / 1e9:.1f} GB")


def keys(settings: StackSettings) -> bool:
    """Make the pair that signs and verifies bundles, unless it is there; whether it was made."""
    signing, verifying = settings.keys
    signing.parent.mkdir(parents=True, exist_ok=True)
    if signing.exists() and verifying.exists():
        return False
    write_keys(signing, verifying)
    return True


def topics(settings: StackSettings) -> list[str]:
    """Create the topics that are missing and check the others; the names of the new ones."""
    return asyncio.run(ensure_topics(settings))


def bucket(settings: StackSettings) -> bool:
    """Create the bucket unless it is there; whether it was made.

    Raises:
        StorageUnavailable: the object storage did not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    credentials = CREDENTIALS if not settings.external("s3") else None
    client = probes.s3_client(settings.s3, credentials, settings.region)
    try:
        client.head_bucket(Bucket=settings.bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise StorageUnavailable(f"{settings.s3 or 'S3'} refuses the bucket {settings.bucket}: {error}") from error
        client.create_bucket(Bucket=settings.bucket)
        return True
    except BotoCoreError as error:
        raise StorageUnavailable(f"{settings.s3 or 'S3'} does not answer ({error}): is FRESHET_S3 right?") from error
    finally:
        client.close()
    return False


def features(settings: StackSettings, data: Path) -> bool:
    """``feast apply``, unless the store holds these very declarations already; whether it ran.

    Raises:
        StoreUnavailable: Valkey did not answer.
        Unavailable: Feast refused; says where its words are.
    """
    mark, wanted, registry = f"applied:{settings.project}", declarations(), registry_path(data)
    try:
        with redis.Redis.from_url(settings.redis, socket_timeout=5) as store:
            if registry.exists() and store.get(mark) == wanted.encode():
                return False
            _apply(settings, registry)
            store.set(mark, wanted)
    except redis.RedisError as error:
        raise StoreUnavailable(f"{settings.redis} does not answer ({error}): is FRESHET_REDIS right?") from error
    return True


def registry_path(data: Path) -> Path:
    """Where Feast keeps what was applied: beside the data that it describes."""
    return data / "feast" / "registry.db"


def declarations() -> str:
    """SHA-256 of all that ``feast apply`` depends on."""
    digest = hashlib.sha256()
    for file in sorted([*ROOT.glob("feature_repo/**/*.py"), *ROOT.glob("feature_repo/*.yaml"), ROOT / "requirements.lock"]):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _apply(settings: StackSettings, registry: Path) -> None:
    registry.parent.mkdir(parents=True, exist_ok=True)
    log = settings.state / "logs" / "feast.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("feast")), "-c", str(ROOT / "feature_repo"), "apply"]
    environment = {**os.environ, **settings.environment(), "FRESHET_REGISTRY": str(registry), "FEAST_USAGE": "False"}
    with log.open("wb") as output:  # a process of its own: Feast takes 660 MB and 10 s to import
        if subprocess.run(command, env=environment, cwd=registry.parent, stdout=output, stderr=output).returncode:
            raise Unavailable(f"feast apply failed: see {log}")
