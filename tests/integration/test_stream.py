"""The edge to Faust on a real broker: whole batches, starts that lose nothing, commits with their metadata."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from shared.kafka import producer
from shared.settings import Settings
from shared.stream import App, Start
from shared.telemetry import last_record_age

pytestmark = pytest.mark.engines
TOPIC = "behaviour"


class Reader:
    """An app that notes all that it reads."""

    def __init__(self, settings: Settings, group: str, instance: str = "reader") -> None:
        self.app = App(group, settings, instance=instance, session=6.0)
        self.polls: list[list[ConsumerRecord]] = []
        self.going = asyncio.Event()
        self.going.set()
        self.starts: dict[TopicPartition, Start] = {}
        self.app.began = self.starts.update

        @self.app.agent(self.app.source(TOPIC))
        async def read(stream: object) -> None:
            async for records in self.app.batches(stream):
                self.polls.append(records)
                await self.going.wait()

    def values(self) -> list[bytes]:
        return [record.value for poll in self.polls for record in poll]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.values()) < count:  # noqa: ASYNC110 (nobody sets an event for a record)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def reading(settings: Settings, group: str, instance: str = "reader") -> AsyncIterator[Reader]:
    reader = Reader(settings, group, instance)
    await reader.app.start()
    try:
        yield reader
    finally:
        await reader.app.stop()


async def send(settings: Settings, values: range) -> None:
    async with producer(settings) as client:
        for value in values:
            await client.send(TOPIC, b"%d" % value, partition=value % settings.partitions)


async def test_a_new_group_reads_everything_in_batches_of_one_partition(fresh_settings: Settings) -> None:
    await send(fresh_settings, range(1000))
    async with reading(fresh_settings, "fresh") as reader:
        await reader.until(1000)
        assert sorted(map(int, reader.values())) == list(range(1000))
        assert len(reader.polls) < 100
        assert all(len({record.partition for record in poll}) == 1 for poll in reader.polls)
        assert reader.app.reading


async def test_a_restart_begins_at_the_commit_and_finds_its_metadata(fresh_settings: Settings) -> None:
    await send(fresh_settings, range(8))
    async with reading(fresh_settings, "again") as reader:
        await reader.until(8)
        assert await reader.app.commit_offsets({(TOPIC, 1): (1, "from here")})
    async with reading(fresh_settings, "again") as reader:
        await reader.until(7)
        assert sorted(map(int, reader.values())) == [0, 2, 3, 4, 5, 6, 7]
        assert reader.starts[TopicPartition(TOPIC, 1)] == Start(1, "from here")
        assert reader.starts[TopicPartition(TOPIC, 0)] == Start(0, "")


async def test_a_service_may_choose_where_it_begins(fresh_settings: Settings) -> None:
    await send(fresh_settings, range(8))
    reader = Reader(fresh_settings, "chosen")

    async def second(partitions: object) -> dict[TopicPartition, Start]:
        return {tp: Start(1) for tp in partitions}

    reader.app.start_offsets = second
    await reader.app.start()
    try:
        await reader.until(4)
        await asyncio.sleep(0.2)
        assert sorted(map(int, reader.values())) == [4, 5, 6, 7]
    finally:
        await reader.app.stop()


async def test_a_clean_stop_hands_the_partitions_over_at_once(fresh_settings: Settings) -> None:
    async with reading(fresh_settings, "handed over", "one") as one, reading(fresh_settings, "handed over", "two") as two:
        async with asyncio.timeout(30):
            while not (0 < len(one.app.assigned()) < 4 and one.app.reading and two.app.reading):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        stopped = time.monotonic()
        await one.app.stop()
        async with asyncio.timeout(30):
            while len(two.app.assigned()) < 4 or not two.app.reading:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert time.monotonic() - stopped < 4.0, "less than the session's 6 s: nobody waited for it to be missed"


async def test_a_record_is_read_within_a_fraction_of_a_second(fresh_settings: Settings) -> None:
    async with reading(fresh_settings, "soon") as reader:
        await send(fresh_settings, range(16))
        await reader.until(16)
        loop, delays = asyncio.get_running_loop(), []
        async with producer(fresh_settings, linger_ms=0) as client:
            for count in range(17, 37):
                await client.send_and_wait(TOPIC, b"x", partition=count % 2)
                sent = loop.time()
                await reader.until(count)
                delays.append(loop.time() - sent)
        assert sorted(delays)[10] < 0.1


async def test_the_age_of_the_last_record_grows_while_newer_ones_wait_and_goes_with_the_partition(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)  # Feast sets it, where a test of this process imported it
    async with reading(fresh_settings, "aged") as reader:
        await send(fresh_settings, range(4))
        await reader.until(4)
        reader.going.clear()
        await send(fresh_settings, range(8))
        await asyncio.sleep(3)
        assert max(ages()) > 1.5
        reader.going.set()
        await reader.until(12)
        await asyncio.sleep(1.5)
        assert ages() == [0.0] * 4
        await reader.app.on_partitions_revoked.send(set())
        assert ages() == []


def ages() -> list[float]:
    return [sample.value for metric in last_record_age.collect() for sample in metric.samples if sample.labels["topic"] == TOPIC]


FAILING = """
from shared.settings import Settings
from shared.stream import App, serve

async def build():
    app = App("failing", Settings.read(), instance="one", session=6.0)

    @app.agent(app.source("behaviour"))
    async def read(stream):
        async for records in app.batches(stream):
            raise RuntimeError("cannot go on")

    return app

serve("failing", "info", build, ("127.0.0.1", 0))
"""


async def test_a_failing_agent_ends_the_process_at_once_and_commits_nothing(
    fresh_settings: Settings, environment: dict[str, str]
) -> None:
    await send(fresh_settings, range(4))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FAILING, env=os.environ | environment, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, log = await process.communicate()
    assert process.returncode == 1
    assert b"cannot go on" in log
    async with reading(fresh_settings, "failing") as reader:
        await reader.until(4)
