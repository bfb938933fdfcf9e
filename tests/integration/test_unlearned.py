"""What the joiner tells of examples that nobody learns, on a real broker, with no updater anywhere."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from services.joiner.unlearned import Unlearned
from shared.kafka import consumer, producer, started
from shared.messages import WindowPlan
from shared.settings import Settings
from shared.topics import examples, windows
from tests.conftest import Engines, variables
from tests.joiner import TIMES, Worker

pytestmark = pytest.mark.engines

TASK = "ranking"
NOW = float(int(time.time()))
"""Kafka takes no record of the future."""
GAUGE = 'freshet_oldest_unlearned_seconds{task="ranking"}'


class Log:
    """Writes both topics, ``ago`` seconds before ``NOW``."""

    def __init__(self, client: AIOKafkaProducer) -> None:
        self._client = client

    async def example(self, partition: int, ago: float) -> None:
        await self._send(examples(TASK), b"any", partition, ago)

    async def plan(self, ranges: dict[str, tuple[int, int]], epoch: int = 1, ago: float = 0.0) -> None:
        plan = WindowPlan(task=TASK, window=1, epoch=epoch, ranges=ranges)
        await self._send(windows(TASK), msgspec.msgpack.encode(plan), 0, ago)

    async def noise(self) -> None:
        await self._send(windows(TASK), b"\xc1 no plan", 0, 0.0)

    async def _send(self, topic: str, value: bytes, partition: int, ago: float) -> None:
        await self._client.send_and_wait(topic, value, partition=partition, timestamp_ms=round((NOW - ago) * 1000))


@asynccontextmanager
async def looking(settings: Settings, mine: tuple[int, ...] = (0, 1, 2, 3)) -> AsyncIterator[Unlearned]:
    """One who looks, from the beginning."""
    reader = await started(consumer(settings))
    try:
        yield Unlearned(reader, TASK, lambda: mine)
    finally:
        await reader.stop()


@asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Log]:
    """The log, in a test that ends within a minute whatever happens."""
    async with asyncio.timeout(60), producer(settings) as client:
        yield Log(client)


async def test_the_first_example_that_no_window_took_has_waited_longest(fresh_settings: Settings) -> None:
    async with writing(fresh_settings) as log, looking(fresh_settings) as one:
        assert await one.seconds(NOW) == 0.0
        await log.example(0, ago=900)
        await log.example(0, ago=600)
        await log.example(1, ago=700)
        assert await one.seconds(NOW) == 900.0
        await log.plan({"0": (0, 1)})
        assert await one.seconds(NOW) == 700.0
        assert await one.seconds(NOW + 5) == 705.0
        await log.noise()
        await log.plan({"1": (0, 1)})
        assert await one.seconds(NOW) == 600.0
        await log.plan({"0": (1, 2)})
        assert await one.seconds(NOW) == 0.0
        async with looking(fresh_settings) as other:
            assert await other.seconds(NOW) == 0.0


async def test_a_plan_that_is_older_than_every_example_is_not_read(fresh_settings: Settings) -> None:
    async with writing(fresh_settings) as log, looking(fresh_settings) as one:
        await log.plan({"0": (0, 9)}, ago=8 * 86_400)
        await log.example(0, ago=5)
        assert await one.seconds(NOW) == 5.0


async def test_a_replaced_updaters_plan_takes_nothing(fresh_settings: Settings) -> None:
    async with writing(fresh_settings) as log, looking(fresh_settings) as one:
        await log.example(2, ago=60)
        await log.plan({}, epoch=2)
        await log.plan({"2": (0, 1)}, epoch=1)
        assert await one.seconds(NOW) == 60.0


async def test_each_worker_looks_at_its_own_partitions(fresh_settings: Settings) -> None:
    async with writing(fresh_settings) as log:
        await log.example(0, ago=60)
        async with looking(fresh_settings, (1, 2)) as other, looking(fresh_settings, ()) as idle:
            assert await other.seconds(NOW) == 0.0
            assert await idle.seconds(NOW) is None


async def test_it_is_exported_with_no_updater_and_not_while_kafka_is_away(
    fresh_settings: Settings, engines: Engines, tmp_path: Path
) -> None:
    joiner = Worker("w", variables(fresh_settings) | TIMES, tmp_path)
    joiner.start()
    try:
        joiner.wait()
        async with asyncio.timeout(60), producer(fresh_settings) as client:
            await client.send_and_wait(examples(TASK), b"any", partition=0)
        await until(joiner, lambda shown: shown is not None and shown > 0)
        engines.kafka.kill()
        await until(joiner, lambda shown: shown is None)
    finally:
        joiner.kill()


async def until(joiner: Worker, right: Callable[[float | None], bool], seconds: float = 60.0) -> None:
    """Return once what the joiner exports is right; ``None`` where it exports nothing."""
    async with asyncio.timeout(seconds):
        while not right(exported(joiner)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def exported(joiner: Worker) -> float | None:
    lines = httpx.get(f"http://127.0.0.1:{joiner.port}/metrics", timeout=5).text.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(GAUGE)), None)
