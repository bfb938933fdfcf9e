"""Plans are loaded again where others were applied, and only there: it takes a look at every key of the store."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from services.ranking.store import FeatureStore
from shared.features.plan import Field
from shared.features.plans import Plans
from shared.features.reader import FeatureReader
from shared.settings import Settings
from tests.features import plans

ADDED = Field("item_favourites_7d", "<f8", tags={"statistic": "count", "action": "favourite", "horizon": "604800"})


@dataclass
class Reader:
    """A reader whose store may have newer plans."""

    plans: Plans
    newer: bool = False
    closed: bool = field(default=False, init=False)

    async def outdated(self) -> bool:
        return self.newer

    async def close(self) -> None:
        self.closed = True


def with_the_field() -> Plans:
    old = plans()
    item = msgspec.structs.replace(old.item.plan, fields=(*old.item.plan.fields, ADDED))
    return Plans.of([old.user.plan, item, old.catalogue.plan])


def the_store(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> tuple[FeatureStore, list[Reader]]:
    """The store, and the readers that connected since."""
    connected: list[Reader] = []

    async def connect(*_: Any) -> Reader:
        connected.append(Reader(with_the_field()))
        return connected[-1]

    monkeypatch.setattr(FeatureReader, "connect", connect)
    return FeatureStore(Settings(), (), 0.0, reader), connected  # type: ignore[arg-type]


async def test_where_nothing_was_applied_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(plans())
    store, connected = the_store(reader, monkeypatch)
    await store.reload()
    assert (connected, reader.closed, "item.favourites_7d" in store.inputs.candidate) == ([], False, False)


async def test_what_was_applied_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(plans(), newer=True)
    store, connected = the_store(reader, monkeypatch)
    await store.reload()
    assert (len(connected), reader.closed, "item.favourites_7d" in store.inputs.candidate) == (1, True, True)


async def test_plans_that_a_read_has_loaded_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(plans())
    store, connected = the_store(reader, monkeypatch)
    reader.plans = with_the_field()
    await store.reload()
    assert (connected, "item.favourites_7d" in store.inputs.candidate) == ([], True)
