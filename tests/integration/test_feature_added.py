"""A Field added under load: no failed read, no counter that starts anew, no input that goes away."""

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis

from shared.features.assemble import Assembler
from shared.features.plan import Field, Plan
from shared.features.plans import CATALOGUE, ITEM, Plans
from shared.features.reader import Breaker, FeatureReader
from shared.messages import Behaviour
from shared.settings import Settings
from tests.feature_service import Traffic, Worker, apply_plans, differences, read_log, settled
from tests.features import START, declared_plans

pytestmark = pytest.mark.engines
ADDED = Field("item_favourites_7d", "<f8", tags={"statistic": "count", "action": "favourite", "horizon": "604800"})
ITEMS = [f"i{n}" for n in range(40)]


def with_the_field() -> list[Plan]:
    """The declared plans after somebody added a Field, in the middle as Feast's order has it."""
    return [
        plan if plan.view != ITEM else msgspec.structs.replace(plan, fields=(*plan.fields[:5], ADDED, *plan.fields[5:]))
        for plan in declared_plans()
    ]


class Customer:
    """Reads and assembles all the time, with the inputs that a bundle was made for."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.stopping, self.reads, self.fewest = settings, False, 0, np.inf

    async def read(self) -> None:
        reader = await FeatureReader.connect(self.settings)
        reader._timeout, reader._breaker = 5.0, Breaker()  # the machine's pauses are not what is tested
        wanted, plans = Assembler(reader.plans, ()).inputs, reader.plans
        assembler, none = Assembler(plans, ()), np.zeros(len(ITEMS), np.uint64)
        column = wanted.candidate.index("item.views_7d")
        while not self.stopping:
            rows = await reader.read("u1", ITEMS)
            if reader.plans is not plans:
                plans, assembler = reader.plans, Assembler(reader.plans, ())
            made = assembler.assemble(rows, wanted, now=START, prices=np.ones(len(ITEMS)), categories=none, brands=none)
            self.fewest = max(self.fewest if self.reads else 0, float(made.candidate[0, column]))
            assert made.candidate[0, column] >= 0.5 * self.fewest, "a counter started anew"
            self.reads += 1
            await asyncio.sleep(0.01)
        await reader.close()


def test_a_field_added_under_load_with_a_rolling_restart(
    fresh_settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    apply_plans(fresh_settings)
    workers = [Worker(environment, tmp_path, name).start() for name in ("one", "two")]
    traffic, customer = Traffic(fresh_settings, rate=200), Customer(fresh_settings)

    async def change() -> None:
        sending, reading = asyncio.create_task(traffic.send()), asyncio.create_task(customer.read())
        try:
            await asyncio.sleep(2)
            await asyncio.to_thread(apply_plans, fresh_settings, with_the_field())
            for worker in workers:
                await asyncio.to_thread(worker.stop)
                await asyncio.to_thread(worker.start)
            for worker in workers:  # one that met a row of the newer plan has ended, and is started again
                await asyncio.to_thread(worker.wait_ready)
            await asyncio.sleep(2)
        finally:
            traffic.stopping = customer.stopping = True
            await sending
            await reading

    try:
        asyncio.run(change())
        asyncio.run(settled(fresh_settings))
    finally:
        for worker in workers:
            worker.kill()
    log = asyncio.run(read_log(fresh_settings))
    assert customer.reads > 100
    assert differences(upgraded(fresh_settings), log, with_the_field(), ignored=ADDED.name) == []
    assert 0 < favourites(fresh_settings) < len({e.event_id for e in log if isinstance(e, Behaviour) and e.action == "favourite"})


def upgraded(settings: Settings) -> Settings:
    """Turn the rows that nobody touched since into the new plan's, as any reader does."""

    async def turn() -> None:
        from redis.asyncio import Redis

        client = Redis.from_url(settings.redis)
        plans = await Plans.load(client, settings.project)
        for name, view in plans.views.items():
            if name != CATALOGUE:
                async for key in client.scan_iter(match=f"{settings.project}/{name}/*", count=1_000):
                    await client.set(key, view.upgrade(await client.get(key)))
        await client.aclose()

    asyncio.run(turn())
    return settings


def favourites(settings: Settings) -> float:
    """Items' favourites counted since the field is there."""
    plan = next(plan for plan in with_the_field() if plan.view == ITEM)
    with redis.Redis.from_url(settings.redis) as store:
        values = [value for value in store.mget(plan.keys(ITEMS)) if value]
    return float(sum(np.frombuffer(value, plan.dtype, 1)[0][ADDED.name] > 0 for value in values))
