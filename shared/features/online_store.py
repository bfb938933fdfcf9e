"""Feast's door to the packed rows: the one module of ``shared`` that imports Feast, and that no serving process imports."""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import redis
from feast import Entity, FeatureView, RepoConfig, utils
from feast.infra.key_encoding_utils import serialize_entity_key, serialize_entity_key_prefix
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.types import Array, Bool, Float32, Float64, Int32, Int64
from numpy.typing import NDArray

from shared import valkey
from shared.errors import BadInput, BadSettings
from shared.features.events import micros
from shared.features.plan import Field, Plan
from shared.features.plans import UnknownPlan, View, plan_key, store_plan
from shared.features.writer import RowWriter
from shared.settings import Settings

Row = tuple[datetime | None, dict[str, Value] | None]
Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

SINGLE = {
    Float32: ("<f4", "float_val"),
    Float64: ("<f8", "double_val"),
    Int32: ("<i4", "int32_val"),
    Int64: ("<i8", "int64_val"),
    Bool: ("|b1", "bool_val"),
}
LISTS = {Float32: ("<f4", "float_list_val"), Float64: ("<f8", "double_list_val"), Int64: ("<i8", "int64_list_val")}
ATTRIBUTES = {(dtype, False): attribute for dtype, attribute in SINGLE.values()} | {
    (dtype, True): attribute for dtype, attribute in LISTS.values()
}


class PackedOnlineStoreConfig(FeastConfigBaseModel):
    """``online_store`` in ``feature_store.yaml``."""

    type: Literal["shared.features.online_store.PackedOnlineStore"] = "shared.features.online_store.PackedOnlineStore"
    url: str | None = None
    """Valkey's address; FRESHET_REDIS unless given."""
    clock: Literal["wall", "event"] | None = None
    """FRESHET_CLOCK unless given. With ``event`` no row is too old to be read."""

    @property
    def where(self) -> Settings:
        """Where Valkey is, and how we log in."""
        return Settings.read(redis=self.url) if self.url else Settings.read()

    @property
    def by_wall(self) -> bool:
        """Whether rows age by the wall clock."""
        return (self.clock or Settings.read().clock) == "wall"


def compile_plan(project: str, view: FeatureView) -> Plan:
    """The plan of a view as it is declared.

    Raises:
        BadSettings: a field has no fixed width, or the view has not one String join key.
    """
    if len(view.join_keys) != 1:
        raise BadSettings(f"view {view.name}: the packed store needs exactly one join key, of type String")
    prefix = f"{project}/{view.name}/".encode() + serialize_entity_key_prefix(view.join_keys, 3)
    fields = tuple(_field(view.name, field) for field in sorted(view.features, key=lambda field: str(field.name)))
    ttl = int(view.ttl.total_seconds()) if view.ttl else 0
    plan = Plan(project, view.name, prefix, fields, ttl, view.tags.get("owner", ""))
    if plan.owner == "stream":
        _ = plan.words
    return plan


def _field(view: str, field: Any) -> Field:
    array = isinstance(field.dtype, Array)
    kinds: dict[Any, tuple[str, str]] = LISTS if array else SINGLE
    kind = field.dtype.base_type if array else field.dtype
    tags = {name: value for name, value in field.tags.items() if name not in ("length", "default")}
    if kind not in kinds:
        raise BadSettings(f"{view}.{field.name}: {field.dtype} has no fixed width; use Float64, Int64 or arrays of them")
    if array and not field.tags.get("length", "").isdigit():
        raise BadSettings(f"{view}.{field.name}: an array needs the tag length, a whole number")
    default = float(field.tags.get("default", 0))
    length = int(field.tags["length"]) if array else 0
    return Field(field.name, kinds[kind][0], length, None if math.isnan(default) else default, tags)


