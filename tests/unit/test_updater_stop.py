"""A life that ends in a failure ends, although what is on its way needs the event loop to get there."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from services.updater.__main__ import run
from services.updater.settings import UpdaterSettings
from shared.errors import Fenced

log = structlog.stdlib.get_logger()


class Failing:
    """Windows that another updater has taken over."""

    def stop(self) -> None:
        """There is nothing to end."""

    async def next(self) -> None:
        raise Fenced("an updater of epoch 3 took over")


class Announcing:
    """Releases with a bundle on its way that is being announced through the loop."""

    def __init__(self) -> None:
        self.thread, self.announced = ThreadPoolExecutor(1), asyncio.Event()
        self.flight = self.thread.submit(self._announce, asyncio.get_running_loop())

    def _announce(self, loop: asyncio.AbstractEventLoop) -> None:
        async def announce() -> None:
            await asyncio.sleep(0.2)
            self.announced.set()

        asyncio.run_coroutine_threadsafe(announce(), loop).result(5)

    def close(self) -> None:
        """As the publisher does."""
        self.thread.shutdown()


class Following:
    async def follow(self) -> None:
        await asyncio.sleep(60)


async def test_a_fenced_off_life_ends_with_a_bundle_on_its_way() -> None:
    releases: Any = Announcing()
    student = SimpleNamespace(learner=SimpleNamespace(trainer=SimpleNamespace(together=None)))
    life: Any = SimpleNamespace(student=student, prequential=None, releases=releases)
    windows: Any = Failing()
    with pytest.raises(Fenced):
        await run(life, windows, Following(), UpdaterSettings(), log)  # type: ignore[arg-type]
    assert releases.announced.is_set()
    releases.flight.result(0)
