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
from shared import valkey
from shared.bundles.signing import signing_key, write_keys, write_verify_keys
from shared.errors import BadSettings, StorageUnavailable, Unavailable
from shared.kafka import ensure_topics

REGISTRY_MARK = ROOT / ".state" / "feast" / "applied"
"""Beside the registry that ``feature_repo/feature_store.yaml`` names: what was applied to it."""
ROOM = 1 << 30
"""Bytes that must be free before anything is started."""


def require_room(folder: Path) -> None:
    """Refuse to start on a full disk.

    Raises:
        BadSettings: says how much is free, and how much must be.
    """
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise BadSettings(f"only {free / 1e9:.1f} GB are free on the disk of {folder}: free at least {ROOM / 1e9:.1f} GB")


def keys(settings: StackSettings) -> bool:
    """Make the pair that signs and verifies bundles, or what is missing of it; whether anything was made.

    Raises:
        BadSettings: only the key that verifies is there.
    """
    signing, verifying = settings.keys
    signing.parent.mkdir(parents=True, exist_ok=True)
    if signing.exists() and verifying.exists():
        return False
    if verifying.exists():
        raise BadSettings(f"{signing}, which signs bundles, is missing: put it back, or remove {verifying} for a new pair")
    if signing.exists():
        write_verify_keys(verifying, signing_key(signing).public_key())
    else:
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


def features(settings: StackSettings, history: str) -> bool:
    """``feast apply``, unless the store and Feast's registry both hold these very declarations; whether it ran.

    Args:
        settings: where Valkey is.
        history: where the features service appends its rows: a folder, or ``s3://bucket/prefix``.

    Raises:
        StoreUnavailable: Valkey did not answer.
        Unavailable: Feast refused; says where its words are.
    """
    mark, wanted = f"applied:{settings.project}", f"{declarations()} {history}"
    try:
        with valkey.connect(settings, socket_timeout=5, decode_responses=True) as store:
            if store.get(mark) == wanted and REGISTRY_MARK.exists() and REGISTRY_MARK.read_text() == wanted:
                return False
            _apply(settings, history)
            store.set(mark, wanted)
            REGISTRY_MARK.write_text(wanted)
    except redis.RedisError as error:
        raise valkey.away(settings, error) from error
    return True


def history(data: Path) -> str:
    """Where the features service appends its history, which Feast's offline store reads."""
    return str(data / "history")


def declarations() -> str:
    """SHA-256 of all that ``feast apply`` depends on."""
    digest = hashlib.sha256()
    for file in sorted([*ROOT.glob("feature_repo/**/*.py"), *ROOT.glob("feature_repo/*.yaml"), ROOT / "requirements.lock"]):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _apply(settings: StackSettings, history: str) -> None:
    log = settings.state / "logs" / "feast.log"
    for folder in (log.parent, REGISTRY_MARK.parent):
        folder.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("feast")), "-c", str(ROOT / "feature_repo"), "apply"]
    environment = {**os.environ, **settings.environment(), "FRESHET_FEATURES_HISTORY": history, "FEAST_USAGE": "False"}
    with log.open("wb") as output:  # a process of its own: Feast takes 660 MB and 10 s to import
        if subprocess.run(command, env=environment, stdout=output, stderr=output).returncode:
            raise Unavailable(f"feast apply failed: {last_line(log)} (see {log})")


def last_line(log: Path) -> str:
    """The last line of a log; empty where there is none."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1][:500] if lines else ""
