"""``python -m tests.bench.swap``: what a swap costs the requests beside it: at least 50 swaps at 100 requests a second and more.

First without swaps, then with one every ``--every`` seconds (rows each time, the dense part every fourth, a full bundle every
twentieth), on the shipped model's size with 20,000 items. To reach: 0 failed, 0 mixed, p99 at most 1.5 times of that without swaps.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shared.bundles.manifest import Pointer
from shared.settings import Settings
from tests.bench.plain.loop import ITEMS
from tests.bench.rank import shop
from tests.bundles import Publisher
from tests.ranking import Service, a_publisher, running, shop_model
from tests.swapping import ROUNDING, Answered, impressions, mixture, steady

P99_RATIO = 1.5


async def under_load(service: Service, rate: float, work: Callable[[], object]) -> list[Answered]:
    """The answers to a steady load for as long as the work takes, which runs in a thread."""
    done = asyncio.Event()
    load = asyncio.create_task(steady(service.url, rate, lambda: not done.is_set(), items=ITEMS))
    await asyncio.to_thread(work)
    done.set()
    return await load


def made(publisher: Publisher, swaps: int) -> list[Pointer]:
    """So many bundles, stored and not yet pointed at: making them must not disturb who measures."""
    pointers = []
    for n in range(swaps):
        if n % 20 == 19:
            publisher.full(publish=False)
        else:
            publisher.delta(rows=500, dense=n % 4 == 0, publish=False)
        pointers.append(publisher.pointer())
    return pointers


def point(publisher: Publisher, pointers: list[Pointer], every: float) -> None:
    """Point at one bundle after the other."""
    began = time.monotonic()
    for n, pointer in enumerate(pointers, 1):
        publisher.storage.move_latest(pointer)
        time.sleep(max(0.0, began + n * every - time.monotonic()))


async def measure(settings: Settings, folder: Path, rate: float, swaps: int, every: float) -> bool:
    """Measure and print; whether all was reached."""
    publisher = a_publisher(settings, shop_model(1, items=ITEMS, dim=16))
    publisher.window = 0  # the engines hold window 0 of another model
    publisher.full()
    pointers = await asyncio.to_thread(made, publisher, swaps)
    with running(settings, folder, clock="event", ranking_poll_seconds=0.1, ranking_concurrency=10_000) as service:
        still = await under_load(service, rate, lambda: time.sleep(swaps * every))
        moving = await under_load(service, rate, lambda: point(publisher, pointers, every))
        swapped = sum(service.metric(f'ranking_swaps_total{{kind="{kind}"}}') for kind in ("full", "delta")) - 1
        service.stop()  # lets the impressions arrive
    failed = sum(answer.status != 200 for answer in still + moving)
    answers = [answer for answer in still + moving if answer.status == 200]
    own, apart = mixture(publisher, answers, await impressions(settings, len(answers)))
    quantiles = [np.quantile([answer.seconds for answer in phase], (0.5, 0.99)) * 1e3 for phase in (still, moving)]
    ratio = quantiles[1][1] / quantiles[0][1]
    print(f"{rate:g} requests a second, {len(answers)} answers, {swapped:.0f} swaps, {failed} failed")
    print(f"without swaps   p50 {quantiles[0][0]:.1f} ms, p99 {quantiles[0][1]:.1f} ms")
    print(f"while swapping  p50 {quantiles[1][0]:.1f} ms, p99 {quantiles[1][1]:.1f} ms: {ratio:.2f} x")
    pure = own < ROUNDING
    print(f"mixed           {'none' if pure else 'some'}: {own:.1e} from the answer's own bundle; {apart:.0%} differ in the next")
    return failed == 0 and pure and apart > 0.5 and ratio <= P99_RATIO


def main() -> int:
    """0 when all was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--swaps", type=int, default=60)
    parser.add_argument("--every", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, shop(Path(name)) as settings:
        return 0 if asyncio.run(measure(settings, Path(name), options.rate, options.swaps, options.every)) else 1


if __name__ == "__main__":
    sys.exit(main())
