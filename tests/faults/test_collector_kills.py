"""Killed at any moment, the collector has every event that it answered for; Kafka killed, it says 503 and loses nothing either."""

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from shared.settings import Settings
from tests.collector import Collector, Shop, collecting, read_all
from tests.conftest import Engines
from tests.faults import MARKS, ROUNDS

pytestmark = MARKS

PLACES = ("collector.sent", "collector.acknowledged")
"""Named points of a request's way."""

BUDGET = 32 << 20
"""Bytes of requests that the collector takes in at once."""


async def _under_load(trouble: Awaitable[None], shop: Shop) -> None:
    load = asyncio.create_task(shop.send())
    try:
        await trouble
    finally:
        shop.stopping = True
        await load


def _event_ids(settings: Settings) -> dict[tuple[int, int], str]:
    return {place: json.loads(value)["event_id"] for place, value in asyncio.run(read_all(settings, "behaviour")).items()}


def _assert_promises_kept(shop: Shop, settings: Settings) -> None:
    stored = _event_ids(settings)
    assert {event: stored.get(place) for event, place in shop.promised.items()} == {event: event for event in shop.promised}
    assert all(times <= shop.attempts[event] for event, times in Counter(stored.values()).items())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (nobody sets an event for what a test asks)
        await asyncio.sleep(0.005)


async def _more(shop: Shop, promised: int = 200) -> None:
    """Wait until the shop was promised so many more events."""
    enough = len(shop.promised) + promised
    await _until(lambda: len(shop.promised) >= enough)


async def _kill_in_flight(collector: Collector, shop: Shop, dice: random.Random) -> int:
    """Kill the collector at a random moment with requests in flight; returns how many there were."""
    await _more(shop)
    await asyncio.sleep(dice.uniform(0, 0.1))
    await _until(lambda: shop.in_flight > 0)
    cut = shop.in_flight
    await asyncio.to_thread(collector.kill)
    return cut


def test_killed_under_load_it_loses_nothing_that_it_answered_for(
    environment: dict[str, str], fresh_settings: Settings, tmp_path: Path
) -> None:
    dice = random.Random(1)
    with collecting(environment, tmp_path) as collector:
        shop = Shop(collector.url)

        async def kills() -> None:
            for _ in range(ROUNDS):
                assert await _kill_in_flight(collector, shop, dice) > 0
                await asyncio.to_thread(collector.start)
            await _more(shop)

        asyncio.run(_under_load(kills(), shop))
    assert len(shop.promised) >= 200 * ROUNDS
    _assert_promises_kept(shop, fresh_settings)


@pytest.mark.parametrize("place", PLACES)
def test_killed_between_sending_and_answering_it_loses_nothing(
    place: str, environment: dict[str, str], fresh_settings: Settings, tmp_path: Path
) -> None:
    with collecting(environment, tmp_path) as collector:
        shop = Shop(collector.url)

        async def kills() -> None:
            for n in range(ROUNDS):
                await asyncio.to_thread(collector.kill)
                await asyncio.to_thread(collector.start, FRESHET_FAILPOINT=f"{place}:{20 + n}", ready=False)
                await asyncio.to_thread(_wait_for_death, collector)
            await asyncio.to_thread(collector.start)
            await _more(shop)

        asyncio.run(_under_load(kills(), shop))
    _assert_promises_kept(shop, fresh_settings)
    assert max(shop.attempts.values()) > 1, "no request was cut off"


@pytest.mark.parametrize("place", PLACES)
def test_without_waiting_what_it_answered_for_is_lost_when_it_is_killed_there(
    place: str, environment: dict[str, str], engines: Engines, fresh_settings: Settings, tmp_path: Path
) -> None:
    module = "tests.faults.hasty_collector acknowledged"
    with collecting(environment, tmp_path, module=module, FRESHET_FAILPOINT=f"{place}:200") as collector:
        shop = Shop(collector.url, batch=2)  # few bytes: the producer still takes them in while Kafka is frozen

        async def killed_while_kafka_is_frozen() -> None:
            await _more(shop)
            os.kill(engines.kafka.pid, signal.SIGSTOP)
            try:
                await asyncio.to_thread(_wait_for_death, collector)
            finally:
                os.kill(engines.kafka.pid, signal.SIGCONT)

        asyncio.run(_under_load(killed_while_kafka_is_frozen(), shop))
    assert shop.promised.keys() - set(_event_ids(fresh_settings).values())


