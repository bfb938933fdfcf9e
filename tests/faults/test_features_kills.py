"""Killed, frozen, doubled, and with a store that forgot: the features service's counters equal the log within 1e-9."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis

from shared.settings import Settings
from tests.conftest import Engines
from tests.faults import MARKS, ROUNDS
from tests.feature_service import Traffic, Worker, apply_plans, differences, read_log, settled, unflushed

pytestmark = MARKS

PLACES = ("snapshot", "sent", "user_activity", "item_activity", "written", "marked")
"""Named points inside a flush."""

Start = Callable[..., Worker]


@pytest.fixture
def start(fresh_settings: Settings, environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts workers that are gone after the test."""
    apply_plans(fresh_settings)
    made: list[Worker] = []

    def begin(name: str = "one", *command: str, failpoint: str = "", wait: bool = True, **more: str) -> Worker:
        made.append(Worker(environment | more, tmp_path, name, command or ("-m", "services.features")))
        return made[-1].start(failpoint, wait=wait)

    yield begin
    for worker in made:
        worker.kill()


async def under_load(settings: Settings, trouble: Callable[[], Awaitable[None]], rate: float = 600.0) -> Traffic:
    """Send traffic while ``trouble`` goes on."""
    traffic = Traffic(settings, rate)
    sending = asyncio.create_task(traffic.send())
    try:
        await trouble()
    finally:
        traffic.stopping = True
        await sending
    return traffic


def wrong(settings: Settings) -> list[str]:
    """Where the counters are not what the log says, once all is read."""
    asyncio.run(settled(settings, 120))
    return differences(settings, asyncio.run(read_log(settings)))


async def kills(settings: Settings, worker: Worker, rounds: int, dice: random.Random) -> int:
    """Kill the worker at random moments with records in flight; returns how many there were."""
    cut = 0
    for _ in range(rounds):
        await asyncio.sleep(dice.uniform(0.2, 1.0))
        while not (flying := await unflushed(settings)):  # noqa: ASYNC110 (nobody sets an event for what a test asks)
            await asyncio.sleep(0.02)
        await asyncio.to_thread(worker.kill)
        cut += flying
        await asyncio.to_thread(worker.start)
    return cut


def test_killed_at_random_with_records_in_flight(start: Start, fresh_settings: Settings) -> None:
    worker, dice = start(), random.Random(1)

    async def trouble() -> None:
        assert await kills(fresh_settings, worker, ROUNDS, dice) > 0

    asyncio.run(under_load(fresh_settings, trouble))
    assert wrong(fresh_settings) == []


def _killed_at(worker: Worker, place: str, nth: int) -> None:
    """Let the worker run until it dies at the place."""
    worker.kill()
    worker.start(f"features.flush.{place}:{nth}", wait=False)
    assert worker.process
    assert worker.process.wait(60) == -signal.SIGKILL, f"it never came to {place}"


def test_killed_at_each_point_of_a_flush(start: Start, fresh_settings: Settings) -> None:
    worker = start()

    async def trouble() -> None:
        for n, place in enumerate(PLACES * ROUNDS):
            await asyncio.to_thread(_killed_at, worker, place, 1 + n % 5)
            assert await unflushed(fresh_settings), "nothing was in flight"
        await asyncio.to_thread(worker.start)

    asyncio.run(under_load(fresh_settings, trouble, rate=300))
    assert wrong(fresh_settings) == []


def _frozen(start: Start, settings: Settings, *command: str) -> list[str]:
    """Two workers; one is killed, the other freezes before it writes, and is woken when nobody is about to repair it."""
    one, two = start("one", *command), start("two", *command, failpoint="features.flush.sent:100:freeze")

    async def trouble() -> None:
        await asyncio.sleep(1)
        await asyncio.to_thread(one.kill)
        await asyncio.to_thread(one.start)
        async with asyncio.timeout(240):  # a hundred flushes take half a minute where nothing else runs
            while not two.frozen:  # noqa: ASYNC110 (nobody sets an event for what another process does)
                await asyncio.sleep(0.1)
        await asyncio.sleep(10)  # longer than its session: its partitions go to the other

    asyncio.run(under_load(settings, trouble, rate=300))
    asyncio.run(settled(settings))
    two.send(signal.SIGCONT)
    two.failpoint = ""  # should it end now, it begins again as any other
    two.wait_ready()
    one.wait_ready()
    return wrong(settings)


def test_two_workers_one_killed_and_one_frozen(start: Start, fresh_settings: Settings) -> None:
    assert _frozen(start, fresh_settings) == []


def test_without_versions_a_woken_worker_would_write_what_is_old(start: Start, fresh_settings: Settings) -> None:
    assert _frozen(start, fresh_settings, "-m", "tests.faults.hasty_features", "version") != []


def _without_valkey(start: Start, settings: Settings, engines: Engines, *command: str) -> list[str]:
    """Valkey is killed when a flush is about to write the rows, and started again once it has failed; what is wrong afterwards.

    Nothing more is sent from then on: no later event has the same row written anew.
    """
    worker = start("one", *command, failpoint="features.flush.sent:30:freeze", wait=False)

    async def trouble() -> None:
        async with asyncio.timeout(120):
            while not worker.frozen:  # noqa: ASYNC110 (nobody sets an event for what another process does)
                await asyncio.sleep(0.02)

    asyncio.run(under_load(settings, trouble, rate=300))
    engines.valkey.kill()
    worker.send(signal.SIGCONT)
    time.sleep(1)  # to fail
    engines.valkey.start()
    worker.failpoint = ""
    worker.wait_ready()
    return wrong(settings)


