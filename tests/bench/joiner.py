"""``python -m tests.bench.joiner``: impressions a second for each core, memory of each that waits, and how soon examples come.

The first part drives the join alone, the second a joiner process on a real Kafka: one of its own, unless FRESHET_KAFKA names one.
CPU seconds are the joiner's own (user and system), so that the figures hold while other processes share the machine.
"""

import argparse
import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from aiokafka import AIOKafkaProducer

from infra.local import engines
from infra.local.ports import free_block
from services.joiner import intake
from services.joiner.join import Partition
from services.joiner.records import Mark, Safe
from services.joiner.rule import Rule
from services.joiner.segments import Segments
from shared.kafka import ensure_topics, partition_for, producer
from shared.messages import Impression, Inputs
from shared.settings import Settings
from tests.conftest import variables
from tests.joiner import Worker, outcome

CANDIDATES, FEATURES = 20, 60


class Record:
    """What intake asks of a consumer's record."""

    def __init__(self, topic: str, partition: int, offset: int, value: bytes, timestamp: int) -> None:
        self.topic, self.partition, self.offset, self.value, self.timestamp = topic, partition, offset, value, timestamp
        self.key = b""


def shown(request: int, user: str) -> bytes:
    """An impression of 20 items with 60 features each: 5 kB."""
    inputs = Inputs(tuple(f"u{n}" for n in range(40)), tuple(f"c{n}" for n in range(FEATURES)))
    items = tuple(f"item-{request}-{n}" for n in range(CANDIDATES))
    one = Impression(
        request_id=f"request-{request}", task="ranking", user_id=user, time=0.0, bundle="b", inputs=inputs, items=items,
        scores=bytes(4 * CANDIDATES), user_features=bytes(160), candidate_features=bytes(4 * CANDIDATES * FEATURES),
    )  # fmt: skip
    return msgspec.msgpack.encode(one)


def bought(request: int, user: str) -> bytes:
    return msgspec.json.encode(outcome(f"e{request}", user, f"item-{request}-3", f"request-{request}"))


def join_alone(impressions: int, folder: Path) -> None:
    """Read, match, emit and commit in this process, all impressions within the window; one outcome to each."""
    rule = Rule("ranking", ("purchase",))
    store = Segments(folder)
    partition = Partition(partition_for("user", 16), rule, store, Safe(Mark(0, 0), Mark(0, 0)))
    gc.collect()
    before, busy, poll = psutil.Process().memory_info().rss, 0.0, 100
    for first in range(0, impressions, poll):
        span = range(first, min(impressions, first + poll))
        a = [Record("impressions", partition.number, n, shown(n, "user"), n) for n in span]
        b = [Record("behaviour", partition.number, n, bought(n, "user"), n + 200) for n in span]
        began = time.process_time()
        partition.read_impressions(intake.impressions(a, 16).usable, span[-1] + 1, span[-1])
        partition.read_behaviour(intake.outcomes(b, 16, frozenset(rule.labels)).usable, span[-1] + 1, span[-1] + 200)
        partition.step()
        partition.safe()
        busy += time.process_time() - began
    grown = psutil.Process().memory_info().rss - before
    print(f"join alone: {impressions / busy:,.0f} impressions/s a core, one outcome each")
    print(f"waiting: {grown / len(partition.waiting):.0f} bytes of memory, {store.size / impressions:,.0f} of disk each")


async def send(settings: Settings, numbers: range, rate: float | None = None) -> None:
    """An impression and, half a second later, its outcome; all at once where no rate is given."""
    turns = asyncio.Semaphore(200)
    async with producer(settings) as client, asyncio.TaskGroup() as group:
        for n in numbers:
            await turns.acquire()
            group.create_task(_shopper(client, n, 0.5 if rate else 0.0)).add_done_callback(lambda _: turns.release())
            await asyncio.sleep(1 / rate if rate else 0)


async def _shopper(client: AIOKafkaProducer, n: int, after: float) -> None:
    user = f"user-{n % 1000}"
    await client.send_and_wait("impressions", shown(n, user), key=user.encode())
    await asyncio.sleep(after)
    await client.send_and_wait("behaviour", bought(n, user), key=user.encode())


async def _until(worker: Worker, lists: int) -> None:
    while worker.metric('joiner_examples_total{kind="list"}') < lists:  # noqa: ASYNC110 (the joiner is another process)
        await asyncio.sleep(0.1)


async def join_on_kafka(settings: Settings, folder: Path, backlog: int, rate: float, seconds: float) -> None:
    """A backlog first, then traffic at a steady rate."""
    await ensure_topics(settings)
    await send(settings, range(backlog))
    worker = Worker("bench", variables(settings), folder)
    worker.start(FRESHET_JOINER_RATE="100")
    try:
        await asyncio.to_thread(worker.wait)
        assert worker.process
        process = psutil.Process(worker.process.pid)
        began = sum(process.cpu_times()[:2])
        await _until(worker, backlog)
        print(f"a backlog of {backlog}: {backlog / (sum(process.cpu_times()[:2]) - began):,.0f} impressions/s a core")
        before = [worker.metric(f'joiner_delay_seconds_{part}{{kind="list"}}') for part in ("sum", "count")]
        live = round(rate * seconds)
        began, at = sum(process.cpu_times()[:2]), time.monotonic()
        await send(settings, range(backlog, backlog + live), rate)
        await _until(worker, backlog + live)
        cpu = (sum(process.cpu_times()[:2]) - began) / (time.monotonic() - at)
        total, count = (worker.metric(f'joiner_delay_seconds_{part}{{kind="list"}}') for part in ("sum", "count"))
        mean = (total - before[0]) / (count - before[1])
        print(f"at {rate:g} impressions/s: an example is acknowledged {mean * 1000:.0f} ms after its wait, {cpu:.0%} of a core, "
              f"{process.memory_info().rss >> 20} MB")  # fmt: skip
    finally:
        worker.kill()


@contextmanager
def kafka(folder: Path) -> Iterator[Settings]:
    """The Kafka that FRESHET_KAFKA names, else one that lives as long as the bench."""
    if "FRESHET_KAFKA" in os.environ:
        yield Settings.read()
        return
    port = free_block(2)
    engine = engines.kafka(folder / "kafka", port)
    engine.start()
    try:
        yield Settings(kafka=f"127.0.0.1:{port}")
    finally:
        engine.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=50_000, help="for the join alone")
    parser.add_argument("--backlog", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50.0, help="impressions a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        join_alone(asked.impressions, Path(home) / "alone")
        with kafka(Path(home)) as settings:
            asyncio.run(join_on_kafka(settings, Path(home), asked.backlog, asked.rate, asked.seconds))


if __name__ == "__main__":
    main()
