"""A plain Feast project: two views of floats in the stock Redis store."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.repo_config import RepoConfig
from feast.types import Float32
from feast.value_type import ValueType


def view(name: str, key: str, width: int, folder: Path) -> tuple[Entity, FeatureView]:
    """An entity and its view of so many floats."""
    entity = Entity(name=name, join_keys=[key], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / f"{name}.parquet"), timestamp_field="event_timestamp")
    fields = [Field(name=f"{name}_{n}", dtype=Float32) for n in range(width)]
    return entity, FeatureView(name=f"{name}_view", entities=[entity], schema=fields, source=source)


def store(folder: Path, redis: str, users: int, items: int, widths: tuple[int, int]) -> FeatureStore:
    """The project, applied and filled with u0, u1, ... and i0, i1, ..."""
    config = RepoConfig(
        project="plain",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "redis", "connection_string": redis},
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
    )
    feast = FeatureStore(config=config)
    for name, key, count, width in (("user", "user_id", users, widths[0]), ("item", "item_id", items, widths[1])):
        entity, features = view(name, key, width, folder)
        rows = pd.DataFrame(np.random.default_rng(1).normal(size=(count, width)), columns=[f"{name}_{n}" for n in range(width)])
        rows[key], rows["event_timestamp"] = [f"{name[0]}{n}" for n in range(count)], datetime(2026, 1, 1, tzinfo=UTC)
        rows.head(1).to_parquet(folder / f"{name}.parquet")
        feast.apply([entity, features])
        feast.write_to_online_store(features.name, rows)
    return feast
