"""A Field added under load: no failed request, no counter that starts anew, no bundle refused."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import redis
from redis.asyncio import Redis

from shared.features.assemble import Assembler
from shared.features.plan import Plan
from shared.features.plans import CATALOGUE, Plans
from shared.messages import Inputs
from shared.settings import Settings
from shared.tasks import RANKING
from tests.bundles import Publisher, a_model
from tests.feature_service import Traffic, Worker, apply_plans, differences, read_log, settled
from tests.ranking import Service, a_publisher, running

pytestmark = pytest.mark.engines
ROOT = Path(__file__).parents[2]
ADDED = "item_favourites_7d"
LINE = f'Field(name="{ADDED}", dtype=Float64, tags={{"statistic": "count", "action": "favourite", "horizon": "604800"}}),'
BEFORE = '*prices("item"),'
"""What somebody writes into ``feature_repo/definitions.py``, and before which line."""
INPUT = "item.favourites_7d"
ITEMS = [f"i{n}" for n in range(40)]
PATIENCE_S = 10.0
"""Of ranking for its store: the machine's pauses are not what is tested."""


def add_the_field(environment: dict[str, str], folder: Path) -> None:
    """Write the Field into a copy of the declarations, in the middle of its view, and ``feast apply`` them."""
    repo = shutil.copytree(ROOT / "feature_repo", folder / "shop" / "feature_repo")
    (repo.parent / ".state" / "feast").mkdir(parents=True)
    definitions = repo / "definitions.py"
    assert definitions.read_text().count(BEFORE) == 1
    definitions.write_text(definitions.read_text().replace(BEFORE, f"{LINE}\n        {BEFORE}"))
    shop = {**os.environ, **environment, "PYTHONPATH": str(repo.parent), "FEAST_USAGE": "False"}
    feast = Path(sys.executable).with_name("feast")
    done = subprocess.run([feast, "-c", repo, "apply"], env=shop, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def applied(settings: Settings) -> Plans:
    """The newest plans, the Field among them."""

    async def load() -> Plans:
        async with Redis.from_url(settings.redis) as client:
            return await Plans.load(client, settings.project)

    plans = asyncio.run(load())
    assert ADDED in plans.item.plan.dtype.names
    return plans


def inputs_of(made: Plans) -> Inputs:
    """Every input that these plans make."""
    return Assembler(made, RANKING.context).inputs


class Customer:
    """Asks all the time; every answer must be whole."""

    def __init__(self, service: Service) -> None:
        self._service, self.stopping, self.answers, self.views, self.bundles = service, False, 0, 0.0, set[str]()

    async def ask(self) -> None:
        body = {"user_id": "u1", "candidates": [{"item_id": item} for item in ITEMS], "at": "2023-11-14T22:13:20Z"}
        async with httpx.AsyncClient(base_url=self._service.url, timeout=30) as client:
            while not self.stopping:
                for door in ("/rank", "/explain"):
                    answer = await client.post(door, json=body)
                    assert answer.status_code == 200, answer.text
                    self._look(answer.json())
                await asyncio.sleep(0.01)

    def _look(self, answer: Any) -> None:
        assert not answer["degraded"]
        self.answers += 1
        self.bundles.add(answer["bundle"])
        if values := next(item for item in answer["items"] if item["item_id"] == ITEMS[0]).get("values"):
            assert values["item.views_7d"] >= 0.5 * self.views, "a counter started anew"
            self.views = max(self.views, values["item.views_7d"])


def learned(settings: Settings, publisher: Publisher) -> Publisher:
    """What an updater does whose base reads the added Field too."""
    model = a_model(items=200, settings=publisher.model.settings, inputs=inputs_of(applied(settings)))
    newer = Publisher(publisher.storage, publisher.signer, model, window=publisher.window)
    newer.full()
    return newer


async def publish(publisher: Publisher, customer: Customer) -> None:
    """A bundle now and then, until the customer goes."""
    while not customer.stopping:
        await asyncio.to_thread(publisher.delta, dense=False)
        await asyncio.sleep(0.3)


def test_a_field_added_under_load_with_a_rolling_restart(
    fresh_settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    apply_plans(fresh_settings)
    workers = [Worker(environment, tmp_path, name).start() for name in ("one", "two")]
    publisher, traffic = a_publisher(fresh_settings), Traffic(fresh_settings, rate=200)
    publisher.full()

    async def change(customer: Customer) -> None:
        sending, asking = asyncio.create_task(traffic.send()), asyncio.create_task(customer.ask())
        publishing = asyncio.create_task(publish(publisher, customer))
        try:
            await asyncio.sleep(2)
            await asyncio.to_thread(add_the_field, environment, tmp_path)
            for worker in workers:
                await asyncio.to_thread(worker.stop)
                await asyncio.to_thread(worker.start)
            for worker in workers:  # one that met a row of the newer plan has ended, and is started again
                await asyncio.to_thread(worker.wait_ready)
            await asyncio.sleep(2)
        finally:
            traffic.stopping = customer.stopping = True
            await asyncio.gather(sending, asking, publishing)

    try:
        with running(fresh_settings, tmp_path, clock="event", ranking_store_seconds=PATIENCE_S) as service:
            customer = Customer(service)
            asyncio.run(change(customer))
            asyncio.run(settled(fresh_settings))
            newer = learned(fresh_settings, publisher)
            service.until(lambda: service.rank(at="2023-11-14T22:13:20Z")["bundle"] == newer.full_version)
            read = service.rank(items=ITEMS, door="/explain", at="2023-11-14T22:13:20Z")
            assert service.lines("bundle_refused") == []
    finally:
        for worker in workers:
            worker.kill()
    log = asyncio.run(read_log(fresh_settings))
    assert customer.answers > 50
    assert len(customer.bundles) > 5
    plans = applied(fresh_settings)
    upgrade(fresh_settings, plans)
    assert differences(fresh_settings, log, [view.plan for view in plans.views.values()], ignored=ADDED) == []
    counted = sum(item["values"][INPUT] > 0 for item in read["items"])
    assert counted == favourites(fresh_settings, plans.item.plan) > 0


def upgrade(settings: Settings, plans: Plans) -> None:
    """Turn the rows that nobody touched since into the new plans', as any reader does."""
    with redis.Redis.from_url(settings.redis) as store:
        for name, view in plans.views.items():
            if name != CATALOGUE:
                for key in store.scan_iter(match=f"{settings.project}/{name}/*", count=1_000):
                    store.set(key, view.upgrade(store.get(key)))


def favourites(settings: Settings, plan: Plan) -> int:
    """Items whose favourites were counted since the field is there."""
    with redis.Redis.from_url(settings.redis) as store:
        values = [value for value in store.mget(plan.keys(ITEMS)) if value]
    return sum(np.frombuffer(value, plan.dtype, 1)[0][ADDED] > 0 for value in values)
