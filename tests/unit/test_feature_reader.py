"""One MGET, quickly, or the word that the store is away."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from redis.exceptions import RedisError

from shared.errors import BadSettings, StoreUnavailable
from shared.features.counters import Counters
from shared.features.plan import Field, Plan
from shared.features.plans import Plans, plan_key
from shared.features.reader import Breaker, FeatureReader
from tests.features import at, event, plans

PLANS = plans()


class Store:
    """As much of Valkey as a reader asks for."""

    def __init__(self, rows: dict[bytes, bytes] | None = None, delay: float = 0.0, slow: float = 0.0) -> None:
        self.rows, self.delay, self.slow, self.asked, self.told = rows or {}, delay, slow, 0, 0
        self.gone = False

    async def mget(self, names: Sequence[Any]) -> list[bytes | None]:
        self.asked += 1
        await asyncio.sleep(self.delay)
        return [self.rows.get(name if isinstance(name, bytes) else name.encode()) for name in names]

    async def get(self, name: str) -> bytes | None:
        if self.gone:
            raise RedisError("gone")
        self.told += 1
        await asyncio.sleep(self.slow)
        return self.rows.get(name.encode())

    async def scan_iter(self, match: str, count: int) -> Any:
        for name in list(self.rows):
            if name.decode(errors="ignore").startswith(match.rstrip("*")):
                yield name


def rows() -> dict[bytes, bytes]:
    counters = Counters(PLANS)
    counters.apply(at([event(0, item_id="tea"), event(1, item_id="mug")], [0, 1]))
    return dict(counters.dump())


async def test_a_user_and_many_items_come_in_one_question() -> None:
    store = Store(rows())
    read = await FeatureReader(store, PLANS, "shop").read("ann", ["mug", "nothing", "tea"])
    assert store.asked == 1
    assert read.items.shape == (3, PLANS.item.plan.words)
    column = PLANS.item.plan.column("item_purchases_7d")
    assert (read.items[:, column] > 0).tolist() == [True, False, True]
    assert read.catalogue is None


async def test_a_slow_store_is_away_and_after_five_times_it_is_not_asked() -> None:
    store = Store(rows(), delay=1.0)
    reader = FeatureReader(store, PLANS, "shop", timeout=0.001, breaker=Breaker(failures=5, pause=60))
    for _ in range(8):
        with pytest.raises(StoreUnavailable):
            await reader.read("ann", ["tea"])
    assert store.asked == 5


def test_a_breaker_lets_one_try_pass_after_its_pause() -> None:
    breaker = Breaker(failures=2, pause=1.0)
    breaker.failed(10.0)
    assert not breaker.is_open(10.0)
    breaker.failed(10.0)
    assert breaker.is_open(10.5)
    assert not breaker.is_open(11.5)
    breaker.failed(11.5)
    assert breaker.is_open(12.0)
    breaker.succeeded()
    assert not breaker.is_open(12.0)


def newer_store(**more: Any) -> tuple[Store, Plan]:
    """One whose items follow a plan that was applied after :data:`PLANS`, and that plan."""
    newer = msgspec.structs.replace(PLANS.item.plan, fields=(*PLANS.item.plan.fields, Field("item_new", "<f8", default=2.0)))
    store = Store({newer.key("tea"): newer.default}, **more)
    for plan in (PLANS.user.plan, newer, PLANS.item.plan, PLANS.catalogue.plan):
        store.rows[plan_key("shop", plan.view, plan.id).encode()] = plan.to_json()
    for plan in (PLANS.user.plan, newer, PLANS.catalogue.plan):
        store.rows[plan_key("shop", plan.view).encode()] = b"%d" % plan.id
    return store, newer


async def test_a_row_of_a_plan_applied_since_is_read_after_loading_the_plans_again() -> None:
    store, newer = newer_store()
    reader = FeatureReader(store, PLANS, "shop")
    read = await reader.read("ann", ["tea", "mug"])
    assert reader.plans.item.plan == newer
    assert read.items[:, newer.column("item_new")].tolist() == [2.0, 2.0]


async def test_it_knows_whether_a_plan_was_applied_since_without_a_look_at_every_key() -> None:
    store, _ = newer_store()
    reader = FeatureReader(store, PLANS, "shop")
    assert await reader.outdated()
    await reader.read("ann", ["tea"])
    store.told = 0
    assert not await reader.outdated()
    assert store.told == 0
    assert not await FeatureReader(Store(), PLANS, "shop").outdated()  # emptied: those in memory are the best there are


async def test_a_store_that_does_not_say_which_plans_are_current_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.features.reader.PLANS_TIMEOUT", 0.01)
    with pytest.raises(StoreUnavailable, match="which plans are current"):
        await FeatureReader(Store(delay=1.0), PLANS, "shop").outdated()


async def test_plans_that_take_long_are_loaded_once_and_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.features.reader.PLANS_TIMEOUT", 0.01)
    store, newer = newer_store(slow=0.1)
    reader = FeatureReader(store, PLANS, "shop")
    asked = await asyncio.gather(*(reader.read("ann", ["tea"]) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in asked] == [StoreUnavailable] * 3
    assert reader._loading is not None
    await reader._loading
    assert store.told == 3
    assert (await reader.read("ann", ["tea"])).items.shape == (1, newer.words)


async def test_a_store_that_goes_away_before_it_gave_the_plans_is_away() -> None:
    store, _ = newer_store()
    store.gone = True
    with pytest.raises(StoreUnavailable, match="how its rows are laid out"):
        await FeatureReader(store, PLANS, "shop").read("ann", ["tea"])


async def test_a_row_of_a_plan_that_nobody_has_is_not_readable() -> None:
    store, newer = newer_store()
    lost = msgspec.structs.replace(newer, fields=(*newer.fields, Field("item_lost", "<f8")))
    store.rows[newer.key("tea")] = lost.default
    with pytest.raises(StoreUnavailable, match="item_activity"):
        await FeatureReader(store, PLANS, "shop").read("ann", ["tea"])


async def test_nothing_applied_says_what_to_do() -> None:
    with pytest.raises(BadSettings, match="feast -c feature_repo apply"):
        await Plans.load(Store(), "shop")


def test_what_is_assumed_while_the_store_is_away_says_so() -> None:
    rows = FeatureReader(Store(), PLANS, "shop").empty(["tea", "mug"])
    assert rows.degraded
    assert rows.catalogue is not None
    assert np.isnan(rows.catalogue[:, PLANS.catalogue.plan.column("price")]).all()