def _wait_for_death(collector: Collector) -> None:
    assert collector.process
    assert collector.process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(("module", "loses"), [("services.collector", False), ("tests.faults.hasty_collector acknowledged", True)])
def test_only_one_that_answers_before_the_acknowledgement_loses_what_it_promised(
    module: str, loses: bool, environment: dict[str, str], engines: Engines, fresh_settings: Settings, tmp_path: Path
) -> None:
    with collecting(environment, tmp_path, module=module) as collector:
        shop = Shop(collector.url)

        async def kill_while_kafka_is_frozen() -> None:
            await _more(shop)
            os.kill(engines.kafka.pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(0.5)
                await asyncio.to_thread(collector.kill)
            finally:
                os.kill(engines.kafka.pid, signal.SIGCONT)

        asyncio.run(_under_load(kill_while_kafka_is_frozen(), shop))
    lost = shop.promised.keys() - set(_event_ids(fresh_settings).values())
    assert bool(lost) is loses


def test_while_kafka_is_dead_it_answers_503_and_afterwards_everything_promised_is_there(
    environment: dict[str, str], engines: Engines, fresh_settings: Settings, tmp_path: Path
) -> None:
    with collecting(environment, tmp_path, FRESHET_COLLECTOR_ACK_SECONDS="1") as collector:
        shop = Shop(collector.url)

        async def restarts() -> None:
            for _ in range(ROUNDS):
                await _more(shop)
                refused = shop.statuses[503]
                await asyncio.to_thread(engines.kafka.kill)
                await _until(partial(lambda before: shop.statuses[503] >= before + 20, refused))
                await asyncio.to_thread(engines.kafka.start)
            await _more(shop)

        asyncio.run(_under_load(restarts(), shop))
        assert collector.metric("collector_bytes_in_flight") == 0
    assert shop.statuses.keys() <= {200, 503}
    _assert_promises_kept(shop, fresh_settings)


def test_without_waiting_it_would_go_on_promising_while_kafka_is_dead(
    environment: dict[str, str], engines: Engines, fresh_settings: Settings, tmp_path: Path
) -> None:
    with collecting(environment, tmp_path, module="tests.faults.hasty_collector acknowledged") as collector:
        shop = Shop(collector.url)

        async def outage() -> None:
            await _more(shop)
            await asyncio.to_thread(engines.kafka.kill)
            await _more(shop)
            await asyncio.to_thread(collector.kill)

        asyncio.run(_under_load(outage(), shop))
    engines.kafka.start()
    assert not shop.statuses[503]
    assert shop.promised.keys() - set(_event_ids(fresh_settings).values())


async def _flood(shop: Shop, engines: Engines, full: Callable[[], bool]) -> None:
    """Kill Kafka, then send more than fits until it is ``full``."""
    first = asyncio.create_task(shop.send(clients=1))
    await _more(shop, 4000)
    await asyncio.to_thread(engines.kafka.kill)
    load = asyncio.gather(first, shop.send(clients=150))
    await _until(full)
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)


def test_memory_stays_bounded_while_kafka_is_dead(environment: dict[str, str], engines: Engines, tmp_path: Path) -> None:
    with collecting(environment, tmp_path, FRESHET_COLLECTOR_ACK_SECONDS="60") as collector:
        shop = Shop(collector.url, batch=4000)
        asyncio.run(_flood(shop, engines, lambda: shop.statuses[503] > 0))
        assert collector.process
        assert psutil.Process(collector.process.pid).memory_info().rss < 500 << 20
        assert collector.metric("collector_bytes_in_flight") <= BUDGET
        engines.kafka.start()
        collector.wait("/readyz")


def test_without_a_budget_it_would_take_in_more(environment: dict[str, str], engines: Engines, tmp_path: Path) -> None:
    module = "tests.faults.hasty_collector budget"
    with collecting(environment, tmp_path, module=module, FRESHET_COLLECTOR_ACK_SECONDS="60") as collector:
        shop = Shop(collector.url, batch=4000)
        asyncio.run(_flood(shop, engines, lambda: collector.metric("collector_bytes_in_flight") > BUDGET))
        assert not shop.statuses[503]
