"""The features service's history in the object storage: what stands there, and a storage that is away."""

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY

from services.features.history import History, destination
from services.features.settings import FeaturesSettings
from shared.features.counters import Counters
from shared.settings import Settings
from tests.features import START, at, event, plans

pytestmark = pytest.mark.engines


def history(settings: Settings) -> History:
    written = destination(FeaturesSettings(**settings.model_dump() | {"features_history": f"s3://{settings.bucket}/history"}))
    assert written
    return History(written)


def lost() -> float:
    return REGISTRY.get_sample_value("features_history_lost_total", {"view": "item_activity"}) or 0.0


def rows(counters: Counters) -> dict[str, bytes]:
    return {name: counters.items.records(counters.items.rows([name]))[0] for name in counters.items.index}


def test_rows_stand_in_the_bucket_as_feast_reads_them(fresh_settings: Settings) -> None:
    counters = Counters(plans())
    counters.apply(at([event(1)], [0.0]))
    history(fresh_settings).append(plans().item.plan, rows(counters))
    client = boto3.client("s3", endpoint_url=fresh_settings.s3, region_name=fresh_settings.region)
    [found] = client.list_objects_v2(Bucket=fresh_settings.bucket, Prefix="history/")["Contents"]
    assert found["Key"].startswith("history/item_activity/day=")
    data = client.get_object(Bucket=fresh_settings.bucket, Key=found["Key"])["Body"].read()
    client.close()
    table = pq.read_table(pa.BufferReader(data)).to_pylist()
    assert [(row["item_id"], row["event_timestamp"].timestamp()) for row in table] == [(event(1).item_id, START)]


def test_a_storage_that_is_away_loses_the_part_and_nothing_else(fresh_settings: Settings) -> None:
    counters = Counters(plans())
    counters.apply(at([event(1)], [0.0]))
    nowhere = fresh_settings.model_copy(update={"s3": "http://127.0.0.1:9"})
    before = lost()
    history(nowhere).append(plans().item.plan, rows(counters))
    assert lost() == before + 1
