"""``python -m tests.bench.collector``: events a second for each core that the collector keeps busy, through real HTTP and Kafka.

CPU seconds are the collector's own (user and system), so that the figure holds while other processes share the machine. Starts a
Kafka of its own unless FRESHET_KAFKA names one.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec
import psutil

from infra.local import engines
from infra.local.ports import free_block
from shared.kafka import ensure_topics
from shared.settings import Settings
from tests.collector import Collector, collecting

BATCHES = (1, 20, 200)


def body(client: int, request: int, batch: int) -> bytes:
    """A list of events such as a shop sends: 200 bytes each, many users and items."""
    first = request * batch
    return msgspec.json.encode(
        [
            {
                "event_id": f"{client}-{n}",
                "user_id": f"user-{(n * 7919 + client) % 10_000}",
                "item_id": f"item-{n * 104_729 % 1_000}",
                "action": "view",
                "time": "2026-03-01T12:00:00Z",
                "session": f"session-{n % 1000}",
                "quantity": 2,
                "context": {"display": 1.0},
            }
            for n in range(first, first + batch)
        ]
    )


async def load(url: str, batch: int, seconds: float, clients: int) -> int:
    """Send without pause from so many clients; returns the events accepted."""
    accepted, until = 0, time.monotonic() + seconds

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal accepted
        request = 0
        while time.monotonic() < until:
            async with session.post(f"{url}/events", data=body(number, request, batch)) as response:
                assert response.status == 200, await response.text()
                await response.read()
            accepted, request = accepted + batch, request + 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session, number) for number in range(clients)))
    return accepted


async def catalogue(url: str) -> None:
    """A thousand items, so that every event is stamped."""
    lines = [{"item_id": f"item-{n}", "category": f"c{n % 40}", "brand": f"b{n % 90}", "price": 1.0 + n} for n in range(1000)]
    async with aiohttp.ClientSession() as session, session.post(f"{url}/items", json=lines) as response:
        assert response.status == 200, await response.text()


def measure(collector: Collector, batch: int, seconds: float, clients: int) -> str:
    """One line of the table."""
    assert collector.process
    process = psutil.Process(collector.process.pid)
    asyncio.run(load(collector.url, batch, 1.0, clients))
    before, begun = process.cpu_times(), time.monotonic()
    events = asyncio.run(load(collector.url, batch, seconds, clients))
    after, wall = process.cpu_times(), time.monotonic() - begun
    cpu = after.user + after.system - before.user - before.system
    figures = f"{events / wall:>12,.0f} {events / cpu:>14,.0f} {cpu / events * 1e6:>14.1f} {process.memory_info().rss >> 20:>8}"
    return f"{batch:>6} {figures}"


@contextmanager
def kafka(home: Path) -> Iterator[Settings]:
    """Settings of a Kafka with the topics: the one that FRESHET_KAFKA names, else a new one."""
    if "FRESHET_KAFKA" in os.environ:
        yield Settings.read()
        return
    port = free_block(2)
    engine = engines.kafka(home / "kafka", port)
    engine.start()
    try:
        yield Settings(kafka=f"127.0.0.1:{port}")
    finally:
        engine.stop()


def main() -> None:
    """Print events a second, events a core second, CPU microseconds an event and resident MiB, by batch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, kafka(Path(folder)) as settings:
        asyncio.run(ensure_topics(settings))
        environment = {"FRESHET_KAFKA": settings.kafka, "FRESHET_PARTITIONS": str(settings.partitions)}
        with collecting(environment, Path(folder)) as collector:
            asyncio.run(catalogue(collector.url))
            print(f"{'batch':>6} {'events/s':>12} {'events/core s':>14} {'CPU µs/event':>14} {'RSS MiB':>8}")
            for batch in BATCHES:
                print(measure(collector, batch, asked.seconds, asked.clients), flush=True)


if __name__ == "__main__":
    main()
