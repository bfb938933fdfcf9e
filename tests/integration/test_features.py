"""The features service on real engines: what the log says is what the store holds."""

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest
import redis

from shared.features.plans import CATALOGUE
from shared.kafka import partition_for, producer
from shared.keys import key
from shared.messages import Behaviour, DeadLetter, Item
from shared.settings import Settings
from tests.collector import read_all
from tests.feature_service import Traffic, Worker, apply_plans, differences, read_log, settled, worker
from tests.features import declared_plans, event

pytestmark = pytest.mark.engines


@pytest.fixture
def applied(fresh_settings: Settings) -> Settings:
    apply_plans(fresh_settings)
    return fresh_settings


def test_every_counter_equals_the_log_and_a_retry_counts_once(
    applied: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    with worker(environment, tmp_path):
        asyncio.run(Traffic(applied).send(3_000))
        asyncio.run(settled(applied))
        log = asyncio.run(read_log(applied))
        assert len(log) > len({one.event_id for one in log})
        assert differences(applied, log) == []


def test_more_users_than_memory_holds_are_counted_all_the_same(
    applied: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    small = environment | {"FRESHET_FEATURES_USERS": "4096", "FRESHET_FEATURES_ITEMS": "4096"}
    with worker(small, tmp_path):
        asyncio.run(Traffic(applied, users=9_000, items=9_000).send(15_000))
        asyncio.run(settled(applied))
    assert differences(applied, asyncio.run(read_log(applied))) == []


def test_sigterm_writes_everything_and_leaves_in_order(applied: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    slow = environment | {"FRESHET_FEATURES_FLUSH_S": "30"}
    with worker(slow, tmp_path) as process:
        asyncio.run(Traffic(applied).send(500))
        asyncio.run(asyncio.sleep(1))
        assert process.stop() == 0
    with worker(environment, tmp_path):
        asyncio.run(settled(applied))
    assert differences(applied, asyncio.run(read_log(applied))) == []


def test_what_cannot_be_used_is_kept_as_a_dead_letter(applied: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    elsewhere = (partition_for("ann", applied.partitions) + 1) % applied.partitions

    async def send() -> None:
        async with producer(applied) as client:
            await client.send(Behaviour.topic, b"{", partition=0)
            await client.send(Behaviour.topic, msgspec.json.encode(event(1)), partition=elsewhere)
            await client.send(Behaviour.topic, msgspec.json.encode(event(2)), key=b"ann")

    with worker(environment, tmp_path):
        asyncio.run(send())
        asyncio.run(settled(applied))
    letters = [msgspec.json.decode(value, type=DeadLetter) for value in asyncio.run(read_all(applied, "dead-letters")).values()]
    assert sorted(letter.reason for letter in letters) == ["misrouted", "undecodable"]
    assert differences(applied, [event(2)]) == []


def test_a_valkey_of_another_stack_is_refused(applied: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    with redis.Redis.from_url(applied.redis) as store:
        store.set(f"marker:{applied.project}:{Behaviour.topic}:1", "10 somebody")
    process = Worker(environment, tmp_path).start(wait=False)
    assert process.process
    try:
        assert process.process.wait(60) == 1
    finally:
        process.kill()
    assert "not of one stack" in (tmp_path / "one.log").read_text()


def test_the_catalogue_holds_the_newest_line(applied: Settings, environment: dict[str, str], tmp_path: Path) -> None:
    lines = [
        {"item_id": "tea", "time": "2023-11-14T22:00:00Z", "price": 3.0, "category": "drinks"},
        {"item_id": "tea", "time": "2023-11-15T22:00:00Z", "price": 4.0, "category": "drinks", "stock": 7.0, "boost": 1.5},
    ]

    async def send() -> None:
        async with producer(applied) as client:
            for line in lines:
                await client.send(Item.topic, msgspec.json.encode(msgspec.convert(line, Item, strict=False)), key=b"tea")

    plan = next(plan for plan in declared_plans() if plan.view == CATALOGUE)
    with worker(environment, tmp_path) as process:
        asyncio.run(send())
        asyncio.run(asyncio.sleep(1))
        assert process.stop() == 0
    with redis.Redis.from_url(applied.redis) as store:
        value = store.get(plan.key("tea"))
    row = np.frombuffer(value, plan.dtype, 1)[0]
    assert (row["price"], row["stock"], row["boost"]) == (4.0, 7.0, 1.5)
    assert row["category_key"].view("u8") == key("drinks")
    assert row["listed"] == 1_700_000_000_000_000 - 800_000_000
