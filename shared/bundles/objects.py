"""Objects in a bucket with conditional writes: the S3 API, and a twin in memory for tests.

A write is either ``create`` (only where nothing stands) or ``replace`` (only what was last read, by its ETag), so that of several
writers exactly one wins and the others hear of it.
"""

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from shared.errors import StorageUnavailable
from shared.settings import Settings

ATTEMPTS = 4
"""Of a write that met another's (409) or whose answer was lost."""


class Lost(Exception):
    """A conditional write lost: what stands there is not what the writer thought (412, or 404 for a replace)."""


@dataclass(frozen=True, slots=True)
class Object:
    """What stands under a key, and the tag that a ``replace`` must show."""

    data: bytes
    etag: str


class Objects(Protocol):
    """A bucket. Every method may raise :class:`StorageUnavailable`; calling again is harmless."""

    def read(self, key: str) -> Object | None:
        """What stands under the key, or ``None``."""

    def create(self, key: str, data: bytes) -> str:
        """Write where nothing stands; the new ETag. Raises :class:`Lost` where something does."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write over what has this ETag; the new one. Raises :class:`Lost` where it changed or is gone."""

    def delete(self, key: str) -> None:
        """Remove; a missing key is as good."""

    def list(self, prefix: str) -> list[str]:
        """The keys that start so, sorted."""

    def close(self) -> None:
        """Let go of the connections."""


class MemoryObjects:
    """The twin in memory: passes the same contract, and loses everything with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._lock = threading.Lock()

    def read(self, key: str) -> Object | None:
        return self._objects.get(key)

    def create(self, key: str, data: bytes) -> str:
        with self._lock:
            if key in self._objects:
                raise Lost(key)
            return self._put(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        with self._lock:
            if key not in self._objects or self._objects[key].etag != etag:
                raise Lost(key)
            return self._put(key, data)

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def list(self, prefix: str) -> list[str]:
        with self._lock:
            return sorted(key for key in self._objects if key.startswith(prefix))

    def close(self) -> None:
        pass

    def _put(self, key: str, data: bytes) -> str:
        self._objects[key] = Object(data, hashlib.md5(data).hexdigest())
        return self._objects[key].etag


class S3Objects:
    """A bucket behind the S3 API; safe to use from several threads.

    boto3's own retries are off: after a lost answer a conditional write must first look whether it was done.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    @classmethod
    def connect(cls, settings: Settings) -> "S3Objects":
        """A client for the settings' endpoint and bucket; credentials come from ``AWS_*``. No request is made yet."""
        config = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path" if settings.s3 else "auto"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return cls(
            boto3.client("s3", endpoint_url=settings.s3 or None, region_name=settings.region, config=config), settings.bucket
        )

    def read(self, key: str) -> Object | None:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
            return Object(answer["Body"].read(), answer["ETag"])
        except (ClientError, BotoCoreError) as error:
            if _status(error) == 404:
                return None
            raise _unavailable(error) from error

    def create(self, key: str, data: bytes) -> str:
        return self._write(key, data, IfNoneMatch="*")

    def replace(self, key: str, data: bytes, etag: str) -> str:
        return self._write(key, data, IfMatch=etag)

    def delete(self, key: str) -> None:
        try:
            self._client.delete_object(Bucket=self._bucket, Key=key)
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def list(self, prefix: str) -> list[str]:
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
            return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        self._client.close()

    def _write(self, key: str, data: bytes, **condition: str) -> str:
        for attempt in range(ATTEMPTS):
            try:
                return str(self._client.put_object(Bucket=self._bucket, Key=key, Body=data, **condition)["ETag"])
            except (ClientError, BotoCoreError) as error:
                etag = self._settle(key, data, error, lost_before=attempt > 0)
                if etag is not None:
                    return etag
                last = error
            time.sleep(0.05 * 2**attempt)
        raise _unavailable(last) from last

    def _settle(self, key: str, data: bytes, error: Exception, *, lost_before: bool) -> str | None:
        """The ETag if the write turns out to be done, ``None`` if it may be sent again.

        A 412 after a lost answer may be our own first try: the body decides, which is unique for what is replaced.
        """
        status = _status(error)
        if status == 409:  # another's conditional write is on its way
            return None
        if status in (404, 412) and not lost_before:
            raise Lost(key) from error
        if status not in (404, 412) and status < 500 and not isinstance(error, HTTPClientError):
            raise _unavailable(error) from error
        seen = self.read(key)
        if seen is not None and seen.data == data:
            return seen.etag
        if status in (404, 412):
            raise Lost(key) from error
        return None


def _status(error: Exception) -> int:
    """The HTTP status of an answer about an object, 0 where there was none."""
    if not isinstance(error, ClientError) or error.response.get("Error", {}).get("Code") == "NoSuchBucket":
        return 0
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _unavailable(error: Exception) -> StorageUnavailable:
    return StorageUnavailable(f"the object storage did not do it: {error}; is FRESHET_S3 right, and does the bucket exist?")
