"""``python -m tests.bench.features``: the feature pipeline beside a stock Faust agent with a table, and its memory.

Events a second for each core that the service keeps busy: decode, retries, both views with their tables, repartition, flush and
markers, with the declared features and the cap of the settings. The stock agent reads the same topic in the same run and only
counts each user's actions. CPU seconds are each process's own (user and system), so that the ratio holds while others share the
machine. ``--memory`` compares the service's size after a million events of 10,000 users, and of a million users. Starts engines of
its own.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from infra.local import engines
from infra.local.ports import free_block
from shared.kafka import ensure_topics, producer
from shared.messages import Behaviour
from shared.settings import Settings
from tests.bench import stock_agent
from tests.bench.goals import Goal, judged
from tests.conftest import variables
from tests.feature_service import Worker, apply_plans, settled, unflushed

TO_REACH, TIMES_STOCK = 50_000, 10


@contextmanager
def started(folder: Path, partitions: int) -> Iterator[Settings]:
    """Kafka and Valkey on free ports, with topics and plans."""
    port = free_block(3)
    both = engines.kafka(folder / "kafka", port), engines.valkey(folder / "valkey", port + 2)
    settings = Settings(kafka=f"127.0.0.1:{port}", redis=f"redis://127.0.0.1:{port + 2}/0", partitions=partitions)
    try:
        for engine in both:
            engine.start()
        asyncio.run(ensure_topics(settings))
        apply_plans(settings)
        yield settings
    finally:
        for engine in both:
            engine.stop()


async def fill(settings: Settings, count: int, users: int, items: int, *, each_once: bool = False) -> None:
    """Put events on ``behaviour``, such as a shop sends (200 bytes); or one for each user."""
    dice = random.Random(1)
    actions, categories = ("view", "view", "view", "click", "cart", "purchase"), [f"category-{n}" for n in range(200)]
    async with producer(settings, linger_ms=50) as client:
        for n in range(count):
            user = f"user-{n % users if each_once else dice.randrange(users)}"
            item = min(int(dice.paretovariate(0.5)), items)
            event = {
                "event_id": f"event-{n}",
                "user_id": user,
                "item_id": f"item-{item}",
                "action": dice.choice(actions),
                "time": f"2026-03-01T{n * 24 // count:02d}:{n % 60:02d}:00Z",
                "session": f"session-{n % 1000}",
                "price": round(dice.uniform(1, 90), 2),
                "category": categories[item % 200],
                "brand": f"brand-{item % 300}",
            }
            await client.send(Behaviour.topic, msgspec.json.encode(event), key=user.encode())


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measured(pid: int, done: Callable[[], bool], begun: Callable[[], bool]) -> float:
    """CPU seconds between the two."""
    while not begun():
        time.sleep(0.01)
    before = cpu(pid)
    while not done():
        time.sleep(0.2)
    return cpu(pid) - before


def pipeline(settings: Settings, folder: Path, count: int) -> float:
    """Events a second and core of the service. Its start is left out; reading, both topics and every flush are not."""
    worker = Worker(variables(settings), folder)
    worker.start(wait=False)
    assert worker.process
    try:
        used = measured(
            worker.process.pid,
            done=lambda: asyncio.run(unflushed(settings)) == 0 == asyncio.run(unflushed(settings, "behaviour-by-item")),
            begun=lambda: asyncio.run(unflushed(settings)) < count,
        )
        return count / used
    finally:
        worker.kill()


def stock(settings: Settings, folder: Path, count: int) -> float:
    """Events a second and core of the stock agent."""
    progress = folder / "stock"
    environment = {**os.environ, **variables(settings), "STOCK_PROGRESS": str(progress)}
    with (folder / "stock.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, stock_agent.__file__, "worker"], env=environment, stdout=log, stderr=log, cwd=folder
        )
    try:

        def read() -> int:
            return int(progress.read_text() or 0) if progress.exists() else 0

        first = 0
        while not first:
            time.sleep(0.02)
            first = read()
        used = measured(process.pid, done=lambda: read() >= count, begun=lambda: True)
        return (count - first) / used
    finally:
        process.kill()
        process.wait()


def size(folder: Path, users: int, count: int) -> float:
    """Megabytes of the service after so many events of so many users."""
    folder.mkdir()
    with started(folder, 16) as settings:
        asyncio.run(fill(settings, count, users, 50_000, each_once=True))
        worker = Worker(variables(settings), folder).start(wait=False)  # it is ready only once all is counted
        try:
            asyncio.run(settled(settings, 600))
            assert worker.process
            return psutil.Process(worker.process.pid).memory_info().rss / 1e6
        finally:
            worker.kill()


def main() -> int:
    """Measure and print; 0 when the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--stock-events", type=int, default=60_000)
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.memory:
            few, many = size(folder / "few", 10_000, 1_000_000), size(folder / "many", 1_000_000, 1_000_000)
            print(f"{few:.0f} MB at 10,000 users, {many:.0f} MB at 1,000,000: {many / few - 1:+.1%}")
            return judged(Goal("the size at 1,000,000 users against 10,000", many / few, 1.1))
        with started(folder, 16) as settings:
            asyncio.run(fill(settings, given.stock_events, 10_000, 20_000))
            slow = stock(settings, folder, given.stock_events)
            asyncio.run(fill(settings, given.events - given.stock_events, 10_000, 20_000))
            fast = pipeline(settings, folder, given.events)
    print(f"stock agent with a table {slow:,.0f} events/s a core")
    return judged(
        Goal("events a second and core of the pipeline", fast, TO_REACH, at_least=True),
        Goal("times the stock agent", fast / slow, TIMES_STOCK, at_least=True),
    )


if __name__ == "__main__":
    sys.exit(main())
