"""Feast and the fast path agree bit for bit, and Feast may not write what the stream owns."""

import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import redis

from shared.errors import BadInput, BadSettings
from shared.features.assemble import Assembler
from shared.features.counters import Counters
from shared.features.plan import Plan, convert
from shared.features.plans import Plans
from shared.features.writer import RowWriter
from shared.keys import keys
from shared.settings import Settings
from tests.conftest import variables
from tests.features import START, at, declared_plans, event

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]  # Feast and its libraries warn about themselves
ITEMS = ["i0", "i1", "i2", "never"]


@pytest.fixture
def store(fresh_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Feast with the declared features applied to an empty Valkey."""
    from feast import FeatureStore, RepoConfig

    from feature_repo import definitions

    monkeypatch.setenv("FRESHET_REDIS", fresh_settings.redis)
    config = RepoConfig(
        project=fresh_settings.project,
        provider="local",
        registry=str(tmp_path / "registry.db"),
        online_store={"type": "shared.features.online_store.PackedOnlineStore"},
        offline_store={"type": "shared.features.offline_store.HistoryOfflineStore"},
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    made.apply(
        [
            definitions.user,
            definitions.item,
            definitions.user_activity,
            definitions.item_activity,
            definitions.catalogue,
            definitions.ranking_inputs,
            definitions.ranking,
        ]
    )
    return made


def counted(settings: Settings) -> Counters:
    """A few hundred events, folded and written."""
    counters = Counters(Plans.of(declared_plans()))
    fields = [
        {"user_id": f"u{n % 3}", "item_id": f"i{n % 3}", "price": n / 7 + 1, "category": "drinks", "brand": f"b{n % 2}"}
        for n in range(300)
    ]
    counters.apply(at([event(n, **given) for n, given in enumerate(fields)], [n * 977.0 for n in range(300)]))
    rows = dict(counters.dump())
    with redis.Redis.from_url(settings.redis) as client:
        RowWriter(client).write(list(rows), list(rows.values()), 0)
    return counters


def test_the_committed_plans_are_those_of_the_definitions() -> None:
    """``python -m tests.contracts.plans`` writes them anew."""
    from tests.contracts.plans import compiled

    assert compiled() == declared_plans()


def test_apply_leaves_the_plans_in_the_store(store: object, fresh_settings: Settings) -> None:
    with redis.Redis.from_url(fresh_settings.redis) as client:
        for plan in declared_plans():
            assert client.get(f"plan:shop:{plan.view}") == b"%d" % plan.id
            assert Plan.from_json(client.get(f"plan:shop:{plan.view}:{plan.id}")) == plan


def test_online_features_are_the_fast_path_s_inputs_bit_for_bit(store: object, fresh_settings: Settings) -> None:
    counters, now = counted(fresh_settings), START + 400_000.25
    asked = {
        "user_id": ["u1"] * 4,
        "item_id": ITEMS,
        "candidate": ITEMS,
        "now": [now] * 4,
        "candidate_price": [1.0, 2.0, float("nan"), 3.0],
        "candidate_category": keys(["drinks", "toys", "", "drinks"]).view(np.int64).tolist(),
        "candidate_brand": keys(["b0", "b1", "", "b0"]).view(np.int64).tolist(),
    }
    served = store.get_online_features(features=store.get_feature_service("ranking"), entity_rows=asked).to_dict()  # type: ignore[attr-defined]
    assembler = Assembler(counters.plans, ())
    fast = assembler.assemble(
        counters.read(["u1"], ITEMS),
        assembler.inputs,
        now=now,
        prices=np.array(asked["candidate_price"]),
        categories=keys(["drinks", "toys", "", "drinks"]),
        brands=keys(["b0", "b1", "", "b0"]),
    )
    for name, value in zip(assembler.inputs.user, fast.user, strict=True):
        assert np.array(served[name.replace(".", "__")], np.float32).tobytes() == np.repeat(value, 4).tobytes(), name
    for name, column in zip(assembler.inputs.candidate, fast.candidate.T, strict=True):
        assert np.array(served[name.replace(".", "__")], np.float32).tobytes() == column.tobytes(), name
    rows = counters.read(["u1"], ITEMS)
    for field in counters.plans.item.plan.fields:
        column = counters.plans.item.plan.column(field.name)
        stored = rows.items[:3, column] if field.dtype == "<f8" else rows.items.view(np.int64)[:3, column]
        assert served[field.name][:3] == stored.tolist()
        assert served[field.name][3] is None


def test_feast_may_not_write_what_the_stream_owns(store: object) -> None:
    row = {"item_id": ["i0"], "event_timestamp": [pd.Timestamp.now(tz="UTC")], "created": [pd.Timestamp.now(tz="UTC")]}
    fields = next(plan for plan in declared_plans() if plan.view == "catalogue").fields
    frame = pd.DataFrame(row | {field.name: [0.0 if field.dtype == "<f8" else 0] for field in fields})
    with pytest.raises(BadInput, match="features service alone"):
        store.write_to_online_store("catalogue", frame)  # type: ignore[attr-defined]


def test_a_view_of_your_own_can_be_pushed_materialized_and_read(store: object, fresh_settings: Settings, tmp_path: Path) -> None:
    from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
    from feast.types import Array, Float32, Int64, String

    shop = Entity(name="branch", join_keys=["branch_id"], value_type=ValueType.STRING)
    source = PushSource(
        name="branch_push",
        batch_source=FileSource(name="branch_file", path=str(tmp_path / "b.parquet"), timestamp_field="event_timestamp"),
    )
    schema = [
        Field(name="branch_id", dtype=String),
        Field(name="size", dtype=Float32),
        Field(name="shelves", dtype=Int64, tags={"default": "7"}),
        Field(name="shape", dtype=Array(Float32), tags={"length": "3"}),
    ]
    view = FeatureView(name="branch_facts", entities=[shop], ttl=timedelta(days=1), schema=schema, source=source)
    store.apply([shop, view])  # type: ignore[attr-defined]

    def push(size: float, age: float) -> None:
        moment = datetime.now(UTC) - timedelta(seconds=age)
        shape = [np.array([1, 2, 3], np.float32)]
        frame = pd.DataFrame({"branch_id": ["b"], "event_timestamp": [moment], "size": [size], "shelves": [3], "shape": shape})
        store.push("branch_push", frame)  # type: ignore[attr-defined]

    names = ["branch_facts:size", "branch_facts:shelves", "branch_facts:shape"]

    def read() -> dict[str, list[object]]:
        rows = {"branch_id": ["b", "nowhere"]}
        return store.get_online_features(features=names, entity_rows=rows).to_dict()  # type: ignore[attr-defined,no-any-return]

    push(1.5, age=60)
    push(9.5, age=120)  # older than what is there: left out
    assert read()["size"] == [1.5, None]
    assert read()["shape"] == [[1.0, 2.0, 3.0], None]
    push(2.5, age=0)
    assert read()["size"] == [2.5, None]
    now = datetime.now(UTC)
    row = {"branch_id": ["b"], "event_timestamp": [now], "size": [4.5], "shelves": [3], "shape": [[4.0, 5.0, 6.0]]}
    pd.DataFrame(row).to_parquet(tmp_path / "b.parquet")
    store.materialize(now - timedelta(hours=1), now + timedelta(hours=1), ["branch_facts"])  # type: ignore[attr-defined]
    assert read()["size"] == [4.5, None]
    assert read()["shape"] == [[4.0, 5.0, 6.0], None]


def test_a_string_field_is_refused_by_name() -> None:
    from feast import Entity, FeatureView, Field, ValueType
    from feast.types import String

    from feature_repo.definitions import history
    from shared.features.online_store import compile_plan

    branch = Entity(name="branch", join_keys=["branch_id"], value_type=ValueType.STRING)
    schema = [Field(name="branch_id", dtype=String), Field(name="street", dtype=String)]
    with pytest.raises(BadSettings, match=r"facts\.street"):
        compile_plan("shop", FeatureView(name="facts", entities=[branch], schema=schema, source=history("facts")))


def test_a_row_of_an_older_plan_reads_on_with_the_new_field_s_default() -> None:
    old = next(plan for plan in declared_plans() if plan.view == "item_activity")
    more = Plan(old.project, old.view, old.prefix, (old.fields[0], *old.fields[2:], type(old.fields[0])("new", "<f8", default=5.0)))
    row = np.frombuffer(bytearray(old.default), old.dtype)
    row[old.fields[0].name], row[old.fields[2].name], row["_version"] = 1.25, 2.5, 9
    new = np.frombuffer(convert(row.tobytes() + b"tail", old, more), more.dtype, 1)[0]
    assert (new[old.fields[0].name], new[old.fields[2].name], new["new"], new["_version"]) == (1.25, 2.5, 5.0, 9)
    assert convert(row.tobytes() + b"tail", old, more).endswith(b"tail")


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_history_joins_at_a_past_moment(where: str, fresh_settings: Settings, tmp_path: Path) -> None:
    """Feast's own point-in-time join over the files that the service writes."""
    history = str(tmp_path / "history") if where == "folder" else f"s3://{fresh_settings.bucket}/history"
    command = [sys.executable, "-m", "tests.contracts.history_join", history, str(tmp_path)]
    environment = os.environ | variables(fresh_settings)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=480, env=environment)
    assert done.returncode == 0, done.stderr[-2_000:]
    week = 604_800
    first, second = (math.exp((moment - START // week * week) / week) for moment in (START, START + 50_000))
    expected = {"early": first, "late": first + second, "before": None}
    assert json.loads(done.stdout.splitlines()[-1]) == pytest.approx(expected)


def test_history_from_before_a_field_reads_as_null(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow.fs import LocalFileSystem

    from shared.features.offline_store import history

    for day, columns in (("day=2026-01-01", {"old": [1.0]}), ("day=2026-01-02", {"old": [2.0], "new": [5.0]})):
        (tmp_path / day).mkdir()
        pq.write_table(pa.table(columns), tmp_path / day / "1-a.parquet")
    (tmp_path / "day=2026-01-02" / ".2-b.parquet").write_bytes(b"half written")
    assert history(LocalFileSystem(), str(tmp_path)).to_table().to_pydict() == {"old": [1.0, 2.0], "new": [None, 5.0]}
    with pytest.raises(BadInput, match="no history"):
        history(LocalFileSystem(), str(tmp_path / "nowhere"))