def test_valkey_killed_in_the_middle_of_a_flush(start: Start, fresh_settings: Settings, engines: Engines) -> None:
    assert _without_valkey(start, fresh_settings, engines) == []


def test_without_ending_after_half_a_flush_rows_would_be_lost(start: Start, fresh_settings: Settings, engines: Engines) -> None:
    assert _without_valkey(start, fresh_settings, engines, "-m", "tests.faults.hasty_features", "whole") != []


def test_valkey_killed_under_load(start: Start, fresh_settings: Settings, engines: Engines) -> None:
    worker = start()

    async def trouble() -> None:
        for _ in range(max(2, ROUNDS // 2)):
            await asyncio.sleep(1)
            await asyncio.to_thread(engines.valkey.kill)
            await asyncio.to_thread(engines.valkey.start)
            await asyncio.to_thread(worker.wait_ready)

    asyncio.run(under_load(fresh_settings, trouble, rate=300))
    worker.wait_ready()
    assert wrong(fresh_settings) == []


def _without_kafka(start: Start, settings: Settings, engines: Engines, *command: str, again: int = 0) -> list[str]:
    """Kafka is killed when a flush is about to send, then the worker; and Kafka ``again`` so often. What is wrong afterwards."""
    worker = start("one", *command, failpoint="features.flush.snapshot:30:freeze", wait=False)

    async def trouble() -> None:
        async with asyncio.timeout(120):
            while not worker.frozen:  # noqa: ASYNC110 (nobody sets an event for what another process does)
                await asyncio.sleep(0.05)
        await asyncio.to_thread(engines.kafka.kill)
        worker.send(signal.SIGCONT)
        await asyncio.sleep(1)
        await asyncio.to_thread(worker.kill)
        await asyncio.to_thread(engines.kafka.start)
        await asyncio.to_thread(worker.start)
        for _ in range(again):
            await asyncio.sleep(1)
            await asyncio.to_thread(engines.kafka.kill)
            await asyncio.to_thread(engines.kafka.start)
            await asyncio.to_thread(worker.wait_ready)

    traffic = asyncio.run(under_load(settings, trouble, rate=100))
    worker.wait_ready()
    assert len({event.event_id for event in asyncio.run(read_log(settings))}) == traffic.sent
    return wrong(settings)


def test_kafka_killed_under_load(start: Start, fresh_settings: Settings, engines: Engines) -> None:
    assert _without_kafka(start, fresh_settings, engines, again=max(2, ROUNDS // 2)) == []


def test_without_waiting_for_kafka_items_events_would_be_lost(start: Start, fresh_settings: Settings, engines: Engines) -> None:
    assert _without_kafka(start, fresh_settings, engines, "-m", "tests.faults.hasty_features", "acknowledged") != []


def _restored(start: Start, settings: Settings, *command: str, age: float) -> list[str]:
    """Restore an ``age`` seconds old copy of the store under a worker that runs; what is wrong afterwards."""
    worker = start("one", *command)

    async def trouble() -> None:
        await asyncio.sleep(2)
        old = await asyncio.to_thread(_copy, settings)
        await asyncio.sleep(age)
        await asyncio.to_thread(_restore, settings, old)
        await asyncio.sleep(2)
        await asyncio.to_thread(worker.wait_ready)

    asyncio.run(under_load(settings, trouble, rate=200))
    worker.wait_ready()
    return wrong(settings)


def _copy(settings: Settings) -> dict[bytes, bytes]:
    """Everything in the store at one moment."""
    with redis.Redis.from_url(settings.redis) as store:
        names = list(store.scan_iter(count=10_000))
        pipe = store.pipeline(transaction=True)
        for name in names:
            pipe.get(name)
        return {name: value for name, value in zip(names, pipe.execute(), strict=True) if value is not None}


def _restore(settings: Settings, old: dict[bytes, bytes]) -> None:
    """Put the store back, in one moment."""
    with redis.Redis.from_url(settings.redis) as store:
        pipe = store.pipeline(transaction=True)
        pipe.flushall()
        for name, value in old.items():
            pipe.set(name, value)
        pipe.execute()


def test_a_snapshot_of_valkey_30_s_old_is_restored(start: Start, fresh_settings: Settings) -> None:
    assert _restored(start, fresh_settings, age=30) == []


def test_without_a_look_at_the_markers_a_restored_store_would_stay_wrong(start: Start, fresh_settings: Settings) -> None:
    assert _restored(start, fresh_settings, "-m", "tests.faults.hasty_features", "marker", age=3) != []


@pytest.mark.parametrize(("safeguard", "place"), [("fence", "sent"), ("fence", "written"), ("order", "sent")])
def test_without_the_safeguard_a_kill_leaves_wrong_counters(
    start: Start, fresh_settings: Settings, safeguard: str, place: str
) -> None:
    hasty = start("one", "-m", "tests.faults.hasty_features", safeguard)

    async def trouble() -> None:
        await asyncio.to_thread(_killed_at, hasty, place, 8)
        await asyncio.to_thread(hasty.start)

    asyncio.run(under_load(fresh_settings, trouble, rate=300))
    assert wrong(fresh_settings) != []
