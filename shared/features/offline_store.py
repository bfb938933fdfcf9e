"""Feast's duckdb store over the history that the features service appends, be it in a folder or in the object storage.

Feast's own reader hands an ``s3://`` path to duckdb, whose S3 is an extension that it fetches from the internet at the first use,
and which knows neither our endpoint nor how AWS' tools find credentials. pyarrow has all of that built in.
"""

from collections.abc import Callable
from typing import Any, Literal

import ibis  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FileSource, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores import duckdb
from feast.infra.offline_stores import ibis as joins
from feast.infra.offline_stores.offline_store import RetrievalJob
from ibis.expr.types import Table  # type: ignore[import-untyped]
from pyarrow import dataset
from pyarrow.fs import FileSelector, FileSystem, LocalFileSystem, S3FileSystem

from shared.errors import BadInput
from shared.settings import Settings

PATTERN = "/*/*.parquet"
"""How the path of a view's history ends: a folder for each day."""
S3 = "s3://"


class HistoryOfflineStoreConfig(duckdb.DuckDBOfflineStoreConfig):
    """``offline_store`` in ``feature_store.yaml``."""

    type: Literal["shared.features.offline_store.HistoryOfflineStore"] = "shared.features.offline_store.HistoryOfflineStore"


class HistoryOfflineStore(duckdb.DuckDBOfflineStore):
    """Joins at any past moment what was appended by then; sources of your own are read as Feast's duckdb store does."""

    @staticmethod
    def get_historical_features(config: RepoConfig, *args: Any, **options: Any) -> RetrievalJob:
        return joined(joins.get_historical_features_ibis, config, *args, **options)

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, *args: Any, **options: Any) -> RetrievalJob:
        return joined(joins.pull_latest_from_table_or_query_ibis, config, *args, **options)

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, *args: Any, **options: Any) -> RetrievalJob:
        return joined(joins.pull_all_from_table_or_query_ibis, config, *args, **options)


def joined(join: Callable[..., RetrievalJob], config: RepoConfig, *args: Any, **options: Any) -> RetrievalJob:
    """A join of Feast's duckdb store, over what our reader gives."""
    store = config.offline_store
    return join(
        config,
        *args,
        **options,
        data_source_reader=read,
        data_source_writer=duckdb._write_data_source,
        staging_location=store.staging_location,
        staging_location_endpoint_override=store.staging_location_endpoint_override,
    )


def read(source: DataSource, folder: str) -> Table:
    """The source's rows; duckdb fetches of them what the join asks for.

    Raises:
        BadInput: no history was written yet.
    """
    if not (isinstance(source, FileSource) and source.path.endswith(PATTERN)):
        return duckdb._read_data_source(source, folder)
    root = source.path.removesuffix(PATTERN)
    system = storage(Settings.read()) if root.startswith(S3) else LocalFileSystem()
    return ibis.memtable(history(system, root.removeprefix(S3)))


def history(system: FileSystem, root: str) -> dataset.Dataset:
    """Every file below the folder, with the fields of the oldest and of the newest: what was added since is null before."""
    found = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
    files = sorted(entry.path for entry in found if entry.is_file and entry.extension == "parquet" and entry.base_name[0] != ".")
    if not files:
        raise BadInput(f"no history lies in {root} yet: FRESHET_FEATURES_HISTORY says where it is written")
    schema = pa.unify_schemas([pq.read_schema(file, filesystem=system) for file in (files[0], files[-1])])
    return dataset.dataset(files, schema=schema, filesystem=system, format="parquet")


def storage(settings: Settings) -> S3FileSystem:
    """The object storage that the settings name; credentials come from where AWS' own tools look for them."""
    scheme, _, address = settings.s3.partition("://")
    return S3FileSystem(region=settings.region, **({"endpoint_override": address, "scheme": scheme} if settings.s3 else {}))
