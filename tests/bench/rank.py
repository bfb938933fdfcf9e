"""``python -m tests.bench.rank``: CPU of a ranking of 100 candidates, three ways in one run.

The loop is the floor: MGET + features + graph, no HTTP. The service is what Freshet ships, by the CPU seconds of its process for
each request. Plain is Feast + BentoML + eager torch. To reach: the service at most 1.8 times the loop and a tenth of plain.
CPU is compared, not latency, so that the ratios hold while other processes share the machine; loop and service take turns, and
the median of the turns' ratios counts.

Busy is compared with busy: eight clients leave the worker as little rest as the loop has. One client lets it sleep twice for each
request, and who wakes finds caches cold: so that is compared with the same loop asleep for as long between two turns.

``--traces`` says instead what OpenTelemetry costs the busy service: off, with the share of calls followed that is the default, and
with each followed.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import numpy as np
import psutil

from infra.local import engines, probes
from infra.local.ports import free_block
from shared.kafka import ensure_topics
from shared.settings import Settings
from tests.bench.goals import Goal, judged
from tests.bench.plain.loop import CANDIDATES, ITEMS, USERS
from tests.conftest import variables
from tests.ranking import a_publisher, fill_store, running, shop_inputs, shop_model
from tests.spans import received

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LOOP_RATIO, PLAIN_RATIO = 1.8, 0.1
TURNS = 7
PAUSE = 0.0015
"""Seconds that the worker sleeps between two requests of one client."""


@contextmanager
def shop(folder: Path) -> Iterator[Settings]:
    """Engines of its own, with rows, and a bundle of the shipped size."""
    first = free_block(3 + engines.S3_PORTS)
    settings = Settings(
        kafka=f"127.0.0.1:{first}", redis=f"redis://127.0.0.1:{first + 2}/0", s3=f"http://127.0.0.1:{first + 3}", partitions=4
    )
    os.environ |= engines.CREDENTIALS | {"AWS_EC2_METADATA_DISABLED": "true"}
    started = [
        engines.kafka(folder / "kafka", first),
        engines.valkey(folder / "valkey", first + 2),
        engines.seaweed(folder / "s3", first + 3),
    ]
    try:
        for engine in started:
            engine.start()
        asyncio.run(ensure_topics(settings))
        probes.s3_client(settings.s3, engines.CREDENTIALS).create_bucket(Bucket=settings.bucket)
        fill_store(settings, users=USERS, items=ITEMS)
        a_publisher(settings, shop_model(items=ITEMS, dim=16)).full()
        yield settings
    finally:
        for engine in started:
            engine.stop()


def loop(settings: Settings, turns: int, pause: float = 0.0) -> float:
    """CPU milliseconds of a turn of the floor, with so many seconds of sleep between two."""
    command = [sys.executable, "-m", "tests.bench.plain.loop", str(turns), str(pause)]
    environment = os.environ | variables(settings) | ONE_THREAD
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_ms"])


async def ask(url: str, count: int, clients: int, fields: bool) -> np.ndarray:
    """Ask so many times from so many clients; seconds of each."""
    random, took = np.random.default_rng(4), []
    asked = [[f"i{n}" for n in random.integers(0, ITEMS, 4 * CANDIDATES).tolist()] for _ in range(64)]

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for turn in range(number, count, clients):
            items = list(dict.fromkeys(asked[turn % 64]))[:CANDIDATES]
            more = {"price": 2.5, "context": {"display": 0.0, "mailer": 0.0}} if fields else {}
            body = {"user_id": f"u{turn % USERS}", "candidates": [{"item_id": item, **more} for item in items]}
            began = time.perf_counter()
            async with session.post(f"{url}/rank", json=body) as response:
                assert response.status == 200, await response.text()
                await response.read()
            took.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session, number) for number in range(clients)))
    return np.array(took)


def served(url: str, pid: int, count: int, clients: int, fields: bool = True) -> tuple[float, np.ndarray]:
    """CPU milliseconds of the process for each request, and the requests' seconds."""
    asyncio.run(ask(url, max(50, count // 10), clients, fields))
    before = psutil.Process(pid).cpu_times()
    took = asyncio.run(ask(url, count, clients, fields))
    after = psutil.Process(pid).cpu_times()
    return (after.user + after.system - before.user - before.system) / count * 1e3, took


@contextmanager
def plain(settings: Settings, folder: Path) -> Iterator[tuple[str, int]]:
    """The plain service on a free port; address and process id."""
    port, inputs = free_block(1), shop_inputs()
    arguments = [port, folder, settings.redis.removeprefix("redis://").removesuffix("/0"), USERS, ITEMS]
    widths = [len(inputs.user), len(inputs.candidate)]
    command = [sys.executable, "-m", "tests.bench.plain", *map(str, [*arguments, *widths])]
    with (folder / "plain.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | ONE_THREAD, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/livez", process, folder / "plain.log")
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            urlopen(url)
            return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.5)
    raise TimeoutError(log.read_text()[-2000:])


def traced(settings: Settings, folder: Path, each: int) -> None:
    """Three services side by side in turns: CPU of a request where none, few and all are followed."""
    with received() as spans, ExitStack() as stack:
        shares: dict[str, dict[str, Any]] = {
            "off": {},
            "1 in 100 followed": {"traces": spans.url},
            "each followed": {"traces": spans.url, "traces_share": 1.0},
        }
        services = {name: stack.enter_context(running(settings, folder, **more)) for name, more in shares.items()}
        turns = [[served(one.url, one.process.pid, each, 8)[0] for one in services.values()] for _ in range(TURNS)]
    medians = np.median(turns, axis=0)
    ratios = np.median(np.array(turns) / np.array(turns)[:, :1], axis=0)
    print(f"{CANDIDATES} candidates, 8 clients, CPU milliseconds of the process a request; {len(spans.found)} spans came")
    for name, spent, ratio in zip(shares, medians, ratios, strict=True):
        print(f"traces {name:20} {spent:7.2f}  {ratio:5.2f} x off")


def main() -> int:
    """Measure and print; 0 when both ratios are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--traces", action="store_true", help="what they cost, alone")
    arguments = parser.parse_args()
    count = arguments.requests
    if arguments.traces:
        with tempfile.TemporaryDirectory() as name, shop(Path(name)) as settings:
            traced(settings, Path(name), count // TURNS)
        return 0
    with tempfile.TemporaryDirectory() as name, shop(Path(name)) as settings:
        folder = Path(name)
        turns, seconds, each = [], [], count // TURNS
        with running(settings, folder, ranking_poll_seconds=2.0) as service:
            for _ in range(TURNS):
                floor, asleep = loop(settings, each), loop(settings, each, PAUSE)
                eight, _ = served(service.url, service.process.pid, each, 8)
                single, took = served(service.url, service.process.pid, each, 1)
                turns.append((floor, eight, asleep, single))
                seconds.append(took)
            memory = psutil.Process(service.process.pid).memory_info().rss >> 20
        with plain(settings, folder) as (url, pid):
            slow, _ = served(url, pid, count // 10, 1, fields=False)
    floor, eight, asleep, single = np.median(turns, axis=0)
    busy, alone = (float(np.median([turn[i + 1] / turn[i] for turn in turns])) for i in (0, 2))
    p50, p99 = np.quantile(np.concatenate(seconds), (0.5, 0.99)) * 1e3
    print(f"{CANDIDATES} candidates, CPU milliseconds of the process a request")
    print(f"loop: MGET + features + graph       {floor:7.2f}")
    print(f"service, 8 clients                  {eight:7.2f}  {busy:5.2f} x loop")
    print(f"loop, asleep {PAUSE * 1e3:.1f} ms between turns  {asleep:7.2f}")
    print(f"service, 1 client                   {single:7.2f}  {alone:5.2f} x that; p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    print(f"plain Feast + BentoML + eager torch {slow:7.2f}  the service with 1 client is {single / slow:.3f} of it")
    print(f"memory of the service               {memory} MB")
    return judged(
        Goal("CPU of the busy service over that of the loop", busy, LOOP_RATIO),
        Goal("CPU of the service over that of plain", single / slow, PLAIN_RATIO),
    )


if __name__ == "__main__":
    sys.exit(main())
