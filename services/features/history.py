"""Appends rows to parquet files by view and day, which Feast's offline store joins at any past moment."""

import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.features import metrics
from shared.features.plan import Plan
from shared.features.plans import USER

USER_ID, ITEM_ID = "user_id", "item_id"
"""Feast's join keys."""


class History:
    """A folder of parquet files: ``<view>/day=<YYYY-MM-DD>/<time>-<id>.parquet``, the day of the row's newest event."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def append(self, plan: Plan, part: Mapping[str, bytes]) -> None:
        """Write rows, each once; a crash before that loses this part of the history and nothing else.

        Args:
            plan: the rows'.
            part: id → header and record.
        """
        rows = np.frombuffer(b"".join(part.values()), plan.dtype)
        names = np.array(list(part), object)
        created = datetime.now(UTC)
        for day, chosen in _by_day(rows["_time"]).items():
            folder = self._folder / plan.view / f"day={day}"
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}.parquet"
            hidden = folder / f".{name}"
            pq.write_table(table(plan, names[chosen].tolist(), rows[chosen], created), hidden, compression="zstd")
            hidden.rename(folder / name)
        metrics.history_rows.labels(plan.view).inc(len(part))


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
