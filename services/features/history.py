"""Appends rows to parquet files by view and day, which Feast's offline store joins at any past moment."""

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from services.features import metrics
from services.features.settings import FeaturesSettings
from shared.errors import StorageUnavailable
from shared.features.plan import Plan
from shared.features.plans import USER

Put = Callable[[str, bytes], object]
"""Writes a new file under a name such as ``a/b.parquet``."""

USER_ID, ITEM_ID = "user_id", "item_id"
"""Feast's join keys."""


def destination(settings: FeaturesSettings) -> Put | None:
    """Where ``FRESHET_FEATURES_HISTORY`` says: a folder, or ``s3://bucket/prefix`` of the object storage."""
    named = settings.features_history
    if not named.startswith("s3://"):
        return in_folder(Path(named)) if named else None
    from shared.bundles.objects import S3Objects

    bucket, _, prefix = named.removeprefix("s3://").partition("/")
    objects = S3Objects.connect(settings.model_copy(update={"bucket": bucket}))
    return lambda name, data: objects.create(f"{prefix.rstrip('/')}/{name}".lstrip("/"), data)


def in_folder(folder: Path) -> Put:
    """A folder on this machine; a file is there whole or not at all."""

    def put(name: str, data: bytes) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{file.name}")
        hidden.write_bytes(data)
        hidden.rename(file)

    return put


class History:
    """Parquet files: ``<view>/day=<YYYY-MM-DD>/<time>-<id>.parquet``, the day of the row's newest event."""

    def __init__(self, put: Put) -> None:
        self._put = put

    def append(self, plan: Plan, part: Mapping[str, bytes]) -> list[str]:
        """Write rows, each once; a crash loses this part of the history and nothing else.

        Args:
            plan: the rows'.
            part: id → header and record.

        Returns:
            The ids of the rows that were not taken: the storage is away, or the disk is full.
        """
        missed: list[str] = []
        rows = np.frombuffer(b"".join(part.values()), plan.dtype)
        names = np.array(list(part), object)
        created = datetime.now(UTC)
        for day, chosen in _by_day(rows["_time"]).items():
            name = f"{plan.view}/day={day}/{time.time_ns()}-{uuid.uuid4().hex[:8]}.parquet"
            file = pa.BufferOutputStream()
            pq.write_table(table(plan, names[chosen].tolist(), rows[chosen], created), file, compression="zstd")
            try:
                self._put(name, file.getvalue().to_pybytes())
            except (StorageUnavailable, OSError) as error:
                missed += names[chosen].tolist()
                metrics.history_lost.labels(plan.view).inc(len(chosen))
                structlog.stdlib.get_logger(service="features").error("history_lost", rows=len(chosen), detail=str(error))
            else:
                metrics.history_rows.labels(plan.view).inc(len(chosen))
        return missed


def table(plan: Plan, names: list[str], rows: np.ndarray, created: datetime) -> pa.Table:
    """Rows as columns that Feast knows: the id, ``event_timestamp``, ``created``, and the plan's fields."""
    stamps = pa.timestamp("us", tz="UTC")
    columns = {
        USER_ID if plan.view == USER else ITEM_ID: pa.array(names),
        "event_timestamp": pa.array(rows["_time"].copy(), stamps),
    }
    columns["created"] = pa.array([created] * len(names), stamps)
    for field in plan.fields:
        values = np.ascontiguousarray(rows[field.name])
        if field.length:
            offsets = pa.array(np.arange(len(names) + 1, dtype=np.int32) * field.length)
            columns[field.name] = pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))
        else:
            columns[field.name] = pa.array(values)
    return pa.table(columns)


def _by_day(times: np.ndarray) -> dict[str, np.ndarray]:
    days = times.astype("M8[us]").astype("M8[D]")
    return {str(day): np.flatnonzero(days == day) for day in np.unique(days)}