class PackedOnlineStore(OnlineStore):
    """Feast's view of the rows: reads all, writes those views that no service owns, and leaves the plans at ``feast apply``."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self._views: dict[tuple[str, str, Any], View] = {}

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Both ways, on a thread."""
        return SupportedAsyncMethods(read=True, write=True)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """Write rows; one with an older event time than the stored row's is left out.

        Raises:
            BadInput: a service owns the view; or an array has not the declared length.
        """
        view = self._view(config, table)
        if view.plan.owner:
            raise BadInput(f"view {table.name} is written by the features service alone; send its events to the collector instead")
        rows = _pack(view.plan, data)
        keys = [_key(config, table, entity) for entity, *_ in data]
        RowWriter(self._connect(config)).write(keys, rows, view.plan.ttl)
        if progress:
            progress(len(data))

    def online_read(
        self, config: RepoConfig, table: FeatureView, entity_keys: list[EntityKey], requested_features: list[str] | None = None
    ) -> list[Row]:
        """Rows by entity key; ``(None, None)`` where there is none, or where it is older than the view's ttl."""
        view, client = self._view(config, table), self._connect(config)
        values: Any = client.mget([_key(config, table, entity) for entity in entity_keys])
        try:
            records = view.records(values)
        except UnknownPlan:
            view = self._views[config.project, table.name, table.last_updated_timestamp] = _load(client, view.plan)
            records = view.records(values)
        found = np.array([value is not None for value in values])
        rows = np.frombuffer(records, view.plan.dtype)
        if view.plan.ttl and config.online_store.by_wall:
            found &= rows["_time"] > micros(datetime.now(UTC)) - view.plan.ttl * 1_000_000
        return _unpack(view.plan, rows, found, requested_features)

    async def online_write_batch_async(
        self, config: RepoConfig, table: FeatureView, data: list[Written], progress: Callable[[int], Any] | None
    ) -> None:
        """The same, without blocking the loop."""
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    async def online_read_async(
        self, config: RepoConfig, table: FeatureView, entity_keys: list[EntityKey], requested_features: list[str] | None = None
    ) -> list[Row]:
        """The same, without blocking the loop."""
        return await asyncio.to_thread(self.online_read, config, table, entity_keys, requested_features)

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """``feast apply``: leave the plans of the views that are kept, drop the rows of those that are not."""
        client = self._connect(config)
        self._drop(config, tables_to_delete)
        for view in tables_to_keep:
            if isinstance(view, FeatureView) and view.online:
                store_plan(client, compile_plan(config.project, view))

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """``feast teardown``: drop all rows."""
        self._drop(config, tables)

    def _drop(self, config: RepoConfig, views: Iterable[FeatureView]) -> None:
        client = self._connect(config)
        for view in views:
            if names := list(client.scan_iter(match=f"{config.project}/{view.name}/*", count=1000)):
                client.unlink(*names)
            client.delete(plan_key(config.project, view.name))

    def _connect(self, config: RepoConfig) -> redis.Redis:
        if self._client is None:
            self._client = valkey.connect(config.online_store.where)
        return self._client

    def _view(self, config: RepoConfig, table: FeatureView) -> View:
        key = (config.project, table.name, table.last_updated_timestamp)
        if key not in self._views:
            self._views[key] = View(compile_plan(config.project, table))
        return self._views[key]


def _load(client: redis.Redis, current: Plan) -> View:
    names = list(client.scan_iter(match=f"{plan_key(current.project, current.view)}:*", count=1000))
    found: Any = client.mget(names) if names else []
    return View(current, [Plan.from_json(data) for data in found])


def _key(config: RepoConfig, table: FeatureView, entity: EntityKey) -> bytes:
    return f"{config.project}/{table.name}/".encode() + bytes(serialize_entity_key(entity, 3))


def _pack(plan: Plan, data: list[Written]) -> list[bytes]:
    rows = np.frombuffer(bytearray(plan.default * len(data)), plan.dtype)
    times = [micros(utils.make_tzaware(moment)) for _, _, moment, _ in data]
    rows["_time"] = times
    rows["_version"] = times
    for field in plan.fields:
        attribute = ATTRIBUTES[field.dtype, bool(field.length)]
        column = rows[field.name]
        for i, (_, values, _, _) in enumerate(data):
            value = values.get(field.name)
            if value is None or value.WhichOneof("val") is None:
                column[i] = math.nan if np.dtype(field.dtype).kind == "f" else field.default or 0
            elif not field.length:
                column[i] = getattr(value, attribute)
            elif len(elements := getattr(value, attribute).val) == field.length:
                column[i] = elements
            else:
                raise BadInput(f"{len(elements)} elements, the tag says {field.length}", field=f"{plan.view}.{field.name}")
    return [row.tobytes() for row in rows]


def _unpack(plan: Plan, rows: NDArray[np.void], found: NDArray[np.bool_], names: list[str] | None) -> list[Row]:
    wanted = [field for field in plan.fields if names is None or field.name in names]
    columns = {field.name: _values(field, rows[field.name]) for field in wanted}
    moments = rows["_time"].tolist()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        (epoch + timedelta(microseconds=moments[i]), {name: column[i] for name, column in columns.items()}) if hit else (None, None)
        for i, hit in enumerate(found.tolist())
    ]


def _values(field: Field, column: NDArray[Any]) -> list[Value]:
    attribute = ATTRIBUTES[field.dtype, bool(field.length)]
    if field.length:
        lists = []
        for elements in column.tolist():
            value = Value()
            getattr(value, attribute).val.extend(elements)
            lists.append(value)
        return lists
    return [Value(**{attribute: x}) if x == x else Value() for x in column.tolist()]


__all__ = ["PackedOnlineStore", "PackedOnlineStoreConfig", "compile_plan"]
